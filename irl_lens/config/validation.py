"""Whether a preset's settings are possible, and fit together: asked before anything is made.

Types and ranges stand beside the settings (:mod:`irl_lens.config.schema`); here is what one setting
asks of another, and of the world.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import is_dataclass
from typing import Any

from irl_lens.config.ranges import Range, check, describe, kinds
from irl_lens.config.rl import RLConfig
from irl_lens.config.schema import Preset
from irl_lens.envs.protocol import World
from irl_lens.envs.registry import (
    VARIABLE,
    WorldConfig,
    import_user_modules,
    kind_of,
    make_world,
)
from irl_lens.errors import UserError

SEEDS = Range(0, 2**32 - 1)
MOST_WEIGHTS = 1_000_000_000
"""Most weights of a trained part; with gradient and optimiser averages that is 16 GB."""
TRIED = 32
"""Demonstrations and episodes with which a world is tried."""


def check_seed(seed: int) -> None:
    """Raises :class:`UserError` if a run cannot have this seed."""
    if not isinstance(seed, int) or isinstance(seed, bool) or seed not in SEEDS:
        raise UserError(f"seed {seed}; take a whole number {SEEDS}")


def check_preset(preset: Preset) -> World:
    """Checks every setting by itself and against the others.

    Returns:
        The world of the preset.

    Raises:
        UserError: Names the first setting that is wrong, its value and what it may be.
    """
    check_types(preset, "")
    _layers(preset)
    _sizes(preset)
    for name, knots in (("discovery", preset.discovery.alpha), ("codes", preset.codes.alpha)):
        _knots(f"{name}.alpha", knots)
    try:
        world = make_world(preset.world)
    except ValueError as error:
        raise UserError(f"world: {error}") from error
    _compared(preset)
    _weights(preset, world)
    _controllers(preset, world)
    return world


def try_world(preset: Preset, world: World) -> None:
    """Draws a few demonstrations and episodes, as training will.

    Raises:
        UserError: If next to no task can be done, or noise keeps the expert from doing them.
    """
    read = "codes", "discovery", "pretrain"
    for epsilon, part in {getattr(preset, part).epsilon: part for part in read}.items():
        try:
            world.demonstrate(TRIED, 0, epsilon=epsilon)
        except ValueError as error:
            raise UserError(f"world, {part}.epsilon: {error}") from error
    try:
        if any(rl.solvable for rl in (preset.internal_rl, preset.raw_rl, preset.compile_rl)):
            world.vector_env(TRIED, solvable=True).reset(seed=0)
    except ValueError as error:
        raise UserError(f"world: {error}") from error


def check_processes(preset: Preset, parts: Sequence[str], count: int) -> None:
    """Checks that each of several processes has something to compute.

    Args:
        preset: Possible settings.
        parts: Those of what will be trained.
        count: How many processes train together.

    Raises:
        UserError: Some batch has fewer rows, or shares of episodes; names it.
    """
    for part in parts:
        settings = getattr(preset, part)
        if not hasattr(settings, "batch"):
            continue
        share = getattr(settings, "share", 1)  # of demonstrations each row can be another's
        most = -(-settings.batch // share)
        if most < count:
            episodes = isinstance(settings, RLConfig)
            pieces = f"shares of {part}.share = {share}" if episodes else "rows"
            raise UserError(
                f"{count} processes for {part}.batch = {settings.batch}, which is {most} {pieces}; "
                f"start at most {most} with --nproc-per-node, or take a "
                f"{'smaller share' if episodes else 'larger batch'}"
            )


def check_types(part: Any, path: str) -> None:
    """Checks every setting of a part by itself; those of parts within it too."""
    for setting, kind in kinds(type(part)).items():
        value, name = getattr(part, setting), f"{path}{setting}"
        kind = kind_of(value).config if kind is WorldConfig else kind
        if not is_dataclass(kind):
            check(kind, value, name)
        elif type(value) is kind:
            check_types(value, f"{name}.")
        else:
            raise UserError(f"{name} is of type {type(value).__name__}; give a {describe(kind)}")


def _layers(preset: Preset) -> None:
    named = [("controllers.layers", layer) for layer in preset.controllers.layers]
    parts = {name: getattr(preset, name) for name in ("discovery", "switches", "codes")}
    named += [(f"{name}.layer", part.layer) for name, part in parts.items()]
    for name, layer in named:
        if layer > preset.base.n_layers:
            raise UserError(
                f"{name} = {layer}, and the base has {preset.base.n_layers} blocks; take 1 to "
                f"{preset.base.n_layers}, or raise base.n_layers"
            )
    if len(set(preset.controllers.layers)) < len(preset.controllers.layers):
        raise UserError(f"controllers.layers = {preset.controllers.layers}; give each layer once")


def _sizes(preset: Preset) -> None:
    base, discovery = preset.base, preset.discovery
    if base.d_model % base.n_heads:
        raise UserError(
            f"base.d_model = {base.d_model} is no multiple of base.n_heads = {base.n_heads}; "
            "change one of them"
        )
    if discovery.decoder == "hypernetwork":
        _rank("discovery", discovery.rank, base.d_model)


def _rank(part: str, rank: int, d_model: int) -> None:
    if rank > d_model:
        raise UserError(
            f"{part}.rank = {rank}; take at most base.d_model = {d_model}, beyond which no "
            "controller's rank goes"
        )


def _knots(name: str, knots: tuple[tuple[float, float], ...]) -> None:
    places = [fraction for fraction, _ in knots]
    if places != sorted(set(places)) or max(places) > 1:
        raise UserError(
            f"{name} = {knots}; give pairs of a fraction of training, ascending from 0 to 1, and "
            "a weight"
        )
    if len(knots) > 1 and min(weight for _, weight in knots) <= 0:
        raise UserError(
            f"{name} = {knots}; between knots the logarithm is interpolated: give positive "
            "weights, or one knot"
        )


def _compared(preset: Preset) -> None:
    """Checks what methods to compare with ask of each other's settings."""
    rl, layer = preset.internal_rl, preset.acting_layer
    if preset.switches.steps and not preset.codes.steps:
        raise UserError(
            f"switches.steps = {preset.switches.steps}, and codes.steps = 0: switches found "
            "without a metacontroller have no codes; take codes.steps=2000, or switches.steps=0"
        )
    if preset.discovery.gate == "open" and preset.codes.steps:
        raise UserError(
            f"discovery.gate = open, and codes.steps = {preset.codes.steps}: a gate that is always "
            "open leaves no segments to learn codes of; take codes.steps=0"
        )
    if rl.decoder != "controllers":
        return
    if rl.switching != "true" or rl.start != "prior":
        raise UserError(
            f"internal_rl.decoder = controllers, with switching = {rl.switching} and start = "
            f"{rl.start}: codes that pick controllers are none that a gate or demonstrations know; "
            "take internal_rl.switching=true internal_rl.start=prior"
        )
    if layer not in preset.controllers.layers:
        raise UserError(
            f"internal_rl.decoder = controllers, and codes act at layer {layer}, where there are "
            f"none (controllers.layers = {preset.controllers.layers}); add the layer, or take "
            "another codes.layer"
        )


def _weights(preset: Preset, world: World) -> None:
    """Checks how many weights the largest matrices of each part have."""
    base, found, codes, compile = preset.base, preset.discovery, preset.codes, preset.compile
    gate = preset.switches
    size = world.observation.size
    d, square = base.d_model, base.d_model**2
    linear = found.decoder == "linear"
    decoder = found.latent * square if linear else found.decoder_hidden * 2 * d * found.rank
    readers = 3 * found.history * (d + found.history) + 6 * found.sequence * (d + found.sequence)
    counts = {
        "base": size * d + base.n_layers * (4 * square + 2 * d * base.d_mlp),
        "discovery": decoder + readers,
        "codes": codes.latent * square + 3 * codes.history * (d + codes.history),
        "switches": (3 * gate.history + gate.hidden) * (d + gate.history),
        "internal_rl": preset.internal_rl.width * (d + 8 * preset.internal_rl.width),
        "compile": compile.hidden * (size + 11 * compile.hidden) + compile.width * size,
        "compile_rl": preset.compile_rl.width * (compile.width + 8 * preset.compile_rl.width),
    }
    for part, count in counts.items():
        _few_enough(part, count)


def _few_enough(part: str, count: int) -> None:
    if count > MOST_WEIGHTS:
        raise UserError(
            f"{part} would have more than {count:,} weights; take smaller sizes, with at most "
            f"{MOST_WEIGHTS:,}"
        )


def _controllers(preset: Preset, world: World) -> None:
    """Checks kind and size of the controllers: last, as their classes come with torch."""
    from irl_lens.hooks import controller_kind, controller_kinds

    config, d_model = preset.controllers, preset.base.d_model
    if config.kind not in controller_kinds():
        import_user_modules()
    try:
        kind = controller_kind(config.kind)
    except ValueError as error:
        raise UserError(f"controllers.kind: {error}, and name it in {VARIABLE}=FILE.py") from error
    if kind.ranked:
        _rank("controllers", config.rank, d_model)
    names = max(len(world.subgoal_names), len(world.visit_names))
    count = len(config.layers) * names * kind.n_weights(d_model, config.rank)
    _few_enough("controllers", count)
