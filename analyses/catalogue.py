"""The analyses that ``irl-lens analyze`` knows by name.

Each is a plain function over a run's parts (:class:`irl_lens.analyses.findings.Bench`) with
options that have defaults, and returns a :class:`irl_lens.analyses.result.Result`. It is
imported only when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from pkgutil import resolve_name

from irl_lens.analyses.findings import Bench
from irl_lens.analyses.result import Result, page
from irl_lens.checkpoint import write_bytes
from irl_lens.errors import UserError
from irl_lens.progress import Progress
from irl_lens.runs import Run


@dataclass(frozen=True)
class Entry:
    """One analysis.

    Attributes:
        where: Its function, as ``module:name``.
        title: What it shows, in a few words.
        acts: Whether it needs a metacontroller, and not the base alone.
    """

    where: str
    title: str
    acts: bool = False

    def stages(self, run: Run) -> tuple[str, ...]:
        """The stages of a run that must be finished."""
        return ("base", run.acting) if self.acts else ("base",)

    def __call__(self, bench: Bench) -> Result:
        """Runs it with its default options."""
        function: Callable[[Bench], Result] = resolve_name(self.where)
        return function(bench)


def write(
    run: Run, entries: Mapping[str, Entry], folder: Path, progress: Progress
) -> dict[str, str]:
    """Runs analyses and writes NAME.html, NAME.csv and what their ``save`` writes.

    Args:
        run: The run.
        entries: The analyses by name.
        folder: Where to write.
        progress: Told of every analysis.

    Returns:
        Their captions by name.

    Raises:
        UserError: If a stage that one of them needs is not finished; nothing is run then.
    """
    for name, wanted in entries.items():
        if missing := [stage for stage in wanted.stages(run) if not run.stage(stage).done]:
            raise UserError(
                f"{name} needs the stage {missing[0]} of {run.folder}; finish it first with "
                f"irl-lens train {missing[0]} --preset {run.preset.name} --out {run.folder}"
            )
    progress.stage("analyses", len(entries))
    bench, captions = Bench(run), {}
    for done, (name, wanted) in enumerate(entries.items(), start=1):
        result = wanted(bench)
        result.save(folder / name)
        write_bytes(folder / f"{name}.html", page(result, wanted.title).encode())
        write_bytes(folder / f"{name}.csv", result.to_dataframe().to_csv(index=False).encode())
        captions[name] = result.caption()
        progress.update(done)
    return captions


CATALOGUE: dict[str, Entry] = {
    "readable": Entry("irl_lens.analyses.readable:readable", "What linear probes read, by layer"),
    "belief": Entry(
        "irl_lens.analyses.belief:belief", "The model's belief against the exact filter's"
    ),
    "belief-steps": Entry(
        "irl_lens.analyses.belief_steps:belief_steps",
        "How belief unfolds within an episode, by layer and step",
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
    "gate-science": Entry(
        "irl_lens.analyses.gate_science:gate_science",
        "The gate as a detector of boundaries",
        acts=True,
    ),
    "what-if": Entry(
        "irl_lens.analyses.gate_whatif:what_if", "What if the gate had switched here?", acts=True
    ),
    "latent": Entry(
        "irl_lens.analyses.latent:latent_space", "What the codes are codes of", acts=True
    ),
    "transfer": Entry(
        "irl_lens.analyses.transfer:transfer", "Codes put into other episodes", acts=True
    ),
    "behaviour": Entry(
        "irl_lens.analyses.behaviour:behaviour", "Where the agent goes after a patch", acts=True
    ),
    "algebra": Entry("irl_lens.analyses.algebra:algebra", "Algebra of controllers", acts=True),
    "atlas": Entry("irl_lens.analyses.atlas:atlas", "Controllers, one by one", acts=True),
}


def entry(name: str) -> Entry:
    """Looks an analysis up.

    Raises:
        UserError: If there is none of that name; names the nearest, or all of them.
    """
    if name not in CATALOGUE:
        near = get_close_matches(name, CATALOGUE, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(CATALOGUE)}"
        raise UserError(f"no analysis {name!r}; {hint}")
    return CATALOGUE[name]
