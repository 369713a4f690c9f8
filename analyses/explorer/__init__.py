"""The explorer: patch, edit, steer and fork an episode, in the browser or in a notebook.

:class:`Explorer` is all of it but the page: a state with methods to set and undo, and what is
computed from it. :func:`explore` shows it as a page, on this machine alone.
"""

from irl_lens.analyses.explorer.patching import contrast, replacements
from irl_lens.analyses.explorer.session import Explorer
from irl_lens.analyses.explorer.state import Branch, Segment, Spot, State, Steering

__all__ = ["Branch", "Explorer", "Segment", "Spot", "State", "Steering", "contrast", "replacements"]
