"""Ways to damage a file, each a function of the file and a random generator."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from irl_lens.files.lock import FILES

Random = np.random.Generator


def flip(path: Path, random: Random) -> None:
    content = bytearray(path.read_bytes())
    for at in random.integers(len(content), size=random.integers(1, 4)):
        content[at] ^= 1 << int(random.integers(8))
    path.write_bytes(content)


def cut(path: Path, random: Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: random.integers(len(content))])


def insert(path: Path, random: Random) -> None:
    content = bytearray(path.read_bytes())
    at = int(random.integers(len(content) + 1))
    content[at:at] = random.choice([b"\xff\xfe", b"\0", b"[" * 5000, b"9", b"NaN", b"{}", b"\n"])
    path.write_bytes(content)


def repeat(path: Path, random: Random) -> None:
    content = bytearray(path.read_bytes())
    start, end = sorted(random.integers(len(content) + 1, size=2))
    content[end:end] = content[start:end]
    path.write_bytes(content)


def empty(path: Path, random: Random) -> None:
    path.write_bytes(b"")


def delete(path: Path, random: Random) -> None:
    path.unlink()


def make_folder(path: Path, random: Random) -> None:
    path.unlink()
    path.mkdir()


def swap(path: Path, random: Random) -> None:
    """Exchanges it with another file of the run, of the same name if there is one."""
    top = next(folder for folder in path.parents if (folder / "config.json").is_file())
    others = [p for p in sorted(top.rglob("*")) if p.is_file() and p != path]
    alike = [p for p in others if p.name == path.name or p.suffix == path.suffix]
    chosen = alike if alike and random.random() < 0.8 else others
    other = chosen[random.integers(len(chosen))]
    mine, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(mine)


BYTES = (flip, cut, insert, repeat, empty, delete, make_folder, swap)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a JSON value with each of its keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, inner in list(items):
        found.append((value, key))
        found += places(inner) if isinstance(inner, dict | list) else []
    return found


ODD = (None, True, "", "1", -1, 0, 10**40, 1.5, [], {}, [[]], float("nan"), float("inf"), "\ud800")


def change_value(content: Any, random: Random) -> str:
    inside, key = random.choice(np.array(places(content), dtype=object))
    inside[key] = ODD[random.integers(len(ODD))]
    return json.dumps(content)


def drop_key(content: Any, random: Random) -> str:
    inside, key = random.choice(np.array(places(content), dtype=object))
    del inside[key]
    return json.dumps(content)


def exchange_values(content: Any, random: Random) -> str:
    (one, i), (other, j) = random.choice(np.array(places(content), dtype=object), size=2)
    one[i], other[j] = other[j], one[i]
    return "{}" if one is other[j] or other is one[i] else json.dumps(content)


def nest(content: Any, random: Random) -> str:
    return '{"preset":' * 3000 + json.dumps(content) + "}" * 3000


def twice(content: Any, random: Random) -> str:
    text = json.dumps(content)
    return f'{text[:-1]}, "seal": "0"}}' if isinstance(content, dict) else f"{text}{text}"


def huge(content: Any, random: Random) -> str:
    inside, key = random.choice(np.array(places(content), dtype=object))
    inside[key] = "HUGE"
    number = str(random.choice(["1e999", "-1e999", "9" * 5000]))
    return json.dumps(content).replace('"HUGE"', number)


def layout(content: Any, random: Random) -> str:
    return json.dumps(content, indent=7, sort_keys=True)  # the same content


JSONS = (change_value, drop_key, exchange_values, nest, twice, huge, layout)


def swap_tensors(tensors: dict[str, torch.Tensor], random: Random) -> None:
    names = list(tensors)
    pairs = [(a, b) for a in names for b in names if a < b and tensors[a].shape == tensors[b].shape]
    if pairs:
        a, b = pairs[random.integers(len(pairs))]
        tensors[a], tensors[b] = tensors[b], tensors[a]


def one_of(tensors: Mapping[str, torch.Tensor], random: Random) -> str:
    return str(random.choice(sorted(tensors)))


def set_nan(tensors: dict[str, torch.Tensor], random: Random) -> None:
    floats = {n: t for n, t in tensors.items() if t.is_floating_point() and t.numel()}
    if floats:
        name = one_of(floats, random)
        tensors[name] = tensors[name].clone()
        tensors[name].view(-1)[0] = float("nan")


def other_dtype(tensors: dict[str, torch.Tensor], random: Random) -> None:
    name = one_of(tensors, random)
    kinds = [torch.float64, torch.bfloat16, torch.float16, torch.int32, torch.bool]
    tensors[name] = tensors[name].to(kinds[random.integers(len(kinds))])


def other_shape(tensors: dict[str, torch.Tensor], random: Random) -> None:
    name = one_of(tensors, random)
    tensors[name] = tensors[name].flatten()[:1] if random.random() < 0.5 else tensors[name][None]


def drop_tensor(tensors: dict[str, torch.Tensor], random: Random) -> None:
    del tensors[one_of(tensors, random)]


def rename_tensor(tensors: dict[str, torch.Tensor], random: Random) -> None:
    name = one_of(tensors, random)
    tensors[f"{name}_"] = tensors.pop(name)


def add_tensor(tensors: dict[str, torch.Tensor], random: Random) -> None:
    tensors["stowaway"] = torch.zeros(2)


def nudge(tensors: dict[str, torch.Tensor], random: Random) -> None:
    name = one_of(tensors, random)
    tensors[name] = tensors[name] + 1


TENSORS = (
    swap_tensors,
    set_nan,
    other_dtype,
    other_shape,
    drop_tensor,
    rename_tensor,
    add_tensor,
    nudge,
)


def mutate(path: Path, random: Random, plainly: tuple[Callable[..., None], ...] = BYTES) -> str:
    """Changes one file in some way; returns how."""
    parsed = {".json": JSONS, ".safetensors": TENSORS}.get(path.suffix, ())
    ways = parsed if parsed and random.random() < 0.6 else plainly
    way: Callable[..., Any] = ways[random.integers(len(ways))]
    if path.suffix == ".json" and way in JSONS:
        path.write_text(way(json.loads(path.read_text()), random))
    elif path.suffix == ".safetensors" and way in TENSORS:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            header = file.metadata()
        if tensors:
            way(tensors, random)
        save_file({n: t.clone() for n, t in tensors.items()}, path, header)
    else:
        way(path, random)
    return way.__name__


def plain(value: Any) -> Any:
    """Something that equals only what is the same to the bit."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.detach().numpy().tobytes()
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value if isinstance(value, bytes) else repr(value)


def files_in(folder: Path) -> dict[str, bytes]:
    paths = (p for p in folder.rglob("*") if p.is_file() and p.name not in FILES)
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths}


def put_back(folder: Path, files: Mapping[str, bytes]) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and str(path.relative_to(folder)) in files:
            path.rmdir()
    for name, content in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)
