"""Configuration of every stage: frozen dataclasses, and nothing that imports torch.

One class a stage, composed into a :class:`Preset`. Defaults are the paper's own
choices (arXiv 2512.20605, Tables A4 to A9) except where a docstring says otherwise;
the presets override sizes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from irl_lens.config.compile import CompileConfig
from irl_lens.config.ranges import Range
from irl_lens.config.rl import CodesRLConfig, InternalRLConfig, RLConfig
from irl_lens.config.value_types import (
    Activation,
    Decay,
    Deviation,
    Epsilon,
    Knots,
    Layer,
    LearningRate,
    LogSigma,
    Rows,
    Schedule,
    Steps,
    Targets,
    Width,
)
from irl_lens.envs.protocol import MAX_HORIZON
from irl_lens.envs.registry import GRID, WorldConfig, world_values


@dataclass(frozen=True)
class BaseConfig:
    """The base sequence model: a causal pre-norm HookedTransformer (paper, Table A4).

    Positions are ALiBi's, which TransformerLens implements and which extrapolates to
    the held-out task's longer episodes; the paper uses T5-like relative biases, which
    HookedTransformer does not offer.
    """

    d_model: Width = 256
    """Width of the residual stream."""
    n_layers: Layer = 6
    """Blocks."""
    n_heads: Annotated[int, Range(1, 256)] = 4
    """Attention heads of a block; they divide ``d_model``."""
    d_mlp: Annotated[int, Range(1, 65_536)] = 512
    """Width of a block's MLP."""
    act_fn: Activation = "relu"
    deviation: Deviation = "state"
    """How wide continuous actions are drawn; discrete ones have no deviation."""
    components: Annotated[int, Range(1, 64)] = 1
    """Normal distributions that continuous actions are a mixture of (the paper's: 1), so that where
    goals part what is drawn is after one of them; see :mod:`irl_lens.models.heads.mixture`."""


@dataclass(frozen=True)
class PretrainConfig:
    """Pretraining of the base model on expert trajectories (paper, Table A4)."""

    steps: Steps = 256_000
    """Steps of the optimiser."""
    batch: Rows = 1024
    """Trajectories a step."""
    chunk: Rows = 64
    """Rows computed at once: a batch is sorted by length and cut into chunks of this
    many rows, each cut to its longest row, so that little padding is computed."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """``muon``: Muon (Jordan 2024) for the blocks' matrices, AdamW for the rest."""
    lr: LearningRate = 3e-4
    """Learning rate."""
    weight_decay: Decay = 0.03
    """Weight decay."""
    betas: Annotated[tuple[float, float], Range(0, 1, below=True)] = (0.9, 0.999)
    """Decay rates of AdamW's two moments."""
    schedule: Schedule = "constant"
    warmup: Steps = 0
    """Steps over which the learning rate rises from zero."""
    targets: Targets = "actions"
    observation_weight: Annotated[float, Range(0, 1e6)] = 0.01
    """Weight of the loss of next observations, beside that of actions."""
    ahead: Annotated[int, Range(1, 1_000)] = 1
    """How many steps ahead observations are predicted (the paper: one). Where an agent will be then
    depends on what it is after, long before it is there."""
    uncertain: Annotated[float, Range(0, 1)] = 0.0
    """How much more steps count at which the base itself is uncertain which continuous action comes
    next: see :meth:`irl_lens.training.pretrain.PretrainJob.weights`."""
    epsilon: Epsilon = 0.0
    """Probability that the expert takes a random non-terminating action; that an ant goes astray, a
    control step (:mod:`irl_lens.envs.ant.straying`)."""
    uses: Annotated[int, Range(1, 64)] = 1
    """How often each batch is trained on: see :mod:`irl_lens.data.reused`."""
    clip: Annotated[float, Range(0, 1e38, above=True)] = 1.0
    """Largest norm of the gradient; a longer one is shortened to it."""
    precision: Literal["float32", "bfloat16", "auto"] = "float32"
    """Of matrix products; ``auto``: bfloat16 where the device has instructions for it."""


@dataclass(frozen=True)
class ControllersConfig:
    """Supervised controllers on the frozen base (paper, App. C.2, Tables A7, A8)."""

    layers: tuple[Layer, ...] = (3,)
    """Each layer l in 1..n_layers has its own controllers at its output; layer 1: ``blocks.0``."""
    label: Literal["subgoal", "visit"] = "subgoal"
    """What there is a controller for: each subgoal, or each visit that it is made of."""
    kind: str = "low-rank"
    """``low-rank``: U of ``rank`` (the paper's grid); ``full``: any U (its ant); ``vector``: a
    vector that is added; or a kind of one's own (:mod:`irl_lens.hooks.controllers.controller`)."""
    rank: Width = 16
    """Rank of U, of ``low-rank`` controllers."""
    steps: Steps = 3_200
    """Steps of the optimiser."""
    batch: Rows = 512
    """Trajectories a step."""
    lr: LearningRate = 1e-3
    """Learning rate."""
    weight_decay: Decay = 0.03
    """Weight decay."""
    init: Annotated[float, Range(0, 1e3)] = 0.1
    """Standard deviation of U e relative to e at initialisation."""
    targets: Targets = "actions"
    schedule: Schedule = "constant"


@dataclass(frozen=True)
class DiscoveryConfig:
    """The metacontroller and its training (paper, section D of the facts, Table A9)."""

    layer: Layer = 3
    """Layer whose output is read and written; layer 1 is ``blocks.0``."""
    history: Width = 32
    """Width of the recurrent block that reads the past."""
    sequence: Width = 32
    """Width of the recurrent block that reads the sequence in the encoder."""
    lookahead: Annotated[int, Range(0, MAX_HORIZON)] = 0
    """Steps of the future that the encoder sees; 0: the whole sequence, as in the paper."""
    stride: Annotated[int, Range(1, MAX_HORIZON)] = 1
    """Every how many-th of these steps it reads: where little changes from step to step, the same
    future is read for less."""
    hidden: Width = 64
    """Width of the hidden layers of encoder and gate."""
    latent: Width = 8
    """Entries of a code."""
    decoder: Literal["hypernetwork", "linear"] = "hypernetwork"
    """What turns a code into U: a ``hypernetwork`` (the paper), or a map ``linear`` in the code."""
    decoder_hidden: Width = 32
    """Width of the hypernetwork's hidden layer."""
    rank: Width = 16
    """Rank of the controllers that the hypernetwork decodes to."""
    gate: Literal["learned", "open"] = "learned"
    """Whether beta is learned, or 1 at every step: no temporal abstraction (the paper's Fig. 8)."""
    steps: Steps = 64_000
    """Steps of the optimiser."""
    batch: Rows = 512
    """Trajectories a step."""
    lr: LearningRate = 1e-3
    """Learning rate of all but base and decoder."""
    decoder_lr: LearningRate | None = None
    """Learning rate of the decoder; that of the rest when None."""
    base_lr: Annotated[float, Range(0, 1e38)] = 0.0
    """Learning rate of the base, trained too from where pretraining left it (the paper's Fig. 7);
    0: it stays frozen."""
    weight_decay: Decay = 0.03
    """Weight decay of all but a linear decoder, which has none."""
    schedule: Schedule = "constant"
    alpha: Knots = ((0.0, 0.17),)
    """KL weight as (fraction of training, alpha) knots, interpolated in log alpha.
    One knot is the paper's constant alpha."""
    log_sigma: LogSigma = 0.0
    """Initial log standard deviation of the encoder."""
    targets: Targets = "actions"
    epsilon: Epsilon = 0.0
    """Probability of a random non-terminating action in the demonstrations that are read; the
    paper's have none. A gate that has never seen a move fail opens where one does."""


@dataclass(frozen=True)
class SwitchesConfig:
    """A gate that knows where the base will be surprised, in place of a metacontroller's.

    Not in the paper; :mod:`irl_lens.training.surprise` says what and why.
    """

    steps: Steps = 0
    """0: a metacontroller discovers switches and codes together, as in the paper."""
    layer: Layer = 1
    """Layer whose output is read; layer 1 is ``blocks.0``."""
    history: Width = 32
    """Width of the recurrent block that reads the past."""
    hidden: Width = 64
    """Width of the gate's hidden layer."""
    batch: Rows = 32
    """Trajectories a step."""
    chunk: Rows = 24
    """Rows that the base runs over at once: a batch is sorted by length and cut into chunks."""
    lr: LearningRate = 5e-3
    """Learning rate."""
    weight_decay: Decay = 0.03
    """Weight decay."""
    schedule: Schedule = "cosine"
    targets: Targets = "policy"
    share: Annotated[float, Range(0, 1, above=True)] = 0.05
    """The steps of a batch that count as surprising: so large a share of all."""
    reach: Annotated[int, Range(1, MAX_HORIZON)] = 4
    """Steps that switches are more than apart."""


@dataclass(frozen=True)
class CodesConfig:
    """Codes learned again, of the segments between the switches that were found before.

    Not in the paper; :mod:`irl_lens.models.segments` says what and why.
    """

    steps: Steps = 0
    """0: the metacontroller keeps its own codes, as in the paper."""
    layer: Layer = 1
    """Layer whose output is read and written; layer 1 is ``blocks.0``."""
    history: Width = 32
    """Width of the recurrent block that reads the past."""
    hidden: Width = 64
    """Width of the encoder's hidden layer."""
    latent: Width = 8
    """Entries of a code."""
    batch: Rows = 64
    """Trajectories a step."""
    lr: LearningRate = 3e-3
    """Learning rate of all but the decoder."""
    decoder_lr: LearningRate = 1e-3
    """Learning rate of the decoder."""
    weight_decay: Decay = 0.03
    """Weight decay of all but the decoder, which has none."""
    schedule: Schedule = "cosine"
    alpha: Knots = ((0.0, 1e-5), (0.5, 3e-4), (1.0, 3e-3))
    """KL weight, as :attr:`DiscoveryConfig.alpha`."""
    log_sigma: LogSigma = -2.0
    """Initial log standard deviation of the encoder."""
    refractory: Annotated[int, Range(0, MAX_HORIZON)] = 0
    """Steps for which the gate stays closed after it opened."""
    explained: Annotated[float, Range(0, 1, above=True)] = 1.0
    """Share of steps that a code is to explain; :mod:`irl_lens.training.explained`."""
    targets: Targets = "policy"
    epsilon: Epsilon = 0.0
    """As :attr:`DiscoveryConfig.epsilon`, of the demonstrations whose segments are read."""
    uses: Annotated[int, Range(1, 64)] = 1
    """How often each batch is trained on: see :mod:`irl_lens.data.reused`."""
    chunk: Rows = 24
    """Rows that the base runs over at once: a batch is sorted by length and cut into chunks."""


@dataclass(frozen=True)
class EvaluationConfig:
    """How much the evaluation samples."""

    trajectories: Annotated[int, Range(1, 16_384)] = 4_096
    """Demonstrations that probes, floors and gates are measured on."""
    rollouts: Annotated[int, Range(1, 65_536)] = 1_024
    """Episodes that success is measured on."""
    probe_iterations: Annotated[int, Range(1, 100_000)] = 100
    """Most L-BFGS iterations of a probe."""


@dataclass(frozen=True)
class Preset:
    """The whole chain's configuration."""

    name: str
    world: WorldConfig = GRID
    base: BaseConfig = field(default_factory=BaseConfig)
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    controllers: ControllersConfig = field(default_factory=ControllersConfig)
    discovery: DiscoveryConfig = field(default_factory=DiscoveryConfig)
    switches: SwitchesConfig = field(default_factory=SwitchesConfig)
    codes: CodesConfig = field(default_factory=CodesConfig)
    internal_rl: InternalRLConfig = field(default_factory=InternalRLConfig)
    raw_rl: RLConfig = field(default_factory=RLConfig)
    compile: CompileConfig = field(default_factory=CompileConfig)
    compile_rl: CodesRLConfig = field(default_factory=CodesRLConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    @property
    def acting_layer(self) -> int:
        """The layer at which codes act."""
        return self.codes.layer if self.codes.steps else self.discovery.layer

    def to_dict(self) -> dict[str, Any]:
        """Returns the configuration as plain JSON-able values."""
        return asdict(self) | {"world": world_values(self.world)}
