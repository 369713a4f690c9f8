"""Curves that are planted in the logs of runs: who learns, how soon, and who never does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import isnan
from pathlib import Path

import numpy as np
import pytest

from irl_lens.analyses.learning.compare_methods import learning_set
from irl_lens.analyses.learning.figure import quartiles
from irl_lens.analyses.learning.methods import Method, difference
from irl_lens.config.presets import preset
from irl_lens.envs.registry import GRID
from irl_lens.errors import UserError
from irl_lens.runs.run import Run

BATCHES, BATCH = 40, 100
Success = Callable[[float], float]
Planter = Callable[..., Run]


def never(fraction: float) -> float:
    return 0.0


def learns(at: float) -> Success:
    """Success that jumps to 0.9 at a fraction of the training."""
    return lambda fraction: 0.9 * (fraction >= at)


@pytest.fixture
def planted(tmp_path: Path) -> Planter:
    """Makes a run whose logs say how success went, by stage."""

    def plant(seed: int, lr: float = 1e-3, **stages: Success) -> Run:
        smoke = preset("smoke")
        chosen = replace(smoke, internal_rl=replace(smoke.internal_rl, lr=lr))
        run = Run.create(tmp_path / f"{seed}-{lr}", chosen, seed)
        for name, success in stages.items():
            stage = run.stage(name.replace("_", "-"))
            for i in range(BATCHES):
                figures = {"episodes": (i + 1) * BATCH, "success": success(i / BATCHES)}
                figures["subgoals"] = 2 * figures["success"]
                if name == "internal_rl":
                    figures["switch_rate"] = 0.1
                stage.log(i + 1, **figures)
            stage.finish({}, {})
        return run

    return plant


def test_who_learns_and_how_soon_is_found(planted: Planter, tmp_path: Path) -> None:
    runs = [planted(s, internal_rl=learns((2 + s) / 10), raw_rl=never) for s in (3, 1, 0, 2, 4)]
    result = learning_set(runs)
    internal, raw = result.methods
    assert (internal.name, raw.name) == ("internal RL", "raw-action RL")
    assert internal.seeds == raw.seeds == (0, 1, 2, 3, 4)
    # 0.9 from the ninth batch on: the mean of five is over a half with the eleventh.
    assert internal.to_half.tolist() == [1100, 1500, 1900, 2300, 2700]
    assert np.isinf(raw.to_half).all()
    assert internal.final.tolist() == pytest.approx([0.9] * 5) and (raw.final == 0).all()
    p, least = difference(internal, raw)
    assert p == least == pytest.approx(2 / 2**5)
    caption = result.caption()
    assert "half after 1,900 (1,500 to 2,300) episodes in 5 of 5" in caption
    assert "Raw-action RL: success goes from 0.000 to 0.000" in caption
    assert "never half within 4,000 episodes" in caption
    (claim,) = result.claims()
    assert claim.effect == pytest.approx(0.9) and claim.p == p
    table = result.to_dataframe()
    assert len(table) == 10
    assert table[table.method == "raw-action RL"].episodes_to_half.isna().all()
    assert not table[table.method == "raw-action RL"].reached_half.any()
    assert result.save(tmp_path / "result").is_file()


def test_where_nothing_is_learned_nothing_is_found(planted: Planter) -> None:
    rng = np.random.default_rng(0)

    def lucky(fraction: float) -> float:
        return float(rng.integers(3)) / BATCH

    result = learning_set([planted(s, internal_rl=lucky, raw_rl=lucky) for s in range(6)])
    assert difference(*result.methods)[0] > 0.05
    assert "this may be chance" in result.caption()
    assert result.caption().count("never half within 4,000") == 2
    assert not result.claims()[0].p < 0.05


def test_one_lucky_batch_is_not_half(planted: Planter) -> None:
    def spike(fraction: float) -> float:
        return float(fraction == 0.5)

    (method,) = learning_set([planted(0, internal_rl=spike)]).methods
    assert np.isinf(method.to_half).all()


def test_a_method_is_named_by_the_settings_that_set_it_apart(planted: Planter) -> None:
    runs = [
        planted(seed, lr, internal_rl=learns(0.5), raw_rl=never)
        for lr in (1e-3, 3e-3)
        for seed in (0, 1)
    ]
    found = learning_set(runs).methods
    # Raw-action RL does not read that rate: it is one method, and its runs are there twice.
    assert [(m.name, m.seeds) for m in found] == [
        ("internal RL, internal_rl.lr=0.001", (0, 1)),
        ("internal RL, internal_rl.lr=0.003", (0, 1)),
        ("raw-action RL", (0, 1)),
    ]


def test_several_methods_against_one_control_are_adjusted_for(planted: Planter) -> None:
    runs = [
        planted(seed, lr, internal_rl=learns(0.2), raw_rl=never)
        for lr in (1e-3, 3e-3)
        for seed in range(6)
    ]
    result = learning_set(runs)
    assert [claim.p for claim in result.claims()] == pytest.approx([2 * 2 / 2**6] * 2)
    assert "p is adjusted for 2 methods (Holm)" in result.caption()
    assert "adjusted" not in learning_set(runs[:6]).caption()


def test_few_seeds_and_seeds_that_never_get_there_are_said(planted: Planter) -> None:
    runs = [planted(0, internal_rl=learns(0.2), raw_rl=never)]
    runs.append(planted(1, internal_rl=never, raw_rl=never))
    text = learning_set(runs).caption()
    assert "(1,100 to never) episodes in 1 of 2 seeds" in text
    assert "at least 0.5 with so few seeds; this may be chance" in text
    (claim,) = learning_set(runs[:1]).claims()
    assert claim.p < 1e-6  # of a single run, over its episodes
    alone = learning_set([planted(7, internal_rl=learns(0.2))])
    assert alone.control is None and isnan(alone.claims()[0].p)
    assert "against" not in alone.caption()


def test_never_is_never_averaged_away() -> None:
    assert quartiles(np.array([np.inf])) == quartiles(np.array([np.inf] * 3)) == "never"
    assert quartiles(np.array([10.0, np.inf, np.inf])) == "never (10 to never)"
    assert quartiles(np.array([10.0, 1e6, np.inf])) == "1,000,000 (10 to never)"


def test_bands_are_quartiles_and_the_table_is_drawn(planted: Planter) -> None:
    runs = [planted(s, internal_rl=learns(0.2 * s), raw_rl=never) for s in range(4)]
    drawn = learning_set(runs).figure().to_dict()["data"]
    # A band and a line in six panels, but for raw actions, which have no switches.
    assert len(drawn) == 2 * 6 + 2 * 4 + 1
    assert drawn[-1]["type"] == "table"
    assert "never" in str(drawn[-1]["cells"]["values"])
    method = learning_set(runs).methods[0]
    high = np.array(learning_set(runs).figure().data[0].y[:BATCHES])  # type: ignore
    np.testing.assert_allclose(high, np.quantile(method.success, 0.75, axis=0))


def test_a_trained_run_is_a_set_of_one(smoke_run: Run) -> None:
    result = learning_set([smoke_run])
    assert [m.episodes.tolist() for m in result.methods] == [[32, 64, 96]] * 2
    assert all(isinstance(method, Method) for method in result.methods)
    assert result.figure() and result.caption()


def test_what_cannot_be_compared_is_refused(planted: Planter, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least one run"):
        learning_set([])
    one, bare = planted(0, internal_rl=never), Run.create(tmp_path / "bare", preset("smoke"), 1)
    with pytest.raises(UserError, match=r"bare has no finished .* irl-lens train internal-rl"):
        learning_set([one, bare])
    other = Run.create(tmp_path / "other", replace(preset("smoke"), world=GRID), 1)
    other.stage("raw-rl").finish({}, {})
    with pytest.raises(UserError, match=r"world\.size = .* compare one world"):
        learning_set([one, other])
