"""Configurations from JSON: dataclasses rebuilt, each value's type checked."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from irl_lens.checkpoint import CheckpointError


def restore(kind: Any, values: Any, path: str) -> Any:
    """Builds a configuration dataclass from JSON values, naming what does not fit.

    A setting that the run does not have is newer than the run, and takes its default: that of
    a new setting must be what was done before there was a choice.

    Args:
        kind: The dataclass.
        values: Settings by name.
        path: What it is a part of, for messages.

    Raises:
        CheckpointError: A setting is unknown, missing without a default, or of another type.
    """
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} is {values!r}, not settings by name")
    known, hints = {field.name: field for field in fields(kind)}, get_type_hints(kind)
    if unknown := ", ".join(sorted(values.keys() - known)):
        raise CheckpointError(
            f"{path}: this version has no setting {unknown}; use the one it was made with"
        )
    for name, field in known.items():
        if name not in values and field.default is field.default_factory is MISSING:
            raise CheckpointError(f"{path} has no {name}")
    return kind(**{name: _value(hints[name], v, f"{path}.{name}") for name, v in values.items()})


def _value(kind: Any, value: Any, path: str) -> Any:
    if is_dataclass(kind):
        return restore(kind, value, path)
    value = _tuples(value)
    if not _fits(kind, value):
        raise CheckpointError(f"{path} is {value!r}, and must be {getattr(kind, '__name__', kind)}")
    return value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _fits(kind: Any, value: Any) -> bool:
    """Whether a value is of an annotated type; an int is a float, a bool is neither."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return value in inner
    if origin is tuple and isinstance(value, tuple):
        kinds = inner[:1] * len(value) if inner[-1] is ... else inner
        return len(value) == len(kinds) and all(map(_fits, kinds, value))
    if origin is tuple:
        return False
    if inner:  # a union
        return any(_fits(one, value) for one in inner)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)
