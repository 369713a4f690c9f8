"""Makes atlases: of codes by subgoal, of clusters of codes, of supervised controllers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float

from irl_lens.analyses.atlas.atlas import Atlas
from irl_lens.analyses.atlas.behaviour import adjusted, behave
from irl_lens.analyses.atlas.boards import look, on_boards
from irl_lens.analyses.atlas.entry import Entry
from irl_lens.analyses.atlas.subjects import (
    Subject,
    bank_subjects,
    cluster_subjects,
    code_subjects,
)
from irl_lens.analyses.atlas.weights import Targets, probed, score, written_to
from irl_lens.analyses.core.label_controllers import LabelControllers
from irl_lens.analyses.core.linear_probe import fit_probe, layer_streams
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import Count, Index, Seed
from irl_lens.analyses.core.switch_codes import SwitchCodes
from irl_lens.analyses.rollouts.taskless import Field
from irl_lens.arrays import NDArray
from irl_lens.envs.contracts import ask
from irl_lens.envs.scenes import Situation, Stageable
from irl_lens.errors import UserError
from irl_lens.models.causal import CausalHalf
from irl_lens.models.trace import encode
from irl_lens.rl.trainer import draw_seed


@dataclass(frozen=True)
class Setting:
    """Sizes of an atlas.

    Attributes:
        boards: To roam on.
        shown: Boards that are drawn.
        agents: Agents on each of those.
        draws: Placebos that weights are held against.
        episodes: Demonstrations that codes are taken from and the probe is fitted on.
        seed: Seed of placebos and clusters.
    """

    boards: int = 256
    shown: int = 2
    agents: int = 64
    draws: int = 99
    episodes: int = 256
    seed: int = 0


def atlas(
    loaded: LoadedRun,
    boards: Count = 256,
    shown: Count = 2,
    draws: Count = 99,
    episodes: Count = 256,
    seed: Seed = 0,
) -> Atlas:
    """Describes the controllers of a run's codes, one of each subgoal's mean code.

    Args:
        loaded: A run whose metacontroller is trained.
        boards: To roam on.
        shown: Boards that are drawn.
        draws: Placebos that weights are held against.
        episodes: Demonstrations that codes are taken from and a probe is fitted on.
        seed: Seed of placebos.

    Raises:
        UserError: The world has no boards to roam on.
    """
    setting = Setting(boards, shown, draws=draws, episodes=episodes, seed=seed)
    meta, switch_codes = _switch_codes(loaded, episodes)
    subjects = code_subjects(meta, switch_codes, loaded.world.subgoal_names)
    return _of(loaded, "controllers of mean codes", subjects, meta.layer, setting, meta)


def cluster_atlas(
    loaded: LoadedRun,
    clusters: Count | None = None,
    boards: Count = 256,
    shown: Count = 2,
    draws: Count = 99,
    episodes: Count = 256,
    seed: Seed = 0,
) -> Atlas:
    """Describes the controllers of clusters of a run's codes, found without their subgoals.

    Args:
        loaded: A run whose metacontroller is trained.
        clusters: How many; as many as there are abstract subgoals when not given.
        boards: See :func:`atlas`, as for all that follow.
        shown: See there.
        draws: See there.
        episodes: See there.
        seed: Seed of placebos and clusters.

    Raises:
        UserError: The world has no boards to roam on.
    """
    setting = Setting(boards, shown, draws=draws, episodes=episodes, seed=seed)
    (meta, switch_codes), names = _switch_codes(loaded, episodes), loaded.world.subgoal_names
    subjects = cluster_subjects(meta, switch_codes, names, clusters or len(names), seed)
    return _of(loaded, "controllers of clusters of codes", subjects, meta.layer, setting, meta)


def controller_atlas(
    loaded: LoadedRun,
    layer: Index | None = None,
    boards: Count = 256,
    shown: Count = 2,
    draws: Count = 99,
    episodes: Count = 256,
    seed: Seed = 0,
) -> Atlas:
    """Describes supervised controllers of one layer.

    Args:
        loaded: A run whose controllers are trained.
        layer: Which; the one at which they predict actions best when not given.
        boards: See :func:`atlas`, as for all that follow.
        shown: See there.
        draws: See there.
        episodes: See there.
        seed: See there.

    Raises:
        UserError: The world has no boards to roam on, no controllers act at that layer, or
            they are not of abstract subgoals.
    """
    controllers = LabelControllers.of(loaded)
    if controllers.label != "subgoal":
        raise UserError(
            f"controllers of a {controllers.label}; train with controllers.label=subgoal"
        )
    if layer is None:
        layer = controllers.best
    setting = Setting(boards, shown, draws=draws, episodes=episodes, seed=seed)
    subjects, kind = bank_subjects(controllers.at(layer)), f"supervised controllers, layer {layer}"
    return _of(controllers.loaded, kind, subjects, layer, setting)


def describe(
    kind: str,
    subjects: list[Subject],
    targets: tuple[Targets, Targets],
    field: Field,
    shown: list[Situation],
    setting: Setting,
    meta: CausalHalf | None = None,
) -> Atlas:
    """Describes controllers; see :func:`atlas`.

    Args:
        kind: What they are.
        subjects: At least one.
        targets: Weights to be read, and weights to be written to.
        field: Where to roam.
        shown: Boards that are drawn.
        setting: Sizes, those of ``field`` and ``shown`` aside.
        meta: What codes were decoded by, if they were.
    """
    alone, few = field.roam(), replace(field, rows=setting.agents)
    views = [(situation, look(few, situation, None)) for situation in shown]
    generator, entries = torch.Generator().manual_seed(setting.seed), []
    pairs = [(subject, subject.placebo(generator)) for subject in subjects]
    behaviours = adjusted([behave(field, *pair, alone, meta) for pair in pairs])
    for (subject, placebo), behaviour in zip(pairs, behaviours, strict=True):
        spectrum = subject.spectrum
        entry = Entry(
            subject.name,
            subject.own,
            float(spectrum.norm),
            float(spectrum.effective_rank),
            spectrum.values.detach().cpu().numpy(),
            score(subject, *targets, setting.draws, setting.seed),
            behaviour,
            on_boards(few, views, subject.controller, placebo),
        )
        entries.append(entry)
    names = field.world.subgoal_names
    return Atlas(kind, tuple(entries), _cosines(subjects), names, field.rows)


def _switch_codes(loaded: LoadedRun, episodes: int) -> tuple[CausalHalf, SwitchCodes]:
    meta, shown = loaded.run.metacontroller, loaded.fit.rows(slice(episodes))
    return meta, SwitchCodes.of(encode(meta, loaded.base, shown), shown)


def _of(
    loaded: LoadedRun,
    kind: str,
    subjects: list[Subject],
    layer: int,
    setting: Setting,
    meta: CausalHalf | None = None,
) -> Atlas:
    world, drawn = loaded.world, draw_seed(loaded.run.seed, "analysis-atlas", 0)
    boards = ask(world, Stageable, "the atlas")
    field = Field(loaded.base, world, setting.boards, drawn, loaded.trial.temperature)
    shown = [boards.situation((drawn, number)) for number in range(setting.shown)]
    return describe(kind, subjects, _targets(loaded, layer, setting), field, shown, setting, meta)


def _targets(loaded: LoadedRun, layer: int, setting: Setting) -> tuple[Targets, Targets]:
    """A probe of the subgoal at the layer, to be read; it and what comes after, to be written."""
    shown, names = loaded.fit.rows(slice(setting.episodes)), loaded.world.subgoal_names
    kept = loaded.base.tensor(shown.mask)
    stream = layer_streams(loaded.base, shown, (layer,))[0][kept]
    labels = loaded.base.tensor(shown.require("subgoals"))[kept]
    probe = probed(fit_probe(stream, labels, len(names)).weight, names)
    return probe, probe | written_to(loaded.base.model, layer)


def _cosines(subjects: list[Subject]) -> Float[NDArray[np.float32], "n n"]:
    controllers = [subject.controller for subject in subjects]
    table = [[float(a.cosine(b)) for b in controllers] for a in controllers]  # type: ignore
    return np.array(table, np.float32)
