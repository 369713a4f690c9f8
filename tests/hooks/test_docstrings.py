"""The examples in the docstrings run, and everything public has one."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest
import torch

from irl_lens import hooks

MODULES = [m.name for m in pkgutil.walk_packages(hooks.__path__, f"{hooks.__name__}.")]


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


def test_every_class_and_function_exported_has_an_example():
    parts = [getattr(hooks, name) for name in hooks.__all__]
    bare = [p.__name__ for p in parts if callable(p) and ">>>" not in (p.__doc__ or "")]
    assert bare == []
