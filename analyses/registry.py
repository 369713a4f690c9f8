"""The analyses that ``irl-lens analyze`` knows by name.

Each is a plain function over a run's parts
(:class:`irl_lens.analyses.report.headline_results.LoadedRun`) with options that have defaults, and
returns a :class:`irl_lens.analyses.core.result.Result`. It is imported only when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from irl_lens.analyses.core.lookup import look_up
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.core.result import write as write_result
from irl_lens.analyses.report.headline_results import LoadedRun
from irl_lens.errors import UserError
from irl_lens.progress import Progress
from irl_lens.runs.run import Run


@dataclass(frozen=True)
class Entry:
    """One analysis.

    Attributes:
        where: Its function, as ``module:name``.
        title: What it shows, in a few words.
        acts: Whether it needs a metacontroller, and not the base alone.
        needs: Further stages that it needs.
        against: What holds two runs' results against each other, as ``module:name``.
    """

    where: str
    title: str
    acts: bool = False
    needs: tuple[str, ...] = ()
    against: str | None = None

    def stages(self, run: Run) -> tuple[str, ...]:
        """The stages of a run that must be finished."""
        return (
            ("base", *self.needs, run.metacontroller_stage) if self.acts else ("base", *self.needs)
        )

    def __call__(self, bench: LoadedRun, **options: Any) -> Result:
        """Runs it; what is not about acting is about the base as pretraining left it."""
        function: Callable[..., Result] = resolve_name(self.where)
        return function(bench if self.acts else bench.pretrained, **options)


def write(
    run: Run,
    entries: Mapping[str, Entry],
    folder: Path | None,
    progress: Progress,
    other: Run | None = None,
) -> dict[str, Result]:
    """Runs analyses and writes them; see :func:`irl_lens.analyses.core.result.write`.

    Args:
        run: The run.
        entries: The analyses by name.
        folder: Where to write, if they are to be written.
        progress: Told of every analysis.
        other: A run that this one is held against: what differs is written as NAME-against.

    Returns:
        Their results by name.

    Raises:
        UserError: If a stage that one of them needs is not finished, or two runs cannot be
            held against each other so; nothing is run then.
    """
    runs = [run] if other is None else [run, other]
    for (name, wanted), needed in product(entries.items(), runs):
        _check(name, wanted, needed, alone=other is None)
    progress.stage("analyses", len(entries))
    benches, found = [LoadedRun(each) for each in runs], {}
    for done, (name, wanted) in enumerate(entries.items(), start=1):
        results = [wanted(bench) for bench in benches]
        if other is not None:
            assert wanted.against is not None
            results, name = [resolve_name(wanted.against)(*results)], f"{name}-against"
        if folder is not None:
            write_result(results[0], folder / name, wanted.title)
        found[name] = results[0]
        progress.update(done)
    return found


def _check(name: str, wanted: Entry, run: Run, alone: bool) -> None:
    if missing := [stage for stage in wanted.stages(run) if not run.stage(stage).done]:
        raise UserError(
            f"{name} needs the stage {missing[0]} of {run.folder}; finish it first with "
            f"irl-lens train {missing[0]} --preset {run.preset.name} --out {run.folder}"
        )
    if not alone and not wanted.against:
        known = ", ".join(name for name, entry in CATALOGUE.items() if entry.against)
        raise UserError(f"{name} holds no two runs against each other; {known} do")


CATALOGUE: dict[str, Entry] = {
    "rollout": Entry(
        "irl_lens.analyses.rollouts.animation:animate_rollout",
        "One episode, step by step",
        acts=True,
    ),
    "readable": Entry(
        "irl_lens.analyses.belief.label_probes:readable", "What linear probes read, by layer"
    ),
    "belief": Entry(
        "irl_lens.analyses.belief.calibrated_belief:belief",
        "The model's belief against the exact filter's",
    ),
    "belief-steps": Entry(
        "irl_lens.analyses.belief.belief_over_time:belief_steps",
        "How belief unfolds within an episode, by layer and step",
    ),
    "directions": Entry(
        "irl_lens.analyses.belief.probe_directions:probe_directions",
        "Directions of probes against what controllers read and write",
        needs=("controllers",),
    ),
    "control": Entry(
        "irl_lens.analyses.report.headline_results:controllability",
        "Where supervised controllers steer, by layer",
        needs=("controllers",),
    ),
    "patching": Entry(
        "irl_lens.analyses.patching.sweep:sweep_patches",
        "Activation patching by layer, step and component",
    ),
    "attribution": Entry(
        "irl_lens.analyses.patching.attribution:attribute_patches",
        "Attribution patching against the exact sweep",
    ),
    "direct": Entry(
        "irl_lens.analyses.patching.direct:attribute_logits", "Who writes an action's logit"
    ),
    "lens": Entry("irl_lens.analyses.patching.lens:action_lens", "Logit lens for actions"),
    "paths": Entry("irl_lens.analyses.patching.path:patch_paths", "Path patching, head to head"),
    "circuit": Entry(
        "irl_lens.analyses.control.circuit:circuit",
        "Which heads and MLPs controllers recruit",
        needs=("controllers",),
    ),
    "gate-science": Entry(
        "irl_lens.analyses.gate.detection:boundary_detection",
        "The gate as a detector of boundaries",
        acts=True,
    ),
    "what-if": Entry(
        "irl_lens.analyses.gate.counterfactual:what_if",
        "What if the gate had switched here?",
        acts=True,
    ),
    "latent": Entry(
        "irl_lens.analyses.codes.clusters:latent_space", "What the codes are codes of", acts=True
    ),
    "transfer": Entry(
        "irl_lens.analyses.codes.transfer:transfer", "Codes put into other episodes", acts=True
    ),
    "behaviour": Entry(
        "irl_lens.analyses.rollouts.component_patches:behaviour",
        "Where the agent goes after a patch",
        acts=True,
    ),
    "algebra": Entry(
        "irl_lens.analyses.codes.algebra:algebra", "Algebra of controllers", acts=True
    ),
    "atlas": Entry(
        "irl_lens.analyses.atlas:atlas",
        "Controllers of codes, one by one",
        acts=True,
        against="irl_lens.analyses.atlas:difference",
    ),
    "atlas-clusters": Entry(
        "irl_lens.analyses.atlas:cluster_atlas", "Controllers of clusters of codes", acts=True
    ),
    "atlas-controllers": Entry(
        "irl_lens.analyses.atlas:controller_atlas",
        "Supervised controllers, one by one",
        needs=("controllers",),
        against="irl_lens.analyses.atlas:difference",
    ),
}


def entry(name: str) -> Entry:
    """Looks an analysis up; see :func:`irl_lens.analyses.core.lookup.look_up`."""
    return look_up(CATALOGUE, name)
