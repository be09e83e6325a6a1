from __future__ import annotations

import json

import pytest

from benchmarks.deep import fused, measured
from benchmarks.logs import Judged
from stream.errors import InputError
from stream.sources.deep_model import model_of
from tests.unit.deep_kit import CYCLE, arrays, cycle, names, steps


def test_an_item_of_both_lists_goes_before_one_of_either():
    assert fused([["a", "b", "c"], ["d", "c"]]) == ["c", "a", "d", "b"]
    assert fused([["a", "b"]]) == ["a", "b"]


def test_a_model_is_measured_beside_the_blend_and_with_it():
    log = Judged(steps(cycle(60)), 168)
    told = measured(log, model_of(arrays(names(CYCLE))))
    assert list(told["rows"]) == ["popularity", "markov", "deep", "blend", "fused"]
    # Twelve items: both lists hold them all but the last one.
    assert told["in_either"] == told["rows"]["deep"]["hr@20"] == told["rows"]["fused"]["hr@20"] == 1.0
    assert told["scored"] == 54
    json.dumps(told)


def test_a_model_that_was_trained_on_what_is_scored_is_refused():
    with pytest.raises(InputError, match="--leave-last"):
        measured(Judged(steps(cycle(60)), 0), model_of(arrays(names(CYCLE))))
