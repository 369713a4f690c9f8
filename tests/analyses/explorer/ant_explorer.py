"""A run of the ant to explore, made in seconds, and a state to begin with, found in less."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from irl_lens.analyses.explorer.episodes import begin
from irl_lens.analyses.explorer.state import State
from irl_lens.analyses.explorer.web.server import Server
from irl_lens.analyses.explorer.web.sessions import name_of
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.commands.chain import run_stage
from irl_lens.data.demonstrations import Demonstrations
from irl_lens.envs import make_world
from irl_lens.progress import QuietProgress
from irl_lens.runs.run import Run
from tests.test_ant_chain import tiny

STAGES = ("base", "controllers", "metacontroller")


def ant_run(folder: Path) -> Run:
    """A run with controllers and codes, of an arena of 3 x 3 cells with a wall."""
    preset = tiny()
    preset = replace(
        preset,
        world=replace(preset.world, size=3, walls=1, cell=1.0, horizon=50),
        pretrain=replace(preset.pretrain, steps=2, batch=4),
        controllers=replace(preset.controllers, steps=1, batch=4),
        discovery=replace(preset.discovery, steps=1, batch=4),
        switches=replace(preset.switches, steps=0),
        codes=replace(preset.codes, steps=0),
    )
    made = Run.create(folder, preset, seed=0)
    shown = make_world(preset.world).demonstrate(4, seed=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("irl_lens.training.pretrain.FLOOR_SAMPLE", 4)
        # One draw will do for all: bodies take their time where every call is checked.
        patch.setattr(Demonstrations, "__getitem__", lambda *_: shown)
        for name in STAGES:
            run_stage(name, made, QuietProgress())
    return Run.open(made.folder)


def small(run: Run) -> Workbench:
    """The run's workbench, with probes and codes of a few demonstrations."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PROBED", "ENCODED"):
            patch.setattr(f"irl_lens.analyses.explorer.workbench.{name}", 8)
        bench = Workbench(run)
        bench.probe(1)
        len(bench.switch_codes)
    return bench


def edited(workbench: Workbench) -> State:
    """One episode, at its first decision, with a colour of the edited arena at a free place."""
    state = replace(begin(workbench, 0), rows=2)
    situation = workbench.situation(state.clean)
    return replace(state, edited=situation.moved("colour1", free(workbench, state)[0]).plain())


def serving(workbench: Workbench, state: State) -> Server:
    """A page whose sessions begin at a state."""
    server = Server(workbench.run, port=0)
    workbench._first = state
    server.sessions._benches[name_of(workbench.run)] = workbench
    return server


def free(workbench: Workbench, state: State) -> list[int]:
    """Places on which nothing lies, and the walk does not go."""
    taken = {*state.clean["places"].values(), *state.edited["places"].values(), *state.walk}
    places = workbench.situation(state.clean).scene().places
    return [place for place in range(places) if place not in taken]
