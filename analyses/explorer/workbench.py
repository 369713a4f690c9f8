"""The parts of a run that all sessions share: read only, computed once, one user at a time.

Hooks are attached to the one model there is, so whoever runs it holds :attr:`Workbench.lock`.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from threading import RLock
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from sklearn.decomposition import PCA
from torch import Tensor

from irl_lens.analyses.core.demonstrations import pieces
from irl_lens.analyses.core.linear_probe import LinearProbe, fit_probe, layer_streams
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.switch_codes import SwitchCodes
from irl_lens.analyses.explorer.actions import Action, action_array, no_action
from irl_lens.arrays import NDArray
from irl_lens.data.demonstrations import Demonstrations
from irl_lens.envs.contracts import Explained, Explanation, Retraceable, ask
from irl_lens.envs.protocol import World
from irl_lens.envs.scenes import TraceableSituation, Walkable
from irl_lens.envs.spaces import ActionSpec
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import UserError
from irl_lens.hooks import ControllerBank
from irl_lens.hooks.files.json_text import to_json
from irl_lens.models.causal import CausalHalf
from irl_lens.models.fast import FastPath
from irl_lens.models.trace import encode
from irl_lens.runs.run import Run

T = TypeVar("T")
PROBED, ENCODED, EARLIER, WALKS = 256, 256, 4, 64
"""Demonstrations that probes are fitted on, and that codes are taken from; checkpoints of the
base that stay open; walks that are remembered."""


class Workbench:
    """A run to explore.

    Args:
        run: The run; its base must be trained.
        step: The base is that after so many steps of its training; the final one if None.
        final: The same run with its final base; itself if None.

    Raises:
        UserError: Its world has no boards to draw and retrace a walk on, or its base is not
            trained, or was not kept after that step.
    """

    def __init__(self, run: Run, step: int | None = None, final: Workbench | None = None) -> None:
        if not run.stage("base").done:
            raise UserError(f"{run.folder} has no trained base; irl-lens train base first")
        self.run, self.step, self.final, self.lock = run, step, final or self, RLock()
        self.loaded = LoadedRun(run, step=step)
        self._earlier: OrderedDict[int, Workbench] = OrderedDict()
        self._opening = RLock()
        self._probes: dict[int, LinearProbe] = {}
        self._first: Any = None
        ask(self.loaded.world, Retraceable, "the explorer")

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """Steps of the base's training after which it was kept, in order."""
        return self.run.stage("base").snapshots

    def at(self, step: int | None) -> Workbench:
        """The same run with its base as it was after some steps; the final one if None.

        Probes are fitted anew on each. Controllers, gate and codes were trained on the final
        base: an earlier one has none.

        Raises:
            UserError: The base was not kept after that step.
        """
        if step is None:
            return self.final
        if type(step) is not int or step not in self.checkpoints:
            there = ", ".join(map(str, self.checkpoints)) or "none: this run kept none"
            raise UserError(f"no checkpoint of the base after step {step!r}; there are {there}")
        final = self.final
        with final._opening:
            if step not in final._earlier:
                final._earlier[step] = Workbench(self.run, step, final)
                while len(final._earlier) > EARLIER:
                    final._earlier.popitem(last=False)
            final._earlier.move_to_end(step)
            return final._earlier[step]

    @property
    def lacking(self) -> str:
        """Why there is nothing, or not everything, to steer with; empty if all is there."""
        if self.step is not None:
            return (
                "Controllers, gate and codes were trained on the final base: none of them acts "
                "on an earlier one."
            )
        return (
            ""
            if self.meta
            else f"No codes: the stage {self.run.metacontroller_stage} is not finished."
        )

    @property
    def world(self) -> World:
        """Where the run's agents are."""
        return self.loaded.world

    @property
    def boards(self) -> Retraceable:
        """The same, as what can be drawn, edited and retraced."""
        assert isinstance(self.world, Retraceable)
        return self.world

    @property
    def actions(self) -> ActionSpec:
        """What its agents can do."""
        return self.world.actions

    @property
    def walkable(self) -> bool:
        """Whether actions are moves from place to place, and places tell all there is to see."""
        return isinstance(self.world, Walkable)

    @property
    def model(self):
        """The hooked base."""
        return self.loaded.base.model.hooked

    @cached_property
    def copy(self) -> FastPath:
        """The base with hook points of its own, for clean runs beside roll-outs."""
        return self.loaded.base.twin()

    @property
    def layers(self) -> int:
        """Blocks of the base."""
        return self.model.cfg.n_layers

    @property
    def heads(self) -> int:
        """Heads of a block."""
        return self.model.cfg.n_heads

    @cached_property
    def hash(self) -> str:
        """Identity of the base."""
        return self.loaded.base.model.hash()

    @cached_property
    def explanation(self) -> Explanation | None:
        """What is to be done in the world, if it says so; drawn once, of a demonstration."""
        return self.world.explanation if isinstance(self.world, Explained) else None

    @cached_property
    def move_names(self) -> tuple[str, ...]:
        """Names of the actions, or of the numbers of one."""
        moves = self.boards.situation(0).scene().moves
        return tuple(m.name for m in moves) or self.actions.labels

    @cached_property
    def banks(self) -> dict[int, ControllerBank]:
        """Supervised controllers by layer; none if they are not trained on this base."""
        done = self.step is None and self.run.stage("controllers").done
        return self.run.controllers if done else {}

    @cached_property
    def meta(self) -> CausalHalf | None:
        """The metacontroller that acts; None if there is none yet, or not on this base."""
        done = self.step is None and self.run.stage(self.run.metacontroller_stage).done
        return self.run.metacontroller if done else None

    @cached_property
    def switch_codes(self) -> SwitchCodes:
        """Codes of demonstrations, where the gate opens.

        Raises:
            UserError: The run has no metacontroller.
        """
        batch = Demonstrations(self.world, self.run.seed, "explorer-codes", ENCODED)[0]
        with self.lock:
            return SwitchCodes.of(encode(self.acting, self.loaded.base, batch), batch)

    @property
    def acting(self) -> CausalHalf:
        """The metacontroller.

        Raises:
            UserError: The run has none.
        """
        if self.meta is None:
            raise UserError(f"there is no metacontroller here. {self.lacking}")
        return self.meta

    @cached_property
    def spread(self) -> float:
        """How far sliders of a code reach: all codes at switches lie within."""
        return float(np.ceil(np.abs(self.switch_codes.codes).max() * 10) / 10)

    @cached_property
    def axes(self) -> PCA:
        """Two principal axes of the codes at switches."""
        return PCA(2, random_state=0).fit(self.switch_codes.codes)

    def probe(self, layer: int) -> LinearProbe:
        """A linear probe of the abstract subgoal at the output of a block, fitted once."""
        with self.lock:
            if layer not in self._probes:
                batch = Demonstrations(self.world, self.run.seed, "explorer-probes", PROBED)[0]
                found = [
                    (self._seen(p, layer), p.require("subgoals")[p.mask]) for _, p in pieces(batch)
                ]
                x = torch.cat([x for x, _ in found])
                labels = torch.from_numpy(np.concatenate([y for _, y in found]))
                self._probes[layer] = fit_probe(x, labels, len(self.world.subgoal_names), 50)
            return self._probes[layer]

    def _seen(self, piece, layer: int) -> Float[Tensor, "tokens d_model"]:
        base = self.loaded.base
        return layer_streams(base, piece, [layer])[0][base.tensor(piece.mask)]

    def first(self, find: Callable[[Workbench], T]) -> T:
        """The opening pair, found once."""
        with self.lock:
            if self._first is None:
                self._first = find(self)
            return self._first

    def situation(self, plain: dict) -> TraceableSituation:
        """Builds a situation from its plain values."""
        return self.boards.stage(plain)

    def retraced(self, plain: dict, walk: Sequence[int], actions: Sequence[Action]) -> Trajectories:
        """A walk as one trajectory in a situation of plain values, remembered for a while."""
        return self._retrace(to_json(plain), tuple(walk), tuple(actions))

    def trail(
        self, plain: dict, walk: Sequence[int], actions: Sequence[Action]
    ) -> Float[NDArray[np.float64], "places 2"]:
        """Column and row of each place of a walk, exactly where the agent was.

        Args:
            plain: Plain values of the situation.
            walk: Place after each number of steps.
            actions: As many or, if it is told where the last one led, one less.
        """
        known = (*actions, no_action(self.actions))[: len(walk)]
        return self.boards.points(self.retraced(plain, walk, known).observations[0])

    @cached_property
    def _retrace(self) -> Callable[[str, tuple[int, ...], tuple[Action, ...]], Trajectories]:
        @lru_cache(maxsize=WALKS)
        def retrace(plain: str, walk: tuple[int, ...], actions: tuple[Action, ...]) -> Trajectories:
            """Retraces it."""
            taken = action_array(self.actions, actions)
            return self.situation(json.loads(plain)).retraced(np.array(walk), taken)

        return retrace
