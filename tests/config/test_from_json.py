"""Configurations from JSON: every setting comes back, or is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any

import pytest

from irl_lens.config.from_json import restore
from irl_lens.config.presets import PRESETS
from irl_lens.config.schema import Preset
from irl_lens.files.tensors import CheckpointError

ODD = (None, True, "many", 1.5, -1, [], {}, [[]], [None], ["1"])


def plain(name: str = "smoke") -> dict[str, Any]:
    return json.loads(json.dumps(PRESETS[name].to_dict()))


def settings(values: dict[str, Any], path: str = "preset") -> Iterator[tuple[dict, str, str]]:
    for name, value in values.items():
        yield values, name, f"{path}.{name}"
        if isinstance(value, dict):
            yield from settings(value, f"{path}.{name}")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_comes_back(name: str) -> None:
    assert restore(Preset, plain(name), "preset") == PRESETS[name]


def test_every_setting_of_another_type_is_named_or_restored_as_it_is() -> None:
    values, refused = plain(), 0
    for inside, name, path in list(settings(values)):
        before = inside[name]
        for odd in ODD:
            inside[name] = odd
            try:
                restored = restore(Preset, values, "preset")
            except ValueError as error:
                # Of a part, it is its first setting that is named, or the part itself.
                assert path in str(error) or not isinstance(error, CheckpointError), str(error)
                refused += 1
            else:
                assert json.loads(json.dumps(restored.to_dict())) == values or odd == {}, path
        inside[name] = before
    assert refused > 300


def test_unknown_and_missing_settings_are_named() -> None:
    values = plain()
    values["base"]["n_towers"] = 2
    with pytest.raises(CheckpointError, match=r"preset\.base: .* no setting n_towers"):
        restore(Preset, values, "preset")
    values = plain()
    del values["name"], values["base"]["d_mlp"]
    with pytest.raises(CheckpointError, match="preset has no name"):
        restore(Preset, values, "preset")
    values["name"] = "smoke"
    assert restore(Preset, values, "preset").base.d_mlp == type(PRESETS["smoke"].base)().d_mlp
    assert is_dataclass(restore(Preset, {"name": "x"}, "preset").world)
