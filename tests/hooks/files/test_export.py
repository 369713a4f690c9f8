"""Exported scripts run without irl_lens and give the same numbers."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from irl_lens.hooks import (
    AblatePatch,
    Controller,
    ControllerBank,
    FullController,
    LowRankController,
    Scale,
    VectorController,
    export_fwd_hooks,
    load,
    save,
)

D = 16
HOOK = "blocks.1.hook_resid_post"


def built() -> dict[str, tuple]:
    """What is exported, and the controller that `fwd_hooks(*name)` must be."""
    torch.manual_seed(0)
    low = LowRankController.random(D, 4, HOOK, 0.5)
    full = FullController(torch.randn(D, D), HOOK)
    vector = VectorController(torch.randn(D, dtype=torch.float64), HOOK)
    banks = {
        "low": ControllerBank.trainable(
            LowRankController, ["left", "it's"], D, HOOK, rank=4, init=0.5
        ),
        "full": ControllerBank.trainable(FullController, "ab", D, HOOK, init=0.5),
        "vector": ControllerBank.trainable(VectorController, "ab", D, HOOK),
    }
    nn.init.normal_(banks["vector"].stack.tensors()["v"])
    alone = {"low": (low, (), low), "full": (full, (), full), "vector": (vector, (), vector)}
    named = {f"bank of {k}": (b, (b.names[1],), b[b.names[1]]) for k, b in banks.items()}
    return {**alone, **named, "first of a bank": (banks["low"], (), banks["low"]["left"])}


CHILD = """
import json, runpy, sys
from safetensors.torch import load_file, save_file
x = load_file("x.safetensors")["x"]
out = {}
for number, (script, names) in enumerate(json.loads(sys.argv[1])):
    [(hook_name, control)] = runpy.run_path(script)["fwd_hooks"](*names)
    assert hook_name == "blocks.1.hook_resid_post"
    out[str(number)] = control(x, hook=None)
assert not any(name.startswith("irl_lens") for name in sys.modules)
save_file(out, "out.safetensors")
"""


def test_scripts_stand_alone(tmp_path):
    cases = built()
    x = torch.randn(2, 5, D, generator=torch.Generator().manual_seed(1))
    save_file({"x": x}, tmp_path / "x.safetensors")
    jobs = []
    for number, (part, names, _) in enumerate(cases.values()):
        script = export_fwd_hooks(part, tmp_path / f"{number}")
        assert sorted(path.name for path in script.parent.iterdir()) == [
            "fwd_hooks.py",
            "fwd_hooks.weights.safetensors",
        ]
        jobs.append((str(script), names))
    command = [sys.executable, "-c", CHILD, json.dumps(jobs)]
    subprocess.run(command, cwd=tmp_path, check=True)
    out = load_file(tmp_path / "out.safetensors")
    for number, (_, _, controller) in enumerate(cases.values()):
        assert not torch.equal(out[str(number)], x)
        torch.testing.assert_close(out[str(number)], controller(x), atol=1e-5, rtol=1e-5)


def test_in_plain_transformer_lens(tmp_path, model, tokens):
    bank = ControllerBank.trainable(LowRankController, "ab", D, HOOK, rank=4, init=0.5)
    script = export_fwd_hooks(bank, tmp_path / "steer.py")
    assert script == tmp_path / "steer.py" and (tmp_path / "steer.weights.safetensors").exists()
    namespace: dict = {"__file__": str(script)}
    exec(compile(script.read_text(), script, "exec"), namespace)
    with bank["b"].attached(model):
        expected = model(tokens)
    steered = model.run_with_hooks(tokens, fwd_hooks=namespace["fwd_hooks"]("b"))
    torch.testing.assert_close(steered, expected, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError):
        namespace["fwd_hooks"]("c")


def test_a_saved_controller_of_the_same_name_stays(tmp_path):
    controller = VectorController(torch.arange(D) * 1.0, HOOK)
    file = save(controller, tmp_path / "steer.safetensors")
    export_fwd_hooks(controller, tmp_path / "steer.py")
    assert torch.equal(load(file).state_dict()["v"], controller.v)


@pytest.mark.parametrize("banked", [False, True])
def test_at_attention_scores_only_what_adds_is_the_same_without_us(tmp_path, model, tokens, banked):
    scores, steps = "blocks.1.attn.hook_attn_scores", tokens.shape[1]

    def export(controller: Controller) -> Path:
        part = ControllerBank({"a": controller}) if banked else controller
        return export_fwd_hooks(part, tmp_path)

    low = LowRankController.random(steps, 2, scores)
    for matrix in (FullController.random(steps, scores), low):
        with pytest.raises(ValueError, match="multiplies what attention hides"):
            export(matrix)
    vector = VectorController(torch.arange(steps) * 1.0, scores)
    namespace = runpy.run_path(str(export(vector)))
    with vector.attached(model):
        expected = model(tokens)
    steered = model.run_with_hooks(tokens, fwd_hooks=namespace["fwd_hooks"]())
    torch.testing.assert_close(steered, expected, atol=1e-5, rtol=1e-5)


HOSTILE = '"""\nraise SystemExit("run")\n"""\\'


@pytest.mark.parametrize("names", [[HOSTILE], [HOSTILE, "b"], ["{keys}", "\\"]])
def test_names_are_no_code(tmp_path, names):
    """They may come from a file of somebody else's."""
    stack = VectorController(torch.ones(len(names), D), HOSTILE)
    script = export_fwd_hooks(ControllerBank(names, stack), tmp_path / "it's.py")
    namespace: dict = {"__file__": str(script)}
    exec(compile(script.read_text(), script, "exec"), namespace)
    assert namespace["NAMES"] == tuple(names)
    [(hook_name, control)] = namespace["fwd_hooks"](names[-1])
    assert hook_name == HOSTILE and torch.equal(control(torch.zeros(D), None), torch.ones(D))


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (AblatePatch(HOOK), "a AblatePatch is no constant"),
        (VectorController(torch.zeros(3, D), HOOK), r"of leading axes \(3,\) is no constant"),
        (Scale(VectorController(torch.zeros(D), HOOK), 2.0), "a Scale is no constant"),
        (
            ControllerBank.trainable(VectorController, "ab", D, HOOK).labelled(
                torch.zeros(1, 5, dtype=torch.long)
            ),
            "a BankController is no constant",
        ),
    ],
)
def test_what_is_not_constant_is_refused(tmp_path, part, said):
    with pytest.raises(ValueError, match=f"{said}.*export a controller"):
        export_fwd_hooks(part, tmp_path / "none")
    assert not (tmp_path / "none").exists()
