from __future__ import annotations

import io
import warnings

import nbformat
from nbclient import NotebookClient
from rich.console import Console

from irl_lens.progress import LineProgress, Progress, QuietProgress, RichProgress


def _shown(kind: type[RichProgress] | type[LineProgress], terminal: bool) -> str:
    stream = io.StringIO()
    progress: Progress = kind(Console(file=stream, force_terminal=terminal, width=120))
    for name in ("base", "controllers"):
        progress.stage(name, 4)
        progress.update(2)
        for step in (3, 4):
            progress.update(step, nll=0.25)
    progress.close()
    return stream.getvalue()


def test_one_display_has_every_stage_and_figure() -> None:
    text = _shown(RichProgress, terminal=True)
    for word in ("base", "controllers", "4/4", "nll 0.25"):
        assert word in text


def test_lines_are_few_and_end_with_the_last_step() -> None:
    lines = _shown(LineProgress, terminal=False).splitlines()
    assert lines[0].startswith("base 2/4") and lines[1] == "base 4/4 nll 0.25"
    assert len(lines) == 4


def test_a_notebook_has_one_display_that_moves() -> None:
    cell = nbformat.v4.new_code_cell(
        "from irl_lens.progress import progress_display\n"
        "shown = progress_display()\n"
        "for name in ('base', 'controllers'):\n"
        "    shown.stage(name, 4)\n"
        "    for step in (1, 2, 3, 4): shown.update(step, nll=0.25)\n"
        "shown.close()"
    )
    book = nbformat.v4.new_notebook(cells=[cell])
    with warnings.catch_warnings():  # of the kernel's own connections
        warnings.simplefilter("ignore")
        NotebookClient(book, timeout=120, kernel_name="python3").execute()
    (output,) = (one for one in book.cells[0].outputs if one.output_type != "stream")
    for word in ("base", "controllers", "4/4", "nll 0.25"):
        assert word in output["data"]["text/plain"] and word in output["data"]["text/html"]


def test_quiet_shows_nothing(capfd) -> None:
    progress: Progress = QuietProgress()
    progress.stage("base", 1)
    progress.update(1, nll=0.0)
    progress.close()
    assert capfd.readouterr() == ("", "")


def test_updates_before_a_stage_are_ignored() -> None:
    progress = RichProgress(Console(file=io.StringIO()))
    progress.update(1)
    progress.close()
