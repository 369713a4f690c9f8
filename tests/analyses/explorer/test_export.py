"""What is taken away is what was there: snippets run, files load, tables have the numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import irl_lens
from irl_lens.analyses.explorer import Explorer, contrast, export
from irl_lens.analyses.explorer.patching import patched
from irl_lens.errors import UserError
from irl_lens.hooks import Intervention, load


@pytest.fixture
def session() -> Explorer:
    return Explorer.open(irl_lens.load("grid"))


def test_a_snippet_makes_the_state_again_to_the_bit(session: Explorer) -> None:
    session.patch(1, 0).patch(session.workbench.layers, session.state.step, held=True)
    code = tuple(session.workbench.switch_codes.codes[3].tolist())
    session.steer(kind="code", code=code, gate="own").fork()
    names: dict[str, Any] = {}
    exec(export.snippet(session), names)
    assert names["session"].state == session.state
    assert names["view"] == session.view()
    runs = contrast(session.workbench, session.state)
    assert torch.equal(names["logits"][0], patched(session.workbench, session.state, runs)[0])
    assert (names["patched"].path == session.rollouts(patches=True).path).all()
    assert (names["steered"].path == session.rollouts(steered=True).path).all()


def test_a_snippet_is_refused_by_another_model(session: Explorer) -> None:
    with pytest.raises(UserError, match="made with the base model"):
        Explorer.open(irl_lens.load("grid"), session.state.plain(), base="0" * 64)


def test_patches_are_kept_as_a_file(session: Explorer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="click a cell"):
        export.patches(session)
    session.patch(2, session.state.step)
    file = tmp_path / "patches.safetensors"
    file.write_bytes(export.file(session, export.patches(session)))
    hook = load(file, verify=session.workbench.hash)
    assert isinstance(hook, Intervention)
    runs = contrast(session.workbench, session.state)
    logits = runs.model.run_with_hooks(
        torch.from_numpy(runs.pairs.corrupted),
        return_type="logits",
        fwd_hooks=[*hook.fwd_hooks()],
    )
    assert torch.equal(logits[0], patched(session.workbench, session.state, runs)[0])


def test_steering_is_kept_as_a_file(session: Explorer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing steers"):
        export.steering(session)
    workbench = session.workbench
    layer, bank = next(iter(workbench.banks.items()))
    codes = {"kind": "code", "code": tuple(workbench.switch_codes.codes[0].tolist())}
    for values in ({"kind": "controller", "layer": layer, "name": bank.names[0]}, codes):
        hook = export.steering(session.steer(**values))
        file = tmp_path / "steering.safetensors"
        file.write_bytes(export.file(session, hook))
        again = load(file, verify=workbench.hash)
        assert isinstance(again, Intervention)
        x = torch.randn(2, workbench.world.horizon, workbench.model.cfg.d_model)
        assert torch.equal(again(x), hook(x))
        step = session.state.step
        assert torch.equal(hook(x)[:, :step], x[:, :step]) and not torch.equal(hook(x), x)


def test_tables_and_figures_of_every_tab(session: Explorer) -> None:
    sweep = export.data(session, "patch")
    assert np.allclose(sweep["effect"], session.sweep().effects.ravel())
    assert set(export.data(session, "steer")["which"]) == {"before", "after"}
    session.fork()
    assert len(export.data(session, "fork")) == 1
    for tab in ("patch", "steer", "fork"):
        text = export.html(session, tab)
        assert text.count('class="figure"') == 3 and "<script src" not in text
        assert export.TITLES[tab] in text and '"showSendToCloud": false' in text
        layout: Any = export.titled(session, tab).layout
        assert layout.width == 1000 and layout.height >= 360 and layout.margin.t >= 60


@pytest.mark.browser
def test_pictures_are_drawn(session: Explorer) -> None:
    assert export.image(session, "patch", "png").startswith(b"\x89PNG")
    assert export.TITLES["patch"] in export.image(session, "patch", "svg").decode()
