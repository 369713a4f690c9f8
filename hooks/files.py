"""Saving and loading: one safetensors file, its header a JSON description.

The header (:class:`Header`) holds the kind, configuration and parts of what was saved, the
hook name, the hash of the base model it was made for, the shapes of its tensors, and a free
`card`. No pickle: a file can be read without running any of its content.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from .bank import BankController, ControllerBank
from .combine import Mask, Scale, Sequence, Sum
from .full import FullController
from .hypernetwork import CodeController, HypernetworkDecoder
from .low_rank import LowRankController
from .part import Part
from .patch import AblatePatch, InterpolatePatch, ReplacePatch, SubspacePatch
from .vector import VectorController

FORMAT = "irl-lens intervention, 1"
KEY = "intervention"
KINDS: dict[str, type[Part]] = {
    kind.__name__: kind
    for kind in (
        *(LowRankController, FullController, VectorController, ControllerBank, BankController),
        *(HypernetworkDecoder, CodeController, Scale, Sum, Sequence, Mask),
        *(ReplacePatch, AblatePatch, InterpolatePatch, SubspacePatch),
    )
}
"""What can be saved, by class name. Add a :class:`Part` of your own to save it too."""


@dataclass(frozen=True)
class Header:
    """What a file says about itself.

    Attributes:
        format: format and version.
        hook_name: where it acts; None for a decoder, which acts where it is told.
        base_hash: hash of the base model's weights; None if it belongs to none.
        description: kind, config and parts, nested.
        shapes: shape of each tensor.
        trainable: names of the tensors that are parameters.
        card: anything else worth knowing.
    """

    format: str
    hook_name: str | None
    base_hash: str | None
    description: dict[str, Any]
    shapes: dict[str, list[int]]
    trainable: list[str]
    card: dict[str, Any]


def save(
    part: Part,
    path: str | Path,
    *,
    base_hash: str | None = None,
    card: Mapping[str, Any] | None = None,
) -> Path:
    """Saves an intervention, a bank or a decoder.

    The file is written under another name and renamed, so that it is never half there.

    Args:
        part: what to save.
        path: a file ending in ``.safetensors``, or a folder to put one in.
        base_hash: hash of the base model it was made for; :func:`load` can insist on it.
        card: JSON-able notes: what trained it, on what, how good it is.

    Returns:
        The file.

    Raises:
        ValueError: a kind that cannot be rebuilt.
    """
    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in part.state_dict().items()}
    header = Header(
        format=FORMAT,
        hook_name=getattr(part, "hook_name", None),
        base_hash=base_hash,
        description=_describe(part),
        shapes={name: list(tensor.shape) for name, tensor in tensors.items()},
        trainable=[name for name, _ in part.named_parameters()],
        card=dict(card or {}),
    )
    file = _file(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    _write(file, to_bytes(tensors, {KEY: json.dumps(asdict(header))}))
    return file


def load(path: str | Path, verify: str | None = None) -> Part:
    """Loads what :func:`save` saved, on the CPU.

    Args:
        path: the file, or the folder it is in.
        verify: hash of the base model it is to act on; any other is refused.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another base model; a truncated or foreign file; shapes that differ.
    """
    file = _file(path)
    header, tensors = _read(file)
    if verify is not None and header.base_hash != verify:
        raise ValueError(
            f"{file} was made for the base model {header.base_hash}, not for {verify}; "
            "load the base model it belongs to"
        )
    for name in header.shapes.keys() | tensors.keys():
        said, found = header.shapes.get(name), tensors.get(name)
        if found is None or said != list(found.shape):
            shape = None if found is None else list(found.shape)
            raise ValueError(f"{file}: the header says {name} is {said}, the file holds {shape}")
    parameters = {name: nn.Parameter(tensors[name]) for name in header.trainable}
    return _restore(header.description, {**tensors, **parameters})


def read_header(path: str | Path) -> Header:
    """Returns what a file says about itself, without reading its tensors."""
    file = _file(path)
    with _opened(file) as content:
        return _header(file, content.metadata())


def _describe(part: Part) -> dict[str, Any]:
    kind = type(part).__name__
    if KINDS.get(kind) is not type(part):
        raise ValueError(f"a {kind} cannot be saved; those that can: {', '.join(KINDS)}")
    parts = {name: _describe(child) for name, child in part.parts().items()}
    return {"kind": kind, "config": part.config(), "parts": parts}


def _restore(description: dict[str, Any], tensors: dict[str, Tensor]) -> Part:
    kind = description["kind"]
    if kind not in KINDS:
        raise ValueError(f"the file holds a {kind}; known are {', '.join(KINDS)}")
    parts = {
        name: _restore(inner, _under(f"{name}.", tensors))
        for name, inner in description["parts"].items()
    }
    own = {n: t for n, t in tensors.items() if n.split(".", 1)[0] not in parts}
    return KINDS[kind].restore(description["config"], own, parts)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _file(path: str | Path) -> Path:
    path = Path(path)
    return path if path.suffix == ".safetensors" else path / "intervention.safetensors"


def _write(file: Path, content: bytes) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)


def _read(file: Path) -> tuple[Header, dict[str, Tensor]]:
    with _opened(file) as content:
        header = _header(file, content.metadata())
        return header, {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118


def _opened(file: Path) -> Any:
    if not file.exists():
        raise FileNotFoundError(f"{file} does not exist")
    try:
        return safe_open(file, framework="pt")
    except SafetensorError as error:
        size = file.stat().st_size
        raise ValueError(
            f"{file} ({size} bytes) is truncated or no safetensors file: {error}; copy it again"
        ) from error


def _header(file: Path, metadata: dict[str, str] | None) -> Header:
    header = json.loads((metadata or {}).get(KEY, "{}"))
    if header.get("format") != FORMAT:
        raise ValueError(
            f"{file} has the format {header.get('format')!r}, not {FORMAT!r}; it is not a "
            "saved intervention, or one of another version"
        )
    return Header(**header)
