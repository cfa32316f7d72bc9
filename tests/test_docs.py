"""What is written agrees with what is: README, .env.example, the version and the locked requirements."""

import dataclasses
import re
import tomllib

import pytest
from projects import ROOT

import pipeline
from pipeline import settings
from pipeline.warehouse import events

README = ROOT / "README.md"
VARIABLES = {*settings.CREDENTIALS, *map(settings.variable, dataclasses.fields(settings.Settings))}
NAMED = re.compile(r"\b(?:AMP|PIPELINE)_[A-Z_]*[A-Z]\b")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = " ".join(re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)).split()


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("target", TARGETS)
def test_each_target_has_a_help_text_and_stands_in_the_readme(target):
    assert re.search(rf"^{target}:.*## .+", MAKEFILE, re.MULTILINE)
    if target not in ("help", "lock"):
        assert re.search(rf"make {target}\b", README.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", [".env.example", "README.md", "Makefile", "luigi.cfg"])
def test_each_variable_that_is_named_is_one_that_is_read(name):
    assert set(NAMED.findall(read(name))) <= VARIABLES


def test_the_readmes_table_of_settings_is_the_generated_one():
    table = read("README.md").partition("<!-- settings -->")[2].partition("<!-- /settings -->")[0]
    assert table.strip() == settings.markdown_table()


def test_the_readmes_table_of_columns_is_the_generated_one():
    table = read("README.md").partition("<!-- schema -->")[2].partition("<!-- /schema -->")[0]
    assert table.strip() == events.markdown_table()


def test_each_test_that_holds_a_promise_is_there():
    named = re.findall(r"`(tests/\S+\.py)::(\w+)`", read("README.md"))
    assert len(named) > 15
    for file, function in named:
        assert f"\ndef {function}(" in read(file), f"{file} has no {function}"


def test_env_example_asks_for_the_credentials_and_holds_none():
    text = read(".env.example")
    for name in settings.CREDENTIALS:
        assert re.search(rf"^{name}=$", text, re.MULTILINE)


def test_the_version_is_one_and_stands_in_the_changelog():
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    assert version == pipeline.__version__
    assert version in read("CHANGELOG.md")


@pytest.mark.parametrize(
    "name", ["requirements.txt", "requirements-dev.txt", "bench/requirements.txt", ".ci/requirements.txt"]
)
def test_C16_every_requirement_is_pinned_with_hashes_and_names_no_index(name):
    text = re.sub(r"^\s*#.*$", "", read(name), flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip()]
    assert lines
    for line in lines:
        assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", line), line
    assert not re.search(r"https?://|--index-url|--extra-index-url|--find-links|--trusted-host", text)
