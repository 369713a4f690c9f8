"""Settings from the command line, ``KEY=VALUE``, and sets of them for sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from itertools import product
from typing import Any

from irl_lens.config.ranges import kinds, parse
from irl_lens.config.schema import Preset
from irl_lens.errors import UserError


def changed(preset: Preset, settings: Sequence[str]) -> Preset:
    """Replaces settings of a preset.

    Args:
        preset: The preset.
        settings: Such as ``base.d_model=256``; a list's items stand between commas.

    Raises:
        UserError: If one is not of that form, there is no such setting, it is given twice, or
            its value is of another type or out of range.
    """
    known, chosen = settings_of(preset), {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"--set {setting}: write KEY=VALUE, such as base.d_model=256")
        key = key.replace("-", "_")
        if key not in known:
            raise UserError(
                f"no setting {key[:60]!r}; {_near(key, list(known))} irl-lens settings "
                f"{preset.name} lists all"
            )
        if key in chosen:
            raise UserError(f"{key} is given twice; give it once")
        chosen[key] = parse(known[key], text, key)
    for key, value in chosen.items():
        part, _, name = key.partition(".")
        preset = replace(preset, **{part: replace(getattr(preset, part), **{name: value})})
    return preset


def combinations(settings: Sequence[str]) -> list[tuple[str, ...]]:
    """Every choice of one value for each key, the last key's values next to each other.

    Args:
        settings: ``KEY=VALUE``, a key once for each of its values.
    """
    by_key: dict[str, list[str]] = {}
    for setting in settings:
        by_key.setdefault(setting.partition("=")[0], []).append(setting)
    return list(product(*by_key.values()))


def settings_of(preset: Preset) -> dict[str, Any]:
    """The annotated type of each setting by its name; that of the preset is none."""
    return {
        f"{part.name}.{name}": kind
        for part in fields(preset)
        if is_dataclass(value := getattr(preset, part.name))
        for name, kind in kinds(type(value)).items()
    }


def _near(key: str, known: list[str]) -> str:
    part, _, name = key.rpartition(".")
    elsewhere = [other for other in known if other.partition(".")[2] == name]
    if elsewhere and (not part or f"{part}, " in f"{_parts(known)}, "):
        return f"there is {', '.join(elsewhere)};"
    if near := get_close_matches(key, known, n=1):
        return f"did you mean {near[0]!r}?"
    return f"they are called PART.NAME, such as base.d_model, with PART one of {_parts(known)};"


def _parts(known: list[str]) -> str:
    return ", ".join(dict.fromkeys(key.partition(".")[0] for key in known))
