"""Progress of a chain of stages: one display for all of them, or lines in a log, or nothing."""

from __future__ import annotations

import time
from typing import Any, Protocol, runtime_checkable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.table import Column

_LINE_SECONDS, _DRAWN_SECONDS = 30.0, 0.3
_REST = Column(no_wrap=True, overflow="ellipsis", ratio=1)


@runtime_checkable
class Progress(Protocol):
    """What a stage tells while it runs."""

    def stage(self, name: str, total: int) -> None:
        """A stage of ``total`` steps begins (or continues)."""
        ...

    def update(self, step: int, **shown: float) -> None:
        """``step`` steps are complete; ``shown`` are the figures worth a look."""
        ...

    def close(self) -> None:
        """Nothing more comes."""
        ...


class QuietProgress:
    """Shows nothing."""

    def stage(self, name: str, total: int) -> None:
        """Ignored."""

    def update(self, step: int, **shown: float) -> None:
        """Ignored."""

    def close(self) -> None:
        """Ignored."""


class RichProgress:
    """One bar a stage on a terminal, under each other, with the time that is left.

    Args:
        console: Where to draw; standard error when not given, so that standard output
            holds results only.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[shown]}", table_column=_REST),
            expand=True,
            console=console or Console(stderr=True),
        )
        self._task: TaskID | None = None
        self._fresh = True

    def stage(self, name: str, total: int) -> None:
        """Adds a bar."""
        self._show()
        self._task = self._bars.add_task(name, total=total, shown="")
        self._fresh = True

    def update(self, step: int, **shown: float) -> None:
        """Moves the last bar."""
        if self._task is None:
            return
        if self._fresh:  # what a resumed stage did before must not count as speed
            self._bars.reset(self._task, completed=step)
            self._fresh = False
        self._bars.update(self._task, completed=step, shown=_shown(shown))
        self._redraw()

    def close(self) -> None:
        """Leaves the bars as they stand."""
        self._bars.stop()

    def _show(self) -> None:
        self._bars.start()

    def _redraw(self) -> None:
        """Done by a thread of the bars' own."""


class NotebookProgress(RichProgress):
    """The same bars below the cell of a notebook, drawn anew a few times a second."""

    def __init__(self) -> None:
        super().__init__()
        self._display: Any = None
        self._drawn = 0.0

    def close(self) -> None:
        """Draws the bars as they stand."""
        if self._display is not None:
            self._display.update(self._bars)

    def _show(self) -> None:
        from IPython.display import display  # there is one where there is a notebook

        if self._display is None:  # rich itself would want ipywidgets to move a bar
            self._display = display(self._bars, display_id=True)

    def _redraw(self) -> None:
        if time.monotonic() - self._drawn >= _DRAWN_SECONDS:
            self._display.update(self._bars)
            self._drawn = time.monotonic()


class LineProgress:
    """A line at the start and the end of a stage and every half minute between: for log files.

    Args:
        console: Where to write; standard error when not given.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._name, self._total, self._last = "", 0, 0.0

    def stage(self, name: str, total: int) -> None:
        """Notes the stage."""
        self._name, self._total, self._last = name, total, 0.0

    def update(self, step: int, **shown: float) -> None:
        """Writes a line when one is due."""
        now = time.monotonic()
        if step >= self._total or now - self._last >= _LINE_SECONDS:
            self._last = now
            line = f"{self._name} {step}/{self._total} {_shown(shown)}".rstrip()
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Nothing to close."""


def progress_display() -> Progress:
    """Bars on a terminal and in a notebook, lines elsewhere."""
    console = Console(stderr=True)
    if console.is_jupyter:
        return NotebookProgress()
    return RichProgress(console) if console.is_terminal else LineProgress(console)


def _shown(figures: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
