"""Settings: where they come from, what goes first, and what is refused before any request."""

from pathlib import Path

import luigi.configuration
import pytest
from processes import ROOT, home

from pipeline import settings
from pipeline.errors import ConfigError
from pipeline.redaction import Secret
from pipeline.settings import Credentials, Settings

DAY = "2026-01-15"


@pytest.fixture
def place(project, monkeypatch):
    """A folder without settings, the working directory."""
    project.unset(*(name for name in map(settings.variable, settings.dataclasses.fields(Settings))))
    monkeypatch.chdir(project.path)
    return project


@pytest.fixture
def cfg(monkeypatch):
    """Writes into luigi.cfg as Luigi has it, and takes it back."""
    config = luigi.configuration.get_config()
    written = []

    def write(section, key, value):
        if not config.has_section(section):
            config.add_section(section)
            written.append((section, None))
        config.set(section, key, value)
        written.append((section, key))

    yield write
    for section, key in reversed(written):
        config.remove_option(section, key) if key else config.remove_section(section)


KINDS = [
    ("concurrency", "AMP_CONCURRENCY", "amplitude", 4, [("2", 2), ("3", 3), ("5", 5)]),
    ("backoff", "AMP_BACKOFF", "amplitude", 2.0, [("1", 1.0), ("3.5", 3.5), ("0", 0.0)]),
    ("region", "AMP_REGION", "amplitude", "eu", [("us", "us"), ("EU", "eu"), ("US", "us")]),
    ("base_url", "AMP_BASE_URL", "amplitude", "", [(f"https://{n}.example/", f"https://{n}.example") for n in "abc"]),
    ("data_dir", "PIPELINE_DATA_DIR", "pipeline", Path("data"), [(n, Path(n)) for n in "abc"]),
]


@pytest.mark.parametrize("kind", KINDS, ids=[kind[0] for kind in KINDS])
def test_the_environment_goes_before_env_file_before_luigi_cfg_before_the_default(place, cfg, kind):
    field, variable, section, default, values = kind
    (in_cfg, from_cfg), (in_file, from_file), (in_environment, from_environment) = values
    seen = [getattr(place.settings, field)]
    cfg(section, field, in_cfg)
    place.set()
    seen.append(getattr(place.settings, field))
    Path(".env").write_text(f"{variable}={in_file}\n")
    place.set()
    seen.append(getattr(place.settings, field))
    place.set(**{variable: in_environment})
    seen.append(getattr(place.settings, field))
    assert seen == [default, from_cfg, from_file, from_environment]


@pytest.mark.parametrize("text", ["${HOME}/x", "$HOME", "a%20b", "50%"])
def test_env_file_is_literal(place, text):
    Path(".env").write_text(f"PIPELINE_DATA_DIR={text}\n")
    assert place.settings.data_dir == Path(text)


def test_a_percent_in_luigi_cfg_is_a_plain_refusal(project):
    place = home(project)
    with (place / "luigi.cfg").open("a") as file:
        file.write("threads = 50%\n")
    done = project.pipeline("status", cwd=place, PYTHONPATH=str(ROOT))
    assert done.returncode == 40
    assert "[pipeline] threads in luigi.cfg cannot be read. Write % as %% there." in done.stderr
    assert "Traceback" not in done.stderr


WRONG = {
    "AMP_CONCURRENCY": ["0", "6", "four", "4.5", "-1"],
    "AMP_TRIES": ["0", "1e3"],
    "AMP_BACKOFF": ["-1", "nan", "inf", "soon"],
    "AMP_SETTLE_HOURS": ["2"],
    "AMP_REGION": ["asia"],
    "AMP_BASE_URL": [
        "analytics.eu.amplitude.com",
        "https://",
        "ftp://a.example",
        "https://a.example:port",
        "http://[::1",
    ],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_value_of_the_wrong_form_is_refused_with_its_name_its_source_and_the_form(place, name, value):
    place.set(**{name: value})
    with pytest.raises(ConfigError, match=rf"{name} is .*, from the environment\. It takes .+: .+\.") as refused:
        settings.load()
    assert "invalid literal" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://analytics.eu.amplitude.com",
        "http://127.evil.example",
        "http://localhost.evil.example",
        "http://128.0.0.1",
        "https://user:password@host.example",
        "https://host.example/?key=x",
    ],
)
def test_C14_plain_http_and_addresses_with_secrets_are_refused(place, url):
    place.set(AMP_BASE_URL=url)
    with pytest.raises(ConfigError, match="AMP_BASE_URL"):
        settings.load()


@pytest.mark.parametrize("host", ["127.0.0.1:8088", "127.1.2.3", "localhost:1", "[::1]:8088"])
def test_C14_plain_http_to_loopback_is_a_sandbox(place, host):
    place.set(AMP_BASE_URL=f"http://{host}")
    assert place.settings.is_loopback
    assert place.settings.host == "loopback"


TYPOS = [
    ("env file", "AMP_REGOIN", "AMP_REGION"),
    ("env file", "PIPELINE_DATADIR", "PIPELINE_DATA_DIR"),
    ("environment", "AMP_CONCURENCY", "AMP_CONCURRENCY"),
    ("environment", "AMP_API_KEYS", "AMP_API_KEY"),
    ("amplitude", "regoin", "region"),
    ("amplitude", "first_byte_timout", "first_byte_timeout"),
    ("pipeline", "treads", "threads"),
    ("amplitud", "region", "amplitude"),
    ("pipelines", "threads", "pipeline"),
]


@pytest.mark.parametrize(("where", "name", "nearest"), TYPOS)
def test_C18_an_unknown_name_is_refused_and_the_nearest_offered(place, cfg, where, name, nearest):
    if where == "env file":
        Path(".env").write_text(f"{name}=x\n")
    elif where == "environment":
        place.set(**{name: "x"})
    else:
        cfg(where, name, "1")
        place.set()
    with pytest.raises(ConfigError, match=rf"is no setting\. Did you mean {nearest}\?"):
        settings.load()


def test_C18_the_environment_of_others_is_left_alone(place):
    place.set(AMP_VERSION="1", AMPERE="x", PIPELINE_ID="7", PIPELINE_SOURCE="push")
    assert place.settings == Settings()


@pytest.mark.parametrize("key", ["api_key", "secret_key"])
def test_C11_a_secret_in_luigi_cfg_is_refused(place, cfg, key):
    cfg("amplitude", key, "x")
    place.set()
    with pytest.raises(ConfigError, match=f"{key} stands in luigi.cfg. Secrets stand in .env"):
        settings.load()


MISSING = [
    ({}, "", "AMP_API_KEY and AMP_SECRET_KEY are not set"),
    ({"AMP_API_KEY": "k"}, "", "AMP_SECRET_KEY is not set"),
    ({}, "AMP_SECRET_KEY=s\n", "AMP_API_KEY is not set"),
]


@pytest.mark.parametrize(("environment", "file", "said"), MISSING)
def test_C1_missing_credentials_are_named_and_no_request_is_sent(project, environment, file, said):
    sandbox = project.sandbox()
    project.unset("AMP_API_KEY", "AMP_SECRET_KEY")
    done = project.pipeline("run", "--date", DAY, cwd=home(project, env=file), PYTHONPATH=str(ROOT), **environment)
    assert done.returncode == 40
    assert f"ConfigError: {said}. Copy .env.example to .env" in done.stderr
    assert not sandbox.requests


EMPTY = [
    ({"AMP_SECRET_KEY": ""}, "AMP_SECRET_KEY=s\n", "nothing in the environment (the environment goes before .env)"),
    ({"AMP_SECRET_KEY": "  "}, "", "nothing in the environment."),
    ({}, "AMP_SECRET_KEY=\n", "nothing in .env."),
]


@pytest.mark.parametrize(("environment", "file", "said"), EMPTY)
def test_C2_an_empty_value_is_refused_with_its_place(project, environment, file, said):
    sandbox = project.sandbox()
    project.unset("AMP_SECRET_KEY")
    done = project.pipeline("run", "--date", DAY, cwd=home(project, env=file), PYTHONPATH=str(ROOT), **environment)
    assert done.returncode == 40
    assert f"AMP_SECRET_KEY is set to {said}" in done.stderr
    assert "Give AMP_SECRET_KEY a value there, or remove it." in done.stderr
    assert not sandbox.requests


def test_C19_nothing_shows_a_secret():
    credentials = Credentials(Secret("canary-key-5d1f"), Secret("canary-secret"))
    assert repr(credentials) == "Credentials(key=****, secret=****)"
    assert f"{credentials.secret} {credentials.secret!r} {[credentials.secret]}" == "**** **** [****]"
    assert not any("key" in field.name for field in settings.dataclasses.fields(Settings))


def test_without_luigi_cfg_nothing_runs_and_the_folder_is_named(project):
    done = project.pipeline("run", "--date", DAY, cwd=project.path, PYTHONPATH=str(ROOT))
    assert done.returncode == 40
    assert (
        f"luigi.cfg was not read, and without it a failure exits 0. Run it in the project's folder: cd {ROOT}"
        in done.stderr
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("region", "api"), [("eu", "https://analytics.eu.amplitude.com"), ("us", "https://amplitude.com")]
)
def test_the_region_chooses_the_host(region, api):
    assert Settings(region=region).api == api


def test_N1_N7_N8_N10_H8_the_defaults_bear_what_amplitude_does_and_no_more():
    usual = Settings()
    assert usual.tries == 3
    assert usual.first_byte_timeout == 600  # Amplitude builds the ZIP first
    assert usual.read_timeout <= 60
    assert usual.connect_timeout == 10
    assert usual.min_speed == 1000
    assert usual.retry_after_cap == 900
    assert usual.first_byte_timeout < usual.deadline
