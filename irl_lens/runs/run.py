"""A run with its trained parts, each loaded when first asked for.

    >>> from irl_lens.runs.run import find_run
    >>> run = find_run("grid")
    >>> sorted(run.controllers), list(run.bank(1))
    ([1, 3, 5], ['A', 'B', 'C', 'D'])
    >>> run.base is run.base, run.base is find_run("grid").base
    (True, False)

A part stays the same object until its stage is trained anew: then the next look gives what is in
the folder now. A run that is opened twice has parts of its own each time.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import torch

from irl_lens.errors import UserError
from irl_lens.runs.folder import RunFolder, locate

if TYPE_CHECKING:
    from irl_lens.envs.protocol import World
    from irl_lens.envs.trajectories import Trajectories
    from irl_lens.hooks import ControllerBank
    from irl_lens.models.base import TrajectoryModel
    from irl_lens.models.causal import CausalHalf
    from irl_lens.models.controllers import Banks
    from irl_lens.models.fast import FastPath
    from irl_lens.models.metacontroller import Metacontroller
    from irl_lens.models.policy import LatentPolicy
    from irl_lens.models.trace import MetaTrace

T = TypeVar("T")
Load = Callable[["Run"], T]


def kept(*stages: str) -> Callable[[Load[T]], Load[T]]:
    """Makes a function load a part of a run once, and again when a stage of it was trained anew.

    Args:
        stages: Those that the part is made of.
    """

    def decorate(load: Load[T]) -> Load[T]:
        @wraps(load)
        def look(run: Run) -> T:
            made = [run.stage(name).version for name in stages]
            if load.__name__ not in run._parts or run._parts[load.__name__][0] != made:
                run.require_current()
                with torch.random.fork_rng(devices=[]):  # untrained weights are drawn on the way
                    run._parts[load.__name__] = made, load(run)
            return run._parts[load.__name__][1]

        return look

    return decorate


class Run(RunFolder):
    """A run folder and what was trained in it, gradients off.

    Raises:
        CheckpointError: At a part whose stage is not finished, which is named with the command
            that runs it; or a file is missing or damaged, or the folder is a record, without
            weights.
        UserError: At a part, when the settings in the folder are not those that this run was
            opened with.
    """

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        super().__init__(folder, config)
        self._parts: dict[str, tuple[list[bytes | None], Any]] = {}
        self._fast: FastPath | None = None

    def fresh(self) -> Self:
        """The same run with parts of its own, that nobody else hooks or changes."""
        other = copy(self)
        other._parts, other._fast = {}, None
        return other

    def on(self, device: torch.device) -> Self:
        """The run with its parts on a device: itself, or the same with parts of its own there."""
        if device == self.device:
            return self
        other = self.fresh()
        other.device = device
        return other

    # What loads models is imported with the first look: TransformerLens takes seconds.

    @property
    @kept()
    def world(self) -> World:
        """Where the run's agents are: demonstrations, the exact Bayes filter, environments."""
        from irl_lens.runs.parts import load_world

        return load_world(self)

    @property
    def base(self) -> TrajectoryModel:
        """The base that acts: as discovery left it where that trained it further."""
        return self.pretrained if self.base_stage == "base" else self._trained_further

    @property
    @kept("base")
    def pretrained(self) -> TrajectoryModel:
        """The base as pretraining left it: ``base`` itself, unless that was trained further."""
        from irl_lens.runs.parts import load_pretrained

        return load_pretrained(self)

    @property
    @kept("metacontroller")
    def _trained_further(self) -> TrajectoryModel:
        from irl_lens.runs.parts import load_base

        return load_base(self)

    def snapshot(self, step: int) -> TrajectoryModel:
        """The base after so many steps of pretraining, a new one at each call.

        Args:
            step: One of ``stage("base").snapshots``.
        """
        from irl_lens.runs.parts import load_snapshot

        return load_snapshot(self, step)

    @property
    def fast(self) -> FastPath:
        """The fast path of ``base``, in the precision that the stages trained and acted with."""
        from irl_lens.models.fast import FastPath

        base = self.base
        if self._fast is None or self._fast.model is not base:
            self._fast = FastPath(base, self.preset.pretrain.precision)
        return self._fast

    @property
    @kept("controllers")
    def controllers(self) -> Banks:
        """The supervised controllers by layer, and at a layer by subgoal."""
        from irl_lens.runs.parts import load_controllers

        return load_controllers(self)

    def bank(self, layer: int) -> ControllerBank:
        """The supervised controllers of one layer, by subgoal.

        Raises:
            UserError: There are none at that layer; names those there are.
        """
        if layer not in self.controllers:
            there = ", ".join(map(str, self.controllers))
            raise UserError(f"no controllers at layer {layer!r}; there are some at {there}")
        return self.controllers[layer]

    @property
    @kept("metacontroller")
    def discovered(self) -> Metacontroller:
        """The metacontroller as discovery left it, before codes of segments were learned."""
        from irl_lens.runs.parts import load_discovered

        return load_discovered(self)

    @property
    @kept("metacontroller", "codes")
    def metacontroller(self) -> CausalHalf:
        """The metacontroller that acts and is analysed: gate, codes and their decoder."""
        from irl_lens.runs.parts import load_metacontroller

        return load_metacontroller(self)

    def encode(self, trajectories: Trajectories, seed: int | None = None) -> MetaTrace:
        """What the metacontroller makes of trajectories: codes, proposals, and its gate.

        Args:
            trajectories: Such as ``world.demonstrate(32, seed=0)``.
            seed: Seed of the encoder's noise; its means are the proposals when not given.
        """
        from irl_lens.models.trace import encode

        return encode(self.metacontroller, self.fast, trajectories, seed)

    @property
    @kept("controllers", "metacontroller", "codes", "internal-rl")
    def policy(self) -> LatentPolicy:
        """The internal policy of the whole held-out task: an intervention that acts."""
        from irl_lens.runs.parts import load_policy

        return load_policy(self)

    @property
    @kept("raw-rl")
    def raw(self) -> TrajectoryModel:
        """The base as raw-action reinforcement learning left it."""
        from irl_lens.runs.parts import load_raw

        return load_raw(self)


def find_run(name_or_folder: Path | str) -> Run:
    """Opens a run folder, or a bundled model by its name.

    Raises:
        UserError: If it is neither.
    """
    return Run.open(locate(name_or_folder))
