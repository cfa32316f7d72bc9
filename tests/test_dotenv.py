"""`.env`: read literally, or refused by name and line."""

from pathlib import Path

import pytest
from processes import ROOT, home
from projects import KEY, SECRET

from pipeline import dotenv
from pipeline.errors import ConfigError, StorageError

QUOTED = "'" + SECRET.replace("'", "\\'") + "'"


@pytest.fixture
def env_file(tmp_path):
    def write(data):
        path = tmp_path / "a.env"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return write


READ = [
    ("crlf", b"A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
    ("byte order mark", b"\xef\xbb\xbfA=1\nB=2\n", {"A": "1", "B": "2"}),
    ("trailing space", b"A=1  \nB=2\t\n", {"A": "1", "B": "2"}),
    ("no final newline", b"A=1\nB=2", {"A": "1", "B": "2"}),
    ("export", b"export A=1\n# words\n\nB='2'\n", {"A": "1", "B": "2"}),
    ("dollars", b"A=ab$cd\nB='${HOME} $x'\n", {"A": "ab$cd", "B": "${HOME} $x"}),
    ("hash and spaces", b"A='a #b c'\nB=a#b\n", {"A": "a #b c", "B": "a#b"}),
    ("equals, percent and quotes", b"A=a=b%20\nB='\"x\"'\n", {"A": "a=b%20", "B": '"x"'}),
]


@pytest.mark.parametrize(("data", "values"), [row[1:] for row in READ], ids=[row[0] for row in READ])
def test_C5_C6_values_are_read_as_they_are_written(env_file, data, values):
    assert dotenv.read(env_file(data)) == values


REFUSED = [
    ("unterminated quote", "A=1\nB='abc\n", "line 2, cannot be read"),
    ("no value", "A=1\n\nB\n", "line 3, cannot be read"),
    ("words", "A=1\nthis is not it\n", "line 2, cannot be read"),
    ("latin-1", "A=\xfc\n".encode("latin-1"), "is not UTF-8"),
]


@pytest.mark.parametrize(("data", "said"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_C6_what_would_be_misread_is_refused_by_its_line(env_file, data, said):
    with pytest.raises(ConfigError, match=said) as refused:
        dotenv.read(env_file(data))
    assert "abc" not in str(refused.value)


def test_a_missing_file_is_an_empty_one_and_an_unreadable_one_a_plain_error(tmp_path):
    assert dotenv.read(tmp_path / "none") == {}
    with pytest.raises(StorageError, match="Input/output error"):
        dotenv.read(Path("/proc/self/mem"))


def test_C5_a_secret_of_every_difficult_character_reaches_the_api_exactly(project):
    sandbox = project.sandbox()
    project.unset("AMP_API_KEY", "AMP_SECRET_KEY")
    place = home(project, env=f"AMP_API_KEY={KEY}\nAMP_SECRET_KEY={QUOTED}\n")
    done = project.pipeline("run", "--date", "2026-01-15", cwd=place, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    assert all(request.authorized for request in sandbox.requests)
    assert "chmod" not in done.stderr


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_C3_a_file_that_others_may_read_is_warned_of_with_its_cure(project, mode):
    place = home(project, env="AMP_REGION=eu\n")
    (place / ".env").chmod(mode)
    done = project.pipeline("status", cwd=place, PYTHONPATH=str(ROOT))
    assert ".env can be read by others of this machine. Close it with: chmod 600 .env" in done.stderr
    assert done.returncode == 0


def test_C4_git_ignores_env_and_data(project):
    ignored = [".env", "data/raw/2026-01-15.zip", "logs/pipeline.log", ".venv/bin/python"]
    done = project.command("git", "check-ignore", *ignored)
    assert done.stdout.split() == ignored
    assert not project.command("git", "ls-files", ".env", "data/raw", "data/events").stdout
