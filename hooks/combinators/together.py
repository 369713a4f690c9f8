"""Interventions at several hook points as one: x_p <- f_p(x_p) at each hook point p."""

from __future__ import annotations

import re
from collections.abc import Callable
from numbers import Real

from torch import Tensor

from irl_lens.hooks.combinators.arithmetic import Scale, Several
from irl_lens.hooks.core.address import Indices, indices
from irl_lens.hooks.core.attach import HookFunction
from irl_lens.hooks.core.intervention import Intervention


class Together(Several):
    """Any number of interventions, one a hook point, attached, saved and shifted as one.

    It has no single tensor to act on: attach it, or take its ``fwd_hooks()``. A set of one
    is that one, and combines with others at its hook point. ``2 * x`` scales every part.

    Args:
        *parts: the interventions; a set among them stands for its parts.

    Raises:
        ValueError: two act at one hook point.

    Examples:
        >>> from irl_lens.hooks import AblatePatch
        >>> both = Together(*(AblatePatch(f"blocks.{n}.hook_mlp_out") for n in range(2)))
        >>> [name for name, _ in both.fwd_hooks()]
        ['blocks.0.hook_mlp_out', 'blocks.1.hook_mlp_out']
    """

    def __init__(self, *parts: Intervention) -> None:
        sets = [part.members if isinstance(part, Together) else (part,) for part in parts]
        members = [member for members in sets for member in members]
        names = [name for member in members for name, _ in member.fwd_hooks()]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"several interventions at {', '.join(twice)}; make them one first, with "
                "Compose, where the order counts, or Sum"
            )
        super().__init__(", ".join(names), members)

    def fwd_hooks(self) -> list[tuple[str, HookFunction]]:
        return [hook for member in self.members for hook in member.fwd_hooks()]

    def forward(self, x: Tensor) -> Tensor:
        if len(self.members) != 1:
            raise TypeError(
                f"{len(self.members)} interventions, at {self.hook_name or 'no hook point'}, "
                "act on no single tensor; attach them, or use fwd_hooks()"
            )
        return self.members[0](x)

    def __mul__(self, factor: object) -> Together:
        if not isinstance(factor, Real):
            return NotImplemented
        return self.each(lambda member: Scale(member, float(factor)))

    __rmul__ = __mul__

    def each(self, change: Callable[[Intervention], Intervention]) -> Together:
        """Returns the set with every intervention changed, such as masked.

        Examples:
            >>> from irl_lens.hooks import AblatePatch, Mask
            >>> both = Together(AblatePatch("blocks.0.hook_mlp_out"), AblatePatch("hook_embed"))
            >>> first = both.each(lambda member: Mask(member, steps=[0]))
            >>> [type(member).__name__ for member in first.members]
            ['Mask', 'Mask']
        """
        return Together(*(change(member) for member in self.members))

    def in_layers(self, layers: Indices) -> Together:
        """Returns what acts in these layers: a mask over layers.

        Args:
            layers: numbers from 1 on: layer 1 is TransformerLens' ``blocks.0``, up to its output
                ``blocks.0.hook_resid_post``. So the layers of a run's controllers are counted.

        Raises:
            ValueError: nothing acts in one of them, or one is 0.

        Examples:
            >>> from irl_lens.hooks import AblatePatch
            >>> every = Together(*(AblatePatch(f"blocks.{n}.hook_mlp_out") for n in range(4)))
            >>> every.in_layers([2, 4]).hook_name
            'blocks.1.hook_mlp_out, blocks.3.hook_mlp_out'
        """
        wanted, found = set(indices("layer", layers)), [_layer(member) for member in self.members]
        if 0 in wanted:
            raise ValueError("layer 0: layers are counted from 1, which is blocks.0; add 1")
        if not wanted <= set(found):
            raise ValueError(
                f"nothing acts in layers {sorted(wanted.difference(found))}; there is "
                f"{self.hook_name or 'nothing'}"
            )
        pairs = zip(self.members, found, strict=True)
        return Together(*(member for member, layer in pairs if layer in wanted))


def _layer(intervention: Intervention) -> int | None:
    found = re.match(r"blocks\.(\d+)\.", intervention.hook_name)
    return int(found[1]) + 1 if found else None
