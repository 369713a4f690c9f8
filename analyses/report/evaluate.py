"""The numbers of a run: one flat mapping, what ``irl-lens evaluate`` prints and results keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import nan
from time import process_time
from typing import Any

from irl_lens.analyses.belief.bayes_gap import FloorResult
from irl_lens.analyses.belief.subgoal_probes import ProbeResult
from irl_lens.analyses.codes.identity import CodesResult
from irl_lens.analyses.codes.nulls import CodeNulls
from irl_lens.analyses.control.by_layer import ControlResult
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.core.trial import Outcome
from irl_lens.analyses.gate.boundary_f1 import GateResult
from irl_lens.analyses.gate.nulls import GateNulls
from irl_lens.analyses.learning.run_curves import LearningResult
from irl_lens.analyses.report.headline_results import headline_results
from irl_lens.analyses.rollouts.imitation import Imitation
from irl_lens.progress import Progress
from irl_lens.rl.trainer import draw_seed
from irl_lens.runs.run import Run

HEADLINES = {
    "base.gap_to_bayes": "action NLL over the Bayes floor, nats, fresh boards",
    "probe.gain": "accuracy of the best layer's probe for the subgoal, over the embedding's",
    "controllers.gap_closed": "part of the gap to the known goal closed by controllers, best layer",
    "controllers.success_solvable": "held-out task, true subgoals in order, best layer",
    "gate.f1": "hard gate against true boundaries, exact step, first step excluded",
    "gate.f1_null": "the same with each episode's switches shifted round at random",
    "gate.f1_null_untrained": "F1 of gates before training, mean of five, threshold by labels",
    "gate.f1_null_event": "F1 of the best rule of events that are seen, chosen by labels",
    "gate.f1_null_embedding": "F1 of a linear probe of the embedding, fitted to labels",
    "gate.f1_null_probe": "the same of the layer that is best where it is fitted",
    "codes.identity": "subgoal from the code at switches, nearest centroid, fresh episodes",
    "codes.identity_null_stream": "the same from the controlled layer where the segment ends",
    "codes.identity_null_embedding": "the same from the embedding there",
    "codes.identity_null_untrained": "the same from encoders before training, mean of five",
    "codes.identity_null_at_switch": "the same from the controlled layer at the switch itself",
    "codes.success_solvable": "held-out task, centroid codes from an oracle at the gate's switches",
    "codes.success_argmax": "the same, by the likeliest primitive actions: the ceiling of a policy",
    "internal_rl.longest_half": "first subgoals of the held-out task completed half the time",
    "internal_rl.success_mean": "held-out task after internal RL, by the policy's mean codes",
    "internal_rl.success_argmax": "the same, by the likeliest primitive actions too",
    "internal_rl.success_solvable": "the same, codes and primitive actions drawn as in training",
    "raw_rl.success_solvable": "held-out task after raw-action RL, as many episodes",
    "raw_rl.success_argmax": "the same, by the likeliest primitive actions",
    "run.minutes": "all stages, minutes",
}
"""The keys of the summary's table and what they are; others are extras."""

AGAINST_EXPERT = {
    "expert.success_solvable": "expert's best actions on training tasks",
    "expert.success_sampled": "the same, actions drawn as those of demonstrations",
    "base.success_of_expert": "base told nothing: any training task, over the expert's success",
    "controllers.success_of_expert": "held-out task, over the expert's best actions there",
    "codes.success_of_expert": "held-out task with centroid codes, likewise",
    "internal_rl.success_of_expert": "held-out task after internal RL, likewise",
    "raw_rl.success_of_expert": "held-out task after raw-action RL, likewise",
    "stream.steps_per_s_core": "steps of demonstrations a second of processor time",
}
"""More keys of the table, for worlds whose expert may fail."""
DRAWN = 256
"""Demonstrations that the stream's speed is measured on."""


def evaluate_run(run: Run, progress: Progress) -> dict[str, float]:
    """Measures a run afresh.

    Args:
        run: The run; what needs an unfinished stage is left out.
        progress: Told of every analysis.

    Returns:
        Numbers by name, those of :data:`HEADLINES` first of each part.
    """
    return numbers(run, headline_results(run, progress))


def numbers(run: Run, results: Mapping[str, Result]) -> dict[str, float]:
    """Flattens the results of :func:`headline_results`; NaN where nothing was measured."""
    parts: dict[str, dict[str, float]] = {}
    for name, result in results.items():
        for part, values in (_PARTS[name](result) if name in _PARTS else {}).items():
            parts[part] = values | parts.get(part, {})
    _hold_against_expert(parts)
    parts |= {"run": _time(run), "stream": _speed(run) if "expert" in parts else {}}
    return {
        f"{part}.{name}": float(value)
        for part, values in parts.items()
        for name, value in values.items()
    }


def _imitation(result: Imitation) -> dict[str, dict[str, float]]:
    base = {"success": result.base.value, "success_of_expert": result.of_expert}
    expert = {f"success_{name}": found.value for name, found in result.experts.items()}
    return {"base": base} | ({"expert": expert} if expert else {})


def _hold_against_expert(parts: dict[str, dict[str, float]]) -> None:
    """Adds what share of the expert's success on the held-out task each player has."""
    if best := parts.get("expert", {}).get("success_heldout"):
        for part in parts.values():
            if "success_solvable" in part and "success_heldout" not in part:
                part["success_of_expert"] = part["success_solvable"] / best


def _floor(result: FloorResult) -> dict[str, float]:
    base, bayes, known = (result.score(model) for model in ("base", "bayes", "known"))
    accuracies = {"accuracy": base.accuracy, "accuracy_bayes": bayes.accuracy}
    return {
        "gap_to_bayes": result.gap.value,
        "nll_gap": result.gap.value,
        "gap_where_certain": result.gap_certain.value,
        "nll": base.nll.value,
        "nll_bayes": bayes.nll.value,
        "nll_known_goal": known.nll.value,
        **{name: accuracy.value for name, accuracy in accuracies.items() if accuracy},
    }


def _probes(result: ProbeResult) -> dict[str, float]:
    return {
        "gain": result.gain,
        "best": result.best.accuracy.value,
        "best_layer": result.best.layer,
        "shuffled": result.best.shuffled.value,
        "ceiling": result.ceiling.value if result.ceiling else nan,
    }


def _controllers(result: ControlResult) -> dict[str, float]:
    closed, successful = result.most_closed, result.most_successful
    return {
        "gap_closed": closed.gap_closed.value,
        "gap_closed_layer": closed.layer,
        "success_layer": successful.layer,
        **_outcome(successful.outcome),
        "random_success_solvable": successful.random.success_solvable.value,
        "random_subgoals": successful.random.subgoals.value,
        "base_success_solvable": result.raw.success_solvable.value,
        "base_subgoals": result.raw.subgoals.value,
    }


def _gate(result: GateResult) -> dict[str, float]:
    return {name: estimate.value for name, estimate in vars(result.scores).items()}


def _gate_nulls(result: GateNulls) -> dict[str, float]:
    best, event = result.probes[result.layer], result.event
    return {
        "f1_null_untrained": result.untrained.value,
        "f1_null_embedding": result.probes[0].value,
        "f1_null_probe": best.value,
        "f1_null_probe_layer": result.layer,
        **({} if event is None else {"f1_null_event": event.value}),
    }


def _code_nulls(result: CodeNulls) -> dict[str, float]:
    names = ("stream", "embedding", "untrained", "at_switch")
    return {f"identity_null_{name}": getattr(result, name).value for name in names}


def _codes(result: CodesResult) -> dict[str, float]:
    return {
        "identity": result.identity.value,
        "identity_later": result.identity_later.value,
        "chance": result.chance,
        **(_outcome(result.outcome) if result.outcome else {}),
        **_solvable(success_argmax=result.likeliest),
    }


def _outcome(outcome: Outcome) -> dict[str, float]:
    names = ("success_solvable", "success_all", "subgoals", "visits")
    return {name: getattr(outcome, name).value for name in names}


def _learning(result: LearningResult) -> dict[str, dict[str, float]]:
    found, parts = result.success, {}
    if found.internal:
        longest = {"longest_half": float(result.longest_half) if result.composed else nan}
        best = _solvable(success_mean=found.internal_mean, success_argmax=found.internal_likeliest)
        parts["internal_rl"] = _outcome(found.internal) | longest | best
    if found.raw:
        parts["raw_rl"] = _outcome(found.raw) | _solvable(success_argmax=found.raw_likeliest)
    return parts


def _solvable(**outcomes: Outcome | None) -> dict[str, float]:
    """The success on solvable boards of those that were played."""
    return {name: x.success_solvable.value for name, x in outcomes.items() if x}


def _time(run: Run) -> dict[str, float]:
    """Minutes of the whole chain; of a part of it they would mislead."""
    stages = [run.stage(name) for name in run.chain]
    whole = all(stage.done for stage in stages)
    return {"minutes": sum(stage.seconds for stage in stages) / 60} if whole else {}


def _speed(run: Run) -> dict[str, float]:
    """Steps of demonstrations a second of processor time; no two measurements are the same."""
    run.world.demonstrate(1, 0)  # what is made once, such as the body, does not count
    begun = process_time()
    steps = run.world.demonstrate(DRAWN, draw_seed(run.seed, "analysis-speed", 0)).mask.sum()
    return {"steps_per_s_core": float(steps) / (process_time() - begun)}


_PARTS: dict[str, Callable[[Any], dict[str, dict[str, float]]]] = {
    "imitation": _imitation,
    "floor": lambda result: {"base": _floor(result)},
    "probes": lambda result: {"probe": _probes(result)},
    "control": lambda result: {"controllers": _controllers(result)},
    "gate": lambda result: {"gate": _gate(result)},
    "gate-nulls": lambda result: {"gate": _gate_nulls(result)},
    "codes": lambda result: {"codes": _codes(result)},
    "code-nulls": lambda result: {"codes": _code_nulls(result)},
    "learning": _learning,
}
"""The parts of the evaluation that the result of each analysis gives."""
