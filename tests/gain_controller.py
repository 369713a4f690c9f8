"""A kind of controller as a user writes it: a gain for each entry of the stream, e <- e + s * e."""

import torch
from torch import nn

from irl_lens.hooks import Controller, FullController


class GainController(Controller, kind="gain"):
    """e <- e + s * e, entry by entry."""

    s: torch.Tensor
    item_axes = 1

    def __init__(self, s, hook_name):
        super().__init__(hook_name)
        self.hold("s", s)

    @classmethod
    def trainable(cls, d_model, hook_name, *, rank=16, init=0.1, lead=(), generator=None):
        return cls(nn.Parameter(torch.zeros(*lead, d_model)), hook_name)

    @property
    def d_model(self):
        return self.s.shape[-1]

    def delta(self, x):
        return self.aligned(self.s, x) * x

    def null(self, generator):
        rotated = self.rotations(generator) @ self.matrix.detach()
        return FullController(rotated, self.hook_name)
