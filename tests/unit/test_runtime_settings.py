from __future__ import annotations

from pathlib import Path

import pytest

from stream.errors import SettingsError
from stream.runtime.settings import MASK, Settings, mask_url


@pytest.fixture(autouse=True)
def _clean(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in [n for n in __import__("os").environ if n.startswith("STREAM_")]:
        monkeypatch.delenv(name)


def write(text: str, name: str = "stream.toml") -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


def test_flags_win_over_the_environment_and_that_over_the_file(monkeypatch):
    write('group = "file"\nnamespace = "file."\nprefix = "file"\npartitions = 3\n')
    monkeypatch.setenv("STREAM_NAMESPACE", "environment.")
    monkeypatch.setenv("STREAM_PREFIX", "environment")
    settings = Settings.load(prefix="flag", group=None)
    assert (settings.group, settings.namespace, settings.prefix) == ("file", "environment.", "flag")
    assert settings.partitions == 3
    assert settings.topic("events") == "environment.events"


def test_the_file_is_the_given_one_or_the_environments(monkeypatch):
    write('group = "a"', "a.toml")
    write('group = "b"', "b.toml")
    monkeypatch.setenv("STREAM_CONFIG", "a.toml")
    assert Settings.load().group == "a"
    assert Settings.load(Path("b.toml")).group == "b"


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda m: write("boostrap = 'x'"), ("boostrap", "stream.toml", "bootstrap")),
        (
            lambda m: m.setenv("STREAM_REDIS_ULR", "x"),
            ("STREAM_REDIS_ULR", "environment", "STREAM_REDIS_URL"),
        ),
        (lambda m: write("partitions = 0"), ("partitions", "greater than or equal to 1")),
        (lambda m: write("partitions = "), ("stream.toml", "not valid TOML")),
        (lambda m: m.setenv("STREAM_CONFIG", "absent.toml"), ("absent.toml", "cannot be read")),
        (lambda m: m.setenv("STREAM_REDIS_URL", "http://x"), ("redis_url", "redis://")),
        (lambda m: m.setenv("STREAM_NAMESPACE", "a b"), ("namespace", "letters")),
        (lambda m: m.setenv("STREAM_SECURITY_PROTOCOL", "SASL_SSL"), ("sasl_username",)),
        (lambda m: m.setenv("STREAM_SASL_USERNAME", "x"), ("SASL_SSL",)),
        (lambda m: m.setenv("STREAM_SSL_CERTFILE", "x"), ("ssl_keyfile",)),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(monkeypatch, make, parts):
    make(monkeypatch)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text


def test_an_unknown_flag_is_refused_with_the_nearest_known():
    with pytest.raises(SettingsError, match=r"--partition .*did you mean --partitions\?"):
        Settings.load(partition=3)


def test_secrets_are_masked_wherever_settings_are_printed():
    settings = Settings.load(
        redis_url="rediss://user:hunter2@cache:6380/1",
        security_protocol="SASL_SSL",
        sasl_username="us",
        sasl_password="hunter2",
    )
    table = {name: value for name, value, _ in settings.as_table()}
    assert table["redis_url"] == f"rediss://user:{MASK}@cache:6380/1"
    assert table["sasl_password"] == MASK
    assert "hunter2" not in f"{settings!r}{table}"
    assert all(description for _, _, description in settings.as_table())


def test_a_url_without_a_password_is_printed_as_it_is():
    assert mask_url("redis://cache:6379/0") == "redis://cache:6379/0"
    assert mask_url("redis://:p@ss@cache") == f"redis://:{MASK}@cache"


def test_every_setting_can_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("STREAM_SESSION_TIMEOUT_S", "12.5")
    monkeypatch.setenv("STREAM_DATADIR", "/somewhere")
    settings = Settings.load()
    assert settings.session_timeout_s == 12.5
    assert settings.datadir == Path("/somewhere")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bootstrap", "host:notaport"),
        ("bootstrap", ""),
        ("group", ""),
        ("prefix", ""),
        ("max_age_days", float("inf")),
        ("max_ahead_s", 1e300),
    ],
)
def test_values_that_would_fail_later_are_refused_at_once(name, value):
    with pytest.raises(SettingsError, match=name):
        Settings.load(**{name: value})
