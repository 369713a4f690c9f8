"""Where a model is and computes: the processor, or a graphics card."""

from __future__ import annotations

import os
import re

import torch

from irl_lens.errors import UserError

VARIABLE = "IRL_LENS_DEVICE"
"""Environment variable that names the device where nothing else does."""


def find_device(name: torch.device | str | None = None) -> torch.device:
    """The device of a name.

    Args:
        name: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, or ``"auto"``: the graphics card if torch sees
            one, else the processor. What ``IRL_LENS_DEVICE`` names when not given, or else
            ``"auto"``. A ``torch.device`` comes back as it is.

    Raises:
        UserError: There is no such device here; says what there is.
    """
    if isinstance(name, torch.device):
        return name
    told = f"{VARIABLE}={os.environ.get(VARIABLE)!r}" if name is None else f"device {name!r}"
    name = os.environ.get(VARIABLE) or "auto" if name is None else name
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return torch.device(name)
    if not (found := re.fullmatch(r"cuda(?::([0-9]{1,4}))?", name)):
        raise UserError(f"{told}: take cpu, cuda (or one of several: cuda:0, cuda:1, ..) or auto")
    if not torch.cuda.is_available():
        raise UserError(f"{told}: torch sees no CUDA device, {why_none()}; take cpu or auto")
    number, count = found[1], torch.cuda.device_count()
    if number is not None and int(number) >= count:
        there = ", ".join(f"cuda:{i}" for i in range(count))
        raise UserError(f"{told}: torch sees {there}; take one of those, cpu or auto")
    return torch.device("cuda", torch.cuda.current_device() if number is None else int(number))


def described(device: torch.device) -> str:
    """A device's name, with that of the graphics card."""
    if device.type != "cuda":
        return str(device)
    return f"{device} ({torch.cuda.get_device_name(device)})"


def why_none() -> str:
    """Why torch sees no CUDA device, as half a sentence."""
    built = torch.version.cuda
    if built is None:
        return f"as torch {torch.__version__} was built without CUDA"
    return (
        f"and torch {torch.__version__} was built for CUDA {built}: is there a card, a driver for "
        "it, and is CUDA_VISIBLE_DEVICES as meant"
    )
