from __future__ import annotations

import pytest

from pipeline.sandbox import Fault, FaultError, Sandbox
from pipeline.sandbox.faults import KINDS


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("drop", Fault("drop")),
        ("cut", Fault("cut", 0.4)),
        ("cut:0.5,framing=chunked,times=2", Fault("cut", "0.5", framing="chunked", times=2)),
        ("status:429,retry_after=1,skip=1", Fault("status", "429", retry_after="1", skip=1)),
        ("status:400,message=Too big, sorry,over=6", Fault("status", "400", message="Too big, sorry", over=6)),
        (
            "status:503,retry_after=Wed, 21 Oct 2026 07:28:00 GMT",
            Fault("status", "503", retry_after="Wed, 21 Oct 2026 07:28:00 GMT"),
        ),
        ("redirect:https://example.com:8443/a?b=c", Fault("redirect", "https://example.com:8443/a?b=c")),
        ("big:1000000,declare=1,hour=7", Fault("big", "1000000", declare=True, hour=7)),
        ("encoding:gzip,cut=1", Fault("encoding", "gzip", cut=True)),
    ],
)
def test_a_spec_says_a_fault(spec, fault):
    parsed = Fault.parse(spec)
    assert str(parsed.value) == str(fault.value)
    assert parsed == Fault(**{**vars(fault), "value": parsed.value})


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_default_or_asks_for_a_value(kind):
    if KINDS[kind].value is None:
        with pytest.raises(FaultError, match="needs a value"):
            Fault.parse(kind)
    else:
        assert Fault.parse(kind).kind == kind


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("stauts:500", "unknown fault 'stauts': did you mean 'status'?"),
        ("slow-header", "did you mean 'slow-headers'?"),
        ("", "unknown fault ''"),
        ("drop,tmes=2", "unknown option 'tmes' in 'drop,tmes=2': did you mean 'times'?"),
        ("drop,times=two", "times=two: a whole number expected"),
        ("drop:1", "drop:1: it takes no value"),
        ("drop,framing=none", "drop has no option framing"),
        ("cut,framing=loose", "framing=loose: one of length, chunked, none expected"),
        ("status:500,body=xml", "body=xml: one of json, text, html, empty expected"),
        ("cut:1.5", "cut:1.5: a number from 0 to 1 expected"),
        ("cut:half", "cut:half: a number expected"),
        ("drip:nan", "drip:nan: a number of seconds expected"),
        ("status:42", "status:42: a status from 200 to 599 expected"),
        ("length:long", "length:long: one of abc, two, short expected"),
        ("encoding:gzip,cut=yes", "cut=yes: 0 or 1 expected"),
        ("drop,hour=24", "hour=24: an hour from 0 to 23 expected"),
    ],
)
def test_nonsense_is_refused_by_name(spec, message):
    with pytest.raises(FaultError) as refused:
        Fault.parse(spec)
    assert message in str(refused.value)


def test_a_sandbox_refuses_nonsense_at_once():
    with pytest.raises(FaultError):
        Sandbox(faults=["nonsense"])
