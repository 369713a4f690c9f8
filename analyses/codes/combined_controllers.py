"""One controller and its negation, and two controllers combined: what agents do under them.

See :mod:`irl_lens.analyses.codes.algebra` for the equations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from irl_lens.analyses.codes.matrix_algebra import (
    commutator,
    composition,
    matrix,
    order_in_stream,
    rotated,
)
from irl_lens.analyses.rollouts.paired_effects import Effect, compare
from irl_lens.analyses.rollouts.patched_actor import Everywhere
from irl_lens.analyses.rollouts.taskless import Course, Field
from irl_lens.analyses.stats.estimates import Estimate, proportion
from irl_lens.envs.trajectories import Trajectories
from irl_lens.hooks import CodeController, Compose, Intervention, Scale, Sum
from irl_lens.models.causal import CausalHalf

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Single:
    """One subgoal's controller.

    Attributes:
        name: Of the subgoal.
        alone: Share that reaches it first with the base alone.
        on: The controller against the base alone; p adjusted for all subgoals, as in negated.
        negated: Its negation against the base alone.
    """

    name: str
    alone: Estimate
    on: Effect
    negated: Effect


@dataclass(frozen=True)
class Pair:
    """Controllers of two subgoals.

    Attributes:
        names: Of the subgoals g and h.
        mixed: Share that reaches g first and h first, at each weight of h.
        added: The same with the sum.
        commutator: Norm, see :mod:`irl_lens.analyses.codes.matrix_algebra`.
        commutator_null: Mean with h's controller rotated.
        composition: Of g then h, and of h then g.
        composition_null: Mean with h's controller rotated, g then h.
        stream: |difference of the two orders| / |e|, mean over steps of demonstrations.
        order: h last against g last, and how often h is reached first; p adjusted for all pairs.
    """

    names: tuple[str, str]
    mixed: tuple[tuple[Estimate, Estimate], ...]
    added: tuple[Estimate, Estimate]
    commutator: float
    commutator_null: float
    composition: tuple[float, float]
    composition_null: float
    stream: Estimate
    order: Effect


@dataclass(frozen=True)
class Combiner:
    """Combines controllers and lets agents roam under what comes of it.

    Attributes:
        field: Boards, base and noise.
        meta: The metacontroller whose decoder makes controllers of codes.
        codes: Mean code of each subgoal.
        alone: What agents do with the base alone, on the same boards.
        demonstrations: Demonstrations on whose stream the two orders are compared.
    """

    field: Field
    meta: CausalHalf
    codes: dict[int, Float[Tensor, " latent"]]
    alone: Course
    demonstrations: Trajectories

    def single(self, g: int) -> Single:
        """One controller and its negation."""
        reached = proportion(self.alone.reached[:, 0] == g)
        on = self._roam(self._controller(self.codes[g]))
        negated = self._roam(Scale(self._controller(self.codes[g]), -1.0))
        effects = (self._effect(self.alone, course, g) for course in (on, negated))
        return Single(self.field.world.subgoal_names[g], reached, *effects)

    def pair(self, g: int, h: int, seed: int, draws: int) -> Pair:
        """Everything made of two."""
        one, two = self.codes[g], self.codes[h]
        mixtures = [self._controller(torch.lerp(one, two, weight)) for weight in WEIGHTS]
        a, b = self._controller(one), self._controller(two)
        u, v = (matrix(self.meta, code) for code in (one, two))
        generator = torch.Generator().manual_seed(seed)
        others = [rotated(v, generator) for _ in range(draws)]
        names = self.field.world.subgoal_names
        return Pair(
            (names[g], names[h]),
            tuple(self._rates(self._roam(mixture), g, h) for mixture in mixtures),
            self._rates(self._roam(Sum(a, b)), g, h),
            commutator(u, v),
            mean_or_nan([commutator(u, other) for other in others]),
            (composition(u, v), composition(v, u)),
            mean_or_nan([composition(u, other) for other in others]),
            order_in_stream(self.field.base, self.meta.layer, u, v, self.demonstrations),
            self._effect(self._roam(Compose(b, a)), self._roam(Compose(a, b)), h),
        )

    def _controller(self, code: Float[Tensor, " latent"]) -> CodeController:
        codes = code.expand(1, self.field.world.horizon, -1)
        return CodeController(self.meta.decoder, codes, self.meta.hook_name)

    def _roam(self, hook: Intervention) -> Course:
        return self.field.roam(Everywhere(hook))

    def _rates(self, course: Course, g: int, h: int) -> tuple[Estimate, Estimate]:
        return proportion(course.reached[:, 0] == g), proportion(course.reached[:, 0] == h)

    def _effect(self, clean: Course, patched: Course, wanted: int) -> Effect:
        n = self.field.rows
        return compare(clean, patched, np.zeros(n, int), np.full(n, wanted), np.ones(n, bool))


def mean_or_nan(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else np.nan
