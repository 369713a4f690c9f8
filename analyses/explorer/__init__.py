"""The explorer: patch, edit, steer and fork an episode, in the browser or in a notebook.

:class:`Explorer` is all of it but the page: a state with methods to set and undo, and what is
computed from it. :func:`explore` shows it as a page, on this machine alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from irl_lens.analyses.explorer.patching import contrast, replacements
from irl_lens.analyses.explorer.session import Explorer
from irl_lens.analyses.explorer.state import Branch, Segment, Spot, State, Steering

if TYPE_CHECKING:
    from irl_lens.analyses.explorer.web.server import Server
    from irl_lens.runs.run import Run

__all__ = [
    "Branch",
    "Explorer",
    "Segment",
    "Spot",
    "State",
    "Steering",
    "contrast",
    "explore",
    "replacements",
]


def explore(
    run: Run | str,
    port: int | None = None,
    browser: bool = False,
    allowed: Sequence[str] = (),
) -> Server:
    """Opens a run in the explorer, at the server's ``url``; a cell that ends with it shows it.

    Args:
        run: A run, its folder, or a bundled model's name.
        port: Where; another one if it is taken, or none is given.
        browser: Open a web browser too.
        allowed: Names beside this machine's own by which a proxy or a tunnel may ask.

    Raises:
        UserError: There is no such port or name, the run has no trained base, or a world in which
            no walk can be retraced.
    """
    # Dash takes a second to import, and a session without a page does not need it.
    from irl_lens.analyses.explorer.web.server import open_page

    return open_page(run, port, browser, allowed)
