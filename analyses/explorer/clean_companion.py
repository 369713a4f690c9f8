"""A clean run that takes the walk of roll-outs, so that patches can be held while they go on.

    x^l_t(edited, a_1..t) <- x^l_t(clean, a_1..t)          at each step t after the last of the walk

The clean run is another copy of the base, one step at a time beside the roll-outs: it sees the
clean board with the agent as it is. What attention or an MLP writes is a difference of two
points of the residual stream, which is all that cached decoding has hooks on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from irl_lens.analyses.explorer.patching import follower
from irl_lens.analyses.explorer.state import Spot
from irl_lens.envs.contracts import Retraceable
from irl_lens.envs.scenes import TraceableSituation
from irl_lens.hooks import Intervention
from irl_lens.models.fast import FastPath

START = "blocks.0.hook_resid_pre"
WRITTEN = {"attention out": "pre", "mlp out": "mid"}
"""The residual stream before what a component writes."""


@dataclass
class CleanCompanion:
    """The clean run beside roll-outs.

    Attributes:
        copy: A copy of the base that nothing else is attached to.
        boards: The world.
        clean: The clean situation.
        spots: Patches that are held.
        last: Last step of the walk; up to there patches are made otherwise.
        horizon: Most steps of an episode.
    """

    copy: FastPath
    boards: Retraceable
    clean: TraceableSituation
    spots: Sequence[Spot]
    last: int
    horizon: int
    seen: dict[str, Tensor] = field(default_factory=dict)
    own: dict[str, Tensor] = field(default_factory=dict)

    def parts(self, env: Any) -> tuple[list[Intervention], list[Intervention]]:
        """What to attach before all else, and after: rows are those of a roaming environment."""
        # What a component writes comes before the stream as a whole, as in a forward.
        spots = sorted(self.spots, key=lambda spot: spot.component not in WRITTEN)
        listened = {_before(spot) for spot in spots if spot.component in WRITTEN}
        held = [_Held(self, spot) for spot in spots]
        return [_Step(self, env)], [*held, *(_Listen(self, name) for name in sorted(listened))]

    def points(self) -> list[str]:
        """What has to be kept of the clean run."""
        return sorted({name for s in self.spots for name in (follower(s), _before(s))})


class _Step(Intervention):
    """Takes the clean run a step on."""

    def __init__(self, companion: CleanCompanion, env: Any) -> None:
        super().__init__(START)
        self.companion, self.env = companion, env

    def forward(self, x: Tensor) -> Tensor:
        companion = self.companion
        if self.offset == 0:
            self._cache = companion.copy.cache(len(x), companion.horizon)
        seen = companion.copy.tensor(companion.boards.seen_in(companion.clean, self.env)[:, None])

        def keep(tensor: Tensor, hook: Any) -> None:
            """Keeps the stream."""
            companion.seen[hook.name] = tensor

        kept = [(name, keep) for name in companion.points()]
        companion.copy.final(seen, cache=self._cache, fwd_hooks=kept)
        return x


class _Listen(Intervention):
    """Remembers the residual stream of the roll-outs themselves."""

    def __init__(self, companion: CleanCompanion, name: str) -> None:
        super().__init__(name)
        self.companion = companion

    def forward(self, x: Tensor) -> Tensor:
        self.companion.own[self.hook_name] = x
        return x


class _Held(Intervention):
    """One patch."""

    def __init__(self, companion: CleanCompanion, spot: Spot) -> None:
        super().__init__(follower(spot))
        self.companion, self.spot = companion, spot

    def forward(self, x: Tensor) -> Tensor:
        if self.offset <= self.companion.last:
            return x
        seen, own = self.companion.seen, self.companion.own
        if self.spot.component not in WRITTEN:
            return seen[self.hook_name]
        before = _before(self.spot)
        return own[before] + (seen[self.hook_name] - seen[before])


def _before(spot: Spot) -> str:
    point = WRITTEN.get(spot.component)
    return follower(spot) if point is None else f"blocks.{spot.layer - 1}.hook_resid_{point}"
