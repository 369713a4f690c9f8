"""Every setting of a preset: its name, what it may be, its value, and what its docstring says.

What is said of a setting stands in its class, under ``Attributes:`` or as a string below it; where
there is neither, its type says what it means, by the string below the type.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import cache
from inspect import get_annotations
from typing import Any

from docstring_parser import parse_from_object

from irl_lens.config import value_types
from irl_lens.config.overrides import settings_of
from irl_lens.config.ranges import describe
from irl_lens.config.schema import Preset


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        name: What ``--set`` calls it.
        type: What it may be, in words.
        default: Its value in the preset, as ``--set`` would be given it.
        about: What it means; empty where nothing is written about it.
    """

    name: str
    type: str
    default: str
    about: str


def settings(preset: Preset) -> list[Setting]:
    """Returns the settings of a preset in their order, those of its world among them."""
    found = []
    for name, kind in settings_of(preset).items():
        part, _, field = name.partition(".")
        config = getattr(preset, part)
        value = as_text(getattr(config, field))
        found.append(Setting(name, describe(kind), value, about(type(config), field)))
    return found


def as_text(value: Any) -> str:
    """Writes a value as :func:`irl_lens.config.ranges.parse` reads it."""
    if isinstance(value, tuple):
        return ",".join(map(as_text, value))
    return str(value).lower() if isinstance(value, bool | None) else str(value)


def about(config: type, field: str) -> str:
    """Returns what is written about a field of a dataclass, as one line without markup."""
    for declared in config.__mro__:
        kinds = get_annotations(declared)
        if field in kinds:
            of_types: dict[str, str] = {}
            for module in (value_types.__name__, declared.__module__):
                of_types |= _said(sys.modules[module])
            return _plain(_said(declared).get(field) or of_types.get(str(kinds[field]), ""))
    return ""


@cache
def _said(of: Any) -> dict[str, str]:
    """What is written about the attributes of a class or module, by name."""
    try:
        parameters = parse_from_object(of).params
    except (OSError, TypeError):  # typed in at a prompt: there is no file to read
        return {}
    return {one.arg_name: one.description or "" for one in parameters}


def _plain(text: str) -> str:
    text = re.sub(r":\w+:`~?([^`]*)`", r"\1", text).replace("`", "")
    return " ".join(text.split())
