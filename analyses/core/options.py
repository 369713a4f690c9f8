"""Options of an analysis: what can be chosen about it, in Python or on the command line.

They are the parameters of its function that have defaults, with the types and ranges of its
annotations; a parameter that is a dataclass stands for its fields. What is no number, text, flag
or list of these, such as a hook, can be given to the function alone and is no option.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from irl_lens.config.ranges import Range, check, parse
from irl_lens.errors import UserError

Count = Annotated[int, Range(1, 1_000_000)]
"""How many: episodes, boards, draws."""
Index = Annotated[int, Range(0, 10_000)]
"""Number of a layer or a step, from 0."""
Seed = Annotated[int, Range(0, 2**32 - 1)]

Given = Mapping[str, Any] | Sequence[str]
"""Options by name, or as text: ``KEY=VALUE``, the items of a list between commas."""


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        kind: Its annotated type.
        default: What it is when it is not given.
    """

    kind: Any
    default: Any


def options_of(function: Callable[..., Any]) -> dict[str, Option]:
    """Returns the options of an analysis by name."""
    found: dict[str, Option] = {}
    for name, (kind, default) in _parameters(function).items():
        if is_dataclass(kind):
            kinds = get_type_hints(kind, include_extras=True)
            inner = {f.name: Option(kinds[f.name], getattr(default, f.name)) for f in fields(kind)}
            found |= inner
        elif _can_be_written(kind):
            found[name] = Option(kind, default)
    return found


def chosen(name: str, function: Callable[..., Any], given: Given) -> dict[str, Any]:
    """Reads and checks options.

    Args:
        name: Name of the analysis, for the errors.
        function: The analysis.
        given: The options; those left out keep their defaults.

    Returns:
        The values of those that were given.

    Raises:
        UserError: There is no such option, it is given twice, or its value is of another type
            or out of range; names the option and what it may be.
    """
    known, values = options_of(function), {}
    for key, value in given.items() if isinstance(given, Mapping) else map(_split, given):
        if key not in known:
            raise UserError(f"{name} has no option {key[:60]!r}; {_hint(key, known)}")
        if key in values:
            raise UserError(f"{key} is given twice; give it once")
        kind = known[key].kind
        if isinstance(given, Mapping):
            values[key] = tuple(value) if isinstance(value, list) else value
            check(kind, values[key], f"{name}: {key}")
        else:
            values[key] = parse(kind, value, f"{name}: {key}")
    return values


def arguments(function: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of a function that say what its options are to be."""
    found: dict[str, Any] = {}
    for name, (kind, default) in _parameters(function).items():
        if is_dataclass(kind):
            names = [field.name for field in fields(kind)]
            inner = {n: values.get(n, getattr(default, n)) for n in names}
            found[name] = kind(**inner)  # type: ignore[operator]
        elif name in values:
            found[name] = values[name]
    return found


def _parameters(function: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """The type and default of every parameter that has a default."""
    kinds = get_type_hints(function, include_extras=True)
    return {
        name: (kinds[name], parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not parameter.empty and name in kinds
    }


def _can_be_written(kind: Any) -> bool:
    """Whether values of a type can be written as ``KEY=VALUE``."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _can_be_written(parts[0])
    if origin in (Union, UnionType, tuple):
        return all(part is Ellipsis or _can_be_written(part) for part in parts)
    return origin is Literal or kind in (int, float, bool, str, NoneType)


def _split(setting: str) -> tuple[str, str]:
    key, equals, text = setting.partition("=")
    if not equals:
        raise UserError(f"--set {setting}: write KEY=VALUE, such as seed=1")
    return key.replace("-", "_"), text


def _hint(key: str, known: Mapping[str, Option]) -> str:
    if not known:
        return "it has none"
    if near := get_close_matches(key, known, n=1):
        return f"did you mean {near[0]!r}?"
    return f"there are {', '.join(map(_shown, known, known.values()))}"


def _shown(name: str, option: Option) -> str:
    listed = isinstance(option.default, tuple)
    value = ",".join(map(str, option.default)) if listed else str(option.default).lower()
    return f"{name}={value}"
