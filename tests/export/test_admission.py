"""The first request of a run goes alone, and after a refusal of the credentials none follows."""

import pytest
from asking import DAY, NEXT, asked, assert_whole, failure, fetch, under_way

from pipeline.errors import CredentialsError, TransientError
from pipeline.export.admission import Admission
from pipeline.settings import load_credentials
from pipeline.tasks import DownloadExport


@pytest.mark.parametrize("status", [401, 403])
def test_H1_H2_after_a_refusal_no_other_day_of_the_run_is_asked_for(project, status):
    sandbox = project.sandbox(faults=[f"status:{status}"])
    assert f"answered {status}" in failure(project, CredentialsError)
    said = failure(project, CredentialsError, NEXT)
    assert len(sandbox.requests) == 1
    assert "not asked for: loopback refused the key or the secret earlier in this run" in said
    assert "AMP_SECRET_KEY" in said


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("status", [401, 403])
def test_H1_H2_also_forked_workers_are_one_run(project, status, workers):
    sandbox = project.sandbox(faults=["wait:0.1", f"status:{status}"])
    result = project.run(DownloadExport(date=DAY), DownloadExport(date=NEXT), workers=workers)
    assert not result.scheduling_succeeded
    assert len(sandbox.requests) == 1
    assert project.logged().count("CredentialsError") >= 2


def test_the_first_request_of_a_run_goes_alone_and_the_others_together(project):
    sandbox = project.sandbox(faults=["wait:0.3,times=1", "wait:60,skip=1"])
    assert under_way(project, sandbox, 4) == 4
    first, *others = [request.at for request in sandbox.requests]
    assert min(others) - first >= 0.3


def test_the_next_day_of_a_run_needs_no_probe(project):
    sandbox = project.sandbox()
    fetch(project)
    project.set(AMP_WINDOW_BYTES=project.layout.raw_zip(DAY).stat().st_size // 4 + 1)
    sandbox.requests.clear()
    sandbox.faults.append("wait:60")
    assert under_way(project, sandbox, 4, NEXT) == 4


def test_a_refusal_in_the_middle_of_a_day_cuts_the_rest_and_is_remembered(project):
    sandbox = project.sandbox(faults=["wait:0.5,hour=7", "status:403,hour=7", "status:503,hour=13", "wait:5,hour=19"])
    project.set(AMP_READ_TIMEOUT=60, AMP_FIRST_BYTE_TIMEOUT=60, AMP_BACKOFF=2, AMP_BACKOFF_CAP=2)
    assert "hours 06-11: loopback answered 403" in failure(project, CredentialsError)
    assert sorted(asked(sandbox)) == ["00-05", "06-11", "12-17", "18-23"]  # no second try of 12-17
    assert [path.stem for path in project.layout.windows_dir(DAY).glob("*.zip")] == ["00-05"]  # nor a wait for 18-23
    failure(project, CredentialsError, NEXT)
    assert len(sandbox.requests) == 4


def test_other_credentials_are_another_question(project):
    sandbox = project.sandbox()
    project.set(AMP_SECRET_KEY="wrong-secret-1")
    failure(project, CredentialsError)
    project.use(sandbox)
    fetch(project)
    assert_whole(project)


def test_nothing_is_known_of_credentials_that_were_not_asked_with(project):
    project.sandbox(faults=["status:503"])
    failure(project, TransientError)
    admission, settings, credentials = Admission(), project.settings, load_credentials()
    assert not admission.is_known(settings, credentials)
    admission.accept(settings, credentials)
    assert admission.is_known(settings, credentials)
    admission.refuse(settings, credentials)
    with pytest.raises(CredentialsError):
        admission.is_known(settings, credentials)
    project.set(AMP_BASE_URL="https://elsewhere.invalid")
    assert not admission.is_known(project.settings, credentials)
