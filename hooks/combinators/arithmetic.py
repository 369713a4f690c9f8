"""Arithmetic of interventions at one hook point: scale, add, negate, interpolate, compose.

With delta(x) = f(x) - x, interventions form a vector space: 2 f is x + 2 delta(x), f + g is
x + delta_f(x) + delta_g(x), both seeing the same x. Compose is g(f(x)): g sees what f made
of x. At several hook points there is :class:`~irl_lens.hooks.Together`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from numbers import Real
from typing import Any, Self

import torch
from torch import Tensor

from irl_lens.hooks.core.intervention import Intervention
from irl_lens.hooks.core.part import Part
from irl_lens.hooks.core.spectrum import like, precise


class Operators(Intervention):
    """Interventions that are written ``2 * a``, ``-a``, ``a + b`` and ``a - b``.

    The other summand may be any intervention at the same hook point.

    Examples:
        >>> from irl_lens.hooks import VectorController
        >>> a = VectorController(torch.tensor([1.0, 0.0]), "hook")
        >>> b = VectorController(torch.tensor([0.0, 1.0]), "hook")
        >>> (3 * a - b)(torch.zeros(1, 1, 2)).tolist()
        [[[3.0, -1.0]]]
    """

    def __mul__(self, factor: object) -> Operators:
        return Scale(self, float(factor)) if isinstance(factor, Real) else NotImplemented

    __rmul__ = __mul__

    def __neg__(self) -> Operators:
        return self * -1.0

    def __add__(self, other: object) -> Operators:
        return Sum(self, other) if isinstance(other, Intervention) else NotImplemented

    def __sub__(self, other: object) -> Operators:
        return Sum(self, Scale(other, -1.0)) if isinstance(other, Intervention) else NotImplemented


class Additive(Operators):
    """An intervention that is given by its change: x <- x + delta(x).

    A zero change returns x bit for bit, but for the sign of a negative zero.

    Examples:
        >>> class Double(Additive):
        ...     def delta(self, x):
        ...         return x
        >>> Double("hook")(torch.ones(1, 1, 2)).tolist()
        [[[2.0, 2.0]]]
    """

    @abstractmethod
    def delta(self, x: Tensor) -> Tensor:
        """Returns the change, in the units of `x`.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> VectorController(torch.ones(2), "hook").delta(torch.zeros(1, 1, 2)).tolist()
            [[[1.0, 1.0]]]
        """

    def forward(self, x: Tensor) -> Tensor:
        return like(x + self.delta(x), x)


class Scale(Additive):
    """x <- x + factor delta(x): 0 is no intervention, 1 the intervention, 2 twice its change.

    0 and 1 are x and the intervention to the bit.

    Args:
        inner: the intervention.
        factor: the factor.

    Examples:
        >>> from irl_lens.hooks import AblatePatch
        >>> Scale(AblatePatch("hook"), 0.25)(torch.ones(1, 1, 2)).tolist()
        [[[0.75, 0.75]]]
    """

    def __init__(self, inner: Intervention, factor: float) -> None:
        super().__init__(common_hook((inner,)))
        self.inner = inner
        self.factor = factor

    def delta(self, x: Tensor) -> Tensor:
        return self.factor * self.inner.delta(x)

    def forward(self, x: Tensor) -> Tensor:
        if self.factor == 0:
            return x
        return self.inner(x) if self.factor == 1 else super().forward(x)

    def config(self) -> dict[str, Any]:
        return {"factor": self.factor}


class Several(Operators):
    """An intervention made of any number of others, in order; the base of sums and compositions.

    Args:
        hook_name: hook point at which it acts.
        members: the interventions; the same one may occur twice.

    Examples:
        >>> from irl_lens.hooks import AblatePatch
        >>> len(Sum(*[AblatePatch("hook")] * 2).members)
        2
    """

    def __init__(self, hook_name: str, members: Iterable[Intervention]) -> None:
        super().__init__(hook_name)
        for number, member in enumerate(members):
            self.add_module(str(number), member)

    @property
    def members(self) -> tuple[Intervention, ...]:
        """The interventions, in order.

        Examples:
            >>> from irl_lens.hooks import AblatePatch
            >>> [type(step).__name__ for step in Compose(AblatePatch("hook")).members]
            ['AblatePatch']
        """
        return tuple(m for m in self._modules.values() if isinstance(m, Intervention))

    def config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def restore(
        cls, config: dict[str, Any], tensors: dict[str, Tensor], parts: dict[str, Part]
    ) -> Self:
        return cls(*(parts[name] for name in sorted(parts, key=int)))  # type: ignore[arg-type]


class Sum(Several, Additive):
    """x <- x + sum_i delta_i(x).

    Args:
        *terms: interventions at one hook point.

    Raises:
        ValueError: there is none, or they act at different hook points.

    Examples:
        >>> from irl_lens.hooks import AblatePatch, VectorController
        >>> add = VectorController(torch.tensor([5.0]), "hook")
        >>> Sum(add, AblatePatch("hook"))(torch.full((1, 1, 1), 2.0)).item()
        5.0
    """

    def __init__(self, *terms: Intervention) -> None:
        super().__init__(common_hook(terms), terms)

    def delta(self, x: Tensor) -> Tensor:
        return torch.stack([term.delta(x) for term in self.members]).sum(0)

    def forward(self, x: Tensor) -> Tensor:
        return self.members[0](x) if len(self.members) == 1 else super().forward(x)


class Compose(Several):
    """x <- g(f(x)): one after the other, each seeing what the one before it made.

    Args:
        *steps: interventions at one hook point, the first to act first.

    Raises:
        ValueError: there is none, or they act at different hook points.

    Examples:
        >>> from irl_lens.hooks import AblatePatch, VectorController
        >>> add = VectorController(torch.tensor([5.0]), "hook")
        >>> x = torch.full((1, 1, 1), 2.0)
        >>> Compose(AblatePatch("hook"), add)(x).item(), Compose(add, AblatePatch("hook"))(x).item()
        (5.0, 0.0)
    """

    def __init__(self, *steps: Intervention) -> None:
        super().__init__(common_hook(steps), steps)

    def forward(self, x: Tensor) -> Tensor:
        for step in self.members:
            x = step(x)
        return x


class Interpolate(Operators):
    """x <- (1 - weight) a(x) + weight b(x).

    Args:
        a: the intervention at weight 0, to the bit.
        b: the intervention at weight 1, to the bit.
        weight: beyond 0 and 1 is extrapolation.

    Raises:
        ValueError: they act at different hook points.

    Examples:
        >>> from irl_lens.hooks import VectorController
        >>> a = VectorController(torch.tensor([0.0, 4.0]), "hook")
        >>> b = VectorController(torch.tensor([4.0, 0.0]), "hook")
        >>> Interpolate(a, b, 0.25)(torch.zeros(1, 1, 2)).tolist()
        [[[1.0, 3.0]]]
    """

    def __init__(self, a: Intervention, b: Intervention, weight: float) -> None:
        super().__init__(common_hook((a, b)))
        self.a, self.b, self.weight = a, b, weight

    def forward(self, x: Tensor) -> Tensor:
        return between(self.a(x), self.b(x), self.weight)

    def config(self) -> dict[str, Any]:
        return {"weight": self.weight}


def between(a: Tensor, b: Tensor, weight: float) -> Tensor:
    """Returns (1 - weight) a + weight b, in at least float32 and then in the dtype of `a`.

    At weights 0 and 1 it is `a` and `b` themselves, and of equal infinities it is these.

    Examples:
        >>> between(torch.tensor([0.0, -torch.inf]), torch.tensor([4.0, -torch.inf]), 0.25)
        tensor([1., -inf])
    """
    if weight in (0, 1):
        return b if weight else a
    # As of delta: between minus infinity and itself there is no number.
    mixed = like(torch.lerp(precise(a), precise(b), weight), a)
    return torch.where(a.isinf() & (a == b), a, mixed)


def common_hook(parts: Iterable[Intervention]) -> str:
    """Returns the one hook point at which all the parts act.

    Raises:
        ValueError: there is none, or more than one.

    Examples:
        >>> from irl_lens.hooks import AblatePatch
        >>> common_hook([AblatePatch("hook"), AblatePatch("hook")])
        'hook'
    """
    names = list(dict.fromkeys(name for part in parts for name, _ in part.fwd_hooks()))
    if len(names) != 1:
        raise ValueError(
            f"interventions at {names or 'no hook point'}: only those at one hook point "
            "combine; keep the others beside them with Together"
        )
    return names[0]
