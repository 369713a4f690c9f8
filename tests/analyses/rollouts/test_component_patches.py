"""Patches while acting: what is known to decide does, itself and nothing do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.rollouts.component_patches import behaviour, patch_parts
from irl_lens.analyses.rollouts.paired_effects import compare, next_reached
from irl_lens.analyses.rollouts.patched_actor import PARTS, PatchedActor
from irl_lens.analyses.rollouts.taskless import Course
from irl_lens.envs.pinpad.world import PinpadWorld
from irl_lens.errors import UserError
from irl_lens.rl.oracle import OracleCodes
from irl_lens.rl.runner import RolloutRunner
from irl_lens.runs.run import Run, find_run

if TYPE_CHECKING:
    from tests.analyses.conftest import Steered


def course(reached: list[list[int]], at: list[list[int]], path: list[list[int]]) -> Course:
    cells = np.array(path)
    lengths, trail = (cells >= 0).sum(axis=1) - 1, np.stack([cells, cells], axis=2).astype(float)
    return Course(np.array(reached), np.array(at), lengths, cells, trail, 4)


def test_effects_are_those_of_pairs_after_the_patch() -> None:
    clean = course([[0, 1], [2, -1]], [[1, 3], [2, -1]], [[0, 1, 2, 3], [0, 0, 1, -1]])
    patched = course([[0, 2], [2, -1]], [[1, 2], [3, -1]], [[0, 1, 3, -1], [0, 0, 0, 1]])
    since, both = np.array([1, 1]), np.ones(2, bool)
    np.testing.assert_array_equal(next_reached(clean, since), [[1, 2], [3, 2]])
    found = compare(clean, patched, since, np.array([2, 2]), both)
    assert (found.clean.value, found.patched.value, found.effect.value) == (0.5, 1, 0.5)
    assert found.sooner.value == 1 and found.changed.value == 1
    # Cells 2, 3 against 3; and 1 against 0, 1: half of either is elsewhere.
    assert found.shift.value == 0.5 and found.episodes == 2
    same = compare(clean, clean, since, np.array([2, 2]), both)
    assert same.effect.value == same.shift.value == same.changed.value == 0 and same.p == 1


def test_without_a_patch_it_is_the_actor_of_reinforcement_learning(steered: Steered) -> None:
    """The same codes through both: an oracle that is asked for subgoal 1 at all times."""
    field, meta = steered.field, steered.meta
    codes = torch.eye(4)[1].expand(300, field.world.horizon, 4)
    assert isinstance(field.world, PinpadWorld)
    env = field.world.vector_env(300, task=(1,))
    hooks = PatchedActor(meta, codes), OracleCodes(torch.eye(4), meta)
    one, other = (RolloutRunner(field.base, field.world.horizon, h).play(env, 3) for h in hooks)
    np.testing.assert_array_equal(one.actions, other.actions)
    np.testing.assert_array_equal(one.log_probs, other.log_probs)
    recorded = hooks[0].recording()
    np.testing.assert_array_equal(
        recorded.gate.numpy()[:, : one.mask.shape[1]] & one.mask, other.switches
    )


def test_planted_codes_decide_and_itself_changes_nothing(steered: Steered) -> None:
    result = patch_parts(steered.field, steered.meta, steered.switch_codes, steps=(2,))
    parts = {found.part: found for found in result.parts}
    assert tuple(parts) == PARTS
    for found in parts.values():
        own = found.effects["self"]
        assert own.changed.value == own.effect.value == own.shift.value == 0 and own.p == 1
        assert own.episodes == found.against_random.episodes > 100
    for part in ("gate", "z"):  # a new code is held
        targeted = parts[part].effects["targeted"]
        assert targeted.effect.low > 0.4 and targeted.p < 0.01
        assert parts[part].against_random.p < 0.01
    # One step under another controller moves the agent, but not as far as another code.
    assert parts["U"].effects["targeted"].changed.value > 0.1
    assert parts["U"].effects["targeted"].effect.high < parts["z"].effects["targeted"].effect.low
    assert len(result.to_dataframe()) == 4 * 4
    claims = dict(zip(PARTS, result.claims(), strict=True))
    assert all(claims[x].effect > 0.4 and claims[x].p < 0.01 for x in ("gate", "z"))
    assert len(result.figure().to_dict()["data"]) == 9


def test_where_codes_do_nothing_no_patch_of_them_does(steered: Steered) -> None:
    deaf = steered.deaf()
    result = patch_parts(deaf.field, deaf.meta, deaf.switch_codes, steps=(1,))
    for found, claim in zip(result.parts, result.claims(), strict=True):
        if found.part != "residual":
            assert found.effects["targeted"].changed.value == 0
            assert found.against_random.p == claim.p == 1 and claim.effect == 0


@pytest.mark.parametrize("step", [-1, 24])
def test_steps_that_are_none_are_refused(steered: Steered, step: int) -> None:
    with pytest.raises(UserError, match=f"step {step}; take one from 0 to 23"):
        patch_parts(steered.field, steered.meta, steered.switch_codes, steps=(step,))


@pytest.mark.parametrize("which", ["smoke", "grid"])
def test_on_runs(
    which: str, smoke_run: Run, few_demonstrations: Callable[[Run], LoadedRun], tmp_path: Path
) -> None:
    loaded = few_demonstrations(smoke_run if which == "smoke" else find_run("grid"))
    result = behaviour(loaded, steps=(1,), rows=16)
    assert all(np.nan_to_num(p.effects["self"].changed.value) == 0 for p in result.parts)
    assert result.caption() and result.save(tmp_path / "result").is_file()
    result.figure()
