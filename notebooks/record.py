"""Executes lessons and keeps what they print and draw: python notebooks/record.py [NAME...]

A figure is kept twice: as plotly's own JSON, which Jupyter draws, and as a PNG for whoever shows
pictures alone, such as GitHub. Neither holds plotly's code, which is 4 MB. Pictures need kaleido
and Chrome or Chromium (``irl-lens doctor``). Bars of progress and warnings are not kept: they tell
of the machine.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

import nbformat
import plotly.io
from nbclient import NotebookClient
from nbformat import NotebookNode

HERE = Path(__file__).parent
FIGURE = "application/vnd.plotly.v1+json"
WIDTH, HEIGHT = 900, 450
"""Of a picture whose figure has no size of its own [px]."""


def record(path: Path) -> None:
    """Executes a notebook in its folder and writes it back with its outputs."""
    book = nbformat.read(path, 4)
    NotebookClient(book, resources={"metadata": {"path": path.parent}}).execute()
    tidy(book)
    draw(book)
    book.metadata["outputs_of"] = digest(book)
    nbformat.write(book, path)


def tidy(book: NotebookNode) -> None:
    """Drops times, warnings and bars of progress."""
    for cell in code_cells(book):
        cell.metadata.pop("execution", None)
        cell.outputs = [output for output in cell.outputs if not _passing(output)]


def draw(book: NotebookNode) -> None:
    """Adds a picture to every figure; one browser draws them all."""
    bundles = [
        o.data for cell in code_cells(book) for o in cell.outputs if FIGURE in o.get("data", ())
    ]
    figures = [plotly.io.from_json(json.dumps(data[FIGURE])) for data in bundles]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{i}.png" for i in range(len(figures))]
        widths = [figure.layout.width or WIDTH for figure in figures]
        heights = [figure.layout.height or HEIGHT for figure in figures]
        plotly.io.write_images(figures, files, width=widths, height=heights)
        for data, file in zip(bundles, files, strict=True):
            data["image/png"] = base64.b64encode(file.read_bytes()).decode() + "\n"


def digest(book: NotebookNode) -> str:
    """SHA-256 of all code: outputs are those of other code where it differs from the one kept."""
    return sha256("\0".join(cell.source for cell in code_cells(book)).encode()).hexdigest()


def code_cells(book: NotebookNode) -> list[NotebookNode]:
    """The cells that are executed."""
    return [cell for cell in book.cells if cell.cell_type == "code"]


def _passing(output: NotebookNode) -> bool:
    bars = output.output_type == "display_data" and FIGURE not in output.data
    return bars or output.get("name") == "stderr"


if __name__ == "__main__":
    os.environ["PLOTLY_RENDERER"] = "plotly_mimetype"
    for name in sys.argv[1:] or sorted(path.stem for path in HERE.glob("*.ipynb")):
        record(HERE / f"{name}.ipynb")
        print(name, flush=True)
