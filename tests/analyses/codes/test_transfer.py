"""Codes that carry their subgoal with them, and a decoder that does nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from irl_lens.analyses.codes.harvest import harvest, next_subgoals
from irl_lens.analyses.codes.transfer import inject, transfer
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.switch_codes import SwitchCodes
from irl_lens.analyses.rollouts.taskless import Course, Field
from irl_lens.envs.pinpad.tasks import PAPER_ANT
from irl_lens.envs.pinpad.world import PinpadWorld
from irl_lens.envs.registry import GRID
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import UserError
from irl_lens.models.trace import MetaTrace
from irl_lens.runs.run import Run, find_run

if TYPE_CHECKING:
    from tests.analyses.conftest import Steered


def test_unseen_transitions_are_those_of_the_held_out_task(steered: Steered) -> None:
    field = Field(steered.field.base, PinpadWorld(GRID), 3, 0)
    assert set(field.unseen) == {(0, 1), (1, 2), (2, 3), (3, 0)}
    assert set(steered.field.unseen) >= {(0, 1), (1, 2), (2, 3)}
    assert not set(steered.field.unseen) & PAPER_ANT.transitions


def test_planted_codes_lead_to_their_subgoal_on_other_boards(steered: Steered) -> None:
    result = inject(steered.field, steered.meta, steered.switch_codes)
    first, later, forced = result.totals
    for total in (first, later, forced):
        assert total.own.low > 0.5 and total.effect.low > 0.2 and total.p < 0.01
    assert first.episodes == 300 and 0 < later.episodes < 300
    assert all(rate.own.value > rate.pooled.value for rate in result.rates if rate.episodes > 20)
    pairs = [rate for rate in result.rates if rate.where == "unseen transitions"]
    assert [rate.subgoal for rate in pairs] == [
        "→".join(map(str, pair)) for pair in steered.field.unseen
    ]
    assert sum(rate.episodes for rate in pairs) == forced.episodes
    assert "chance" not in result.caption() and "adjusted for these 3" in result.caption()
    assert all(claim.effect > 0.2 and claim.p < 0.05 for claim in result.claims())
    assert len(result.to_dataframe()) == len(result.rates) + 3
    assert len(result.figure().to_dict()["data"]) == 9


def test_where_codes_do_nothing_they_carry_nothing(steered: Steered) -> None:
    deaf = steered.deaf()
    result = inject(deaf.field, deaf.meta, deaf.switch_codes)
    for total in result.totals:
        assert total.own == total.pooled == total.alone and total.p == 1
        assert total.raised.value == 0
    assert result.caption().count("may be chance") == 3
    assert len(result.claims()) == 3 and not any(claim.p < 0.05 for claim in result.claims())


def test_codes_that_say_nothing_of_their_subgoal_carry_nothing(steered: Steered) -> None:
    """The same codes, of which each has a label at random."""
    codes, labels = steered.switch_codes.codes, steered.switch_codes.labels
    mixed = SwitchCodes(
        codes, np.random.default_rng(9).permutation(labels), steered.switch_codes.episodes
    )
    for total in inject(steered.field, steered.meta, mixed).totals:
        assert total.effect.low < 0.05 and total.effect.high > -0.05


def test_a_subgoal_without_codes_is_left_out(steered: Steered) -> None:
    some = steered.switch_codes.labels != 2
    codes, labels = steered.switch_codes.codes[some], steered.switch_codes.labels[some]
    switch_codes = SwitchCodes(codes, labels, steered.switch_codes.episodes[some])
    result = inject(steered.field, steered.meta, switch_codes)
    assert [r.subgoal for r in result.rates if r.where == "from the first step"] == ["0", "1", "3"]
    into = [r for r in result.rates if r.subgoal.endswith("→2")]
    assert into and all(r.episodes == 0 for r in into)


def test_the_subgoal_that_is_reached_next_is_what_was_pursued() -> None:
    reached, at = np.array([[2, 0], [1, -1], [-1, -1]]), np.array([[2, 4], [1, -1], [-1, -1]])
    blank = np.zeros((3, 6), np.int64)
    course = Course(reached, at, np.full(3, 5), blank, np.zeros((3, 6, 2)), 9)
    found = next_subgoals(course, 5)
    assert found.tolist() == [[2, 2, 0, 0, -1], [1, -1, -1, -1, -1], [-1] * 5]


def _told(meta: object, base: object, shown: Trajectories) -> MetaTrace:
    """What an encoder makes of episodes that sees what becomes of them, at first steps alone."""
    ahead = shown.require("subgoals")
    z = np.eye(4, dtype=np.float32)[np.maximum(ahead, 0)]
    beta = np.zeros(ahead.shape, np.float32)
    beta[:, 0] = 1
    return MetaTrace(z, beta, z, np.zeros_like(z), z, shown.mask)


def test_codes_of_what_the_base_did_by_itself_lead_there_again(
    steered: Steered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("irl_lens.analyses.codes.harvest.encode", _told)
    field = replace(steered.field, seed=77, rows=40)
    codes = harvest(field, steered.meta)
    first = field.roam().reached[:, 0]
    assert codes.labels.tolist() == first[first >= 0].tolist() and 0 < len(codes) < 40
    found = inject(steered.field, steered.meta, codes)
    total = found.totals[0]
    assert total.raised.low > 0.2
    assert total.raised.value == pytest.approx(total.own.value - total.alone.value)
    assert sum(found.codes.values()) == len(codes)
    said = replace(found, harvest="rollouts").caption()
    assert f"{found.codes['0']} of 0" in said and "what the base did by itself" in said
    assert "by itself" not in found.caption()


@pytest.mark.parametrize("step", [0, 24])
def test_steps_that_are_none_are_refused(steered: Steered, step: int) -> None:
    with pytest.raises(UserError, match=f"step {step}; take one from 1 to 23"):
        inject(steered.field, steered.meta, steered.switch_codes, later=step)


@pytest.mark.parametrize("which", ["smoke", "grid"])
def test_on_runs(
    which: str, smoke_run: Run, few_demonstrations: Callable[[Run], LoadedRun], tmp_path: Path
) -> None:
    loaded = few_demonstrations(smoke_run if which == "smoke" else find_run("grid"))
    source = "rollouts" if which == "smoke" else "demonstrations"
    result = transfer(loaded, rows=16, harvest=source)
    assert result.caption() and result.save(tmp_path / "result").is_file()
    result.figure()
