"""Configuration of every stage: frozen dataclasses, and nothing that imports torch.

One class a stage, composed into a :class:`Preset`. Defaults are the paper's own
choices (arXiv 2512.20605, Tables A4 to A9) except where a docstring says otherwise;
the presets override sizes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from irl_lens.envs.worlds import GRID, WorldConfig

Targets = Literal["actions", "policy"]
"""What action logits learn from: the actions drawn (the paper), or the probabilities the expert
drew them from. The expected gradient is the same; the latter's is less noisy."""
Schedule = Literal["constant", "cosine"]
"""Learning rate over training: constant (the paper), or down to zero along half a cosine."""


@dataclass(frozen=True)
class BaseConfig:
    """The base sequence model: a causal pre-norm HookedTransformer (paper, Table A4).

    Positions are ALiBi's, which TransformerLens implements and which extrapolates to
    the held-out task's longer episodes; the paper uses T5-like relative biases, which
    HookedTransformer does not offer.
    """

    d_model: int = 256
    n_layers: int = 6
    n_heads: int = 4
    d_mlp: int = 512
    act_fn: str = "relu"


@dataclass(frozen=True)
class PretrainConfig:
    """Pretraining of the base model on expert trajectories (paper, Table A4)."""

    steps: int = 256_000
    batch: int = 1024
    chunk: int = 64
    """Rows computed at once: a batch is sorted by length and cut into chunks of this
    many rows, each cut to its longest row, so that little padding is computed."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    lr: float = 3e-4
    weight_decay: float = 0.03
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: Schedule = "constant"
    warmup: int = 0
    targets: Targets = "actions"
    observation_weight: float = 0.01
    epsilon: float = 0.0
    """Probability that the expert takes a random non-terminating action."""
    clip: float = 1.0
    precision: Literal["float32", "bfloat16", "auto"] = "float32"


@dataclass(frozen=True)
class ControllersConfig:
    """Supervised controllers on the frozen base (paper, App. C.2, Tables A7, A8)."""

    layers: tuple[int, ...] = (3,)
    """Each layer l in 1..n_layers is one set of controllers at the output of block l."""
    label: Literal["subgoal", "visit"] = "subgoal"
    kind: Literal["low-rank", "full", "vector"] = "low-rank"
    """U of ``rank`` (the paper's grid), a full U (its ant), or a vector that is added."""
    rank: int = 16
    steps: int = 3_200
    batch: int = 512
    lr: float = 1e-3
    weight_decay: float = 0.03
    init: float = 0.1
    """Standard deviation of U e relative to e at initialisation."""
    targets: Targets = "actions"
    schedule: Schedule = "constant"


@dataclass(frozen=True)
class DiscoveryConfig:
    """The metacontroller and its training (paper, section D of the facts, Table A9)."""

    layer: int = 3
    history: int = 32
    sequence: int = 32
    lookahead: int = 0
    """Steps of the future that the encoder sees; 0: the whole sequence, as in the paper."""
    hidden: int = 64
    latent: int = 8
    decoder: Literal["hypernetwork", "linear"] = "hypernetwork"
    decoder_hidden: int = 32
    rank: int = 16
    """Width of the hypernetwork's hidden layer, and rank of what it decodes to."""
    steps: int = 64_000
    batch: int = 512
    lr: float = 1e-3
    decoder_lr: float | None = None
    """Of the decoder; as of the rest when None."""
    base_lr: float = 0.0
    """Of the base, which is then trained too, from where pretraining left it (the paper's Fig. 7);
    0: it stays frozen."""
    weight_decay: float = 0.03
    """Of all but a linear decoder, which has none."""
    schedule: Schedule = "constant"
    alpha: tuple[tuple[float, float], ...] = ((0.0, 0.17),)
    """KL weight as (fraction of training, alpha) knots, interpolated in log alpha.
    One knot is the paper's constant alpha."""
    log_sigma: float = 0.0
    """Initial log standard deviation of the encoder."""
    targets: Targets = "actions"


@dataclass(frozen=True)
class CodesConfig:
    """Codes learned again, of the segments between the metacontroller's switches.

    Not in the paper; :mod:`irl_lens.models.segments` says what and why.
    """

    steps: int = 0
    """0: the metacontroller keeps its own codes, as in the paper."""
    layer: int = 1
    history: int = 32
    hidden: int = 64
    latent: int = 8
    batch: int = 64
    lr: float = 3e-3
    decoder_lr: float = 1e-3
    weight_decay: float = 0.03
    """Of all but the decoder, which has none."""
    schedule: Schedule = "cosine"
    alpha: tuple[tuple[float, float], ...] = ((0.0, 1e-5), (0.5, 3e-4), (1.0, 3e-3))
    """KL weight, as :attr:`DiscoveryConfig.alpha`."""
    log_sigma: float = -2.0
    targets: Targets = "policy"


@dataclass(frozen=True)
class RLConfig:
    """Internal RL, and raw-action RL in the same trainer (paper, App. E)."""

    episodes: int = 102_400_000
    prefix_episodes: int | None = None
    """Of each training on the first subgoals only; as many as on the whole task when None."""
    batch: int = 1024
    lr: float = 3e-5
    weight_decay: float = 0.0
    clip: float = 0.2
    epochs: int = 1
    entropy: float = 0.0
    width: int = 256
    """Width of the policy's recurrent block (internal RL only)."""
    initial_std: float = 1.0
    start: Literal["prior", "posterior"] = "prior"
    """Where the policy over codes starts, with ``initial_std`` its spread in units of: the
    codes' prior N(0, I), or the mean and covariance of the codes of demonstrations."""
    temperature: float = 1.0
    """Temperature of the primitive actions sampled from the base."""
    solvable: bool = True
    """Train on solvable layouts only."""


@dataclass(frozen=True)
class EvaluationConfig:
    """How much the evaluation samples."""

    trajectories: int = 4_096
    rollouts: int = 1_024
    probe_iterations: int = 100
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
    codes: CodesConfig = field(default_factory=CodesConfig)
    internal_rl: RLConfig = field(default_factory=RLConfig)
    raw_rl: RLConfig = field(default_factory=RLConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def to_dict(self) -> dict[str, Any]:
        """Returns the configuration as plain JSON-able values."""
        return asdict(self)
