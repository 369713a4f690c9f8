"""By which names the explorer is asked, and which pages may ask it.

A request is answered if its ``Host`` is a name of this machine with the port that is served, or one
that the user allowed; and, where a browser tells the page that it comes from (``Origin``), only if
that page is the explorer's own under such a name. So neither a page of somebody else's nor a name
of theirs that leads to this machine (DNS rebinding) gets an answer. Names are compared whole: there
are no wildcards.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from irl_lens.errors import UserError

OWN = ("127.0.0.1", "localhost")
"""Names that this machine calls itself."""
_HOST = re.compile(r"([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


class Hosts:
    """The names that are answered.

    Args:
        allowed: Those beside this machine's own, as the browser says them: ``name:port``, or
            ``name`` where it asks at the usual port (80, or 443 with https).

    Raises:
        UserError: One of them is no name of a machine.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._allowed = frozenset(name.lower() for name in allowed)
        if wrong := sorted(name for name in self._allowed if not _HOST.fullmatch(name)):
            raise UserError(
                f"--allow-host {wrong[0]}: give a name with its port as it stands in the browser, "
                "such as localhost:9000 or lab.example.org, without http:// and without *"
            )

    def answer(self, host: str, port: str) -> bool:
        """Whether a ``Host`` names this machine and the port served, or is allowed."""
        name, _, number = host.rpartition(":")
        return (name in OWN and number == port) or host.lower() in self._allowed

    def own_page(self, origin: str, port: str) -> bool:
        """Whether an ``Origin`` is the explorer's own page; a proxy may serve it by https."""
        scheme, _, host = origin.partition("://")
        if scheme == "https":
            return host.lower() in self._allowed
        return scheme == "http" and self.answer(host, port)


def allow(asked: str) -> str:
    """How to have a ``Host`` or ``Origin`` answered."""
    host = asked.rpartition("://")[2].lower()
    named = host if _HOST.fullmatch(host) else "NAME:PORT"
    return f"if that is a proxy or tunnel of yours, start it with --allow-host {named}"
