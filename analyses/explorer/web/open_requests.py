"""Requests that are being answered: a page that closes lets them come to their end.

A thread that is still inside torch when Python ends takes the whole process down with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Condition
from typing import Any

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class OpenRequests:
    """Counts the requests that an application is working on.

    Args:
        app: The application.
    """

    def __init__(self, app: Wsgi) -> None:
        self._app, self._count, self._changed = app, 0, Condition()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answers one request."""
        self._add(1)
        try:
            return self._app(environ, start_response)
        finally:
            self._add(-1)

    def wait(self, seconds: float) -> bool:
        """Waits until nothing is being answered; returns whether that came."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._count, seconds)

    def _add(self, number: int) -> None:
        with self._changed:
            self._count += number
            self._changed.notify_all()
