"""The explorer without its page, on the model in the box: set, patch, edit, steer, fork, undo."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import irl_lens
from irl_lens.analyses.explorer import Explorer, Spot, State, figures, fork_figures, links
from irl_lens.analyses.explorer.forks import parted
from irl_lens.analyses.explorer.opening import opening
from irl_lens.analyses.explorer.patched_cache import attending
from irl_lens.analyses.explorer.patching import carried, contrast, gathered, patched, replacements
from irl_lens.analyses.explorer.rollouts import Ticker
from irl_lens.analyses.explorer.state import COMPONENTS, STEERING_KINDS
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.errors import UserError
from irl_lens.models.base import hook_name
from irl_lens.models.fast import FastPath


@pytest.fixture(scope="module")
def workbench() -> Workbench:
    return Workbench(irl_lens.load("grid"))


@pytest.fixture
def session(workbench: Workbench) -> Explorer:
    return Explorer(workbench)


def code(workbench: Workbench) -> tuple[float, ...]:
    return tuple(workbench.switch_codes.codes[0].tolist())


def test_it_opens_on_a_pair_in_which_a_patch_sends_the_agent_elsewhere(session: Explorer) -> None:
    state, sweep = session.state, session.sweep()
    assert state.clean != state.edited and not session.can_undo
    assert np.nanmax(sweep.shares) > 0.5
    place = int(np.nanargmax(sweep.shares.max(axis=1)))
    session.patch(place + 1, int(np.nanargmax(sweep.shares[place])), held=True)
    scene = session.workbench.situation(state.edited).scene()
    before, after = session.rollouts(), session.rollouts(patches=True)
    gone = {name: after.first(scene)[name] - share for name, share in before.first(scene).items()}
    assert max(gone.values()) > 0.5 and min(gone.values()) < -0.5
    assert opening(session.workbench) == state


def test_it_opens_where_steering_acts_and_the_map_has_something_to_see(session: Explorer) -> None:
    scene, alone = session.workbench.situation(session.state.edited).scene(), session.rollouts()
    before, sent = alone.first(scene), []
    for layer, bank in session.workbench.banks.items():
        for name in bank:
            session.steer(kind="controller", layer=layer, name=name)
            after = session.rollouts(steered=True).first(scene)
            sent.append(max(after[thing] - before[thing] for thing in after))
    assert max(sent) > 0.3
    shares = np.abs(session.sweep().shares)
    assert np.ptp(shares[:, :-1], axis=0).max() > 0.3  # the way of something through the layers


def test_where_the_edit_changes_nothing_the_map_says_so(session: Explorer) -> None:
    session.mend()
    figure: Any = figures.heat_map(session, session.sweep())
    assert not figure.data and "give the same" in figure.layout.annotations[0].text


def test_every_row_of_the_map_is_named_and_its_colours_reach_what_there_is(
    session: Explorer,
) -> None:
    for component in ("residual post", "head z"):
        session.set(component=component)
        sweep = session.sweep()
        layout: Any = figures.heat_map(session, sweep).layout
        assert list(layout.yaxis.tickvals) == list(sweep.sites)
        most = np.abs(sweep.shares).max()
        assert layout.coloraxis.cmax == pytest.approx(most) == -layout.coloraxis.cmin


def test_labels_of_the_tree_have_room_and_branches_are_drawn_up_to_a_step(
    session: Explorer,
) -> None:
    (branch,) = session.fork().state.branches
    tree: Any = fork_figures.tree(session)
    assert tree.layout.yaxis.automargin and tree.layout.yaxis.ticktext[0] == "walk"
    assert tree.layout.yaxis.ticktext[1].startswith("branch 1: ")
    assert not any(trace.text for trace in tree.data)

    def drawn(step: int) -> int:
        figure: Any = fork_figures.compared(session, [1], step)
        return len(figure.data[-1].x)

    assert drawn(0) == drawn(branch.fork) == 1 and drawn(branch.fork + 2) == 3
    assert drawn(10_000) == len(branch.path) - branch.fork


def test_a_state_is_a_link_and_a_file_that_open_again(session: Explorer) -> None:
    session.patch(1, 0).steer(kind="code", code=code(session.workbench)).fork()
    text, file = links.packed(session), json.dumps(links.kept(session))
    assert re.fullmatch(r"[\w-]+", text) and json.loads(links.unpacked(text)) == json.loads(file)
    for written in (file, links.unpacked(text)):
        other = Explorer(session.workbench)
        begun = other.state
        links.opened(other, written)
        assert other.state == session.state and other.undo().state == begun


def test_what_is_no_link_or_file_is_refused_and_changes_nothing(session: Explorer) -> None:
    before, text = session.fork().state, links.packed(session)
    bomb = base64.urlsafe_b64encode(zlib.compress(b" " * (links.LARGEST + 1))).decode()
    for wrong in ("", "a", "?!", "AAAA", text[:-9], text[:40] + text[44:], bomb):
        with pytest.raises(UserError, match="link"):
            links.unpacked(wrong)
    kept = links.kept(session)
    branch = kept["state"]["branches"][0]
    for branches in (
        [branch, branch],
        [branch | {"parent": 7}],
        [branch | {"path": branch["path"][:-1]}],
        [branch | {"path": [10_000] * len(branch["path"])}],
        [branch | {"fork": 10_000}],
        [branch | {"reached": [99]}],
        [branch | {"side": "other"}],
        [branch | {"spots": [{"component": "mlp out", "layer": 99, "step": 0}]}],
        [branch | {"segments": [{"since": -1, "steering": {}}]}],
    ):
        with pytest.raises(UserError, match=r"\w"):
            links.opened(
                session, json.dumps(kept | {"state": kept["state"] | {"branches": branches}})
            )
    for wrong in ("", b"\xff", "{", "[]", "{}", "[" * 100_000, json.dumps(kept | {"base": "0"})):
        with pytest.raises(UserError, match=r"file|base model"):
            links.opened(session, wrong)
    assert session.state is before


def test_a_patch_of_everything_is_the_clean_run(session: Explorer) -> None:
    session.patch(layer=1, step=0, component="residual pre", held=True)
    runs = contrast(session.workbench, session.state)
    logits, _ = patched(session.workbench, session.state, runs)
    clean = session.workbench.model(torch.from_numpy(runs.pairs.clean), return_type="logits")[0]
    torch.testing.assert_close(logits, clean, atol=1e-3, rtol=1e-3)
    fields = session.fields()
    both = ~np.isnan(fields.clean) & ~np.isnan(fields.after)
    assert fields.after[both] == pytest.approx(fields.clean[both], abs=1e-3)
    read = session.readings()
    assert read["patched"].actions == pytest.approx(read["clean"].actions, abs=1e-3)
    assert read["patched"].gate == pytest.approx(read["clean"].gate, abs=1e-3)


@pytest.mark.parametrize("component", COMPONENTS)
def test_roll_outs_carry_any_patch_exactly(session: Explorer, component: str) -> None:
    workbench, step = session.workbench, session.state.step
    for layer in (1, workbench.layers):
        spot = Spot(component, layer, step, head=0 if component in ("head z", "v") else None)
        state = replace(session.state, spots=(spot, replace(spot, step=step - 1)))
        runs = contrast(workbench, state)
        logits, stream = patched(workbench, state, runs)
        parts = carried(state.spots, stream, step, workbench.world.horizon)
        hook = gathered([*parts, Ticker(lambda step: None)])
        fast = attending(FastPath(workbench.loaded.base.model), runs.clean, state.spots)
        cache = fast.cache(1, step + 1)
        with torch.inference_mode(), hook.attached(fast.model):
            for t in range(step + 1):
                seen = torch.from_numpy(runs.pairs.corrupted[:, t : t + 1])
                last = fast.logits(seen, cache=cache)[0, 0]
        torch.testing.assert_close(last.float(), logits[-1], atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("component", ["k", "v"])
def test_roll_outs_attend_to_a_patched_key_or_value_ever_after(
    session: Explorer, component: str
) -> None:
    """Decoded on beyond the walk, as the whole forward with the patch in it has it."""
    workbench, step = session.workbench, session.state.step
    spots = (Spot(component, 1, step - 1), Spot(component, workbench.layers, 0, head=1))
    state, model = replace(session.state, spots=spots), workbench.model
    runs = contrast(workbench, state)
    longer = torch.from_numpy(runs.pairs.corrupted).repeat(1, 2, 1)[:, : step + 5]
    beyond = (0, 0) * 2 + (0, longer.shape[1] - step - 1)
    clean = {name: F.pad(x, beyond) for name, x in runs.clean.items() if x.ndim == 4}
    hook = replacements(clean, spots, step)
    whole = model.run_with_hooks(longer, return_type="logits", fwd_hooks=[*hook.fwd_hooks()])
    plain = model(longer, return_type="logits")
    assert (whole - plain).abs()[0, step + 1 :].max() > 1e-3
    fast = attending(FastPath(workbench.loaded.base.model), runs.clean, spots)
    cache = fast.cache(2, longer.shape[1])
    with torch.inference_mode():
        seen = longer.repeat(2, 1, 1)
        found = [fast.logits(seen[:, t, None], cache=cache) for t in range(longer.shape[1])]
    torch.testing.assert_close(torch.cat(found, 1)[1], whole[0], atol=2e-3, rtol=2e-3)
    session.set(spots=spots)
    before, after = session.rollouts(), session.rollouts(patches=True)
    assert (before.path[:, : step + 1] == after.path[:, : step + 1]).all()
    assert session.fork().state.branches[0].spots == spots


@pytest.mark.parametrize("component", ["residual pre", "residual post", "attention out"])
def test_a_held_patch_is_the_clean_run_at_every_later_step(
    session: Explorer, component: str
) -> None:
    """Held everywhere, the agent on the edited board acts as on the clean one."""
    workbench, step = session.workbench, session.state.step
    layers = range(1, workbench.layers + 1)
    kinds = [component] if component != "attention out" else [component, "mlp out"]
    first = Spot("residual pre", 1, step, held=True)
    spots = tuple(Spot(kind, layer, step, held=True) for layer in layers for kind in kinds)
    everything = (first, *spots)
    state = replace(session.state, spots=everything, rows=4)
    out = Explorer(workbench, state).rollouts(patches=True)
    clean = Explorer(workbench, replace(state, side="clean", spots=())).rollouts()
    n = min(out.actions.shape[1], clean.actions.shape[1])
    for row in range(4):
        stop = int(min((out.path[row] >= 0).sum(), (clean.path[row] >= 0).sum())) - 1
        assert (out.actions[row, : min(stop, n)] == clean.actions[row, : min(stop, n)]).all()


def test_no_patch_and_no_steering_change_nothing(session: Explorer) -> None:
    plain = session.rollouts()
    same = session.rollouts(patches=True)
    steered = session.rollouts(steered=True)
    assert (plain.path == same.path).all() and (plain.path == steered.path).all()
    assert session.rollouts() is plain


def test_boards_are_edited_alone_and_undone(session: Explorer) -> None:
    before = session.state
    scene = session.workbench.situation(before.edited).scene()
    thing, other = scene.things[0], scene.things[1]
    session.put(thing.name, other.place)
    there = session.state.edited["places"]
    assert there[thing.name] == other.place and there[other.name] == thing.place
    assert session.state.clean == before.clean and session.state.walk == before.walk
    free = next(p for p in scene.standing if p not in there.values() and p != scene.agent)
    session.put(thing.name, free, side="clean")
    assert session.state.clean["places"][thing.name] == free
    assert session.undo().undo().state == before and not session.can_undo
    session.mend()
    assert session.state.edited == session.state.clean


def test_the_agent_and_the_task_are_edited_on_both(session: Explorer) -> None:
    scene = session.workbench.situation(session.state.clean).scene()
    taken = {*session.state.clean["places"].values(), *session.state.edited["places"].values()}
    place = next(p for p in scene.standing if p not in taken)
    session.put("agent", place)
    assert session.state.walk[0] == place
    assert session.state.clean["places"]["agent"] == session.state.edited["places"]["agent"]
    names = session.workbench.world.subgoal_names
    session.ask("".join(names[:2]))
    assert session.state.clean["task"] == list(names[:2]) == session.state.edited["task"]
    session.walk("model")
    assert len(session.state.walk) == len(session.state.actions)


def test_readings_say_where_the_filter_cannot(session: Explorer) -> None:
    read = session.readings()
    assert set(read) == {"clean", "edited"}
    assert sum(read["clean"].actions) == pytest.approx(1, abs=1e-4)
    assert sum(read["clean"].probe) == pytest.approx(1, abs=1e-4)
    assert read["clean"].bayes is not None and sum(read["clean"].bayes) == pytest.approx(1)
    assert read["clean"].gate is not None and read["clean"].gate[0] == 1
    wandering = replace(session.state, edited=session.state.clean)
    scene = session.workbench.situation(wandering.clean).scene()
    moves = len(scene.moves)
    back = tuple((a + 1) % moves for a in wandering.actions if isinstance(a, int))
    session.set(actions=back, step=len(back) - 1)
    assert session.readings()["clean"].bayes is None
    assert "no training task" in session.readings()["clean"].why_not


def test_actions_are_asked_about_as_they_were_chosen_or_not_at_all(session: Explorer) -> None:
    with pytest.raises(UserError, match="why up rather than up"):
        session.set(why=0, rather=0)
    by_edit = session.sweep()
    assert by_edit.why is not None and by_edit.rather is not None
    session.set(why=by_edit.rather)
    assert session.sweep().why == by_edit.rather != session.sweep().rather
    session.set(why=None, rather=by_edit.why)
    assert session.sweep().rather == by_edit.why != session.sweep().why


def test_two_actions_can_be_chosen(session: Explorer) -> None:
    session.set(why=0, rather=1)
    assert (session.sweep().why, session.sweep().rather) == (0, 1)
    one = session.sweep().effects
    session.set(why=1, rather=0)
    assert np.allclose(one, -session.sweep().effects, atol=1e-4)
    assert session.sweep().to_dataframe().shape[0] == one.size


def test_steering_acts_from_the_step_on(session: Explorer) -> None:
    workbench, step = session.workbench, session.state.step
    plain = session.rollouts()
    layer = next(iter(workbench.banks))
    session.steer(kind="controller", layer=layer, name=workbench.banks[layer].names[0], strength=9)
    strong = session.rollouts(steered=True)
    assert (strong.path[:, : step + 1] == plain.path[:, : step + 1]).all()
    assert strong.path.shape != plain.path.shape or (strong.path != plain.path).any()
    for gate, forced in (("off", None), ("own", None), ("off", step + 2)):
        session.steer(kind="code", code=code(workbench), gate=gate, forced=forced)
        assert len(session.rollouts(steered=True).path) == session.state.rows
    assert strong.occupancy.sum() == pytest.approx(1)


def test_a_fork_that_changes_nothing_is_its_parent(session: Explorer) -> None:
    session.patch(session.workbench.layers, session.state.step, held=True)
    session.steer(kind="code", code=code(session.workbench), gate="own")
    session.fork()
    (parent,) = session.state.branches
    later = parent.fork + (len(parent.path) - parent.fork) // 2
    session.fork(step=later, parent=parent.number)
    child = session.state.branches[1]
    # From the fork on the code is another one: taken up anew.
    assert child.path[: later + 1] == parent.path[: later + 1]
    same = replace(session.state, steering=replace(session.state.steering, kind="nothing"))
    plain = Explorer(session.workbench, replace(same, branches=(), spots=()))
    plain.fork()
    (one,) = plain.state.branches
    plain.fork(step=one.fork + 2, parent=1)
    assert plain.state.branches[1].path == one.path and parted(one, plain.state.branches[1]) is None
    plain.set(rollout_seed=5).fork(step=one.fork + 1, parent=1)
    apart = parted(one, plain.state.branches[2])
    assert apart is None or apart > one.fork + 1
    plain.open_branch(1)
    assert plain.state.walk == one.path[:-1] and plain.state.step == one.fork
    plain.drop(1)
    assert not plain.state.branches


def test_the_state_survives_json(session: Explorer) -> None:
    session.patch(1, 0).steer(kind="code", code=code(session.workbench))
    session.fork()
    text = json.dumps(session.view())
    plain = json.loads(text)["state"]
    assert State.of_plain(plain) == session.state
    again = Explorer(session.workbench, State.of_plain(plain))
    assert json.dumps(again.view()) == text


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": 10_000},
        {"step": True},
        {"layer": 0},
        {"component": "soul"},
        {"metric": "love"},
        {"rows": 10**9},
        {"rollout_seed": -1},
        {"why": 99},
        {"walk": (0,)},
        {"side": "other"},
        {"spots": (Spot("mlp out", 1, 0, head=0),)},
        {"spots": (Spot("head z", 1, 0, held=True),)},
        {"spots": (Spot("head z", 1, 10_000),)},
        {"nothing": 1},
    ],
)
def test_nonsense_is_refused_and_the_state_stays(session: Explorer, wrong: dict) -> None:
    before = session.state
    with pytest.raises(UserError, match=r"\w"):
        session.set(**wrong)
    assert session.state is before and not session.can_undo


def test_nonsense_of_methods_is_refused(session: Explorer) -> None:
    before = session.state
    for call in (
        lambda: session.put("nobody", 0),
        lambda: session.put("agent", -1),
        lambda: session.ask("?"),
        lambda: session.walk("dog"),
        lambda: session.draw(-1),
        lambda: session.patch(99, 0),
        lambda: session.unpatch(3),
        lambda: session.fork(step=10_000),
        lambda: session.open_branch(4),
        lambda: session.drop(1),
        lambda: session.steer(kind="magic"),
        lambda: session.steer(kind="code", code=(float("nan"),)),
        lambda: session.steer(kind="controller", layer=99),
        lambda: session.steer(force=1),
        lambda: State.of_plain({"seed": "a"}),
        lambda: State.of_plain([]),
        lambda: State.of_plain(before.plain() | {"spots": [{"layer": 1}]}),
    ):
        with pytest.raises(ValueError, match=r"\w"):
            call()
    assert session.state is before
    assert STEERING_KINDS[0] == session.state.steering.kind


def test_a_session_stays_small(session: Explorer) -> None:
    for seed in range(70):
        session.set(rollout_seed=seed + 1)
        session.sweep()
    assert len(session._states) <= 51 and len(session._results) <= 10
    assert hook_name(session.workbench.layers)
