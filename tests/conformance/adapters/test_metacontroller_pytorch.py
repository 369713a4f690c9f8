"""What results/conformance.md says of metacontroller-pytorch, measured again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from irl_lens.conformance import ORACLES, check, load_adapter

pytest.importorskip("metacontroller", reason="pip install irl-lens[peers]")
WHERE = "irl_lens.conformance.adapters.metacontroller_pytorch"


@pytest.mark.parametrize(
    ("name", "failed"),
    [
        ("MetaControllerPytorch", {"matrix product", "frozen base"}),
        ("with_frozen_base", {"matrix product"}),
    ],
)
def test_the_published_verdicts(name: str, failed: set[str]) -> None:
    adapter = load_adapter(f"{WHERE}:{name}")
    verdicts = {outcome.oracle.name: outcome.verdict for outcome in check(adapter)}
    assert verdicts == {o.name: "fail" if o.name in failed else "pass" for o in ORACLES}
    page = Path(__file__).parents[3] / "results" / "conformance.md"
    assert f"## {adapter.name}\n" in page.read_text()


def test_what_it_adds_is_e_times_the_row_sums_of_u() -> None:
    adapter = load_adapter(f"{WHERE}:MetaControllerPytorch")
    stream, noise = torch.randn(2, 5, adapter.d_model), torch.randn(2, 5, adapter.n_z)
    found = adapter.discover(stream, torch.tensor([5, 5]), noise, shift=0.0)
    assert found.controlled is not None and found.matrix is not None
    torch.testing.assert_close(found.controlled, stream + stream * found.matrix.sum(-1))


def test_its_own_list_of_parameters_leaves_the_base_alone() -> None:
    adapter = load_adapter(f"{WHERE}:MetaControllerPytorch")
    base, meta = adapter.backward()
    reached = {name.split(".")[0] for name, p in base.named_parameters() if p.grad is not None}
    assert reached == {"upper_body", "action_readout"}
    before = {name: p.clone() for name, p in base.named_parameters()}
    torch.optim.AdamW(meta.discovery_parameters()).step()  # type: ignore[operator]
    assert all(torch.equal(p, before[name]) for name, p in base.named_parameters())
