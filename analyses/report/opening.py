"""How a report opens: what was asked, what came out and how sure that is, in five lines.

Every sentence is made from the run's own numbers. One thing is said to be more than another only
where their 95 % intervals are apart.
"""

from __future__ import annotations

from collections.abc import Mapping

from irl_lens.analyses.belief.bayes_gap import FloorResult
from irl_lens.analyses.belief.subgoal_probes import ProbeResult
from irl_lens.analyses.codes.identity import CodesResult
from irl_lens.analyses.control.by_layer import ControlResult
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.core.trial import percent
from irl_lens.analyses.gate.boundary_f1 import GateResult
from irl_lens.analyses.gate.nulls import GateNulls
from irl_lens.analyses.learning.run_curves import LearningResult
from irl_lens.analyses.stats.estimates import Estimate
from irl_lens.envs.protocol import World
from irl_lens.runs.chain import STAGES
from irl_lens.runs.run import Run

NOTHING = "Not measured: what it needs is not finished, or this world does not offer it."


def opening(run: Run, results: Mapping[str, Result]) -> list[tuple[str, str]]:
    """Returns five lines, each with what it is about.

    Args:
        run: The run.
        results: What was measured of it, by the names of the analyses.
    """
    came_out = {
        "Base": (_floor, _probe),
        "Gate and codes": (_gate, _identity),
        "Held-out task": (_learned, _bound),
    }
    lines = [
        (about, " ".join(said for sentence in sentences for said in sentence(results)) or NOTHING)
        for about, sentences in came_out.items()
    ]
    return [("Asked", _asked(run.world)), *lines, ("How sure", _sure(run))]


def _asked(world: World) -> str:
    task = " ".join(world.subgoal_names[s] for s in world.heldout_subgoals)
    named = f", {task}," if task else ""
    return (
        "Are there abstract actions in the residual stream of a model that has only learned to "
        "predict what experts do, are they found without labels, and can reinforcement learning "
        f"make a task{named} of them that no expert has shown, with a reward at its end only?"
    )


def _floor(results: Mapping[str, Result]) -> list[str]:
    result = results.get("floor")
    if not isinstance(result, FloorResult):
        return []
    gap = result.gap
    if gap.low <= 0:
        return [f"Its predictions are not measurably worse than the exact filter's: {gap} nats."]
    return [f"Its predictions are {gap} nats a step worse than the exact Bayes filter's."]


def _probe(results: Mapping[str, Result]) -> list[str]:
    result = results.get("probes")
    if not isinstance(result, ProbeResult):
        return []
    best, embedding = result.best, result.layers[0].accuracy
    ceiling = f", and the filter knows it in {result.ceiling.value:.3f}" if result.ceiling else ""
    return [
        f"The current subgoal is read at layer {best.layer} with accuracy {best.accuracy}, "
        f"{_than(best.accuracy, embedding)} at the embedding, {embedding.value:.3f}{ceiling}."
    ]


def _gate(results: Mapping[str, Result]) -> list[str]:
    result, nulls = results.get("gate"), results.get("gate-nulls")
    if not isinstance(result, GateResult):
        return []
    own, chance = result.scores.f1, result.scores.f1_null
    seen = ""
    if isinstance(nulls, GateNulls):
        known = [nulls.event, nulls.probes[0]]
        rule = max((x for x in known if x is not None), key=lambda x: x.value)
        seen = f"; who is given labels tells them from what is seen with {rule.value:.3f}"
    return [
        f"The gate finds true boundaries with F1 {own}, {_than(own, chance)} by chance, "
        f"{chance.value:.3f}{seen}."
    ]


def _identity(results: Mapping[str, Result]) -> list[str]:
    result = results.get("codes")
    if not isinstance(result, CodesResult):
        return []
    chance = Estimate(result.chance, result.chance, result.chance)
    return [
        f"Its codes name the subgoal with accuracy {result.identity}, "
        f"{_than(result.identity, chance)} always naming the commonest, {result.chance:.3f}."
    ]


def _learned(results: Mapping[str, Result]) -> list[str]:
    result = results.get("learning")
    if not isinstance(result, LearningResult) or not (found := result.success).outcomes:
        return []
    own, raw = found.internal_mean or found.internal, found.raw
    if own is None or raw is None:
        (name, only), *_ = found.outcomes.items()
        kind = "raw-action" if name.startswith("raw") else "internal"
        return [
            f"After {kind} RL it is done on {_share(only.success_solvable)} of solvable boards."
        ]
    verdict = _than(own.success_solvable, raw.success_solvable, "more", "less")
    return [
        f"After internal RL it is done on {_share(own.success_solvable)} of solvable boards, "
        f"{verdict} after raw-action RL, {_share(raw.success_solvable)}."
    ]


def _bound(results: Mapping[str, Result]) -> list[str]:
    result = results.get("control")
    if not isinstance(result, ControlResult):
        return []
    best, alone = result.most_successful.outcome, result.raw
    return [
        f"Controllers that are told the true subgoal do it on {_share(best.success_solvable)}, the "
        f"base alone on {_share(alone.success_solvable)}."
    ]


def _sure(run: Run) -> str:
    sizes, finished = run.preset.evaluation, run.finished()
    missing = [name for name in STAGES if name not in finished]
    unfinished = f" Not finished: {', '.join(missing)}." if missing else ""
    return (
        f"One training, seed {run.seed}, measured on {sizes.trajectories:,} fresh demonstrations "
        f"and {sizes.rollouts:,} fresh boards. Intervals are 95 %, over these: they say nothing "
        f"of what another seed would give; irl-lens summary holds several together.{unfinished}"
    )


def _than(own: Estimate, other: Estimate, more: str = "better", less: str = "worse") -> str:
    """Compares two estimates, as far as their intervals are apart."""
    if own.low > other.high:
        return f"{more} than"
    if own.high < other.low:
        return f"{less} than"
    return f"neither {more} nor {less}, by these intervals, than"


def _share(estimate: Estimate) -> str:
    return f"{percent(estimate.value)} ({percent(estimate.low)} to {percent(estimate.high)})"
