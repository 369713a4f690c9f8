"""An exported base is the same model in plain TransformerLens, 3 and 4."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformer_lens import HookedTransformer, HookedTransformerConfig

import irl_lens
from irl_lens.config.schema import BaseConfig
from irl_lens.envs.spaces import ContinuousActions, DiscreteActions, ObservationSpec, RealColumn
from irl_lens.errors import UserError
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.export import export_base
from irl_lens.models.native_bridge import TANH
from irl_lens.runs.run import Run

CATEGORICAL = ObservationSpec(("a", "b"), (5, 6), (0,))
MIXED = ObservationSpec(("a",), (5,), (0,), (RealColumn("x", 2.0), RealColumn("y", 0.1)))
TRANSFORMER_LENS_4 = "4.3.0"
N_CTX, LAYER = 12, "blocks.0.hook_resid_post"


def made(case: str, act_fn: str = "gelu") -> TrajectoryModel:
    """A base far from its initialisation; 3 heads have no slopes that are powers of one number."""
    spec = MIXED if case == "mixed" else CATEGORICAL
    actions = ContinuousActions(2) if case == "mixed" else DiscreteActions(4)
    sizes = BaseConfig(d_model=24, n_layers=2, n_heads=3, d_mlp=20, act_fn=act_fn)  # type: ignore[arg-type]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = TrajectoryModel(sizes, spec, actions)
        for parameter in model.parameters():
            parameter.data.add_(torch.randn_like(parameter) * 0.3)
    return model.frozen()


def dense(model: TrajectoryModel) -> Tensor:
    """Observations of all rows' steps, spread out over what W_E has rows for."""
    drawn = torch.Generator().manual_seed(1)
    shape, spec = (3, N_CTX), model.spec
    columns = [
        first + torch.randint(size, shape, generator=drawn)
        for first, size in zip(spec.offsets.tolist(), spec.sizes, strict=True)
    ]
    reals = [torch.randn(shape, generator=drawn) for _ in spec.reals]
    observations = torch.stack([*columns, *reals], -1)
    return torch.from_numpy(spec.dense(observations.numpy()))


def plain(folder: Path) -> tuple[HookedTransformer, dict[str, Tensor]]:
    """What the three lines of the guide make."""
    config = HookedTransformerConfig(**json.loads((folder / "config.json").read_text()))
    model, weights = HookedTransformer(config), load_file(folder / "weights.safetensors")
    missing, ours = model.load_state_dict(weights, strict=False)
    assert set(ours) <= {"embed.b_E", "alibi.slopes"}
    assert all(name.endswith((".mask", ".IGNORE", "pos_embed.W_pos")) for name in missing)
    return model, weights


@pytest.mark.parametrize("case", ["categorical", "mixed"])
def test_plain_transformer_lens_gives_the_same_logits(case: str, tmp_path: Path) -> None:
    model = made(case)
    export_base(model, tmp_path, N_CTX)
    other, weights = plain(tmp_path)
    seen = dense(model)
    e = seen @ other.W_E + weights.get("embed.b_E", torch.zeros(()))
    logits = other(e, start_at_layer=0)
    torch.testing.assert_close(logits, model(seen), atol=1e-5, rtol=1e-5)
    assert logits.std(dim=(0, 1)).min() > 1e-2  # and depends on what is seen


def test_columns_say_what_the_rows_of_the_embedding_are(tmp_path: Path) -> None:
    model = made("mixed")
    export_base(model, tmp_path, N_CTX)
    told = json.loads((tmp_path / "columns.json").read_text())
    assert told["categorical"] == [{"name": "a", "first": 0, "values": 5}]
    assert [column["scale"] for column in told["real"]] == [2.0, 0.1]
    assert told["actions"] == ["0", "1"]


def test_a_run_is_exported_and_nothing_overwritten(smoke_run: Run, tmp_path: Path) -> None:
    folder = irl_lens.export(smoke_run, out=tmp_path / "exported")
    other, _ = plain(folder)
    observations = torch.as_tensor(smoke_run.world.demonstrate(2, seed=0).observations)
    logits = other(other.embed(observations).sum(-2), start_at_layer=0)
    torch.testing.assert_close(logits, smoke_run.base(observations), atol=1e-5, rtol=1e-5)
    with pytest.raises(UserError, match="not empty"):
        irl_lens.export(smoke_run, out=folder)


SCRIPT = """
import runpy
import sys
import torch
from safetensors.torch import load_file, save_file
for folder in sys.argv[1:]:
    bridge = runpy.run_path(folder + "/native_bridge.py")["load"]()
    given = load_file(folder + "/given.safetensors")
    weights = load_file(folder + "/weights.safetensors")
    e = given["dense"] @ bridge.W_E + weights.get("embed.b_E", torch.zeros(()))
    hooks = [("blocks.0.attn.hook_pattern", lambda p, hook: p * given["keep"])]
    with torch.no_grad():
        logits, cache = bridge.run_with_cache(e)
        ablated = bridge.run_with_hooks(e, fwd_hooks=hooks)
    found = {"logits": logits, "stream": cache["LAYER"], "ablated": ablated}
    save_file({n: x.contiguous() for n, x in found.items()}, folder + "/found.safetensors")
""".replace("LAYER", LAYER)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with TransformerLens 4, which cannot be installed beside irl-lens."""
    folder = tmp_path_factory.mktemp("transformer-lens-4")
    venv.create(folder, with_pip=True)
    wanted = "torch==2.13.0", f"transformer-lens=={TRANSFORMER_LENS_4}", "safetensors"
    pip = [folder / "bin" / "pip", "install", "--quiet", *wanted]
    subprocess.run(pip, check=True, cwd=folder)
    return folder / "bin" / "python"


@pytest.mark.slow
def test_transformer_lens_4_gives_the_same_logits(python: Path, tmp_path: Path) -> None:
    keep = (torch.arange(N_CTX) != 1).float()
    models = {"mixed": made("mixed")}
    models |= {name: made("categorical", name) for name in ("relu", "silu", "gelu_new", *TANH)}
    for name, model in models.items():
        export_base(model, tmp_path / name, N_CTX)
        save_file({"dense": dense(model), "keep": keep}, tmp_path / name / "given.safetensors")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [python, "-W", "ignore", "-c", SCRIPT, *models]
    subprocess.run(command, check=True, cwd=tmp_path, env=environment)
    hooks = [("blocks.0.attn.hook_pattern", lambda p, hook: p * keep)]
    for name, model in models.items():
        found, seen = load_file(tmp_path / name / "found.safetensors"), dense(model)
        logits, cache = model.hooked.run_with_cache(seen)
        ablated = model.hooked.run_with_hooks(seen, fwd_hooks=hooks)
        for kind, own in {"logits": logits, "stream": cache[LAYER], "ablated": ablated}.items():
            torch.testing.assert_close(found[kind], own, atol=2e-5, rtol=2e-5)
        assert not torch.allclose(found["ablated"], found["logits"], atol=1e-2)


def test_the_script_needs_no_irl_lens() -> None:
    code = (
        "import runpy, sys; from importlib.util import find_spec;"
        "runpy.run_path(find_spec('irl_lens').submodule_search_locations[0] "
        "+ '/models/native_bridge.py');"
        "sys.exit(any(name.startswith(('irl_lens', 'transformer_lens')) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
