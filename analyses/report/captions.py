"""What the report says about each figure: sentences written from the numbers."""

from __future__ import annotations

from irl_lens.analyses.belief.bayes_gap import FloorResult
from irl_lens.analyses.belief.subgoal_probes import ProbeResult
from irl_lens.analyses.codes.identity import CodesResult
from irl_lens.analyses.core.trial import Outcome, percent
from irl_lens.analyses.gate.boundary_f1 import GateResult
from irl_lens.analyses.learning.run_curves import LearningResult


def floor(result: FloorResult) -> str:
    """Base against the floor."""
    base, bayes, known = (result.score(m).nll.value for m in ("base", "bayes", "known"))
    return (
        f"On boards never seen, the base's action NLL is {base:.3f} nats. The exact Bayes filter, "
        f"which no model of these demonstrations can beat on average, has {bayes:.3f}: a gap of "
        f"{result.gap} nats. Told the goal, the expert's own policy has {known:.3f}. Where the "
        f"filter is at least 0.9 certain of the goal the gap is {result.gap_certain} nats; "
        "there, it can only be planning."
    )


def probes(result: ProbeResult) -> str:
    """Probes by layer."""
    best, embedding = result.best, result.layers[0].accuracy.value
    return (
        f"A linear probe reads the current abstract subgoal best at layer {best.layer}: accuracy "
        f"{best.accuracy} on episodes it was not trained on, {result.gain:+.3f} over the "
        f"embedding's {embedding:.3f}. The exact filter reaches {result.ceiling.value:.3f}; the "
        f"same probe trained on shuffled labels {best.shuffled.value:.3f}. That something can be "
        "read does not show that the model uses it."
    )


def gate(result: GateResult) -> str:
    """Switches against boundaries."""
    scores = result.scores
    above = "above" if scores.f1.low > scores.f1_null.high else "not above"
    return (
        f"The hard gate opens at {percent(scores.switch_rate.value)} of steps; a new subgoal "
        f"begins at {percent(scores.boundary_rate.value)}. At the exact step, precision is "
        f"{scores.precision.value:.3f}, recall {scores.recall.value:.3f}, F1 {scores.f1}: "
        f"{above} the {scores.f1_null.value:.3f} of the same switches shifted round each "
        "episode. No label was used in training the gate. Bands are true subgoals."
    )


def codes(result: CodesResult) -> str:
    """Identity and steering of codes."""
    return (
        f"From the code at a switch, the nearest centroid gives the abstract subgoal with accuracy "
        f"{result.identity} on fresh episodes; always guessing the commonest would give "
        f"{result.chance:.3f}. With the centroid of the true subgoal put in at the gate's own "
        f"switches, {result.outcome.sentence()} on the held-out task. Diamonds are centroids."
    )


def learning(result: LearningResult, internal: Outcome | None, raw: Outcome | None) -> str:
    """Internal against raw-action RL."""
    players = {"internal": internal, "raw-action": raw}
    sentences = [
        f"On the held-out task after {name} RL: {outcome.sentence()}."
        for name, outcome in players.items()
        if outcome is not None
    ]
    if internal is not None:
        sentences.append(_longest(result))
    return " ".join([*sentences, "Every batch is fresh boards, so curves are honest estimates."])


def _longest(result: LearningResult) -> str:
    longest = result.longest_half
    if longest == result.subgoals:
        return f"Internal RL completes all {longest} subgoals on at least half of solvable boards."
    if longest:
        return (
            f"The first {longest} of the {result.subgoals} subgoals are completed by internal RL "
            "on at least half of solvable boards, and no more, trained on just these or on all."
        )
    tried = ", ".join(f"{n}: {success:.3f}" for n, success in sorted(result.final.items()))
    return (
        f"No prefix of two or more subgoals is completed on half of solvable boards "
        f"(success by number of subgoals: {tried})."
    )
