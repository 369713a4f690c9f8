"""Ctrl-C that waits for the end of a step, and so does SIGTERM, with which schedulers end jobs.

An interrupt in the middle of an optimisation step would leave some parameters updated and
some not, and no checkpoint of that would resume exactly.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Interrupt:
    """Whether training is to stop.

    Attributes:
        pending: True once Ctrl-C was pressed, or SIGTERM came.
    """

    pending: bool = False


@contextmanager
def deferred_interrupt() -> Iterator[Interrupt]:
    """Holds the first Ctrl-C or SIGTERM back for the body to see; a second one interrupts at once.

    Outside the main thread, where Python delivers no signals, it does nothing.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if interrupt.pending:
            raise KeyboardInterrupt
        interrupt.pending = True

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
