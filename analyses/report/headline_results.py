"""What the report shows and the evaluation counts: analyses of a run, in the order of the chain."""

from __future__ import annotations

from contextlib import suppress

from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.registry import ANALYSES
from irl_lens.errors import NotOffered
from irl_lens.progress import Progress
from irl_lens.runs.run import Run

SECTIONS = {
    "Base model and Bayes floor": ("pretraining", "imitation", "floor"),
    "Probes": ("probes",),
    "Controllers": ("control",),
    "Gate": ("gate", "gate-nulls"),
    "Codes": ("codes", "code-nulls"),
    "Reinforcement learning": ("learning",),
}
"""The names of the analyses in each section of the report."""
UNSAID = ("pretraining", "imitation")
"""Those whose caption the report leaves out, where another of the section has one."""
NAMES = tuple(name for names in SECTIONS.values() for name in names)


def headline_results(run: Run, progress: Progress) -> dict[str, Result]:
    """Analyses all finished stages of a run, live from its weights.

    Args:
        run: The run.
        progress: Told of every analysis.

    Returns:
        The results by name; those whose stage is not finished, or that need what the world does
        not offer, are left out.
    """
    wanted = [ANALYSES[name] for name in NAMES if ANALYSES[name].missing(run) is None]
    progress.stage("analyses", len(wanted))
    if not wanted:
        return {}
    loaded, found = LoadedRun(run), {}
    for done, analysis in enumerate(wanted, start=1):
        with suppress(NotOffered):  # the world has no labels, or no filter
            found[analysis.name] = analysis.of(loaded)
        progress.update(done)
    return found
