from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import stream.local
from stream.cli import reference
from stream.cli.app import app
from stream.cli.settings import load_with_sources
from stream.errors import StackError
from stream.local import Stack

ROOT = Path(__file__).resolve().parents[2]
runner = CliRunner()


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No local stack, no settings of whoever runs the tests."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    for name in ("STREAM_CONFIG", "STREAM_BOOTSTRAP", "STREAM_REDIS_URL", "STREAM_PRICING"):
        monkeypatch.delenv(name, raising=False)


def run(*args: str) -> tuple[int, str, str]:
    result = runner.invoke(app, list(args), prog_name="stream")
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("name", [name for name, _ in reference.commands()])
def test_every_command_has_help_with_an_example(name: str):
    code, out, _ = run(*name.split()[1:], "--help")
    assert code == 0
    assert f"Usage: {name}" in out
    assert re.search(r"Example: .*stream", out)


def test_the_page_is_what_help_says():
    assert (ROOT / "docs" / "cli.md").read_text() == reference.page(), (
        "run: python -m stream.cli.reference > docs/cli.md"
    )


def test_both_spellings_start_the_same_program():
    said = subprocess.run(
        [sys.executable, "-m", "stream", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert said.stdout.startswith("Usage: stream ")


@pytest.mark.parametrize("module", ["stream.cli.app", "stream.client", "stream.runtime.settings"])
def test_reading_commands_load_no_engine(module: str):
    code = f"import sys, {module}; print(*sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"numba", "numpy", "faust", "river", "aiokafka"} & set(said)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("replay", "nowhere.csv", "--format", "jsonl"), "There is no file nowhere.csv: "),
        (("produce", "nowhere.csv", "--format", "jsonl"), "There is no file nowhere.csv: "),
        (("evaluate", "recs", "nowhere.csv", "--format", "jsonl"), "There is no file nowhere.csv: "),
        (("replay", "here.csv", "--format", "cvs"), "choose one of jsonl, rees46, online-retail, "),
        (("produce", "here.csv", "--format", "cvs"), "choose one of jsonl, rees46, online-retail, "),
        (("replay", "here.csv", "--format", "mapping"), "needs a mapping file"),
        (("config", "--config", "nowhere.toml"), "ettings file nowhere.toml cannot be read"),
        (("worker", "--pricing", "loud"), "Setting pricing is not usable: "),
        (("worker", "--partitions", "0"), "Setting partitions is not usable: "),
        (("recs", "s1", "--redis-url", "http://here"), "must begin with redis:// or rediss://"),
        (("recs", "s1", "--redis-url", "redis://127.0.0.1:1"), "Redis at 127.0.0.1:1 does not serve"),
        (("simulate", "--start", "2100-01-01", "--out", "shop.jsonl"), "choose a --start in the past"),
        (("simulate", "--events", "5", "--out", "nowhere/shop.jsonl"), "cannot be written"),
        (("replay", "here.csv", "--format", "jsonl", "--out", "nowhere/x"), "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(args: tuple[str, ...], sentence: str):
    Path("here.csv").write_text("")
    code, out, err = run(*args)
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert sentence in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("args", [("nonsense",), ("recs", "s1", "--nonsense"), ("recs",)])
def test_unknown_commands_and_options_exit_with_2(args: tuple[str, ...]):
    code, out, err = run(*args)
    assert (code, out) == (2, "")
    assert "Usage: stream" in err


def test_ctrl_c_says_nothing_more(monkeypatch: pytest.MonkeyPatch):
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stream.local, "status", interrupted)
    assert run("local", "status") == (130, "", "")


def test_config_tells_where_a_setting_comes_from(monkeypatch: pytest.MonkeyPatch):
    Path("stream.toml").write_text('namespace = "shop1."\nttl_s = 100\n')
    monkeypatch.setenv("STREAM_TTL_S", "200")
    code, out, _ = run("config", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["namespace"] | {"about": ""} == {"value": "shop1.", "source": "stream.toml", "about": ""}
    assert (told["ttl_s"]["value"], told["ttl_s"]["source"]) == ("200", "environment")
    assert told["prefix"]["source"] == "default"
    assert load_with_sources(None, ttl_s=300)[1]["ttl_s"] == "flag"


def test_config_never_shows_secrets(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STREAM_REDIS_URL", "redis://reader:hunter2@cache:6379/0")
    monkeypatch.setenv("STREAM_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("STREAM_SASL_USERNAME", "shop")
    monkeypatch.setenv("STREAM_SASL_PASSWORD", "hunter2")
    for form in ([], ["--json"]):
        code, out, err = run("config", *form)
        assert code == 0
        assert "reader:********@cache" in out
        assert "hunter2" not in out + err


@pytest.mark.parametrize("name", ["shop.jsonl", "shop.jsonl.gz"])
def test_a_simulated_shop_can_be_written_and_read_again(name: str):
    files = []
    for folder in (Path("one"), Path("two")):
        folder.mkdir()
        args = ("simulate", "--events", "300", "--start", "2024-05-01", "--out", str(folder / name), "--json")
        code, out, _ = run(*args)
        assert code == 0
        assert json.loads(out)["events"] == 300
        files.append((folder / name).read_bytes())
    assert files[0] == files[1]
    told = json.loads(run("replay", f"one/{name}", "--format", "jsonl", "--json")[1])
    assert (told["events"], told["dead_letters"], told["catalogue_refused"]) == (300, 0, 0)


def a_stack(tmp_path: Path) -> Stack:
    logs = {"kafka": tmp_path / "kafka.log"}
    return Stack("127.0.0.1:11", "redis://127.0.0.1:12/0", tmp_path, logs, {"kafka": 7}, "pip", "nothing")


def test_a_running_local_stack_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(stream.local, "status", lambda: a_stack(tmp_path))
    settings, sources = load_with_sources()
    assert (settings.bootstrap, settings.redis_url) == ("127.0.0.1:11", "redis://127.0.0.1:12/0")
    assert sources["bootstrap"] == sources["redis_url"] == "local stack"


def test_an_address_that_is_set_goes_before_the_local_stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(stream.local, "status", lambda: a_stack(tmp_path))
    monkeypatch.setenv("STREAM_BOOTSTRAP", "kafka1:9092")
    settings, sources = load_with_sources()
    assert settings.bootstrap == "kafka1:9092"
    assert settings.redis_url == "redis://127.0.0.1:6379/0"
    assert sources["bootstrap"] == "environment"


def test_local_tells_where_things_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(stream.local, "up", lambda: a_stack(tmp_path))
    code, out, err = run("local", "up")
    assert code == 0
    assert "kafka.log" in out
    assert "STREAM_BOOTSTRAP=127.0.0.1:11" in err
    told = json.loads(run("local", "up", "--json")[1])
    assert (told["bootstrap"], told["pids"]) == ("127.0.0.1:11", {"kafka": 7})


def test_local_without_a_stack():
    assert run("local", "down", "--json") == (0, '{"stopped": false}\n', "")
    code, out, _ = run("local", "status", "--json")
    assert (code, json.loads(out)) == (1, {"running": False})


def test_local_errors_are_sentences(monkeypatch: pytest.MonkeyPatch):
    def fails() -> Stack:
        raise StackError("The disk is full: delete something.")

    monkeypatch.setattr(stream.local, "up", fails)
    assert run("local", "up") == (2, "", "error: The disk is full: delete something.\n")
