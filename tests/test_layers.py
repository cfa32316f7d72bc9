"""The house: imports run downward only, and no function outgrows a screen or a module its subject."""

import ast
import re
from collections.abc import Iterator

import pytest
from processes import ROOT

PACKAGE = ROOT / "pipeline"
MODULES = sorted(PACKAGE.rglob("*.py"))
BOTTOM = {
    "__init__", "settings", "forms", "progress", "dotenv", "redaction", "errors", "logs", "text", "threads", "terminal",
    "luigicfg",
}  # fmt: skip
DOWNWARD = {
    "tasks": {"tasks", "export", "warehouse", "store"},
    "operations": {"operations", "export", "warehouse", "store"},
    "export": {"export", "store"},
    "warehouse": {"warehouse", "store"},
    "store": {"store"},
    "commands": {"commands", "tasks", "operations", "export", "warehouse", "store"},
    "__main__": {"commands"},
}
"""The rooms that a room may import, beside the bottom modules."""

ONLY = {
    "requests": {"export"},
    "urllib3": {"export"},
    "duckdb": {"warehouse"},
    "luigi": {"tasks", "settings"},
    "click": {"commands", "sandbox"},
    "dotenv": {"dotenv"},
    "tenacity": {"export"},
    "unittest": set(),
}
"""Where a library may be imported."""


def room(path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name(path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_run_downward_only(path):
    if name(path) == "pipeline/sandbox/demo.py":
        return  # the demo is a user of both sides
    ours = {each.split(".")[1] for each in imports(path) if each.startswith("pipeline.")}
    names = {node for node in ours if (PACKAGE / node).exists() or (PACKAGE / f"{node}.py").exists()}
    here = room(path)
    if here == "sandbox":
        assert names <= {"sandbox"}
    elif here in DOWNWARD:
        assert names <= DOWNWARD[here] | BOTTOM
    else:
        assert here in BOTTOM, f"{path} belongs to no room"
        assert names <= BOTTOM


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_library_is_imported_in_its_room_alone(path):
    for library in {each.split(".")[0] for each in imports(path)} & ONLY.keys():
        assert room(path) in ONLY[library], f"{name(path)} imports {library}"


def test_no_type_is_met_for_the_first_time_where_several_threads_may_meet_it():
    """msgspec looks at a type when it is first decoded, and not safely: a decoder is made where a module is imported."""
    assert not [name(path) for path in MODULES if re.search(r"decode\([^)]*\)?[^)]*type=", path.read_text("utf-8"))]


def test_C15_nothing_turns_the_certificate_check_off():
    pattern = re.compile(r"verify\s*=\s*False|CERT_NONE|check_hostname\s*=\s*False|disable_warnings|_create_unverified")
    assert not [name(path) for path in MODULES if pattern.search(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_function_is_longer_than_60_lines_and_no_module_than_300(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{name(path)}: {node.name}"
