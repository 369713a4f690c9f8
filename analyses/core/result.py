"""What every analysis returns: numbers, a figure, a sentence about them, and files of all three."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.figures.files import FigureFiles, picture
from irl_lens.analyses.figures.page import drawn, plotly_code
from irl_lens.analyses.figures.page import page as filled
from irl_lens.files.json_files import write_json
from irl_lens.files.tensors import write_bytes
from irl_lens.hooks.files.json_text import to_json

PAGE = FigureFiles()
"""A figure as a page, and as nothing else."""


class Result(ABC):
    """Base of the frozen dataclasses that analyses return."""

    @abstractmethod
    def figure(self) -> go.Figure:
        """Draws it."""

    @abstractmethod
    def to_dataframe(self) -> pd.DataFrame:
        """Returns its numbers as a table, each estimate with its interval."""

    @abstractmethod
    def caption(self) -> str:
        """Says what the figure shows, in sentences written from the numbers."""

    def claims(self) -> tuple[Claim, ...]:
        """Returns what was found, one by one; by default the caption's first sentence, untested."""
        return (Claim(self.caption().split(". ")[0].rstrip(".") + "."),)

    def pages(self) -> dict[str, bytes]:
        """Returns further files by name, for a folder beside the figure; the first leads on."""
        return {}

    def stored(self) -> Any:
        """Returns what the JSON holds, by name; by default its fields."""
        return self

    def save(self, path: Path | str, provenance: Mapping[str, Any] | None = None) -> Path:
        """Writes all of it: fields to PATH.json, arrays among them to PATH.npz.

        In the JSON an array is ``{"array": NAME}``, its name in the other file, and a number
        that is not finite is null.

        Args:
            path: Path of both files, without their endings.
            provenance: What it was made with; kept beside the numbers.

        Returns:
            The JSON file.
        """
        path, arrays = Path(path), {}
        content = _plain(self.stored(), "", arrays) | {"caption": self.caption()}
        content |= {} if provenance is None else {"provenance": _plain(provenance, "", {})}
        if arrays:
            stream = io.BytesIO()
            np.savez_compressed(stream, **arrays)
            write_bytes(path.with_name(f"{path.name}.npz"), stream.getvalue())
        file = path.with_name(f"{path.name}.json")
        write_json(file, content)
        return file


def read_arrays(path: Path | str) -> dict[str, np.ndarray]:
    """Reads the arrays that :meth:`Result.save` wrote, given the same path."""
    path = Path(path)
    with np.load(path.with_name(f"{path.name}.npz"), allow_pickle=False) as stored:
        return dict(stored)


def write(
    result: Result,
    path: Path | str,
    title: str,
    provenance: Mapping[str, Any] | None = None,
    files: FigureFiles = PAGE,
) -> None:
    """Writes PATH.html, PATH.csv, what :meth:`Result.save` writes, and pages in a folder PATH.

    Args:
        result: What to write.
        path: Path of all files, without their endings.
        title: Title of the page.
        provenance: See :meth:`Result.save`.
        files: What the figure is written as.
    """
    path, pages = Path(path), result.pages()
    result.save(path, provenance)
    for name, content in pages.items():
        write_bytes(path / name, content)
    more = f"{path.name}/{next(iter(pages))}" if pages else None
    figure = files.sized(result.figure())
    for kind in files.formats:
        as_page = kind == "html"
        data = page(result, title, more, figure).encode() if as_page else picture(figure, kind)
        write_bytes(path.with_name(f"{path.name}.{kind}"), data)
    table = result.to_dataframe().to_csv(index=False)
    write_bytes(path.with_name(f"{path.name}.csv"), table.encode())


def page(
    result: Result, title: str, more: str | None = None, figure: go.Figure | None = None
) -> str:
    """Returns a result as one HTML page that needs no network.

    Args:
        result: What to show.
        title: Title of the page.
        more: A file to lead on to.
        figure: Its figure, if that is drawn already.
    """
    shown = drawn(result.figure() if figure is None else figure)
    values = {"figure": shown, "caption": result.caption(), "more": more}
    return filled("result", title=title, plotly=plotly_code(), **values)


def _plain(value: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """Turns a field into JSON-able values and puts arrays aside under their dotted names."""
    if is_dataclass(value) and not isinstance(value, type):
        inner = {field.name: getattr(value, field.name) for field in fields(value)}
        return _plain(inner, name, arrays)
    if isinstance(value, np.ndarray):
        arrays[name] = value
        return {"array": name}
    if isinstance(value, Mapping):
        prefix = f"{name}." if name else ""
        return {str(key): _plain(item, f"{prefix}{key}", arrays) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{name}.{i}", arrays) for i, item in enumerate(value)]
    if isinstance(value, np.generic):
        return value.item()
    to_json(value)  # anything else has to be plain already
    return value
