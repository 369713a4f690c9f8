"""Sphinx: ``sphinx-build -W docs FOLDER`` makes the pages, with every warning an error."""

import re

import irl_lens

project = "irl-lens"
author = "irl-lens contributors"
copyright = author
release = irl_lens.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"irl-lens {release}"

myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
BEFORE: dict[str, list[str]] = {}


def remember(app, what, name, obj, options, lines):
    """Keeps what napoleon would spoil: of an attribute it takes all before a colon for a type."""
    if what in ("attribute", "data", "property"):
        BEFORE[name] = list(lines)


def as_written(app, what, name, obj, options, lines):
    """Keeps a norm |x| and a shape "*batch steps" from being read as markup."""
    lines[:] = BEFORE.pop(name, lines)
    lines[:] = [re.sub(r"(?<!\\)\|", r"\\|", line) for line in lines]
    shapes = (i for i, line in enumerate(lines) if line.lstrip().startswith(":type:"))
    for i in shapes:
        lines[i] = lines[i].replace("*", r"\*")


def outside(app, document, content):
    """Lets a page link to a file that is none of the pages, as it may on a shelf of files."""
    there = r"\]\(((?:\.\./)+(?:results/|notebooks/|findings/|README))"
    content[0] = re.sub(there, r"](path:\1", content[0])


def setup(app):
    app.connect("autodoc-process-docstring", remember, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", as_written)
    app.connect("source-read", outside)
