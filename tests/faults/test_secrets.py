"""C10, C12, C15: the secret stays where it belongs, in every process of a run; and no code trusts whoever answers.

What a test prints, logs and writes is looked through by tests/conftest.py, over every fault of this suite; what the
commands print, by `Commands.execute`. Here is what neither can see.
"""

import ast
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Commands, luigi, pipeline
from processes import ROOT, members
from projects import KEY, SECRET, leaks
from truth import FULL, complete, served

from pipeline.sandbox import Sandbox

DAY = "2026-01-15"
SEVERAL_FILES = 150  # events an hour of a day that is too large to be read by one process


def read(pid: int, what: str) -> str:
    with contextlib.suppress(OSError):  # it has ended
        return Path(f"/proc/{pid}/{what}").read_bytes().replace(b"\0", b"\n").decode("utf-8", "replace")
    return ""


@pytest.mark.parametrize(
    "command",
    [pipeline("run", "--date", DAY), luigi("LoadEvents", "--date", DAY, "--workers", "2")],
    ids=["make run", "luigi with workers"],
)
def test_C10_C12_no_process_of_a_run_shows_it_and_those_that_read_do_not_have_it(tmp_path, tally, command):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    arguments: dict[int, str] = {}
    environments: dict[int, str] = {}
    with Sandbox(key=KEY, secret=SECRET, events_per_hour=SEVERAL_FILES, faults=["latency:0.1"]) as sandbox:
        truth = served(sandbox, DAY)
        commands = Commands(tmp_path, sandbox, PIPELINE_THREADS=2, TMPDIR=temporary)
        with commands.started(*command) as run:
            while run.poll() is None:
                for pid in members(run.pid):
                    arguments[pid] = read(pid, "cmdline")
                    # Its arguments before its environment: they are a process's own, once they are not its parent's.
                    if "pipeline.warehouse.worker" in arguments[pid]:
                        environments[pid] = read(pid, "environ") or environments.get(pid, "")
            _, said = run.communicate()
    assert run.returncode == 0, said
    assert len(arguments) > 2
    assert not leaks(said + "".join(arguments.values()))
    readers = [text for text in environments.values() if "PATH=" in text]
    assert readers
    assert not leaks("".join(readers))
    assert not re.search(r"^AMP_", "".join(readers), re.MULTILINE)
    damage = complete(commands.data, DAY, truth)
    tally.injected(1, damage)
    assert not damage


PLACES = [f"http://user:{KEY}@{KEY}.example/{KEY}", f"http://{KEY}.example/", KEY]


@pytest.mark.parametrize("place", PLACES if FULL else PLACES[:1])
def test_C10_a_redirect_that_says_it_back_is_not_quoted(tmp_path, place):
    with Sandbox(key=KEY, secret=SECRET, faults=[f"redirect:{place}"]) as sandbox:
        done = Commands(tmp_path, sandbox).run(DAY)  # looks through what it prints
    assert done.returncode == 30
    assert "a redirect to" in done.stderr


WORDS = (
    "CERT_NONE", "CERT_OPTIONAL", "disable_warnings", "_create_unverified_context", "_create_default_https_context",
    "PYTHONHTTPSVERIFY", "InsecureRequestWarning", "SECLEVEL=0", "--insecure", "--trusted-host", "--no-check-certificate",
)  # fmt: skip
SWITCHES = {"verify", "check_hostname", "assert_hostname", "verify_ssl", "ssl_verify", "cert_reqs", "verify_mode"}
"""What a library calls its certificate check: whatever is given to it must be true."""
BUNDLES = {"CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"}
"""Where requests looks for the certificates that it trusts: an empty one is taken for no check by some of its versions."""
SETTERS = {"setattr", "setdefault", "putenv", "setenv", "__setitem__"}
UNSET = re.compile(rf"({'|'.join(sorted(BUNDLES))})(=[\s;]|\s*[:?]?=[ \t]*(''|\"\"|$))", re.MULTILINE)
"""The same in a shell's or make's words."""


def loopholes(source: str) -> list[str]:
    """Returns the lines of a module that could turn the check of a server's certificate off."""
    return [f"line {node.lineno}: {what}" for node, what in _suspicious(ast.parse(source))]


def _suspicious(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(tree):
        for name, value in _given(node):
            if (name in SWITCHES and not _is_true(value)) or (name in BUNDLES and _is_empty(value)):
                yield node, name
        if isinstance(node, ast.Call) and _name(node.func) == "SSLContext":
            yield node, "SSLContext: create_default_context makes one that checks"
        texts = [getattr(node, field, None) for field in ("id", "attr", "name", "value")]
        yield from ((node, word) for word in WORDS for text in texts if isinstance(text, str) and word in text)


def _given(node: ast.AST) -> Iterator[tuple[str | None, ast.expr | None]]:
    """Yields what a statement or an expression gives a value to, by its last name; None for a value that cannot be told."""
    match node:
        case ast.Call(func, arguments, keywords):
            yield from ((word.arg, word.value) for word in keywords)
            if _name(func) in SETTERS and len(arguments) > 1:
                yield _name(arguments[-2]), arguments[-1]
        case ast.Assign(targets, value):
            for target in targets:
                yield from _assigned(target, value)
        case ast.AnnAssign(target, _, value) if value is not None:
            yield _name(target), value
        case ast.NamedExpr(target, value):
            yield _name(target), value
        case ast.AugAssign(target):
            yield _name(target), None
        case ast.Dict(keys, values):
            yield from ((_name(key), value) for key, value in zip(keys, values, strict=True))
        case ast.FunctionDef(args=all_of) | ast.AsyncFunctionDef(args=all_of) | ast.Lambda(args=all_of):
            places = [*all_of.posonlyargs, *all_of.args][::-1]
            yield from ((place.arg, value) for place, value in zip(places, all_of.defaults[::-1], strict=False))
            only = zip(all_of.kwonlyargs, all_of.kw_defaults, strict=True)
            yield from ((place.arg, value) for place, value in only if value is not None)


def _assigned(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[str | None, ast.expr | None]]:
    if not isinstance(target, ast.Tuple | ast.List):
        yield _name(target), value
        return
    values = getattr(value, "elts", [])
    told = len(values) == len(target.elts) and not any(
        isinstance(each, ast.Starred) for each in (*values, *target.elts)
    )
    for number, each in enumerate(target.elts):
        yield from _assigned(each, values[number] if told else None)


def _name(node: ast.expr | None) -> str | None:
    """Returns the last name of a variable, an attribute or a key that is written out."""
    match node:
        case ast.Name(name) | ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(str(name))):
            return name
        case ast.Constant(str(name)):
            return name
        case ast.Starred(inner):
            return _name(inner)
    return None


def _is_true(value: ast.expr | None) -> bool:
    last = value.values[-1] if isinstance(value, ast.BoolOp) and isinstance(value.op, ast.Or) else value
    return isinstance(last, ast.Constant) and last.value is True


def _is_empty(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and not value.value


@pytest.mark.parametrize("path", sorted(p for folder in ("pipeline", "bench", ".ci") for p in (ROOT / folder).rglob("*.py")),
                         ids=lambda path: str(path.relative_to(ROOT)))  # fmt: skip
def test_C15_no_code_turns_the_certificate_check_off(path):
    assert not loopholes(path.read_text(encoding="utf-8"))


def test_C15_no_package_is_fetched_from_whoever_answers():
    requirements = [path for folder in (".", "bench", ".ci") for path in (ROOT / folder).glob("*requirements*")]
    assert len(requirements) == 8
    for path in (ROOT / "Makefile", ROOT / ".ci" / "run", *requirements):
        text = path.read_text(encoding="utf-8")
        assert not [word for word in WORDS if word in text]
        assert not UNSET.search(text)


@pytest.mark.parametrize(
    "text", ["export CURL_CA_BUNDLE=\n", "REQUESTS_CA_BUNDLE='' make", "export CURL_CA_BUNDLE :=\n"]
)
def test_C15_an_empty_bundle_is_found_in_a_shells_words_too(text):
    assert UNSET.search(text)
    assert not UNSET.search("REQUESTS_CA_BUNDLE=/etc/ca.pem make\nREQUESTS_CA_BUNDLE ?= /etc/ca.pem")


@pytest.mark.parametrize(
    "source",
    [
        "requests.get(url, verify=False)",
        "requests.get(url, verify=settings.verify)",
        "requests.get(url, **{'verify': False})",
        "session.verify = False",
        "session.verify = os.environ.get('VERIFY')",
        "setattr(session, 'verify', 0)",
        "context.check_hostname = False",
        "context.verify_mode = ssl.CERT_NONE",
        "from ssl import CERT_NONE as mode",
        "urllib3.PoolManager(cert_reqs='CERT_NONE', assert_hostname=False)",
        "urllib3.disable_warnings()",
        "ssl._create_default_https_context = ssl._create_unverified_context",
        "os.environ['PYTHONHTTPSVERIFY'] = '0'",
        "subprocess.run(['curl', '--insecure', url])",
        "options['verify'] = False",
        "verify = False",
        "verify: bool = False",
        "class Session(requests.Session):\n    verify = False",
        "session.verify, session.trust_env = False, True",
        "(timeout, [session.verify]) = settings",
        "first, *session.verify = True, True",
        "session.verify &= checked",
        "get(url, (verify := checked))",
        "def get(url, verify=False): ...",
        "def get(url, *, verify=False): ...",
        "context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)",
        "context = SSLContext()",
        "os.environ['CURL_CA_BUNDLE'] = ''",
        "os.environ.setdefault('REQUESTS_CA_BUNDLE', '')",
        "subprocess.run(command, env={**os.environ, 'REQUESTS_CA_BUNDLE': ''})",
    ],
)
def test_C15_the_scan_finds_what_would_turn_it_off(source):
    assert loopholes(source)


def test_C15_the_scan_lets_stand_what_keeps_it_on():
    assert not loopholes(
        "session.verify = os.environ.get('REQUESTS_CA_BUNDLE', '') or True\narchive.verify()\nf(verify=True)\n"
        "session.verify, timeout = True, False\nverify: bool\ncontext: ssl.SSLContext = ssl.create_default_context()\n"
        "def get(url, stream=False, *, verify=True, timeout): ...\nos.environ['CURL_CA_BUNDLE'] = '/etc/ca.pem'"
    )
