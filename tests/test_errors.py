"""Errors: each says what happened and what to do, on one line."""

import errno
from pathlib import Path

import pytest

from pipeline import errors
from pipeline.errors import PipelineError, StorageError, TransientError, storage_errors

KINDS = PipelineError.__subclasses__()


def test_the_classes_are_the_designs():
    assert {kind.__name__ for kind in KINDS} == {
        "ConfigError", "CredentialsError", "NotReadyError", "TransientError", "TooLargeError", "RequestError",
        "ArchiveError", "LoadError", "StorageError",
    }  # fmt: skip
    assert all(kind.__name__ in errors.__doc__ for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_each_says_what_happened_and_what_to_do(kind):
    error = kind("the disk is full", "Make room.")
    assert str(error) == "the disk is full. Make room."
    assert (error.what, error.todo) == ("the disk is full", "Make room.")


def test_a_transient_error_knows_its_status_and_what_the_server_asked_for():
    error = TransientError("busy", status=429, retry_after=5)
    assert (error.status, error.retry_after, error.todo) == (429, 5, "Run it again later.")


@pytest.mark.parametrize(
    ("number", "todo"),
    [
        (errno.ENOSPC, r"Make room there \(make prune KEEP_DAYS=30 WHAT=events\)"),
        (errno.EDQUOT, "Make room there"),
        (errno.EFBIG, r"Raise the limit of a file's size \(ulimit -f\)"),
        (errno.EMFILE, r"Raise the limit of open files \(ulimit -n\)"),
        (errno.EIO, "The disk fails: look at the system's log"),
        (errno.EROFS, "Make it writable"),
        (errno.EACCES, "Mend its permissions"),
        (errno.ELOOP, "Make room there, mend its permissions or look at the disk"),
    ],
)
def test_F1_a_refusal_of_the_system_names_the_path_the_free_space_and_what_to_do(tmp_path, number, todo):
    path = tmp_path / "a\nb"
    with (
        pytest.raises(StorageError, match=rf"a\\nb: .+ \(.+ free\)\. {todo}.*, then run it again") as raised,
        storage_errors(tmp_path),
    ):
        raise OSError(number, "No", str(path))
    assert "\n" not in str(raised.value)


def test_an_error_without_a_path_names_the_place_that_was_worked_on():
    assert "/nowhere/at/all: words" in str(StorageError.of(OSError(5, "words"), Path("/nowhere/at/all")))


def test_F1_a_name_that_is_too_long_is_a_storage_error_too(tmp_path):
    with pytest.raises(StorageError, match="File name too long"), storage_errors(tmp_path):
        (tmp_path / ("x" * 300)).open()
