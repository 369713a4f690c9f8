from __future__ import annotations

import numpy as np

from irl_lens.training.switches import SwitchCounts


def _marks(*rows: str) -> np.ndarray:
    return np.array([[sign == "x" for sign in row] for row in rows])


def test_switches_are_scored_at_the_exact_step() -> None:
    counts = SwitchCounts.of(
        _marks("x.x..x", ".xx..."), _marks("..x.x.", ".x...."), _marks("xxxxxx", "xxx...")
    )
    assert counts == SwitchCounts(steps=7, fired=4, true=3, hits=2)
    assert counts.scores() == {
        "switch_rate": 4 / 7,
        "precision": 2 / 4,
        "recall": 2 / 3,
        "f1": 4 / 7,
    }


def test_first_steps_and_padding_do_not_count() -> None:
    counts = SwitchCounts.of(_marks("x...xx"), _marks("x....x"), _marks("xxxx.."))
    assert counts == SwitchCounts(steps=3)
    assert set(counts.scores().values()) == {0.0}


def test_batches_add_up() -> None:
    one = SwitchCounts.of(_marks(".x"), _marks(".x"), _marks("xx"))
    other = SwitchCounts.of(_marks(".x"), _marks(".."), _marks("xx"))
    assert (one + other).scores()["precision"] == 0.5
