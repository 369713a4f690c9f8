"""What is computed from a state of the explorer: each result once, the last few of them kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict
from threading import RLock
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float

from irl_lens.analyses.explorer import patching, rollouts
from irl_lens.analyses.explorer.action_fields import Fields, fields
from irl_lens.analyses.explorer.outing import Outing
from irl_lens.analyses.explorer.readings import Reading, readings
from irl_lens.analyses.explorer.rollouts import Tick
from irl_lens.analyses.explorer.state import State
from irl_lens.analyses.explorer.steering_shift import NextAction, steering_shift
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.arrays import NDArray
from irl_lens.hooks.files.json_text import to_json

KEPT = 10
"""Results that are kept."""
T = TypeVar("T")


class Computed(ABC):
    """Whatever has a state and a run, and so all that can be computed from them.

    Attributes:
        lock: Held while results are kept, and while a state changes.
    """

    def __init__(self) -> None:
        self.lock, self._results = RLock(), OrderedDict[str, Any]()

    @property
    @abstractmethod
    def state(self) -> State:
        """The present state."""

    @property
    @abstractmethod
    def workbench(self) -> Workbench:
        """The run, its base as it was at the state's checkpoint."""

    def sweep(self, tick: Tick | None = None) -> patching.Sweep:
        """The heat map."""

        def swept(workbench: Workbench, state: State) -> patching.Sweep:
            """Sweeps."""
            return patching.swept(workbench, state, tick or (lambda step: None))

        return self._result("sweep", swept)

    def fields(self) -> Fields:
        """Where actions lead, at every place.

        Raises:
            NotOffered: Actions are no moves from place to place.
        """
        return self._result("fields", fields)

    def trail(self) -> Float[NDArray[np.float64], "steps 2"]:
        """Column and row at each step of the walk, exactly where the agent is."""
        state = self.state
        return self.workbench.trail(state.clean, state.walk, state.actions)

    def readings(self) -> dict[str, Reading]:
        """What the model and the filter make of the step looked at."""
        return self._result("readings", readings)

    def shift(self) -> dict[str, NextAction]:
        """The next action at the step looked at, by the base alone and with what steers."""
        return self._result("steered shift", steering_shift)

    def rollouts(
        self, patches: bool = False, steered: bool = False, tick: Tick | None = None
    ) -> Outing:
        """Roll-outs from the step looked at."""

        def roll(workbench: Workbench, state: State) -> Outing:
            """Rolls out."""
            return rollouts.roll(workbench, state, patches, steered, tick)

        return self._result(f"rollouts {patches} {steered}", roll)

    def ready(self, patches: bool = False, steered: bool = False) -> bool:
        """Whether roll-outs of the present state are there already."""
        return _key(f"rollouts {patches} {steered}", self.state) in self._results

    @property
    def swept(self) -> bool:
        """Whether the heat map of the present state is there already."""
        return _key("sweep", self.state) in self._results

    def view(self) -> dict[str, Any]:
        """JSON-able: the state, and what is read off it."""
        sweep, workbench = self.sweep(), self.workbench
        return {
            "run": str(workbench.run.folder),
            "base": workbench.hash,
            "checkpoints": list(workbench.checkpoints),
            "state": self.state.plain(),
            "actions": list(workbench.move_names),
            "subgoals": list(workbench.world.subgoal_names),
            "readings": {name: asdict(reading) for name, reading in self.readings().items()},
            "sweep": asdict(sweep) | {"effects": sweep.effects.tolist()},
        }

    def _result(self, name: str, compute: Callable[[Workbench, State], T]) -> T:
        state = self.state
        key = _key(name, state)
        if key not in self._results:
            found = compute(self.workbench.at(state.checkpoint), state)
            with self.lock:
                self._results[key] = found
                while len(self._results) > KEPT:
                    self._results.popitem(last=False)
            return found
        return self._results[key]


def _key(name: str, state: State) -> str:
    """A result by its name and by that part of the state which it is computed from."""
    plain = state.plain()
    del plain["branches"]
    if name == "steered shift":
        del plain["rows"], plain["rollout_seed"]
    elif not name.startswith("rollouts"):
        del plain["steering"], plain["rows"], plain["rollout_seed"]
    elif not name.endswith("True"):
        del plain["steering"]
    return f"{name} {to_json(plain)}"
