"""The exception for mistakes that the user can mend; the command line shows it as one line."""

from __future__ import annotations


class UserError(ValueError):
    """A wrong value, file or folder: the message names it, the limit and the remedy."""
