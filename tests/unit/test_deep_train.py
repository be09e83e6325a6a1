from __future__ import annotations

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from msgspec import structs
from typer.testing import CliRunner

from stream.cli.app import app
from stream.deep.examples import examples
from stream.deep.train import begin, loss_of, session_vectors, train
from stream.errors import InputError
from stream.events.types import Hide
from stream.sources.deep import Deep
from stream.sources.deep_model import model_of, new_work, session_vector
from stream.sources.source import RECENT
from tests.unit.deep_kit import CYCLE, arrays, cycle, names, steps, views
from tests.unit.source_kit import items_of, room, visit
from tests.unit.test_deep_source import seen

runner = CliRunner()


def test_examples_are_what_a_session_goes_on_to_and_the_window_before():
    events = views(["abca", "ab", "dd", "x"])
    hidden = Hide(event_id="h", ts=1_700_000_000_000, user_id="s1", item_id="c")
    later = views(["e"], 1)[0]
    found = examples([*steps(events), *steps([hidden]), *steps([later])])  # type: ignore[list-item]
    told = [
        ([found.items[k].decode() for k in window if k >= 0], found.items[target].decode())
        for window, target in zip(found.window.tolist(), found.target.tolist(), strict=True)
    ]
    assert told == [(["a"], "b"), (["b", "a"], "c"), (["c", "b", "a"], "a"), (["a"], "b")]
    assert found.items == [b"a", b"b", b"d", b"c", b"e", b"x"]
    assert found.counts.tolist() == [3, 2, 2, 1, 1, 1]


def test_a_pause_ends_a_session_and_a_window_ends_after_ten():
    one = views([[f"i{k}" for k in range(14)]])
    found = examples(steps(one))
    assert found.window[-1].tolist() == [found.items.index(b"i%d" % k) for k in range(12, 2, -1)]
    view, later = views(["ab"])
    late = structs.replace(later, ts=1_600_000_000_000 + 31 * 60_000)
    with pytest.raises(InputError, match="nothing to learn"):
        examples(steps([view, late]))


def test_what_always_follows_is_learned():
    held = train(examples(steps(cycle())), epochs=30, dimensions=16, seed=1)
    source = seen(Deep(room(), model_of(held)), list(range(CYCLE)))
    for k in range(CYCLE):
        assert items_of(source, visit([k]))[0] == (k + 1) % CYCLE
        # Also where the way there was another one.
        assert items_of(source, visit([k, (k - 1) % CYCLE, (k - 2) % CYCLE]))[0] == (k + 1) % CYCLE


def test_the_loss_falls_and_the_same_seed_gives_the_same_model():
    of = examples(steps(cycle(60)))
    losses: list[float] = []
    one = train(of, 6, 8, 1, lambda _, loss: losses.append(loss))
    other = train(of, 6, 8, 1)
    assert losses[-1] < losses[0]
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert not np.array_equal(train(of, 6, 8, 2)["vectors"], one["vectors"])


def test_a_step_against_the_slope_lessens_the_loss():
    params = begin(20, 8, 3)
    rng = np.random.default_rng(1)
    batch = (rng.integers(-1, 20, (6, RECENT)), rng.integers(0, 20, 6), rng.integers(0, 20, 9))
    batch[0][:, 0] = np.abs(batch[0][:, 0])
    rarity, key = np.zeros(20, np.float32), jax.random.key(1)
    slope_of = jax.jit(jax.value_and_grad(loss_of))
    before, slope = slope_of(params, batch, rarity, key)
    after, _ = slope_of(jax.tree.map(lambda p, g: p - 1e-3 * g, params, slope), batch, rarity, key)
    assert float(after) < float(before)


def test_serving_computes_what_training_computed():
    rng = np.random.default_rng(5)
    params = begin(50, 24, 4)
    params = {
        name: array + 0.3 * rng.normal(size=array.shape).astype(np.float32) for name, array in params.items()
    }
    plain = {name: np.asarray(array, np.float32) for name, array in params.items()}
    model, work = model_of(arrays(names(50)) | plain), new_work(24)
    window = np.stack([rng.choice(50, RECENT, replace=False) for _ in range(RECENT)]).astype(np.int32)
    for size in range(1, RECENT + 1):
        window[size - 1, size:] = -1
    trained = np.asarray(jax.jit(session_vectors)(params, window))
    for size in range(1, RECENT + 1):
        session_vector(model.blocks, model.weights, work, window[size - 1], size)
        assert np.abs(work.session - trained[size - 1]).max() < 1e-5


def write_log(path: Path, sessions: int = 300) -> Path:
    lines = [" ".join(f"item-{(start + k) % CYCLE}" for k in range(4)) for start in range(sessions)]
    path.write_text("\n".join(lines) + "\n")
    return path


def run(*args: object) -> tuple[int, str, str]:
    result = runner.invoke(app, [str(arg) for arg in args], prog_name="stream")
    return result.exit_code, result.stdout, result.stderr


def test_a_model_is_trained_on_a_log_and_evaluated_on_what_was_left_out(tmp_path: Path):
    log, model = write_log(tmp_path / "log.txt"), tmp_path / "m.npz"
    train_args = ("train", "sessions", log, "--format", "sessions", "--out", model, "--dimensions", 16)
    code, out, err = run(*train_args, "--epochs", 30, "--leave-last", 0.3, "--json")
    told = json.loads(out)
    assert code == 0, err
    assert (told["items"], told["examples"]) == (CYCLE, 630)
    assert told["losses"][-1] < told["losses"][0]
    assert "epoch 30 of 30: loss " in err

    evaluate = ("evaluate", "recs", log, "--format", "sessions", "--score-last", 0.3, "--sources", "deep")
    code, out, err = run(*evaluate, "--deep-model", model, "--json")
    assert code == 0, err
    assert json.loads(out)["sources"]["deep"]["mrr@20"] > 0.99
    assert err == ""
    # What it was trained on it is not to be judged by.
    code, _, err = run(*evaluate[:6], 0.9, *evaluate[7:], "--deep-model", model)
    assert code == 0
    assert "was trained on events until 2015-01-01 00:13:59" in err

    code, _, err = run(*evaluate)
    assert (code, len(err.splitlines())) == (2, 1)
    assert "stream train sessions" in err
    assert "--deep-model" in err

    others = tmp_path / "others.txt"
    others.write_text("a b c\n" * 9)
    code, _, err = run("evaluate", "recs", others, *evaluate[3:], "--deep-model", model)
    assert (code, len(err.splitlines())) == (2, 1)
    assert "trained on other items" in err


def test_training_that_cannot_be_done_is_said_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    log = write_log(tmp_path / "log.txt", 3)
    args = ("train", "sessions", log, "--format", "sessions", "--out")
    code, _, err = run(*args, tmp_path / "nowhere" / "m.npz")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "cannot be written" in err
    monkeypatch.setattr("stream.cli.train.find_spec", lambda _: None)
    code, _, err = run(*args, tmp_path / "m.npz")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "install the extra `deep`" in err
