"""The examples in the docstrings run, and everything public has one."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module
from inspect import getdoc, isclass, isroutine

import pytest
import torch

from irl_lens import hooks

MODULES = [
    hooks.__name__,
    *(m.name for m in pkgutil.walk_packages(hooks.__path__, f"{hooks.__name__}.")),
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = import_module(name)
        assert (
            doctest.testmod(
                module, extraglobs={"torch": torch}, optionflags=doctest.ELLIPSIS
            ).failed
            == 0
        )


@pytest.mark.parametrize("name", MODULES)
def test_every_public_docstring_has_an_example(name):
    found = doctest.DocTestFinder(exclude_empty=False).find(import_module(name))
    public = [t for t in found if t.name != name and "._" not in t.name.removeprefix(name)]
    assert [t.name for t in public if t.docstring and not t.examples] == []


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_has_a_docstring(name):
    """Its own or that of what it overrides."""
    module = import_module(name)
    here = [v for v in vars(module).values() if getattr(v, "__module__", None) == name]
    own = [v for v in here if isclass(v) or isroutine(v)]
    members = [
        (f"{kind.__name__}.{key}", getattr(kind, key))
        for kind in filter(isclass, own)
        for key, value in vars(kind).items()
        if isroutine(value) or isinstance(value, property | classmethod)
    ]
    named = [(v.__name__, v) for v in own] + members
    public = [(n, v) for n, v in named if not any(part[0] == "_" for part in n.split("."))]
    assert [n for n, v in public if not getdoc(v)] == []


def test_every_class_and_function_exported_has_an_example():
    parts = [getattr(hooks, name) for name in hooks.__all__]
    bare = [p.__name__ for p in parts if callable(p) and ">>>" not in (p.__doc__ or "")]
    assert bare == []
