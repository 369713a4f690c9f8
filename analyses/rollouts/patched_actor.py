"""An actor whose parts can be patched while it acts.

    beta_t = f_switch(e_t, h_{t-1}, z_{t-1})               part "residual" is e_t,
    z_t    = a new code if beta_t >= 1/2, else z_{t-1}     "gate" whether beta_t >= 1/2,
    e_t   <- e_t + U(z_t) e_t                              "z" is z_t, "U" only U's argument

As :class:`irl_lens.models.acting.GatedActor`, with every new code known beforehand: so two runs
differ by their patch alone. A patched z is held until the gate next opens; a patched U, e_t or
gate is for the patched steps only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from irl_lens.analyses.rollouts.paired_effects import Steps
from irl_lens.arrays import NDArray
from irl_lens.hooks import Intervention
from irl_lens.models.acting import Actor, SteppedActor
from irl_lens.models.causal import THRESHOLD, CausalHalf

Table = Int[NDArray[np.int64], "n steps"]
Part = Literal["gate", "z", "U", "residual"]
PARTS: tuple[Part, ...] = ("gate", "z", "U", "residual")


@dataclass(frozen=True)
class Edit:
    """What to put in the place of one part.

    Attributes:
        part: The part of the metacontroller.
        where: Rows and steps.
        value: One a row: whether the gate is open, a code, or a residual.
    """

    part: Part
    where: Bool[Tensor, "n steps"]
    value: Tensor

    def to(self, device: torch.device) -> Edit:
        """The same on a device."""
        return replace(self, where=self.where.to(device), value=self.value.to(device))


@dataclass(frozen=True)
class Recording:
    """What each part was, patches included; zeros where nothing was computed."""

    gate: Bool[Tensor, "n steps"]
    z: Float[Tensor, "n steps latent"]
    residual: Float[Tensor, "n steps d_model"]


class PatchedActor(SteppedActor):
    """Takes a given code whenever its gate opens.

    Args:
        meta: The metacontroller.
        codes: The code each row takes up if its gate opens at a step.
        edit: What to patch; nothing if not given.
    """

    def __init__(
        self,
        meta: CausalHalf,
        codes: Float[Tensor, "n steps latent"],
        edit: Edit | None = None,
    ) -> None:
        super().__init__(meta.hook_name)
        self.meta, self.codes = meta, codes.to(meta.device)
        self.edit = edit and edit.to(meta.device)
        self._rows, self._state = _all_rows(self.codes[:0]), meta.start(0)

    def keep(self, index: Int[Tensor, " kept"]) -> None:
        """Drops all rows but ``index``, in that order."""
        self._rows, self._state = self._rows[index], self._state.keep(index)

    def recording(self) -> Recording:
        """Returns what happened since step 0, on the CPU."""
        recorded = self._recording
        return Recording(recorded.gate.cpu(), recorded.z.cpu(), recorded.residual.cpu())

    @torch.no_grad()
    def forward(self, x: Float[Tensor, "rows 1 d_model"]) -> Float[Tensor, "rows 1 d_model"]:
        """Acts at one step; at ``offset`` 0 new episodes begin."""
        self.check_single(x)
        if self.offset == 0:
            self._begin(x)
        self.check_window(x, self._state.steps, len(self._rows))
        residual = self._patched("residual", x[:, 0])
        opened = self._patched("gate", self.meta.gate(residual, self._state) >= THRESHOLD)
        proposed = self.codes[self._rows, self.offset]
        code = self._patched("z", torch.where(opened[:, None], proposed, self._state.code))
        self._state = self.meta.advance(residual, self._state, code)
        self._record(opened, code, residual)
        change = self.meta.decoder.delta(self._patched("U", code), residual)
        return (residual + change)[:, None]

    def _begin(self, x: Tensor) -> None:
        n, steps = self.codes.shape[:2]
        self._rows, self._state = _all_rows(self.codes), self.meta.start(n)
        self._recording = Recording(
            x.new_zeros(n, steps, dtype=torch.bool),
            torch.zeros_like(self.codes),
            x.new_zeros(n, steps, x.shape[-1]),
        )

    def _patched(self, part: Part, own: Tensor) -> Tensor:
        if self.edit is None or self.edit.part != part:
            return own
        where = self.edit.where[self._rows, self.offset]
        return torch.where(where.view(-1, *[1] * (own.ndim - 1)), self.edit.value[self._rows], own)

    def _record(self, opened: Tensor, code: Tensor, residual: Tensor) -> None:
        at = self._rows, self.offset
        self._recording.gate[at], self._recording.z[at] = opened, code
        self._recording.residual[at] = residual


class HeldCode(SteppedActor):
    """Holds one code in each row from a step on, without a gate; the base is alone before.

    Args:
        meta: Whose decoder and layer are used.
        codes: One a row.
        since: The step of each row.
    """

    def __init__(
        self,
        meta: CausalHalf,
        codes: Float[Tensor, "n latent"],
        since: Int[Tensor, " n"],
    ) -> None:
        super().__init__(meta.hook_name)
        self.meta, self.codes, self.since = meta, codes.to(meta.device), since.to(meta.device)
        self._rows, self._steps = _all_rows(self.codes[:0]), 0

    def keep(self, index: Int[Tensor, " kept"]) -> None:
        """Drops all rows but ``index``, in that order."""
        self._rows = self._rows[index]

    @torch.no_grad()
    def forward(self, x: Float[Tensor, "rows 1 d_model"]) -> Float[Tensor, "rows 1 d_model"]:
        """Acts at one step; at ``offset`` 0 new episodes begin."""
        self.check_single(x)
        if self.offset == 0:
            self._rows, self._steps = _all_rows(self.codes), 0
        self.check_window(x, self._steps, len(self._rows))
        self._steps += 1
        active = self.since[self._rows] <= self.offset
        change = self.meta.decoder.delta(self.codes[self._rows], x[:, 0])
        return torch.where(active[:, None], x[:, 0] + change, x[:, 0])[:, None]


class Everywhere(Actor):
    """An intervention that is the same for all rows and steps, as an actor.

    Args:
        inner: The intervention.
    """

    def __init__(self, inner: Intervention) -> None:
        super().__init__(inner.hook_name)
        self.inner = inner

    def forward(self, x: Float[Tensor, "rows 1 d_model"]) -> Float[Tensor, "rows 1 d_model"]:
        """Acts at one step."""
        return self.inner(x)


def _all_rows(codes: Tensor) -> Int[Tensor, " n"]:
    return torch.arange(len(codes), device=codes.device)


def in_force(drawn: Table, gate: np.ndarray, at: Steps) -> Steps:
    """What was drawn where the gate last opened before a step; at step 0, what is drawn there.

    Args:
        drawn: Numbers, ``[n, steps]``.
        gate: Where it opened.
        at: The step of each row.
    """
    steps = np.arange(drawn.shape[1])
    before = gate & (steps < at[:, None])
    last = np.where(before, steps, 0).max(axis=1)
    return drawn[np.arange(len(drawn)), last]
