"""Kinds of world by name: how one is registered, built, and written into files.

    register_world("corridor", CorridorConfig, CorridorWorld)

From then on a :class:`CorridorConfig` may stand in a preset, and a run's ``config.json`` says
``{"kind": "corridor", ...}`` with its settings. A process that does not know the kind of a file
looks where its user, never the file, tells it to: in the modules and ``.py`` files of
``IRL_LENS_MODULES`` (between commas), then among installed packages, in the entry point of that
name in the group ``irl_lens.worlds``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, is_dataclass
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb
from types import NoneType, UnionType
from typing import (
    Any,
    ClassVar,
    Literal,
    Protocol,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    runtime_checkable,
)

from irl_lens.envs.ant.spec import AntConfig
from irl_lens.envs.pinpad.spec import PinpadConfig
from irl_lens.envs.protocol import World
from irl_lens.errors import UserError

GRID = PinpadConfig()
"""The paper's grid."""

SMALL_GRID = PinpadConfig(size=5, colours=4, walls=2, horizon=40, grammar="paper-ant")
"""A grid to try things out on: small, and each of its subgoals is a single visit."""

ANT = AntConfig()
"""The paper's ant."""

VARIABLE = "IRL_LENS_MODULES"
"""Environment variable: modules and ``.py`` files of the user, between commas, which register
worlds, presets and controllers."""
GROUP = "irl_lens.worlds"
"""Entry points of installed packages: the name is the kind, the value what registers it."""
KIND, MODULE = "kind", "module"
"""Beside a world's settings in JSON: its kind, and the module that it was registered in."""
UNNAMED = "pinpad"
"""The kind of a world whose JSON names none."""


@runtime_checkable
class WorldConfig(Protocol):
    """The configuration of a world: a frozen dataclass of a registered kind."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


@dataclass(frozen=True)
class Kind:
    """A kind of world.

    Attributes:
        name: What files call it.
        config: Its configuration, a frozen dataclass of plain settings.
        make: Builds a world from a configuration.
    """

    name: str
    config: type
    make: Callable[[Any], World]


_KINDS: dict[str, Kind] = {}


def register_world(name: str, config: type, make: Callable[[Any], World]) -> None:
    """Makes a kind of world known by its name.

    Args:
        name: What files call it; letters, digits, ``-`` and ``_``.
        config: A frozen dataclass of numbers, texts, booleans, and tuples of such, annotated with
            their types; it must not have fields called ``kind`` or ``module``.
        make: Builds a world from a configuration; a class will do.

    Raises:
        UserError: The name or the configuration is taken by another kind, the configuration is no
            such dataclass, or ``make`` is no function.
    """
    if not name.replace("-", "_").isidentifier():
        raise UserError(f"a kind of world called {name!r}; take letters, digits, - and _")
    if not is_dataclass(config) or not config.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise UserError(f"{config!r} is no frozen dataclass; decorate it so")
    if not callable(make):
        raise UserError(f"{make!r} makes no world of a {config.__name__}; give a function")
    if taken := {KIND, MODULE} & {field.name for field in fields(config)}:
        raise UserError(f"{config.__name__}.{taken.pop()}: files mean something else by it")
    for field, kind in get_type_hints(config).items():
        if not _is_plain(kind):
            raise UserError(
                f"{config.__name__}.{field} is annotated {kind}; take int, float, bool, str, "
                "Literal, or tuples of them, which files can keep"
            )
    known = _KINDS.get(name)
    # A cell of a notebook that is run again makes its class anew.
    if known and _origin(known.config) != _origin(config):
        raise UserError(f"there is another kind of world {name!r}, of {known.config!r}; rename it")
    for kind in _KINDS.values():
        if kind.config is config and kind.name != name:
            raise UserError(
                f"{config.__name__} is the configuration of the kind of world {kind.name!r}; give "
                f"{name!r} a class of its own"
            )
    _KINDS[name] = Kind(name, config, make)


def world_kinds() -> tuple[str, ...]:
    """Names of the kinds of world known so far."""
    return tuple(_KINDS)


def kind_of(config: object) -> Kind:
    """Returns the kind that a configuration is of.

    Raises:
        UserError: It is of none.
    """
    for kind in _KINDS.values():
        if type(config) is kind.config:
            return kind
    raise UserError(
        f"{type(config).__name__} is the configuration of no kind of world; make it one with "
        f"irl_lens.envs.register_world(NAME, {type(config).__name__}, MAKE)"
    )


def make_world(config: WorldConfig) -> World:
    """Builds a world.

    Raises:
        UserError: The configuration is of no registered kind, or what is made of it is no world.
        ValueError: There is no such world; names what does not fit.
    """
    kind = kind_of(config)
    world = kind.make(config)
    if not isinstance(world, World):
        missing = ", ".join(name for name in _members(World) if not hasattr(world, name))
        raise UserError(
            f"the kind of world {kind.name!r} makes a {type(world).__name__}, which lacks "
            f"{missing}; see irl_lens.envs.protocol.World"
        )
    return world


def world_values(config: WorldConfig) -> dict[str, Any]:
    """Returns a configuration as JSON-able values, from which :func:`world_settings` tells it."""
    kind, values = kind_of(config), asdict(config)
    if kind.name == UNNAMED:
        return values
    return {KIND: kind.name, MODULE: kind.config.__module__, **values}


def world_settings(values: Mapping[str, Any]) -> tuple[type, dict[str, Any]]:
    """Returns which dataclass the values of a configuration are of, and its settings.

    Args:
        values: As :func:`world_values` gave them.

    Raises:
        UserError: They are of a kind that is not known here.
    """
    settings = dict(values)
    name, module = settings.pop(KIND, UNNAMED), settings.pop(MODULE, None)
    for look in (import_user_modules, _load_installed):
        if name not in _KINDS:
            look(name)
    if name not in _KINDS:
        was = "a script or notebook" if module == "__main__" else repr(str(module)[:60])
        raise UserError(
            f"no kind of world {str(name)[:60]!r} is known here, only {', '.join(_KINDS)}; import "
            f"the module that registers it (it was {was}), or name that module or its file: "
            f"{VARIABLE}=FILE.py"
        )
    return _KINDS[name].config, settings


def import_user_modules(name: str = "") -> None:
    """Imports what the environment variable ``IRL_LENS_MODULES`` names.

    Raises:
        UserError: Something of it cannot be imported.
    """
    for entry in filter(None, map(str.strip, os.environ.get(VARIABLE, "").split(","))):
        with _told(f"{VARIABLE} names {entry}"):
            _import_file(Path(entry)) if entry.endswith(".py") else import_module(entry)


def _load_installed(name: str) -> None:
    for entry in entry_points(group=GROUP, name=name):
        with _told(f"an installed package announces {name!r} by {entry.value}"):
            entry.load()


@contextmanager
def _told(why: str) -> Iterator[None]:
    """Says why something was imported that could not be."""
    try:
        yield
    except (ImportError, OSError, UserError) as error:
        raise UserError(f"{why}, and {error}; correct it") from error
    except SyntaxError as error:
        raise UserError(f"{why}, which is no Python at line {error.lineno}: {error.msg}") from error
    except Exception as error:
        lines = extract_tb(error.__traceback__)
        inside = ["importlib" in line.filename for line in lines]
        line = lines[inside.index(False, inside.index(True))]  # the first of what is imported
        said = f"{type(error).__name__}: {error}"
        raise UserError(f"{why}, which fails at {line.filename}:{line.lineno}: {said}") from error


def _import_file(path: Path) -> None:
    known = sys.modules.get(path.stem)
    if known is not None:
        if Path(getattr(known, "__file__", None) or "").resolve() == path.resolve():
            return
        raise ImportError(f"another module is called {path.stem}: rename the file")
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    sys.modules[path.stem] = module = module_from_spec(spec)
    if (folder := str(path.resolve().parent)) not in sys.path:
        sys.path.append(folder)  # as in a script: what lies beside it can be imported
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise


def _is_plain(kind: Any) -> bool:
    """Whether files can keep what is annotated so."""
    if get_origin(kind) in (Union, UnionType, tuple):
        return all(part is Ellipsis or _is_plain(part) for part in get_args(kind))
    plain = (int, float, bool, str, NoneType)
    return get_origin(kind) is Literal or is_dataclass(kind) or kind in plain


def _origin(config: type) -> tuple[str, str]:
    return config.__module__, config.__qualname__


def _members(protocol: Any) -> list[str]:
    own = {name for base in protocol.__mro__ for name in vars(base)}
    return sorted(name for name in own if not name.startswith("_"))


def _make_pinpad(config: PinpadConfig) -> World:
    from irl_lens.envs.pinpad.world import PinpadWorld

    return PinpadWorld(config)


def _make_ant(config: AntConfig) -> World:
    from irl_lens.envs.ant.world import AntWorld

    return AntWorld(config)


register_world(UNNAMED, PinpadConfig, _make_pinpad)
register_world("ant", AntConfig, _make_ant)
