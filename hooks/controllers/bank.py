"""Named controllers of one kind, in order, trained, compared and saved as one set.

    e_t <- e_t + U^(g_t) e_t,   g_t the label of row and step, -1 for no control

With the true subgoals for labels: the paper's supervised controllers (arXiv 2512.20605,
App. C.2), one U per abstract subgoal, the true one active at each step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from irl_lens.hooks.combinators.arithmetic import Additive
from irl_lens.hooks.controllers.controller import Controller
from irl_lens.hooks.controllers.stacked import stacked
from irl_lens.hooks.core.address import INTEGERS, Axes, spread
from irl_lens.hooks.core.part import Part


class ControllerBank(Part):
    """Controllers by name, stacked along one leading axis so that they train together.

    It reads like a dictionary, in the order of the names. ``bank[name]`` is a controller
    from supervised training; :func:`irl_lens.hooks.save` and ``load`` take the whole bank.

    Args:
        names: controllers by name, of one kind, hook point and shape, without leading axes:
            gradients reach them. Or names alone, all different, of controllers in ``stack``.
        stack: controllers that are stacked already, leading axes (n,).

    Raises:
        ValueError: there are no controllers, or they differ; names are not as many, or repeat.

    Examples:
        >>> from irl_lens.hooks import VectorController
        >>> up = VectorController(torch.ones(2), "hook")
        >>> list(ControllerBank({"up": up, "still": VectorController.zeros(2, "hook")}))
        ['up', 'still']
        >>> stack = VectorController(torch.tensor([[2.0, 0.0], [0.0, 2.0], [1.0, 2.0]]), "hook")
        >>> bank = ControllerBank(["red", "green", "blue"], stack)
        >>> list(bank), len(bank), bank["green"].v.tolist()
        (['red', 'green', 'blue'], 3, [0.0, 2.0])
        >>> [name for name, controller in bank.items() if controller.spectrum.norm > 2]
        ['blue']
        >>> [(name, round(cosine, 3)) for name, cosine in bank.nearest("green")]
        [('blue', 0.894), ('red', 0.0)]
    """

    def __init__(
        self, names: Mapping[str, Controller] | Iterable[str], stack: Controller | None = None
    ) -> None:
        super().__init__()
        self.names = tuple(names)
        if stack is None:
            stack = stacked(names if isinstance(names, Mapping) else {})
        self.stack = stack
        if stack.lead != (len(self.names),) or len(set(self.names)) != len(self.names):
            raise ValueError(
                f"names {self.names} for controllers stacked {stack.lead}; give one name "
                "to each controller of a single leading axis, all different"
            )

    @classmethod
    def trainable(
        cls,
        kind: type[Controller],
        names: Iterable[str],
        d_model: int,
        hook_name: str,
        *,
        rank: int = 16,
        init: float = 0.1,
        generator: torch.Generator | None = None,
    ) -> Self:
        """Returns controllers to begin training with.

        Args:
            kind: class of the controllers; :func:`~irl_lens.hooks.controller_kind` of a name.
            names: one a controller, all different.
            d_model: width of the stream.
            hook_name: hook point at which they act.
            rank: their rank, in kinds that have one.
            init: |U e| relative to |e|, in kinds that do not begin at zero.
            generator: draws the initial values.

        Examples:
            >>> from irl_lens.hooks import LowRankController
            >>> bank = ControllerBank.trainable(LowRankController, "abc", 64, "hook", rank=4)
            >>> bank.stack.A.shape
            torch.Size([3, 4, 64])
        """
        names = tuple(names)
        stack = kind.trainable(
            d_model, hook_name, rank=rank, init=init, lead=(len(names),), generator=generator
        )
        return cls(names, stack)

    def null(self, seed: int = 0) -> Self:
        """Returns random controllers that change the stream by as much; see `Controller.null`.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> stack = VectorController(torch.tensor([[3.0, 0.0], [0.0, 4.0]]), "hook")
            >>> bank = ControllerBank(["right", "up"], stack).null()
            >>> list(bank), bank.stack.spectrum.norm.round(decimals=4).tolist()
            (['right', 'up'], [3.0, 4.0])
        """
        return type(self)(self.names, self.stack.null(torch.Generator().manual_seed(seed)))

    @property
    def hook_name(self) -> str:
        """Name of the hook point at which the controllers act.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> ControllerBank("abc", VectorController.zeros(64, "hook", lead=(3,))).hook_name
            'hook'
        """
        return self.stack.hook_name

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def keys(self) -> tuple[str, ...]:
        """Returns the names.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> ControllerBank("abc", VectorController.zeros(64, "hook", lead=(3,))).keys()
            ('a', 'b', 'c')
        """
        return self.names

    def values(self) -> tuple[Controller, ...]:
        """Returns the controllers.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> bank = ControllerBank("abc", VectorController.zeros(64, "hook", lead=(3,)))
            >>> [controller.lead for controller in bank.values()]
            [(), (), ()]
        """
        return tuple(self[name] for name in self.names)

    def items(self) -> tuple[tuple[str, Controller], ...]:
        """Returns pairs of name and controller.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> bank = ControllerBank("abc", VectorController.zeros(64, "hook", lead=(3,)))
            >>> [name for name, controller in bank.items()]
            ['a', 'b', 'c']
        """
        return tuple(zip(self.names, self.values(), strict=True))

    def index(self, name: str) -> int:
        """Returns the label of a controller.

        Raises:
            ValueError: the bank has no such controller.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> ControllerBank("abc", VectorController.zeros(64, "hook", lead=(3,))).index("c")
            2
        """
        if name not in self.names:
            raise ValueError(f"no controller is called {name!r}; there are {self.names}")
        return self.names.index(name)

    def __getitem__(self, name: str) -> Controller:
        """Returns one controller, the same at every position, gradients connected."""
        return self.stack.at(self.index(name))

    def nearest(self, query: str | Controller) -> list[tuple[str, float]]:
        """Returns names with cosines, nearest first, equals in the bank's order.

        The metric is :meth:`~irl_lens.hooks.Controller.cosine`: of the matrices U in the
        Frobenius inner product, of added vectors their own.

        Args:
            query: a name of the bank, which is left out then, or a controller like its own.

        Raises:
            ValueError: no such name; a controller of another kind or width, or several.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> stack = VectorController(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), "hook")
            >>> bank = ControllerBank(["right", "left"], stack)
            >>> bank.nearest(VectorController(torch.tensor([3.0, 0.0]), "elsewhere"))
            [('right', 1.0), ('left', -1.0)]
            >>> bank.nearest("left")
            [('right', -1.0)]
        """
        controller = self[query] if isinstance(query, str) else query
        if controller.lead:
            raise ValueError(f"{controller.lead} controllers to compare with; give one, .at(...)")
        pairs = zip(self.names, self.stack.cosine(controller).tolist(), strict=True)
        others = [(name, cosine) for name, cosine in pairs if name != query]
        return sorted(others, key=lambda pair: -pair[1])

    def select(self, labels: Shaped[Tensor, "*lead"]) -> Controller:
        """Returns a batched controller: the one labelled, the zero controller where -1.

        This gathers one controller's tensors per label, [rows, steps, rank, d_model]:
        :meth:`labelled` does the same to the stream without.

        Raises:
            ValueError: a label that is no integer, below -1 or beyond the bank.

        Examples:
            >>> from irl_lens.hooks import LowRankController
            >>> bank = ControllerBank.trainable(LowRankController, "abc", 64, "hook")
            >>> bank.select(torch.tensor([[0, 0, 2], [1, -1, -1]])).lead
            (2, 3)
        """
        self.check_labels(labels)
        return self.stack.at(labels.clamp(min=0), keep=labels >= 0)

    def labelled(self, labels: Shaped[Tensor, "*_"]) -> BankController:
        """Returns the intervention that applies the labelled controller at each position.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> stack = VectorController(torch.tensor([[1.0], [10.0]]), "hook")
            >>> bank = ControllerBank(["one", "ten"], stack)
            >>> bank.labelled(torch.tensor([[1, -1, 0]]))(torch.zeros(1, 3, 1)).flatten().tolist()
            [10.0, 0.0, 1.0]
        """
        return BankController(self, labels)

    def check_labels(self, labels: Tensor) -> None:
        """Raises ValueError unless every label is an integer, -1 or that of a controller.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> bank = ControllerBank("abc", VectorController.zeros(64, "hook", lead=(3,)))
            >>> bank.check_labels(torch.tensor([[0, 2, -1]]))
        """
        if labels.dtype not in INTEGERS:
            raise ValueError(
                f"labels are {labels.dtype}; give integers, -1 for no control, and not a mask"
            )
        if labels.numel() and not -1 <= int(labels.min()) <= int(labels.max()) < len(self):
            raise ValueError(
                f"labels span {int(labels.min())}..{int(labels.max())}; a bank of {len(self)} "
                f"has the labels 0..{len(self) - 1}, and -1 for no control"
            )

    def config(self) -> dict[str, Any]:
        return {"names": list(self.names)}


class BankController(Additive):
    """The labelled controller of a bank at each row and step; nothing at all where -1.

    Every controller is applied to every position and the labelled one kept. With a handful
    of controllers that costs two dense products and [rows, steps, n, rank] memory, far
    less than gathering factors.

    Args:
        bank: the controllers; their gradients flow.
        labels: label of the controller that acts, 0..n-1, -1 for none. One row stands for all
            rows.

    Raises:
        ValueError: labels that are not [rows, steps], below -1 or beyond the bank.

    Examples:
        >>> from irl_lens.hooks import ControllerBank, LowRankController
        >>> bank = ControllerBank.trainable(LowRankController, "ab", 8, "hook", rank=2)
        >>> x = torch.randn(1, 3, 8)
        >>> y = BankController(bank, torch.tensor([[0, -1, 1]]))(x)
        >>> (y != x).any(-1).tolist()
        [[True, False, True]]
    """

    labels: Tensor

    def __init__(self, bank: ControllerBank, labels: Shaped[Tensor, "*_"]) -> None:
        super().__init__(bank.hook_name)
        bank.check_labels(labels)
        if labels.ndim != 2:
            raise ValueError(f"labels are {tuple(labels.shape)}; they must be [rows, steps]")
        self.bank = bank
        self.hold("labels", labels)

    def _windowed_labels(self, x: Tensor) -> Tensor:
        self.bank.stack.check_width(x)
        step = Axes.of(self.hook_name).step
        labels = self.window(spread(self.labels, x[..., 0], (0, step)), x, step)
        return labels.long().expand(x.shape[:-1])

    def delta(self, x: Shaped[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        numbers = torch.arange(len(self.bank), device=x.device)
        weights = self._windowed_labels(x).unsqueeze(-1) == numbers
        return self.bank.stack.mixture(x, weights.to(x.dtype))

    def forward(self, x: Shaped[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        addressed = self._windowed_labels(x).unsqueeze(-1) >= 0
        return torch.where(addressed, x + self.delta(x).to(x.dtype), x)

    def config(self) -> dict[str, Any]:
        return {}
