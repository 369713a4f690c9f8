"""The decisions of a batch of roll-outs: all that an update of the policy needs.

A decision is one switch of the gate: the residual read there, the code drawn, and its
log-probability at that time. Decisions are kept flat, in the order they were made, so
that nothing is stored for the many steps between switches; they are padded into
sequences only when a recurrent policy reads them again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Decisions:
    """Flat record of every decision, ordered by step and then by episode.

    Attributes:
        rows: Episode of each decision, ``[decisions]``.
        steps: Step of the episode at which it was made.
        residuals: e_t before control.
        codes: The code drawn, held until the episode's next decision.
        log_probs: Log-density of the code when it was drawn, in nats.
    """

    rows: Int[Tensor, " decisions"]
    steps: Int[Tensor, " decisions"]
    residuals: Float[Tensor, "decisions d_model"]
    codes: Float[Tensor, "decisions latent"]
    log_probs: Float[Tensor, " decisions"]

    @classmethod
    def join(cls, parts: Sequence[Decisions], episodes: Sequence[int]) -> Decisions:
        """Returns the decisions of all ``parts``, their episodes numbered on.

        Args:
            parts: Decisions of batches of episodes.
            episodes: Number of episodes of each batch.
        """
        names = [field.name for field in fields(cls)]
        columns = {name: torch.cat([getattr(part, name) for part in parts]) for name in names}
        numbers = columns["rows"].new_tensor
        first = numbers([0, *episodes[:-1]]).cumsum(0)
        columns["rows"] += first.repeat_interleave(numbers([len(p.rows) for p in parts]))
        return cls(**columns).ordered()

    def ordered(self) -> Decisions:
        """Returns them by step, and those of a step by episode."""
        return self._take((self.steps * (self.rows.max() + 1) + self.rows).argsort())

    def where(self, mask: Bool[Tensor, "rows steps"]) -> Decisions:
        """Returns the decisions made at steps that are True in ``mask``."""
        return self._take(mask.to(self.rows.device)[self.rows, self.steps])

    def select(self, episodes: Int[Tensor, " kept"]) -> Decisions:
        """Returns the decisions of some episodes, numbered anew in the order given."""
        numbers = self.rows.new_full((int(self.rows.max()) + 1,), -1)
        numbers[episodes.to(numbers.device)] = torch.arange(len(episodes), device=numbers.device)
        kept = self._take(numbers[self.rows] >= 0)
        return replace(kept, rows=numbers[kept.rows])

    def _take(self, kept: Bool[Tensor, " decisions"] | Int[Tensor, " kept"]) -> Decisions:
        return Decisions(*(getattr(self, field.name)[kept] for field in fields(self)))

    def switches(self, rows: int, steps: int) -> Bool[Tensor, "rows steps"]:
        """Marks where decisions were made."""
        marked = torch.zeros(rows, steps, dtype=torch.bool, device=self.rows.device)
        marked[self.rows, self.steps] = True
        return marked

    def held(self, rows: int, steps: int) -> Float[Tensor, "rows steps latent"]:
        """Returns the code in force at every step, bit for bit as drawn.

        After the end of an episode its last code is repeated.
        """
        index = torch.zeros(rows, steps, dtype=torch.long, device=self.rows.device)
        index[self.rows, self.steps] = torch.arange(len(self.rows), device=self.rows.device)
        # Decisions are ordered by step, so within a row the latest has the largest index.
        return self.codes[index.cummax(dim=1).values]

    def chunks(self, size: int) -> list[DecisionSequences]:
        """Pads the decisions into sequences, at most ``size`` decisions at once with the padding.

        Episodes are sorted by their number of decisions, and each chunk is as long as its
        longest, so that next to no padding is computed; a single episode may be longer than
        ``size``. The longest come first: whoever computes several at a time ends sooner that way.
        """
        order = self.rows.argsort(stable=True)
        counts = self.rows.bincount()
        starts = counts.cumsum(0) - counts
        left = counts.argsort(stable=True, descending=True)[: int((counts > 0).sum())]
        chunks = []
        while len(left):
            rows, left = left.tensor_split([max(1, size // int(counts[left[0]]))])
            chunks.append(self._padded(order, rows, starts[rows], counts[rows]))
        return chunks

    def _padded(
        self, order: Tensor, rows: Tensor, starts: Tensor, counts: Tensor
    ) -> DecisionSequences:
        places = torch.arange(int(counts.max()), device=rows.device)
        mask = places < counts[:, None]
        index = order[(starts[:, None] + places).where(mask, starts[:, None])]
        return DecisionSequences(
            rows, mask, self.residuals[index], self.codes[index], self.log_probs[index]
        )


@dataclass(frozen=True)
class DecisionSequences:
    """Decisions of some episodes, padded on the right with repeats of the first.

    Attributes:
        rows: Which episodes, ``[episodes]``.
        mask: True on decisions, ``[episodes, decisions]``.
        residuals: See :class:`Decisions`.
        codes: See :class:`Decisions`.
        log_probs: See :class:`Decisions`.
    """

    rows: Int[Tensor, " episodes"]
    mask: Bool[Tensor, "episodes decisions"]
    residuals: Float[Tensor, "episodes decisions d_model"]
    codes: Float[Tensor, "episodes decisions latent"]
    log_probs: Float[Tensor, "episodes decisions"]
