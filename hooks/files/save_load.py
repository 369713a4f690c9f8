"""Saving and loading: one safetensors file, its header a JSON description.

The header (:class:`Header`) and a SHA-256 over it and all tensors stand in the file's
metadata. No pickle: a file can be read without running any of its content. What comes back
is equal bit for bit; a file that was cut, extended or changed anywhere is refused.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from irl_lens.hooks.core.part import Part
from irl_lens.hooks.files.header import Header
from irl_lens.hooks.files.model_hash import content_hash, model_hash
from irl_lens.hooks.files.part_classes import part_classes

HEADER_LIMIT = 2**24
"""Bytes that the header may take; a file that declares more is not read."""
KEYS = ("intervention", "sha256")


def save(
    part: Part,
    path: str | Path,
    *,
    base: nn.Module | str | None = None,
    environment: str | None = None,
    training: Mapping[str, Any] | None = None,
    card: Mapping[str, Any] | None = None,
) -> Path:
    """Saves an intervention, a bank or a decoder.

    The file is written under another name and renamed, so that it is never half there. A part
    that is in two places comes back as two, equal at first and then trained apart.

    Args:
        part: what to save.
        path: a file ending in ``.safetensors``, or a folder to put one in.
        base: the base model it was made for, or its hash; :func:`load` can insist on it.
        environment: id of the environment it was made in.
        training: how it was trained, JSON-able.
        card: metrics measured now, JSON-able.

    Returns:
        The file.

    Raises:
        ValueError: a part of a class that cannot be rebuilt, or a header beyond 16 MiB.
        TypeError: notes that are not JSON-able.

    Examples:
        >>> import tempfile
        >>> from irl_lens.hooks import VectorController
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(VectorController(torch.ones(2), "hook_embed"), folder).name
        'intervention.safetensors'
    """
    known = part_classes()
    for inner in part.modules():
        if isinstance(inner, Part) and known.get(type(inner).__name__) is not type(inner):
            raise ValueError(
                f"a {type(inner).__name__} cannot be saved; those that can: {', '.join(known)}"
            )
    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in part.state_dict().items()}
    text = Header.of(part, _hash(base), environment, training, card).to_json()
    content = to_bytes(tensors, dict(zip(KEYS, (text, content_hash(text, tensors)), strict=True)))
    file = _file(path)
    if int.from_bytes(content[:8], "little") > HEADER_LIMIT:
        raise ValueError(f"{file}: its header exceeds {HEADER_LIMIT} bytes; shorten the card")
    file.parent.mkdir(parents=True, exist_ok=True)
    write(file, content)
    return file


def load(
    path: str | Path,
    verify: nn.Module | str | None = None,
    device: torch.device | str = "cpu",
) -> Part:
    """Loads what :func:`save` saved, wherever it was then.

    Args:
        path: the file, or the folder it is in.
        verify: the base model it is to act on, or its hash; any other is refused.
        device: where to: that of the base model.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another base model; a truncated, changed or foreign file; a class that is
            not known here, such as a controller whose module is not imported.

    Examples:
        >>> import tempfile
        >>> from irl_lens.hooks import VectorController
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = save(VectorController(torch.ones(2), "hook_embed"), folder, base="3f2a")
        ...     load(file, verify="3f2a").v
        tensor([1., 1.])
    """
    with _opened(path) as content:
        metadata = content.metadata() or {}
        header = Header.from_json(metadata.get(KEYS[0], "{}"))
        if verify is not None and header.base_hash != _hash(verify):
            raise ValueError(
                f"made for the base model {header.base_hash}, not for {_hash(verify)}; load the "
                "base model it belongs to"
            )
        # Cloned: a tensor read lies in the mapped file, which may change, and where it lies
        # there decides the last bits of products with it.
        tensors = {n: _cloned(content.get_tensor(n)) for n in content.keys()}  # noqa: SIM118
        _check_tensors(header, tensors)
        if metadata.get(KEYS[1]) != content_hash(metadata[KEYS[0]], tensors):
            raise ValueError("the content is not what was saved; copy it again")
        return _restored(header, tensors).to(device)


def inspect(path: str | Path) -> Header:
    """Returns what a file says about itself; print it. Its tensors are not read.

    Args:
        path: the file, or the folder it is in.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a truncated or foreign file.

    Examples:
        >>> import tempfile
        >>> from irl_lens.hooks import LowRankController
        >>> controller = LowRankController.random(64, rank=4, hook_name="hook_embed")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     print(inspect(save(controller, folder, card={"nll": 0.5})))
        LowRankController at hook_embed
          d_model      64
          rank         4
          card         nll 0.5
          tensors      A float32 [4, 64] trainable, B float32 [64, 4] trainable
    """
    with _opened(path) as content:
        return Header.from_json((content.metadata() or {}).get(KEYS[0], "{}"))


def _hash(base: nn.Module | str | None) -> str | None:
    return model_hash(base) if isinstance(base, nn.Module) else base


def _cloned(tensor: Tensor) -> Tensor:
    """Clones byte by byte: a bool's clone is 0 or 1, whatever bits it was read from."""
    content = tensor.reshape(-1).view(torch.uint8).clone()
    return content.view(tensor.dtype).reshape(tensor.shape)


def _check_tensors(header: Header, tensors: dict[str, Tensor]) -> None:
    """Raises ValueError unless the tensors are those of the header."""
    said = {n: f"{about['dtype']} {about['shape']}" for n, about in header.tensors.items()}
    found = {n: f"{t.dtype} {list(t.shape)}".removeprefix("torch.") for n, t in tensors.items()}
    for name in sorted(said.keys() | found.keys()):
        if said.get(name) != found.get(name):
            raise ValueError(
                f"the header says {name} is {said.get(name)}, the file holds {found.get(name)}"
            )


def _restored(header: Header, tensors: dict[str, Tensor]) -> Part:
    """Rebuilds the part, which must then describe itself as the header does."""
    trainable = {n: nn.Parameter(tensors[n]) for n, t in header.tensors.items() if t["trainable"]}
    part = _restore(vars(header), {**tensors, **trainable})
    notes = header.base_hash, header.environment, header.training, header.card
    if Header.of(part, *notes).to_json() != header.to_json():
        raise ValueError(f"the header is not that of the {header.kind} it comes with")
    return part


def _restore(description: Mapping[str, Any], tensors: dict[str, Tensor]) -> Part:
    kind, known = description["kind"], part_classes()
    if kind not in known:
        raise ValueError(
            f"the file holds a {kind}; known are {', '.join(known)}; if it is a controller of "
            "your own, import the module that defines it first"
        )
    parts = {
        name: _restore(inner, _under(f"{name}.", tensors))
        for name, inner in description["parts"].items()
    }
    own = {n: t for n, t in tensors.items() if n.split(".", 1)[0] not in parts}
    try:
        return known[kind].restore(description["config"], own, parts)
    except TypeError as error:
        raise ValueError(f"the header is not that of a {kind}: {error}") from error


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _file(path: str | Path) -> Path:
    path = Path(path)
    return path if path.suffix == ".safetensors" else path / "intervention.safetensors"


def write(file: Path, content: bytes) -> None:
    """Writes a file whole or not at all; a symbolic link stays, and what it leads to is replaced.

    Raises:
        FileExistsError: something that is no regular file is there, such as a device.
        OSError: it cannot be written.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write(Path(folder) / "a", b"content")
        ...     (Path(folder) / "a").read_bytes()
        b'content'
    """
    end = Path(os.path.realpath(file))
    if end.is_symlink() or (file.exists() and not file.is_file()):  # the former leads to itself
        raise FileExistsError(errno.EEXIST, "there is no regular file to replace", str(file))
    file = end
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    """Opens a file; whatever is wrong with it is a ValueError that names it."""
    file = _file(path)
    if not file.exists():
        raise FileNotFoundError(f"{file} does not exist")
    if not file.is_file():
        raise ValueError(f"{file} is a folder or a device, no file of an intervention")
    try:
        with file.open("rb") as head:
            declared = int.from_bytes(head.read(8), "little")
        size = file.stat().st_size
        if not 0 < declared <= min(HEADER_LIMIT, size - 8):
            raise ValueError(f"{size} bytes, of which a header of {declared}; truncated or foreign")
        with safe_open(file, framework="pt") as content:
            yield content
    except SafetensorError as error:
        raise ValueError(f"{file}: truncated or no safetensors file ({error})") from error
    except OSError:
        raise
    except Exception as error:  # of whatever kind: a header can hold anything
        raise ValueError(f"{file}: {error}") from error
