"""A tiny language model, a bare hooked module, and one intervention of every kind."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from transformer_lens import HookedRootModule, HookedTransformer, HookedTransformerConfig
from transformer_lens.hook_points import HookPoint

from irl_lens.hooks import (
    AblatePatch,
    CodeController,
    Compose,
    ControllerBank,
    FullController,
    HypernetworkDecoder,
    Interpolate,
    InterpolatePatch,
    Intervention,
    LinearDecoder,
    LowRankController,
    Mask,
    ProjectOut,
    ReplacePatch,
    Scale,
    Sequence,
    SubspacePatch,
    Sum,
    Together,
    TransplantPatch,
    VectorController,
)

D, ROWS, STEPS, RANK = 16, 3, 6, 4
HOOK = "blocks.1.hook_resid_post"
LABELS = torch.tensor([[0, 0, 1, 1, -1, 2], [-1] * 6, [2, 1, 0, -1, -1, 0]])


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def trained(*shape: int) -> nn.Parameter:
    return nn.Parameter(random(*shape))


def vector(*lead: int) -> VectorController:
    return VectorController(trained(*lead, D), HOOK)


def low_rank(*lead: int, seed: int = 0) -> LowRankController:
    generator = torch.Generator().manual_seed(seed)
    return LowRankController.random(D, RANK, HOOK, 0.5, lead=lead, generator=generator)


def bank() -> ControllerBank:
    generator = torch.Generator().manual_seed(1)
    return ControllerBank.trainable(
        LowRankController, "abc", D, HOOK, rank=RANK, init=0.5, generator=generator
    )


def full() -> LinearDecoder:
    decoder = LinearDecoder(5, D)
    torch.nn.init.normal_(decoder.matrices, std=0.1, generator=torch.Generator().manual_seed(2))
    return decoder


def decoder() -> HypernetworkDecoder:
    return HypernetworkDecoder(5, 8, D, RANK, generator=torch.Generator().manual_seed(2))


KINDS: dict[str, Callable[[], Intervention]] = {
    "low rank": low_rank,
    "low rank per row": lambda: low_rank(ROWS),
    "low rank per step": lambda: low_rank(ROWS, STEPS),
    "full": lambda: FullController(nn.Parameter(random(D, D) / 8), HOOK),
    "full per step": lambda: FullController(nn.Parameter(random(ROWS, STEPS, D, D) / 8), HOOK),
    "vector": lambda: vector(),
    "vector per row": lambda: vector(ROWS),
    "vector per step": lambda: vector(ROWS, STEPS),
    "selected": lambda: bank().select(LABELS),
    "labelled": lambda: bank().labelled(LABELS),
    "codes": lambda: CodeController(decoder(), random(ROWS, STEPS, 5), HOOK),
    "codes of full matrices": lambda: CodeController(full(), random(ROWS, STEPS, 5), HOOK),
    "scale": lambda: Scale(low_rank(ROWS, STEPS), -1.5),
    "sum": lambda: Sum(
        low_rank(), low_rank(ROWS, STEPS, seed=1), VectorController(random(D), HOOK)
    ),
    "sequence": lambda: Sequence(low_rank(), low_rank(seed=1), torch.tensor([0, 3, STEPS])),
    "mask": lambda: Mask(low_rank(), rows=[0, 2], steps=[1, 4], where=random(1, STEPS) < 1),
    "sequence of a trace": lambda: Sequence(low_rank(), low_rank(seed=1), random(ROWS, STEPS)),
    "compose": lambda: Compose(low_rank(), low_rank(ROWS, STEPS, seed=1)),
    "interpolate": lambda: Interpolate(low_rank(), vector(ROWS, STEPS), 0.3),
    "project writes": lambda: ProjectOut(vector(ROWS, STEPS), random(2, D)),
    "project reads": lambda: ProjectOut(low_rank(ROWS, STEPS), random(2, D), "reads"),
    "together": lambda: Together(low_rank(ROWS, STEPS)),
    "replace": lambda: ReplacePatch(trained(ROWS, STEPS, D), HOOK, rows=[1], steps=[2, 5]),
    "transplant": lambda: TransplantPatch(
        trained(4, 7, D), HOOK, {(0, 1): (3, 6), (2, 1): (0, 0), (2, 5): (0, 0)}
    ),
    "zero": lambda: AblatePatch(HOOK, rows=[0, 2], steps=[1, 3]),
    "mean": lambda: AblatePatch(HOOK, "mean", trained(1, 1, D), steps=[0, 3]),
    "resample": lambda: AblatePatch(HOOK, "resample", trained(ROWS, STEPS, D), steps=[0, 3]),
    "blend": lambda: InterpolatePatch(trained(1, 1, D), HOOK, 0.3, steps=range(2, 5)),
    "remove": lambda: SubspacePatch(trained(2, D), HOOK),
    "swap": lambda: SubspacePatch(trained(2, D), HOOK, trained(ROWS, STEPS, D), rows=[0]),
}


@pytest.fixture
def kinds() -> dict[str, Callable[[], Intervention]]:
    """How to build one of every kind."""
    return KINDS


@pytest.fixture(params=KINDS)
def intervention(request: pytest.FixtureRequest) -> Intervention:
    """One nonzero intervention of every kind, on ROWS x STEPS streams."""
    return KINDS[request.param]()


@pytest.fixture(scope="session", params=["alibi", "standard"])
def model(request: pytest.FixtureRequest) -> HookedTransformer:
    """A fresh, frozen language model of three blocks."""
    config = HookedTransformerConfig(
        n_layers=3,
        d_model=D,
        n_heads=2,
        d_head=8,
        d_mlp=32,
        act_fn="relu",
        n_ctx=32,
        d_vocab=11,
        normalization_type="LN",
        positional_embedding_type=request.param,
        seed=0,
        device="cpu",
    )
    return HookedTransformer(config).requires_grad_(False).eval()


@pytest.fixture(scope="session")
def tokens() -> Tensor:
    return torch.randint(11, (ROWS, STEPS), generator=torch.Generator().manual_seed(0))


class Bare(HookedRootModule):
    """A hooked module that is no transformer: two linear maps, a hook after each."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(D, D), nn.Linear(D, D)
        self.hook_first, self.hook_second = HookPoint(), HookPoint()
        self.setup()

    def forward(self, x: Tensor) -> Tensor:
        return self.hook_second(self.second(self.hook_first(self.first(x))))


@pytest.fixture
def bare() -> Bare:
    torch.manual_seed(0)
    return Bare().requires_grad_(False)
