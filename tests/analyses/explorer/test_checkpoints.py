"""Training time in the explorer: which weights the base has, and what belongs to the last alone."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import irl_lens
from irl_lens.analyses.explorer import Explorer, State, export
from irl_lens.analyses.explorer.episodes import begin
from irl_lens.analyses.explorer.sentences import trained
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.errors import UserError
from irl_lens.runs.run import Run


@pytest.fixture(scope="module")
def workbench(kept_run: Run) -> Workbench:
    return Workbench(kept_run)


@pytest.fixture
def session(workbench: Workbench) -> Explorer:
    begun = Explorer(workbench, begin(workbench, 0)).set(rows=4)
    one, other = (t.name for t in begun.workbench.situation(begun.state.clean).scene().things[:2])
    return begun.swap(one, other)


def test_a_checkpoint_with_the_final_weights_shows_what_the_final_base_shows(
    session: Explorer,
) -> None:
    final = session.sweep(), session.rollouts(), session.workbench.hash
    session.rewind(1_000)
    assert session.workbench.hash == final[2] and trained(session).startswith("step 1000 of")
    assert np.array_equal(session.sweep().effects, final[0].effects)
    assert (session.rollouts().path == final[1].path).all()


def test_an_untrained_base_knows_nothing_yet(session: Explorer) -> None:
    final, hash_ = session.readings()["clean"], session.workbench.hash
    assert trained(session) == "final base"
    session.rewind(0)
    early = session.readings()["clean"]
    assert session.workbench.hash != hash_ and session.view()["base"] == session.workbench.hash
    assert max(early.actions) < max(final.actions) and early.bayes == final.bayes
    assert final.gate is not None and early.gate is None
    assert session.undo().readings()["clean"] == final


def test_what_belongs_to_the_final_base_is_off_with_a_sentence(session: Explorer) -> None:
    layer, bank = next(iter(session.workbench.banks.items()))
    session.steer(kind="controller", layer=layer, name=bank.names[0]).fork()
    before = session.state
    session.rewind(0)
    assert session.state.steering.kind == "nothing" and not session.state.branches
    assert (session.state.walk, session.state.edited) == (before.walk, before.edited)
    for values in ({"kind": "controller", "layer": layer}, {"kind": "code", "code": (0.0,)}):
        with pytest.raises(UserError, match="trained on the final base"):
            session.steer(**values)
    session.fork()
    assert len(session.state.branches) == 1
    assert session.undo().undo().state == before


def test_checkpoints_are_in_the_state_and_in_what_is_taken_away(session: Explorer) -> None:
    session.rewind(0).draw(3).patch(1, session.state.step)
    assert session.state.checkpoint == 0
    assert State.of_plain(json.loads(json.dumps(session.state.plain()))) == session.state
    names: dict[str, Any] = {}
    exec(export.snippet(session), names)
    assert names["session"].state == session.state
    assert names["view"] == session.view()
    with pytest.raises(UserError, match="made with the base model"):
        Explorer.open(session.workbench.run, session.state.plain(), base="0" * 64)


def test_sessions_at_other_checkpoints_do_not_meet(session: Explorer) -> None:
    final = session.rollouts()
    other = Explorer(session.workbench, session.state).rewind(0)
    assert other.workbench is not session.workbench and other.workbench.final is session.workbench
    early = other.rollouts()
    again = Explorer(session.workbench, session.state).rollouts()
    assert (again.path == final.path).all()
    assert early.path.shape != final.path.shape or (early.path != final.path).any()


@pytest.mark.parametrize("wrong", [7, True, -1])
def test_what_was_not_kept_is_refused(session: Explorer, wrong: Any) -> None:
    before = session.state
    with pytest.raises(UserError, match="there are 0, 1000"):
        session.rewind(wrong)
    assert session.state is before


def test_a_run_that_kept_none_says_so() -> None:
    workbench = Workbench(irl_lens.load("grid"))
    session = Explorer(workbench, begin(workbench, 0))
    assert "irl-lens train base keeps" in trained(session)
    with pytest.raises(UserError, match="kept none"):
        session.rewind(0)
