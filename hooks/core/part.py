"""A module that describes itself in plain values and can be rebuilt from them.

Everything :mod:`irl_lens.hooks.files.save_load` can save is a :class:`Part`: its tensors go to
safetensors, its other constructor arguments (`config`) to the JSON header, and parts
inside parts are described recursively. The one convention: constructor keywords carry the
names of the attributes they set.
"""

from __future__ import annotations

from typing import Any, Self

from torch import Tensor, nn


class Part(nn.Module):
    """A module whose constructor arguments are its tensors, its config and its parts.

    Examples:
        >>> class Above(Part):
        ...     def __init__(self, threshold):
        ...         super().__init__()
        ...         self.threshold = threshold
        ...
        ...     def config(self):
        ...         return {"threshold": self.threshold}
        >>> Above.restore(Above(2.5).config(), tensors={}, parts={}).threshold
        2.5
    """

    def config(self) -> dict[str, Any]:
        """Returns the constructor arguments that are neither tensors nor parts, JSON-able.

        Examples:
            >>> Part().config()
            {}
        """
        return {}

    @classmethod
    def restore(
        cls, config: dict[str, Any], tensors: dict[str, Tensor], parts: dict[str, Part]
    ) -> Self:
        """Rebuilds the part from what `config`, its state dict and its children held.

        Args:
            config: what :meth:`config` returned.
            tensors: own tensors by name; those that were parameters are parameters.
            parts: own parts by attribute name.

        Examples:
            >>> type(Part.restore({}, {}, {})).__name__
            'Part'
        """
        return cls(**config, **tensors, **parts)

    def parts(self) -> dict[str, Part]:
        """Returns the parts directly inside this one, by attribute name.

        Examples:
            >>> outer, inner = Part(), Part()
            >>> outer.first, outer.again = inner, inner
            >>> list(outer.parts())
            ['first', 'again']
        """
        # Not named_children, which leaves out the second place of a part that has two.
        return {name: part for name, part in self._modules.items() if isinstance(part, Part)}

    def hold(self, name: str, tensor: Tensor) -> None:
        """Keeps a tensor as what it is: a parameter stays one, anything else is a buffer.

        A buffer may carry an autograd graph, so gradients reach whatever computed it: a
        bank, a hypernetwork.

        Examples:
            >>> import torch
            >>> part = Part()
            >>> part.hold("v", torch.zeros(2))
            >>> part.hold("w", nn.Parameter(torch.zeros(2)))
            >>> [name for name, _ in part.named_parameters()]
            ['w']
        """
        if isinstance(tensor, nn.Parameter):
            self.register_parameter(name, tensor)
        else:
            self.register_buffer(name, tensor)
