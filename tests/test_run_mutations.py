"""Damaged run folders: each way to load one refuses, or gives what it gave before the damage.

Every mutation is a function of a file and a random generator. What is loaded by mistake would
be acted on, so the test compares contents to the bit.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from irl_lens.analyses.floor import training_curve
from irl_lens.analyses.learning import learning_curves
from irl_lens.checkpoint import CheckpointError
from irl_lens.data import Stream
from irl_lens.dataset import read_trajectories, write_trajectories
from irl_lens.envs.worlds import make_world
from irl_lens.errors import UserError
from irl_lens.hooks import VectorController, inspect, load, save
from irl_lens.record import write_bundle, write_record
from irl_lens.rl.internal import load_policy
from irl_lens.runs import Run
from irl_lens.stage import Stage
from irl_lens.summary import write_evaluation, write_summary
from irl_lens.training.codes import load_metacontroller
from irl_lens.training.controllers import load_controllers
from irl_lens.training.discovery import load_discovered
from irl_lens.training.pretrain import load_base

Random = np.random.Generator
FEW, SOME, MANY = 100, 300, 2_000


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
    other = random.choice(alike if alike and random.random() < 0.8 else others)
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
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def written(folder: Path) -> dict[str, Any]:
    """What was written; JSON by its values, as a damaged file's may only be laid out otherwise."""
    return {
        name: json.dumps(json.loads(content), sort_keys=True) if name[-5:] == ".json" else content
        for name, content in files_in(folder).items()
    }


def stage_content(stage: Stage) -> dict[str, Any]:
    contents = stage.result, stage.made_with(), stage.metrics(), stage.weights(), stage.arrays()
    return {str(i): content for i, content in enumerate(contents)}


def taken(run: Run, out: Path) -> dict[str, Any]:
    other = Run.create(out / "other", run.preset, seed=run.seed + 1)
    other.take_base(run)
    return written(other.stage("base").folder)


def summarised(run: Run, out: Path) -> dict[str, Any]:
    write_summary([run], out)
    return written(out)


def ways_to_load(run: Run) -> dict[str, Callable[[Run, Path], Any]]:
    """All that reads a run, by name: given the run and an empty folder, it returns contents."""
    snapshots = run.stage("base").snapshots
    parts = [part.name for part in run.stage("internal-rl").parts()]
    found: dict[str, Callable[[Run, Path], Any]] = {
        "config": lambda run, out: (run.preset, run.seed, run.config),
        "base": lambda run, out: load_base(run)[1].weights(),
        "pretrained": lambda run, out: load_base(run, pretrained=True)[1].weights(),
        "controllers": lambda run, out: {
            f"{layer}.{n}": w
            for layer, bank in load_controllers(run).items()
            for n, w in bank.state_dict().items()
        },
        "discovered": lambda run, out: load_discovered(run).state_dict(),
        "metacontroller": lambda run, out: load_metacontroller(run).state_dict(),
        "policy": lambda run, out: load_policy(run).state_dict(),
        "curve": lambda run, out: training_curve(run.stage("base")),
        "record": lambda run, out: written(write_record(run, out)),
        "bundle": lambda run, out: written(write_bundle(run, out)),
        "take_base": taken,
        "summary": summarised,
        "learning": lambda run, out: {
            curve.name: curve for curve in learning_curves(run, 3).curves
        },
    }
    for step in snapshots:
        found[f"snapshot {step}"] = lambda run, out, at=step: load_base(run, step=at)[1].weights()
    for name in run.chain:
        found[f"stage {name}"] = lambda run, out, at=name: stage_content(run.stage(at))
    for name in parts:
        n = int(name.removeprefix("prefix-"))
        found[name] = lambda run, out, at=n: load_policy(run, at).state_dict()
    return found


def read(way: Callable[[Run, Path], Any], folder: Path, out: Path) -> Any:
    shutil.rmtree(out, ignore_errors=True)
    return plain(way(Run.open(folder), out))


def put_back(folder: Path, files: Mapping[str, bytes]) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and str(path.relative_to(folder)) in files:
            path.rmdir()
    for name, content in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)


def same(found: Any, before: Any, deleted: str) -> bool:
    """Whether contents are equal; a stage is not finished any more without its result.json."""
    if deleted and isinstance(found, dict) and isinstance(before, dict):
        # runs.json has a row for each stage that is finished.
        return all(value == before[key] for key, value in found.items() if key != "runs.json")
    return found == before


def try_mutations(run: Run, folder: Path, times: int, at_once: int) -> dict[str, int]:
    """Counts loads of mutated files by outcome; all ways to load, or some chosen at random."""
    shutil.copytree(run.folder, folder)
    write_evaluation(folder / "evaluation.json", {"a": 0.25, "b": float("nan")})
    out, files, random = folder.with_name("out"), files_in(folder), np.random.default_rng(0)
    ways = ways_to_load(Run.open(folder))
    before = {name: read(way, folder, out) for name, way in ways.items()}
    counts = {"refused": 0, "same": 0}
    for i in range(times):
        name = sorted(files)[random.integers(len(files))]
        how = mutate(folder / name, random)
        for way in random.permutation(sorted(ways))[:at_once]:
            try:
                found = read(ways[way], folder, out)
            except UserError as error:
                assert len(str(error)) > 40, str(error)
                counts["refused"] += 1
            else:
                deleted = name if how == "delete" else ""
                assert same(found, before[way], deleted), f"{i}: {way} after {how} of {name}"
                counts["same"] += 1
        put_back(folder, files)
    return counts


def test_mutated_runs_are_refused_or_give_the_same(smoke_run: Run, tmp_path: Path) -> None:
    counts = try_mutations(smoke_run, tmp_path / "run", SOME, at_once=1)
    assert counts["refused"] > SOME / 4 and counts["same"] > SOME / 4


@pytest.mark.slow
def test_many_mutations_by_every_way_to_load(smoke_run: Run, tmp_path: Path) -> None:
    counts = try_mutations(smoke_run, tmp_path / "run", MANY, at_once=5)
    assert counts["refused"] > MANY and counts["same"] > MANY


def test_a_mutated_checkpoint_is_refused(smoke_run: Run, tmp_path: Path) -> None:
    stage, random = Stage(tmp_path / "base"), np.random.default_rng(1)
    tensors = smoke_run.stage("base").weights()
    stage.save_state(3, tensors)
    content, refused = files_in(stage.folder), 0
    for _ in range(FEW):
        how = mutate(stage.folder / "state.safetensors", random, (flip, cut, insert, make_folder))
        try:
            found = Stage(stage.folder).load_state()
        except CheckpointError as error:
            assert "delete it to start the stage 'base' afresh" in str(error)
            refused += 1
        else:
            assert plain(found[1]) == plain(tensors) and found[0] == 3, how
        put_back(stage.folder, content)
    assert refused > FEW / 2


def test_mutated_trajectories_are_refused(smoke_run: Run, tmp_path: Path) -> None:
    world, random = smoke_run.preset.world, np.random.default_rng(2)
    write_trajectories(tmp_path, Stream(make_world(world), 0, "base", 4)[0], world, 0)
    content = files_in(tmp_path)
    before = [plain(part) for part in read_plainly(tmp_path)]
    for i in range(FEW):
        name = sorted(content)[i % len(content)]
        how = mutate(tmp_path / name, random, BYTES[:-1])
        try:
            found = read_plainly(tmp_path)
        except CheckpointError as error:
            assert str(tmp_path) in str(error)
        else:
            assert [plain(part) for part in found] == before, f"{how} of {name}"
        put_back(tmp_path, content)


def read_plainly(folder: Path) -> list[Any]:
    trajectories, world = read_trajectories(folder)
    return [trajectories.arrays(), world]


def test_mutated_interventions_are_refused(tmp_path: Path) -> None:
    part, random = VectorController(torch.randn(8), "hook_embed"), np.random.default_rng(3)
    file = save(part, tmp_path / "part.safetensors", card={"nll": float("nan")})
    content, before = files_in(tmp_path), plain(part.state_dict())
    for _ in range(FEW):
        how = mutate(file, random, BYTES[:-1])
        for reading in (load, inspect):
            try:
                found = reading(file)
            except (ValueError, FileNotFoundError) as error:
                assert str(file) in str(error)
            else:
                if reading is load:
                    assert plain(found.state_dict()) == before, how
        put_back(tmp_path, content)
