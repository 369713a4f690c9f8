"""Several processes that train together: which one this is, and sums over all of them.

    gradient of a sum over a batch  =  sum over processes of the gradient over their rows

``torchrun`` starts them, and tells each by its environment which it is. All draw the same batch;
each computes on every N-th row of it, adds its gradients and figures to those of the others, and
takes the step that all take. The first alone writes files. Sums go by gloo on processors, and by
nccl on graphics cards.

A process that was started alone is the first of one, and its sums are what it has itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from irl_lens.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# torch is imported where it is used: commands ask who they are before they need it.

STARTED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What ``torchrun`` sets in the environment of each process."""

PATIENCE = timedelta(days=1)
"""Most time that processes wait for each other, as while the first evaluates what all trained. One
that ends is noticed at once."""
_JOINED = count()
"""How often this process has joined others: as often as they."""


class LostProcessError(UserError):
    """Another process of the training ended, or cannot be reached."""


def started() -> tuple[int, int]:
    """Number of this process and how many there are, as they were started; 0 and 1 if alone."""
    if not all(name in os.environ for name in STARTED):
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def own_device(device: torch.device) -> torch.device:
    """The device of this process: of several graphics cards the one with its number.

    Raises:
        UserError: There are more processes than cards on this machine, or one card was named.
    """
    import torch

    if device.type != "cuda" or started()[1] == 1:
        return device
    card, cards = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if card >= cards:
        raise UserError(
            f"process {card} of this machine has no graphics card of its own, there are {cards}; "
            f"start at most {cards} with --nproc-per-node, or take --device cpu"
        )
    if device.index not in (torch.cuda.current_device(), card):
        raise UserError(
            f"device '{device}' for several processes; take cuda: each then has a card of its own"
        )
    torch.cuda.set_device(card)
    return torch.device("cuda", card)


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Joins the processes that were started together, for as long as they train.

    Args:
        device: Where this one trains.

    Raises:
        LostProcessError: Not all of them came.
    """
    from torch import distributed

    if not all(name in os.environ for name in STARTED) or distributed.is_initialized():
        yield
        return
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    with _together():
        distributed.init_process_group(backend, timeout=PATIENCE, **_meeting())
    try:
        yield
    finally:
        distributed.destroy_process_group()


def _meeting() -> dict[str, Any]:
    """Where this process meets the others, who it is and how many there are.

    Addresses are left there under a name of their own each time: torchrun keeps the place when it
    starts processes anew, and those of before no longer answer.
    """
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    store, rank, size = next(rendezvous("env://", timeout=PATIENCE))
    start = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    met = PrefixStore(f"irl-lens/{start}/{next(_JOINED)}", store)
    return {"store": met, "rank": rank, "world_size": size}


def here() -> tuple[int, int]:
    """Number of this process among those that train together, and how many these are."""
    distributed = sys.modules.get("torch.distributed")  # who did not import it has not joined
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def leads() -> bool:
    """Whether this is the process that writes files and shows what there is to show."""
    return here()[0] == 0 and started()[0] == 0


def own_rows(rows: int) -> slice:
    """Which rows of a batch this process computes on: every N-th, of N processes.

    Raises:
        UserError: There are fewer rows than processes.
    """
    number, count = here()
    if rows < count:
        raise UserError(
            f"{count} processes for {rows} that can be computed apart; start at most {rows} with "
            "--nproc-per-node, or take larger batches"
        )
    return slice(number, None, count)


def summed(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Tensors of one type on one device, each summed over all processes."""
    import torch
    from torch import distributed

    if not tensors or not distributed.is_initialized():
        return list(tensors)
    whole = torch.cat([tensor.flatten() for tensor in tensors])
    with _together():
        distributed.all_reduce(whole)
    parts = whole.split([tensor.numel() for tensor in tensors])
    return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]


def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """Puts sums over all processes in the place of gradients."""
    own = [parameter.grad for parameter in parameters if parameter.grad is not None]
    for gradient, total in zip(own, summed(own), strict=True):
        gradient.copy_(total)  # which leaves it lying in memory as it does


def totals(figures: Mapping[str, float]) -> dict[str, float]:
    """Sums figures over all processes, which must give the same ones."""
    import torch

    if here()[1] == 1:
        return dict(figures)
    (sums,) = summed([torch.tensor(list(figures.values()), dtype=torch.float64)])
    return dict(zip(figures, sums.tolist(), strict=True))


def wait() -> None:
    """Waits until all processes have come here."""
    totals({"here": 1.0})


@contextmanager
def _together() -> Iterator[None]:
    """Says of a failure to talk to the others what it means."""
    try:
        yield
    except RuntimeError as error:
        raise LostProcessError(
            f"of {started()[1]} processes that train together one has ended, or cannot be reached "
            f"({error}); what was saved is kept: give the same command again to continue"
        ) from error
