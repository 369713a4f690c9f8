"""What internal RL is compared with: other decoders of its codes, and another gate.

    random controllers      U'(z) = Q U(z)           Q orthogonal, drawn once: |U'(z) e| = |U(z) e|
    supervised controllers  U'(z) = U^(argmax z)     of a bank, so that a policy over z picks one
    true switching          a new code where the true subgoal changes

(arXiv 2512.20605, Fig. 8, has other methods beside internal RL; these bound it from either side.)
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from irl_lens.errors import NotOffered
from irl_lens.hooks import ControllerBank, Decoder
from irl_lens.models.causal import Gated, MetaState


class RotatedDecoder(Decoder):
    """Writes what another decoder does, of the same size, in random directions.

    Args:
        decoder: The other.
        seed: Draws the directions.
    """

    rotation: Tensor

    def __init__(self, decoder: Decoder, seed: int) -> None:
        super().__init__(decoder.n_z, decoder.d_model)
        self.decoder = decoder
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(self.d_model, self.d_model, generator=generator)
        self.hold("rotation", torch.linalg.qr(drawn).Q.contiguous())

    def delta(
        self, z: Float[Tensor, "*batch n_z"], e: Float[Tensor, "*batch d_model"]
    ) -> Float[Tensor, "*batch d_model"]:
        """Returns Q U(z) e."""
        return self.decoder.delta(z, e) @ self.rotation.T


class PickedController(Decoder):
    """The controller of a bank whose number is that of the largest entry of the code.

    Args:
        bank: The controllers.
    """

    def __init__(self, bank: ControllerBank) -> None:
        super().__init__(len(bank), bank.stack.d_model)
        self.bank = bank

    def delta(
        self, z: Float[Tensor, "*batch n_z"], e: Float[Tensor, "*batch d_model"]
    ) -> Float[Tensor, "*batch d_model"]:
        """Returns U^(argmax z) e."""
        picked = self.checked(z).argmax(dim=-1, keepdim=True)
        weights = torch.zeros_like(z).scatter(-1, picked, 1.0)
        return self.bank.stack.mixture(e, weights)


class TrueSwitching(Gated):
    """A gate that is told the true subgoal and opens where another one is pursued.

    Args:
        decoder: Makes controllers of codes.
        hook_name: Hook point that is read and controlled.
        device: Where it acts.
    """

    _told: Int[Tensor, " rows"] | None = None

    def __init__(self, decoder: Decoder, hook_name: str, device: torch.device) -> None:
        super().__init__(decoder)
        self._hook_name, self._device = hook_name, device

    @property
    def hook_name(self) -> str:
        """Hook point that is read and controlled."""
        return self._hook_name

    @property
    def device(self) -> torch.device:
        """Where it acts."""
        return self._device

    def observe(self, labels: dict[str, Int[Tensor, " rows"]]) -> None:
        """Takes the labels of the next step.

        Raises:
            NotOffered: The world does not tell them.
        """
        if "subgoal" not in labels:
            raise NotOffered(
                "the world does not tell which subgoal is pursued, and true switching asks for "
                "that; take --set internal_rl.switching=gate"
            )
        self._told = labels["subgoal"]

    def start(self, rows: int) -> MetaState:
        """No code and no subgoal yet; the history is the subgoal of the step before."""
        zeros = torch.zeros(rows, 1 + self.decoder.n_z, device=self.device)
        return MetaState(zeros[:, :1], zeros[:, 1:], 0)

    def gate(self, stream: Float[Tensor, "rows d_model"], state: MetaState) -> Tensor:
        """1 at the first step and where the subgoal is another one than before, else 0."""
        changed = self._labels(stream) != state.history[:, 0]
        return (changed | (state.steps == 0)).to(stream)

    def advance(
        self,
        stream: Float[Tensor, "rows d_model"],
        state: MetaState,
        code: Float[Tensor, "rows latent"],
    ) -> MetaState:
        """The next step, with the subgoal of this one."""
        return MetaState(self._labels(stream)[:, None].to(stream), code, state.steps + 1)

    def _labels(self, stream: Tensor) -> Tensor:
        if self._told is None or len(self._told) != len(stream):
            raise ValueError("TrueSwitching was not told this step's subgoals; play roll-outs")
        return self._told
