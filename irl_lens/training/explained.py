"""Codes that need not explain every step.

    L_t = -ln [w p(a_t | o_1..t, z_t) + (1 - w) p(a_t | o_1..t)]

with p(a | o) what the frozen base says without control: a mixture in which a step is of its
segment's code with probability w. Where a switch was missed, two legs are one segment, and its
code tells where the second leads. To explain the first by it too, p(a | o, z) would have to leave
room for any other way, and a code would steer only as surely as switches are right. Here a step
that goes another way costs at most -ln(1 - w) more than without control, and codes say what they
say in full. At w = 1 this is -ln p(a | o, z), as in the paper.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from irl_lens.training.parallel import Piece


class Explained(NamedTuple):
    """Bounds what steps may cost by what they cost without control.

    Attributes:
        share: w, in (0, 1): how much of the mixture is under control.
        without: -ln p(a_t | o_1..t) without control [nats].
    """

    share: float
    without: Float[Tensor, "rows steps"]

    def bounded(
        self, nll: Float[Tensor, " tokens"], piece: Piece, mask: Bool[Tensor, "rows steps"]
    ) -> Float[Tensor, " tokens"]:
        """Returns L_t of the valid steps of some rows.

        Args:
            nll: -ln p(a_t | o_1..t, z_t) of these steps [nats].
            piece: First row, end row and steps of the rows.
            mask: True on their steps that happened.
        """
        first, end, steps = piece
        without = self.without[first:end, :steps][mask]
        return -torch.logaddexp(math.log(self.share) - nll, math.log1p(-self.share) - without)
