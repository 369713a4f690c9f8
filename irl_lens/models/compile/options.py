"""CompILE's segments as options: a code is drawn, and acts until its termination says stop.

    stop_t = sigmoid(f_stop(x_t, z)),     a new code where stop_t >= 1/2, and at the first step

Its policy and its termination make an option of a code (Sutton et al. 1999; Kipf et al. 2019,
arXiv 1812.01483). That stops are not drawn but come at 1/2, as at the gate of a metacontroller, and
f_stop with one hidden ReLU layer are ours. At step t it reads the code that was in force until
then, so that the next code acts from t on.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from irl_lens.config.compile import CompileConfig
from irl_lens.models.causal import Gated, MetaState
from irl_lens.models.compile.sub_policy import STREAM, CodeInput


class Options(Gated):
    """The codes of CompILE and their termination, to act on its sub-policy.

    Args:
        config: Sizes.
    """

    def __init__(self, config: CompileConfig) -> None:
        super().__init__(CodeInput(config.latent, config.width))
        self.stream = nn.Linear(config.width, config.hidden)
        self.code = nn.Linear(config.latent, config.hidden, bias=False)
        self.out = nn.Linear(config.hidden, 1)

    @property
    def hook_name(self) -> str:
        """Where the code enters the sub-policy."""
        return STREAM

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.out.weight.device

    def stop_logits(
        self, stream: Float[Tensor, "*batch width"], code: Float[Tensor, "*batch latent"]
    ) -> Float[Tensor, "*batch"]:
        """ln stop / (1 - stop) of codes in force, before what is seen is acted on."""
        return self.out(torch.relu(self.stream(stream) + self.code(code))).squeeze(-1)

    def start(self, rows: int) -> MetaState:
        """No code yet, and nothing to remember."""
        zeros = self.out.weight.new_zeros
        return MetaState(zeros(rows, 0), zeros(rows, self.decoder.n_z), 0)

    def gate(self, stream: Float[Tensor, "rows width"], state: MetaState) -> Tensor:
        """stop_t of every row, [rows]; 1 at the first step."""
        if state.steps == 0:
            return stream.new_ones(len(stream))
        return self.stop_logits(stream, state.code).sigmoid()

    def advance(
        self,
        stream: Float[Tensor, "rows width"],
        state: MetaState,
        code: Float[Tensor, "rows latent"],
    ) -> MetaState:
        """The next step, with the code that acted."""
        return MetaState(state.history, code, state.steps + 1)
