"""All that one can set in the explorer, as a value: plain, comparable, JSON-able.

Whatever is shown is computed from a state and the run, so that the same state shows the same.
"""

from __future__ import annotations

import types
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from irl_lens.analyses.explorer.actions import Action
from irl_lens.analyses.patching.contrast import BY_HEAD, HOOKS
from irl_lens.errors import UserError

SIDES = ("clean", "edited")
COMPONENTS = tuple(HOOKS)
"""What can be patched."""
STEERING_KINDS = ("nothing", "controller", "code")
GATES = ("off", "own")
LONGEST_TREE, LONGEST_STACK, MOST_ROWS, MOST_SEED = 40, 24, 512, 2**31 - 1
"""Branches, patches and roll-outs that one session may have, and the largest seed."""


@dataclass(frozen=True)
class Spot:
    """One activation that is taken from the clean run.

    Attributes:
        component: One of :data:`COMPONENTS`.
        layer: Counted from 1.
        step: Step of the walk.
        head: Which, for the components that have heads; all if None.
        held: Whether it is patched at every later step too, from a clean run that takes the
            same walk; not for the components that have heads.
    """

    component: str
    layer: int
    step: int
    head: int | None = None
    held: bool = False

    def __str__(self) -> str:
        head = "" if self.head is None else f" head {self.head}"
        when = f"from step {self.step} on" if self.held else f"step {self.step}"
        return f"{self.component}, layer {self.layer}{head}, {when}"

    @property
    def by_head(self) -> bool:
        """Whether it has heads."""
        return self.component in BY_HEAD

    def steps(self, last: int) -> list[int]:
        """The steps that are patched, up to a last one."""
        return list(range(self.step, last + 1)) if self.held else [self.step]


@dataclass(frozen=True)
class Steering:
    """What acts in the stream.

    Attributes:
        kind: ``"nothing"``, a ``"controller"`` of the bank, or a ``"code"``.
        layer: Layer of the bank.
        name: Name of the controller.
        strength: Factor of the controller.
        code: The code z.
        gate: ``"off"`` holds the code; with ``"own"`` the model's gate may open again, and a
            code drawn from those of demonstrations takes its place.
        forced: A later step at which the gate is made to open.
    """

    kind: str = "nothing"
    layer: int | None = None
    name: str | None = None
    strength: float = 1.0
    code: tuple[float, ...] | None = None
    gate: str = "off"
    forced: int | None = None


@dataclass(frozen=True)
class Segment:
    """What acts from a step on, until the next segment begins.

    Attributes:
        since: The step.
        steering: What.
        seed: Of the codes that the gate takes.
    """

    since: int
    steering: Steering
    seed: int = 0


@dataclass(frozen=True)
class Branch:
    """One future.

    Attributes:
        number: Its name.
        parent: Number of the branch it left; None if it left the walk.
        fork: Step at which it did.
        side: Board it is on.
        spots: Patches of the walk that it went on with.
        segments: What acted.
        seed: Of its actions.
        actions: Taken, from the start.
        path: Place after each number of steps; -1 in no place.
        reached: Numbers of the subgoals reached.
    """

    number: int
    parent: int | None
    fork: int
    side: str
    spots: tuple[Spot, ...]
    segments: tuple[Segment, ...]
    seed: int
    actions: tuple[Action, ...]
    path: tuple[int, ...]
    reached: tuple[int, ...]


@dataclass(frozen=True)
class State:
    """See the module.

    Attributes:
        seed: Seed of the episode.
        clean: Plain values of the clean situation.
        edited: The same of the edited one.
        walk: Place at each step, on both boards; -1 in no place.
        actions: Taken at each step.
        step: Where one looks, and where roll-outs leave the walk.
        component: What the heat map patches.
        layer: Where probes read.
        metric: One of :func:`irl_lens.analyses.patching.metrics.metrics_of` the world's actions.
        why: The action asked about, of those of a list; chosen by what the edit changes most if
            None.
        rather: The one it is compared with.
        spots: Patches that are in force.
        side: Board of roll-outs.
        steering: What acts in them.
        rows: How many.
        rollout_seed: Their seed.
        branches: The futures so far.
        checkpoint: How many steps of training the base has behind it, of those after which the
            run kept it; all of them if None.
    """

    seed: int
    clean: dict[str, Any]
    edited: dict[str, Any]
    walk: tuple[int, ...]
    actions: tuple[Action, ...]
    step: int
    component: str = "residual post"
    layer: int = 1
    metric: str = "logit difference"
    why: int | None = None
    rather: int | None = None
    spots: tuple[Spot, ...] = ()
    side: str = "edited"
    steering: Steering = field(default_factory=Steering)
    rows: int = 32
    rollout_seed: int = 0
    branches: tuple[Branch, ...] = ()
    checkpoint: int | None = None

    def plain(self) -> dict[str, Any]:
        """Returns JSON-able values that :meth:`of_plain` reads back."""
        return asdict(self)

    @classmethod
    def of_plain(cls, plain: Any) -> State:
        """Undoes :meth:`plain`, also after JSON.

        Raises:
            UserError: They are of no state; names the first that is wrong.
        """
        return _read(cls, plain, "state")


def _read(kind: Any, value: Any, path: str) -> Any:
    """Builds a value of a type from JSON values, or says what does not fit."""
    if is_dataclass(kind):
        return _record(kind, value, path)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if value is None else _read(_fitting(inner, value), value, path)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_read(inner[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if kind is float and type(value) in (int, float):
        return float(value)
    if (origin is dict and isinstance(value, dict)) or (origin is None and type(value) is kind):
        return value
    raise UserError(f"{path} is {value!r}, which is no {getattr(kind, '__name__', kind)}")


def _fitting(kinds: tuple[Any, ...], value: Any) -> Any:
    """The kind of a union that a value may be of: the one of several values if it is a list."""
    several = [kind for kind in kinds if get_origin(kind) is tuple]
    return several[0] if several and isinstance(value, list | tuple) else kinds[0]


def _record(kind: Any, value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise UserError(f"{path} is {value!r}; give an object")
    known, hints = {f.name for f in fields(kind)}, get_type_hints(kind)
    if strange := sorted(map(str, value.keys() - known)):
        raise UserError(f"{path} has no {strange[0]!r}; there are {', '.join(sorted(known))}")
    try:
        return kind(**{name: _read(hints[name], v, f"{path}.{name}") for name, v in value.items()})
    except TypeError as error:
        raise UserError(f"{path}: {error}") from error
