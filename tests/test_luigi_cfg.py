"""luigi.cfg: each key is one that Luigi reads, each has its reason, and each trap that it cures stays cured."""

import configparser
import dataclasses
import re
from pathlib import Path

import luigi
import luigi.interface
import luigi.rpc
import luigi.scheduler
import luigi.worker
import pytest
from luigi.configuration import get_config
from luigi.configuration.cfg_parser import LuigiConfigParser
from luigi.tools.range import RangeDaily
from processes import ROOT, home

from pipeline import __main__, luigicfg
from pipeline.settings import PREFIXES, Settings
from pipeline.tasks import LAST, DailyTask, DownloadExport, ExtractEvents, LoadEvents, runs

FILES = ("luigi.cfg", "luigi.central.cfg")
CONFIGS = {
    "core": luigi.interface.core,
    "worker": luigi.worker.worker,
    "scheduler": luigi.scheduler.scheduler,
    "retcode": luigi.retcodes.retcode,
    "RangeDaily": RangeDaily,
}


def parsed(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read(ROOT / name)
    return parser


def known(section: str) -> set[str]:
    """Returns the keys that Luigi, or settings.py, reads of a section."""
    if section in PREFIXES:
        return {field.name for field in dataclasses.fields(Settings) if field.metadata["section"] == section}
    if section == "resources":
        return {name for task in (DownloadExport, ExtractEvents, LoadEvents) for name in task.resources}
    read = {name for name, _ in CONFIGS[section].get_params()}
    for _, parameter in luigi.interface.core.get_params():
        path = parameter._config_path  # where a parameter is read from if not by its own name
        if section == "core" and path:
            read.add(path["name"].replace("-", "_"))
    if section == "core":
        source = "".join(path.read_text() for path in Path(luigi.__file__).parent.glob("*.py"))
        plain = re.findall(r"""get\w*\(\s*["']core["'],\s*["']([\w-]+)["']""", source)
        read |= {name.replace("-", "_") for name in plain}
    return read


KEYS = [(file, section, key) for file in FILES for section in parsed(file).sections() for key in parsed(file)[section]]


@pytest.mark.parametrize(("file", "section", "key"), KEYS)
def test_C18_each_key_is_one_that_is_read(file, section, key):
    assert section in {*CONFIGS, *PREFIXES, "resources"}
    assert key in known(section)


@pytest.mark.parametrize("file", FILES)
def test_each_group_of_keys_has_its_reason_above_it(file):
    before = ""
    for line in (ROOT / file).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            assert before.startswith("#") or "=" in before, f"{line}: no reason above it"
        before = line


CURES = {
    "core": {
        "local_scheduler": "true", "no_configure_logging": "true", "no_lock": "true", "autoload_range": "true",
        "workers": "1", "rpc_retry_attempts": "1",
    },
    "RangeDaily": {"days_back": "36500", "days_forward": "-1", "task_limit": "10000", "param_name": "date", "of": LAST.task_family},
    "worker": {"check_complete_on_run": "true", "wait_jitter": "0", "keep_alive": "false"},
    "scheduler": {"stable_done_cooldown_secs": "0", "remove_delay": "604800"},
    "retcode": {
        "already_running": "10", "missing_data": "20", "not_run": "25", "task_failed": "30", "scheduling_error": "35",
        "unhandled_exception": "40",
    },
}  # fmt: skip


@pytest.mark.parametrize("section", CURES)
def test_the_cures_stand(section):
    cfg = parsed("luigi.cfg")
    assert {key: cfg[section][key] for key in CURES[section]} == CURES[section]


def test_no_retry_count_for_luigid_would_refuse_a_mended_task():
    assert "retry_count" not in parsed("luigi.cfg")["scheduler"]


def test_C11_no_parameter_is_a_secret():
    ours = [task for task in _below(DailyTask) if task.__module__.startswith("pipeline.")]
    assert {name for task in ours for name, _ in task.get_params()} == {"date"}
    assert not any(
        re.search("key|secret", key) for file in FILES for section in parsed(file).values() for key in section
    )


def test_nothing_but_luigi_cfg_was_read_by_these_tests():
    assert get_config().get("core", "local_scheduler") == "true"


def _below(task: type[luigi.Task]) -> list[type[luigi.Task]]:
    return [task, *(below for child in task.__subclasses__() for below in _below(child))]


BROKEN = {
    "twice": ("[amplitude]\nregion = us\n", "section 'amplitude' stands twice. Bring the two together in one."),
    "option": ("[x]\na = 1\na = 2\n", "'a' stands twice in section 'x'. Remove one of the two."),
    "no setting": ("secret words\n", "it is no section and no setting. Write `name = value` there, or remove it."),
}


def broken(project, case) -> tuple[Path, str]:
    """Makes a project's folder whose luigi.cfg cannot be parsed; returns it, and what is said of it."""
    cwd = home(project)
    path = cwd / "luigi.cfg"
    text = path.read_text()
    if case == "before":
        path.write_text("secret words\n" + text)
        return cwd, "luigi.cfg, line 1: it stands before any section. Move it below a [section], or remove it."
    added, said = BROKEN[case]
    path.write_text(text + added)
    line = len((text + added).splitlines()) - (1 if case == "twice" else 0)
    return cwd, f"luigi.cfg, line {line}: {said}"


@pytest.mark.parametrize("case", [*BROKEN, "before"])
def test_C18_a_file_that_cannot_be_parsed_is_one_line_and_40(project, case):
    cwd, said = broken(project, case)
    done = project.pipeline("status", cwd=cwd, PYTHONPATH=str(ROOT))
    assert (done.returncode, done.stderr) == (40, f"ConfigError: {said}\n")


def test_C18_doctor_finds_it_and_looks_at_the_rest(project):
    cwd, said = broken(project, "twice")
    done = project.doctor(cwd=cwd, PYTHONPATH=str(ROOT))
    assert done.returncode == 1
    assert f"wrong  settings     {said}" in done.stdout
    assert "luigid" in done.stdout
    assert "Traceback" not in done.stderr


def test_C18_also_where_it_is_the_one_that_is_laid_over(project):
    cwd = home(project)
    (cwd / "luigi.central.cfg").write_bytes(b"[core]\nname = \xff\n")
    env = {"PYTHONPATH": str(ROOT), "LUIGI_CONFIG_PATH": "luigi.central.cfg", "PYTHONUTF8": "1"}
    done = project.pipeline("status", cwd=cwd, **env)
    assert done.returncode == 40
    assert done.stderr.startswith("ConfigError: luigi.central.cfg is no UTF-8 text. ")


def test_C18_the_files_that_are_looked_at_are_those_that_luigi_reads():
    read = LuigiConfigParser._config_paths
    assert tuple(read[: len(luigicfg.PLACES)]) == luigicfg.PLACES


def test_the_status_of_a_setting_that_is_wrong_is_one_before_luigi_is_imported_and_after():
    assert __main__.WRONG_SETTING == runs.NOTHING_RUN
