"""What controllers share: e <- e + delta(e), shapes, stacking, and how a kind makes itself known.

A controller's tensors may have leading axes: none (the same for every position), [rows],
or [rows, steps]. The paper's injection e_t <- e_t + U_t e_t (arXiv 2512.20605, section D,
and App. C.2 for supervised controllers) is the [rows, steps] case.

A kind of controller is one class with a name, in a module that somebody imports:

    class GainController(Controller, kind="gain"): ...

It brings its change (`delta`), its width, what is trained (`trainable`) and what it is held
against (`null`). All else has a default for changes that are linear in e, and is overridden where
a kind can do better. From then on it is trained (the setting ``controllers.kind``), saved, loaded,
exported and analysed as those that come with irl-lens; no code ever comes from a file.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from jaxtyping import Float
from torch import Tensor

from irl_lens.hooks.controllers.stacked import Stacked
from irl_lens.hooks.core.spectrum import Spectrum, precise

if TYPE_CHECKING:
    from transformer_lens import FactoredMatrix


class Controller(Stacked):
    """An additive change of the residual stream, linear or constant.

    A zero controller returns its input, as e + 0 (which is e, bit for bit, but for the
    sign of a negative zero).

    Examples:
        >>> from irl_lens.hooks import LowRankController
        >>> controller = LowRankController.random(8, rank=2, hook_name="hook", lead=(3, 5))
        >>> controller.lead, controller.d_model
        ((3, 5), 8)
        >>> controller(torch.zeros(3, 5, 8)).shape
        torch.Size([3, 5, 8])
    """

    kind: ClassVar[str]
    """Name of the kind in settings."""
    ranked: ClassVar[bool] = False
    """Whether its size depends on a rank."""
    constant: ClassVar[bool] = False
    """Whether it adds the same, whatever e is."""

    def __init_subclass__(cls, *, kind: str | None = None, **keywords: Any) -> None:
        """Makes a kind known by its name; a class without one is no kind, a base of some."""
        super().__init_subclass__(**keywords)
        if kind is not None:
            _register(kind, cls)
            cls.kind = kind

    @classmethod
    @abstractmethod
    def trainable(
        cls,
        d_model: int,
        hook_name: str,
        *,
        rank: int = 16,
        init: float = 0.1,
        lead: tuple[int, ...] = (),
        generator: torch.Generator | None = None,
    ) -> Self:
        """Returns controllers to begin training with; their parameters are trained.

        Args:
            d_model: width of the stream.
            hook_name: hook point at which they act.
            rank: their rank, in kinds that have one.
            init: |U e| relative to |e|, in kinds that do not begin at zero.
            lead: leading axes.
            generator: draws the initial values.

        Examples:
            >>> from irl_lens.hooks import FullController
            >>> FullController.trainable(8, "hook", lead=(3,)).U.shape
            torch.Size([3, 8, 8])
        """

    @abstractmethod
    def null(self, generator: torch.Generator) -> Controller:
        """Returns as many random controllers that change the stream by as much: their control.

        For most kinds U' = Q U with Q of :meth:`rotations`: it writes in random directions, at
        every step exactly as much. It may be of another kind. No gradient reaches the original.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> up = VectorController(torch.tensor([0.0, 3.0, 4.0]), "hook")
            >>> up.null(torch.Generator().manual_seed(0)).spectrum.norm.round(decimals=4).item()
            5.0
        """

    @property
    def matrix(self) -> Float[Tensor, "*lead d_model d_model"]:
        """U, acting on column vectors: by default what delta makes of each unit vector.

        Examples:
            >>> from irl_lens.hooks import LowRankController
            >>> A, B = torch.tensor([[0.0, 1.0]]), torch.tensor([[10.0], [0.0]])
            >>> LowRankController(A, B, "hook").matrix
            tensor([[ 0., 10.],
                    [ 0.,  0.]])
        """
        if self.lead:
            return torch.stack([self.at(i).matrix for i in range(self.lead[0])])
        return self.delta(torch.eye(self.d_model).to(next(iter(self.tensors().values())))).mT

    def mixture(
        self, x: Float[Tensor, "*batch d_model"], weights: Float[Tensor, "*batch n"]
    ) -> Float[Tensor, "*batch d_model"]:
        """Returns sum_n weights_n delta_n(x), reading the leading axis as n controllers.

        One-hot weights choose a controller per position without gathering one matrix per
        position.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> two = VectorController(torch.tensor([[1.0], [10.0]]), "hook")
            >>> two.mixture(torch.zeros(1), torch.tensor([3.0, 2.0])).item()
            23.0
        """
        changes = torch.stack([self.at(n).delta(x) for n in range(self.lead[0])], dim=-1)
        return (changes @ weights.unsqueeze(-1)).squeeze(-1)

    def inner(self, other: Self) -> Float[Tensor, "*lead"]:
        """Returns <U, U'>, the sum over all entries of their product, leads broadcast.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> v = VectorController(torch.tensor([3.0, 4.0]), "hook")
            >>> v.inner(v).item()
            25.0
        """
        return (precise(self.matrix) * precise(other.matrix)).sum((-2, -1))

    @property
    def spectrum(self) -> Spectrum:
        """Singular values, what is read and written, norm and effective rank.

        Examples:
            >>> from irl_lens.hooks import FullController
            >>> twice = FullController(torch.eye(4), "hook").spectrum
            >>> twice.norm.item(), round(twice.effective_rank.item(), 4)
            (2.0, 4.0)
        """
        return Spectrum.of(self.matrix)

    @property
    def factored(self) -> FactoredMatrix:
        """The change as TransformerLens' FactoredMatrix, which composes with its weights.

        It multiplies rows from the left: ``e @ factored.AB`` is U e. Of U^T, the left singular
        vectors ``factored.U`` are what U reads, the right ones ``factored.V`` what it writes;
        see :attr:`spectrum`.

        Examples:
            >>> from irl_lens.hooks import FullController
            >>> FullController(torch.tensor([[0.0, 1.0], [0.0, 0.0]]), "hook").factored.AB
            tensor([[0., 0.],
                    [1., 0.]])
        """
        from transformer_lens import FactoredMatrix

        U = self.matrix
        return FactoredMatrix(U.mT, torch.eye(self.d_model).to(U))

    def exported(self) -> tuple[str, dict[str, Tensor]]:
        """Returns what to write instead of ``e``, in plain torch, and the tensors it names.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> VectorController(torch.ones(2), "hook").exported()
            ('e + v', {'v': tensor([1., 1.])})
        """
        return "e + e @ U.mT", {"U": self.matrix}

    @classmethod
    def title(cls, rank: int) -> str:
        """Returns what figures call controllers of this kind and rank.

        Examples:
            >>> from irl_lens.hooks import FullController, LowRankController
            >>> LowRankController.title(4), FullController.title(4)
            ('rank 4', 'full matrix')
        """
        return f"{cls.kind}, rank {rank}" if cls.ranked else cls.kind

    @classmethod
    def n_weights(cls, d_model: int, rank: int) -> int:
        """Returns how many numbers of one controller are trained; nothing is allocated.

        Examples:
            >>> from irl_lens.hooks import LowRankController
            >>> LowRankController.n_weights(d_model=64, rank=4)
            512
        """
        with torch.device("meta"):
            one = cls.trainable(d_model, "", rank=rank)
        return sum(parameter.numel() for parameter in one.parameters())

    def rotations(self, generator: torch.Generator) -> Float[Tensor, "*lead d_model d_model"]:
        """Returns a random rotation for each controller.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> Q = VectorController.zeros(8, "hook").rotations(torch.Generator().manual_seed(0))
            >>> torch.allclose(Q @ Q.mT, torch.eye(8), atol=1e-5)
            True
        """
        drawn = torch.randn(*self.lead, self.d_model, self.d_model, generator=generator)
        return torch.linalg.qr(drawn).Q.to(next(iter(self.tensors().values())))

    def cosine(self, other: Self) -> Float[Tensor, "*lead"]:
        """Returns <U, U'> / (|U| |U'|), Frobenius; of added vectors, their cosine.

        It belongs to the change U alone, not to the factors it is written in. With a zero
        controller it is 0, and so is its gradient. Leading axes broadcast.

        Raises:
            ValueError: another kind of controller, or another width.

        Examples:
            >>> from irl_lens.hooks import FullController
            >>> one = FullController(torch.eye(4), "hook")
            >>> two = FullController(torch.stack([-2 * torch.eye(4), torch.eye(4).flip(0)]), "hook")
            >>> one.cosine(two).tolist()
            [-1.0, 0.0]
        """
        if type(other) is not type(self) or other.d_model != self.d_model:
            raise ValueError(
                f"a {type(self).__name__} {self.d_model} wide and a {type(other).__name__} "
                f"{other.d_model} wide; only controllers of one kind and width are compared"
            )
        squares = [of.inner(of).clamp(min=0) for of in (self, other)]
        some = (squares[0] != 0) & (squares[1] != 0)
        # Neither a root of 0 nor a division by it: where not taken, their gradients are NaN too.
        one, two = (torch.where(some, square, 1).sqrt() for square in squares)
        return torch.where(some, self.inner(other) / (one * two), 0).clamp(-1, 1)


_KINDS: dict[str, type[Controller]] = {}


def controller_kinds() -> dict[str, type[Controller]]:
    """Returns the kinds of controller by name, in the order in which they became known.

    Examples:
        >>> import irl_lens.hooks
        >>> list(controller_kinds())[:3]
        ['full', 'low-rank', 'vector']
    """
    return dict(_KINDS)


def controller_kind(name: str) -> type[Controller]:
    """Returns a kind of controller.

    Raises:
        ValueError: there is none of that name.

    Examples:
        >>> controller_kind("low-rank").__name__
        'LowRankController'
        >>> controller_kind("lowrank")
        Traceback (most recent call last):
        ValueError: no kind of controller 'lowrank' is known; ...
    """
    if name not in _KINDS:
        raise ValueError(
            f"no kind of controller {name[:60]!r} is known; take {', '.join(_KINDS)}, or import "
            'the module that defines yours, class Mine(Controller, kind="...")'
        )
    return _KINDS[name]


def _register(kind: str, controller: type[Controller]) -> None:
    """Files know the class by its own name, settings by its kind: both are to be unique."""
    if not kind.replace("-", "_").isidentifier():
        raise ValueError(f"a kind of controller called {kind!r}; take letters, digits, - and _")
    for name, known in _KINDS.items():
        # A cell of a notebook that is run again makes its class anew.
        if _origin(known) == _origin(controller):
            continue
        if name == kind or known.__name__ == controller.__name__:
            raise ValueError(
                f"{controller.__name__}, kind {kind!r}: {known.__module__} has {known.__name__}, "
                f"kind {name!r}; give yours another name and kind"
            )
    _KINDS[kind] = controller


def _origin(controller: type[Controller]) -> tuple[str, str]:
    return controller.__module__, controller.__qualname__
