"""Configurations from JSON: dataclasses rebuilt, each value's type and range checked."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from irl_lens.config.ranges import check, kinds
from irl_lens.envs.registry import WorldConfig, world_settings
from irl_lens.errors import UserError
from irl_lens.files.tensors import CheckpointError


def restore(kind: Any, values: Any, path: str) -> Any:
    """Builds a configuration dataclass from JSON values, naming what does not fit.

    A setting that the run does not have is newer than the run, and takes its default: that of
    a new setting must be what was done before there was a choice.

    Args:
        kind: The dataclass; :class:`WorldConfig` for that which the values say.
        values: Settings by name.
        path: What it is a part of, for messages.

    Raises:
        CheckpointError: A setting is unknown, missing without a default, of another type, or out
            of range.
        UserError: It is of a kind of world that is not known here.
    """
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} is {values!r}, not settings by name")
    if kind is WorldConfig:
        kind, values = world_settings(values)
    known = {field.name: field for field in fields(kind)}
    hints = kinds(kind)
    if unknown := ", ".join(sorted(values.keys() - known)):
        raise CheckpointError(
            f"{path}: this version has no setting {unknown}; use the one it was made with"
        )
    for name, field in known.items():
        if name not in values and field.default is field.default_factory is MISSING:
            raise CheckpointError(f"{path} has no {name}")
    return kind(**{name: _value(hints[name], v, f"{path}.{name}") for name, v in values.items()})


def _value(kind: Any, value: Any, path: str) -> Any:
    if is_dataclass(kind) or kind is WorldConfig:
        return restore(kind, value, path)
    value = _tuples(value)
    try:
        check(kind, value, path)
    except UserError as error:
        raise CheckpointError(str(error)) from error
    return value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
