"""What a setting may be: its type and, annotated beside it, the range of its numbers.

    lr: Annotated[float, Range(0, 1, above=True)]      0 < lr <= 1

Every number of a setting must be in its ranges, those of a list too; numbers are finite, lists
are not empty, and nothing is converted: True is no number, 2.0 is no whole number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from irl_lens.errors import UserError

LONGEST = 1_000
"""Items of a list, and characters of a text."""


@dataclass(frozen=True)
class Range:
    """The numbers from ``low`` to ``high``.

    Attributes:
        above: Without ``low`` itself.
        below: Without ``high`` itself.
    """

    low: float
    high: float
    above: bool = False
    below: bool = False

    def __contains__(self, number: float) -> bool:
        low = self.low < number if self.above else self.low <= number
        return low and (number < self.high if self.below else number <= self.high)

    def __str__(self) -> str:
        low, high = (f"{n:,}" if isinstance(n, int) else f"{n:g}" for n in (self.low, self.high))
        return f"{'above' if self.above else 'from'} {low} to {'below ' * self.below}{high}"


@cache
def kinds(config: type) -> dict[str, Any]:
    """The types of a configuration's settings by name, annotated as they stand in it."""
    return get_type_hints(config, include_extras=True)


def check(kind: Any, value: object, path: str) -> None:
    """Checks one setting.

    Args:
        kind: Its type, annotated with the :class:`Range` of its numbers if they have one.
        value: What it is to be.
        path: Its name, such as ``discovery.lr``.

    Raises:
        UserError: If it is of another type or out of range; names it and what it may be.
    """
    if not _fits(kind, value):
        raise UserError(f"{path} = {_shown(value)}; take {describe(kind)}")


def parse(kind: Any, text: str, path: str) -> Any:
    """Reads one setting from text: a list's items stand between commas.

    Raises:
        UserError: As :func:`check`.
    """
    try:
        value = _parse(kind, text)
    except ValueError:
        value = text
    check(kind, value, path)
    return value


def describe(kind: Any) -> str:
    """Says in words what a setting may be."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return " ".join([describe(parts[0]), *map(str, kind.__metadata__)])
    if origin is Literal:
        return " or ".join(map(str, parts))
    if origin in (Union, UnionType):
        return " or ".join(map(describe, parts))
    if origin is tuple:
        if parts[-1] is Ellipsis:
            return f"one or more between commas, each {describe(parts[0])}"
        return f"{len(parts)} numbers between commas"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    return words.get(kind, "none" if kind is NoneType else kind.__name__)


def _fits(kind: Any, value: Any) -> bool:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        inside = (n in allowed for n in _numbers(value) for allowed in kind.__metadata__)
        return _fits(parts[0], value) and all(inside)
    if origin is Literal:
        return isinstance(value, str) and value in parts
    if origin in (Union, UnionType):
        return any(_fits(part, value) for part in parts)
    if origin is tuple:
        return isinstance(value, tuple) and _items_fit(parts, value)
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    if kind is str:
        return isinstance(value, str) and value.isprintable() and 0 < len(value) <= LONGEST
    return isinstance(value, kind)


def _items_fit(kinds: tuple[Any, ...], values: tuple[Any, ...]) -> bool:
    if kinds[-1] is Ellipsis:
        return 0 < len(values) <= LONGEST and all(_fits(kinds[0], value) for value in values)
    return len(values) == len(kinds) and all(map(_fits, kinds, values))


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, tuple):
        for item in value:
            yield from _numbers(item)
    elif value is not None:
        yield value


def _parse(kind: Any, text: str) -> Any:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _parse(parts[0], text)
    if origin in (Union, UnionType):
        none = text.lower() == "none" and NoneType in parts
        return None if none else _parse(parts[0], text)
    if origin is tuple:
        return _parse_items(parts, text.split(","))
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    return kind(text) if kind in (int, float) else text


def _parse_items(kinds: tuple[Any, ...], texts: list[str]) -> tuple[Any, ...]:
    if kinds[-1] is not Ellipsis:
        return tuple(map(_parse, kinds, texts)) + tuple(texts[len(kinds) :])
    width = len(get_args(kinds[0])) if get_origin(kinds[0]) is tuple else 1
    rows = [texts[i : i + width] for i in range(0, len(texts), width)]
    return tuple(_parse(kinds[0], ",".join(row)) for row in rows)


def _shown(value: object) -> str:
    """Writes a value out, shortened; Python itself refuses to write the largest integers."""
    if isinstance(value, int) and abs(value) > 10**40:
        return f"{'-' * (value < 0)}2 ** {value.bit_length() - 1} or more"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
