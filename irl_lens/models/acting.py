"""Hooks that act: they read e_t in a roll-out, decide on a code, and write e_t + U(z) e_t.

Seen from the outside, the environment, the frozen base, its decoder and its switching
unit are one environment with abstract actions z (arXiv 2512.20605, App. E):

    beta_t = f_switch(e_t, h_{t-1}, z_{t-1})              beta_1 = 1, z_0 = 0
    z_t    = a new code if beta_t >= 1/2, else z_{t-1}    held to the bit
    e_t   <- e_t + U(z_t) e_t

:class:`GatedActor` does all of this but the choice of the new code, which a subclass
makes: a policy draws it (:mod:`irl_lens.models.policy`), an oracle looks it up
(:mod:`irl_lens.rl.oracle`). An actor is an :class:`irl_lens.hooks.Intervention` like any
other: it runs in cached roll-outs, one step at a time, and on whole sequences in a plain
TransformerLens forward, with the same result.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor

from irl_lens.hooks import Intervention
from irl_lens.hooks.core.decoding import goes_on, sequence
from irl_lens.models.causal import THRESHOLD, Gated, MetaState
from irl_lens.models.decisions import Decisions


class Actor(Intervention):
    """An intervention that keeps something for each episode while it is rolled out."""

    def observe(self, labels: dict[str, Int[Tensor, " rows"]]) -> None:
        """Told the environment's labels before each step; only oracles listen."""

    def keep(self, index: Int[Tensor, " kept"]) -> None:
        """Drops all rows but ``index``, in that order."""

    def record(self) -> Decisions | None:
        """Returns the decisions made since step 0, if this actor makes any."""
        return None

    def check_window(self, x: Tensor, steps: int, rows: int) -> None:
        """Refuses a window that does not follow on what this actor has seen.

        Args:
            x: The window.
            steps: How many steps it has seen.
            rows: Number of rows.

        Raises:
            ValueError: It begins at another step, has other rows, or another cache.
        """
        begun = self.offset == 0
        if self.offset != steps or len(x) != rows or not (begun or goes_on(self._sequence)):
            raise ValueError(
                f"{type(self).__name__} has acted up to step {steps} in {rows} rows; this window "
                f"begins at step {self.offset} and has {len(x)}, or is of another sequence; run "
                "each sequence from step 0 to its end, window after window"
            )
        self._sequence = sequence()


class SteppedActor(Actor):
    """An actor that is told or keeps something for one step at a time, in roll-outs only."""

    def check_single(self, x: Tensor) -> None:
        """Refuses more than one step.

        Raises:
            ValueError: There are more.
        """
        if x.shape[1] != 1:
            raise ValueError(
                f"{type(self).__name__} acts on one step at a time, and {self.hook_name} carries "
                f"{x.shape[1]}; play it with a RolloutRunner"
            )


class GatedActor(Actor):
    """Takes a new code when the frozen gate opens and holds it until it opens again.

    Args:
        meta: The frozen metacontroller, of which the switching unit, its history and the
            decoder are used.

    Attributes:
        generator: Source of the noise; torch's own when None.
    """

    def __init__(self, meta: Gated) -> None:
        super().__init__(meta.hook_name)
        self.meta = meta
        self.generator: torch.Generator | None = None
        self._state = meta.start(0)
        self._rows = _numbers(self._state)

    def observe(self, labels: dict[str, Int[Tensor, " rows"]]) -> None:
        """Tells the gate of the environment's labels."""
        self.meta.observe(labels)

    def begin(self, rows: int) -> None:
        """Forgets everything and starts ``rows`` episodes."""
        self._episodes, self._state = rows, self.meta.start(rows)
        self._rows = _numbers(self._state)
        self._log: list[tuple[Tensor, ...]] = []

    def keep(self, index: Int[Tensor, " kept"]) -> None:
        """Drops all rows but ``index``, in that order."""
        self._rows, self._state = self._rows[index], self._state.keep(index)

    def record(self) -> Decisions:
        """Returns the decisions made since step 0."""
        columns = (torch.cat(column) for column in zip(*self._log, strict=True))
        return Decisions(*columns).ordered()

    @abstractmethod
    def decide(
        self,
        index: Int[Tensor, " switching"],
        residual: Float[Tensor, "switching d_model"],
        noise: Float[Tensor, "switching latent"],
    ) -> tuple[Float[Tensor, "switching latent"], Float[Tensor, " switching"]]:
        """Chooses new codes.

        Args:
            index: Rows, among those kept, whose gate has opened.
            residual: Their e_t before control.
            noise: Standard normal.

        Returns:
            The codes and their log-densities in nats.
        """

    @torch.no_grad()
    def forward(self, x: Float[Tensor, "rows pos d_model"]) -> Float[Tensor, "rows pos d_model"]:
        """Acts at each position in turn; at ``offset`` 0 new episodes begin."""
        if self.offset == 0:
            self.begin(x.shape[0])
        self.check_window(x, self._state.steps, len(self._rows))
        return torch.stack([self._act(residual) for residual in x.unbind(dim=1)], dim=1)

    def _act(self, residual: Float[Tensor, "rows d_model"]) -> Float[Tensor, "rows d_model"]:
        opened = self.meta.gate(residual, self._state) >= THRESHOLD
        code = self._switch(opened.nonzero()[:, 0], residual)
        self._state = self.meta.advance(residual, self._state, code)
        return residual + self.meta.decoder.delta(code, residual)

    def _switch(self, index: Tensor, residual: Tensor) -> Tensor:
        """Decides for the rows ``index``, and returns the codes now in force in all rows."""
        # Noise for all episodes: what one draws must not depend on which others have ended.
        size = (self._episodes, self.meta.decoder.n_z)
        noise = torch.randn(size, generator=self.generator).to(residual.device)
        if not len(index):
            return self._state.code
        rows, residual = self._rows[index], residual[index]
        codes, log_prob = self.decide(index, residual, noise[rows])
        step = torch.full_like(rows, self._state.steps)
        self._log.append((rows, step, residual, codes, log_prob))
        return self._state.code.index_copy(0, index, codes)


def _numbers(state: MetaState) -> Int[Tensor, " rows"]:
    return torch.arange(len(state.code), device=state.code.device)
