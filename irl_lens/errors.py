"""Exceptions for what the user can mend; the command line shows them as one line."""

from __future__ import annotations


class UserError(ValueError):
    """A wrong value, file or folder: the message names it, the limit and the remedy."""


class NotOffered(UserError):
    """What is asked for is nothing that this world offers: a filter, labels, situations, .."""
