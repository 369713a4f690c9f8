"""Whether an installed package works away from its sources; run by .ci/fresh in an empty folder.

    python installed.py PLACE EXTRA..

The package is to lie below PLACE; doctor.json, of ``irl-lens doctor --json``, lies beside.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from urllib.request import urlopen

import gymnasium

import irl_lens
import irl_lens.envs
from irl_lens.config.presets import PRESETS


def main(folder: str, *extras: str) -> None:
    """Raises what is wrong."""
    assert Path(irl_lens.__file__).is_relative_to(folder), irl_lens.__file__
    checks = json.loads(Path("doctor.json").read_text())["checks"]
    for extra in extras:
        found = [check for check in checks if f"(extra {extra})" in check["name"]]
        assert found and all(check["verdict"] == "ok" for check in found), found
    assert any(check["name"] == "model grid" for check in checks), checks
    assert {"grid", "smoke", "ant"} <= PRESETS.keys()
    ant = gymnasium.make("irl_lens/AntPinpad-v0")
    ant.reset(seed=0)
    ant.step(ant.action_space.sample())
    run = irl_lens.load("grid", device="cpu")
    assert run.bank(1)["A"] is not None and run.policy is not None
    server = irl_lens.explore(run)
    with urlopen(server.url) as page:
        assert b"irl-lens" in page.read()
    server.close()


main(*sys.argv[1:])
