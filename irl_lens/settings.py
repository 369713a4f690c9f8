"""Settings from the command line, ``KEY=VALUE``, and sets of them for sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import tyro

from irl_lens.config import Preset
from irl_lens.errors import UserError


def changed(preset: Preset, settings: Sequence[str]) -> Preset:
    """Replaces settings of a preset; tyro checks names and types.

    Args:
        preset: The preset.
        settings: Such as ``base.d_model=256``; a list's items stand between commas.

    Raises:
        UserError: If one is not of that form.
    """
    arguments: list[str] = []
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UserError(f"--set {setting}: write KEY=VALUE, such as base.d_model=256")
        arguments += [f"--{key}", *value.split(",")]
    return tyro.cli(type(preset), default=preset, args=arguments, prog="irl-lens ... --set")


def combinations(settings: Sequence[str]) -> list[tuple[str, ...]]:
    """Every choice of one value for each key, the last key's values next to each other.

    Args:
        settings: ``KEY=VALUE``, a key once for each of its values.
    """
    by_key: dict[str, list[str]] = {}
    for setting in settings:
        by_key.setdefault(setting.partition("=")[0], []).append(setting)
    return list(product(*by_key.values()))
