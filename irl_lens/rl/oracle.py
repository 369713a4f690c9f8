"""Actors that are told the true subgoal: upper bounds on what a policy can do.

:class:`OracleControllers` activates the supervised controller of the true subgoal at
every step (arXiv 2512.20605, Fig. 4 and App. C.2). :class:`OracleCodes` keeps the
metacontroller's own gate and decoder and puts in, when the gate opens, a fixed code of
the true subgoal, such as the mean of the codes that discovery used while that subgoal
was pursued: it fails where the gate misses a boundary, or where the codes do not steer.
"""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from irl_lens.errors import NotOffered
from irl_lens.hooks import ControllerBank, starting_at
from irl_lens.models.acting import GatedActor, SteppedActor
from irl_lens.models.causal import Gated


class _Told(SteppedActor):
    """Takes one label a row before each step, and uses it for that step alone."""

    label = "subgoal"
    _told: Int[Tensor, " rows"] | None = None

    def observe(self, labels: dict[str, Int[Tensor, " rows"]]) -> None:
        """Takes the labels; rows with -1 are over, or left alone.

        Raises:
            NotOffered: The world does not tell them.
        """
        if self.label not in labels:
            raise NotOffered(
                f"the world does not tell which {self.label} is pursued, and "
                f"{type(self).__name__} acts by that; have it put {self.label!r} into the info of "
                "its steps, or give a GymnasiumWorld 'subgoal', a function"
            )
        super().observe(labels)  # the gate of some is told, too
        self._told = labels[self.label]

    def labels(self, x: Tensor) -> Int[Tensor, " rows"]:
        """Returns the labels of this step, once.

        Raises:
            ValueError: There are none, or more than one step.
        """
        self.check_single(x)
        labels, self._told = self._told, None
        if labels is None:
            raise ValueError(
                f"{type(self).__name__} was not told the labels of this step; "
                "a RolloutRunner tells it"
            )
        return labels


class OracleControllers(_Told):
    """The bank's controller of the true subgoal, at every step.

    Args:
        bank: One controller a subgoal, in the order of the environment's labels.
        label: ``"subgoal"`` (abstract) or ``"visit"`` (the finest).
    """

    def __init__(self, bank: ControllerBank, label: str = "subgoal") -> None:
        super().__init__(bank.hook_name)
        self.bank, self.label = bank, label

    def forward(self, x: Float[Tensor, "rows pos d_model"]) -> Float[Tensor, "rows pos d_model"]:
        """Controls one step."""
        controller = self.bank.labelled(self.labels(x)[:, None])
        with starting_at(None):  # the labels are of this step, not of the sequence
            return controller(x)


class OracleCodes(_Told, GatedActor):
    """The true subgoal's code, taken up when the gate opens.

    Args:
        codes: One code an abstract subgoal.
        meta: The frozen metacontroller.
    """

    codes: Tensor

    def __init__(self, codes: Float[Tensor, "subgoals latent"], meta: Gated) -> None:
        super().__init__(meta)
        self.hold("codes", codes.to(meta.device))

    def forward(self, x: Float[Tensor, "rows pos d_model"]) -> Float[Tensor, "rows pos d_model"]:
        """Acts at one step; at ``offset`` 0 new episodes begin."""
        self._active = self.labels(x)
        return super().forward(x)

    def decide(
        self, index: Tensor, residual: Tensor, noise: Tensor
    ) -> tuple[Float[Tensor, "switching latent"], Float[Tensor, " switching"]]:
        """Looks the codes up; nothing is random, so every log-density is 0."""
        # Rows that are over have the label -1, and what they do no longer matters.
        return self.codes[self._active[index].clamp(min=0)], residual.new_zeros(len(index))
