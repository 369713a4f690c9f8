"""All analyses by name: those of one run, and those of several.

A new analysis is a file with a function (:mod:`irl_lens.analyses.core.analysis`) and an entry
here. The report, the evaluation and the scan are selections from this table.
"""

from __future__ import annotations

from irl_lens.analyses.core.analysis import METACONTROLLER, Analysis
from irl_lens.analyses.core.lookup import look_up
from irl_lens.envs.contracts import DISCRETE, LABELS, Filtered, Roamable, Stageable, Varied
from irl_lens.errors import UserError

ANALYSES: dict[str, Analysis] = {
    one.name: one
    for one in (
        Analysis(
            "pretraining",
            "irl_lens.analyses.learning.pretraining:pretraining",
            "The base's training curve above the Bayes floor",
            scanned=False,
        ),
        Analysis(
            "floor",
            "irl_lens.analyses.belief.bayes_gap:floor",
            "The base against the exact Bayes filter",
            scanned=False,
            asks=(Filtered,),
        ),
        Analysis(
            "imitation",
            "irl_lens.analyses.rollouts.imitation:imitation",
            "Training tasks that the base does by itself, against the expert",
            scanned=False,
            asks=(LABELS, Roamable),
        ),
        Analysis(
            "probes",
            "irl_lens.analyses.belief.subgoal_probes:subgoal_probes",
            "Where the current subgoal can be read, by layer",
            scanned=False,
            asks=(LABELS,),
        ),
        Analysis(
            "gate",
            "irl_lens.analyses.gate.boundary_f1:gate",
            "The gate's switches against the true boundaries",
            needs=(METACONTROLLER,),
            scanned=False,
            asks=(LABELS,),
        ),
        Analysis(
            "gate-nulls",
            "irl_lens.analyses.gate.nulls:gate_nulls",
            "The gate's F1 beside that of probes, rules and untrained gates",
            needs=(METACONTROLLER,),
            scanned=False,
            asks=(LABELS,),
        ),
        Analysis(
            "codes",
            "irl_lens.analyses.codes.identity:codes",
            "Whether codes at switches are subgoals, and steer",
            needs=(METACONTROLLER,),
            scanned=False,
            asks=(LABELS,),
        ),
        Analysis(
            "code-nulls",
            "irl_lens.analyses.codes.nulls:code_nulls",
            "The codes' identity beside what the stream tells without them",
            needs=(METACONTROLLER,),
            scanned=False,
            asks=(LABELS,),
        ),
        Analysis(
            "success",
            "irl_lens.analyses.learning.success:success",
            "The held-out task after reinforcement learning",
            either=("internal-rl", "raw-rl"),
            scanned=False,
        ),
        Analysis(
            "zero-shot",
            "irl_lens.analyses.zero_shot.zero_shot:zero_shot",
            "What carries over, untrained, to other tasks, boards and experts",
            needs=(METACONTROLLER,),
            scanned=False,
            asks=(LABELS, Varied),
        ),
        Analysis(
            "learning",
            "irl_lens.analyses.learning.run_curves:learning",
            "How reinforcement learning went, internal and raw-action",
            either=("internal-rl", "raw-rl"),
            scanned=False,
        ),
        Analysis(
            "rollout",
            "irl_lens.analyses.rollouts.animation:animate_rollout",
            "One episode, step by step",
            needs=(METACONTROLLER,),
            asks=(LABELS, Stageable),
        ),
        Analysis(
            "label-probes",
            "irl_lens.analyses.belief.label_probes:label_probes",
            "What linear probes read, by layer",
            asks=(LABELS,),
        ),
        Analysis(
            "belief",
            "irl_lens.analyses.belief.calibrated_belief:belief",
            "The model's belief against the exact filter's",
            asks=(LABELS, Filtered),
        ),
        Analysis(
            "belief-over-time",
            "irl_lens.analyses.belief.belief_over_time:belief_over_time",
            "How belief unfolds within an episode, by layer and step",
            asks=(LABELS, Filtered),
        ),
        Analysis(
            "probe-directions",
            "irl_lens.analyses.belief.probe_directions:probe_directions",
            "Directions of probes against what controllers read and write",
            needs=("controllers",),
            asks=(LABELS,),
        ),
        Analysis(
            "control",
            "irl_lens.analyses.control.by_layer:controllability",
            "Where supervised controllers steer, by layer",
            needs=("controllers",),
            asks=(LABELS,),
        ),
        Analysis(
            "patching",
            "irl_lens.analyses.patching.sweep:sweep_patches",
            "Activation patching by layer, step and component",
        ),
        Analysis(
            "attribution",
            "irl_lens.analyses.patching.attribution:attribute_patches",
            "Attribution patching against the exact sweep",
        ),
        Analysis(
            "direct-logits",
            "irl_lens.analyses.patching.direct:attribute_logits",
            "Who writes an action's logit",
        ),
        Analysis(
            "logit-lens", "irl_lens.analyses.patching.lens:action_lens", "Logit lens for actions"
        ),
        Analysis(
            "path-patching",
            "irl_lens.analyses.patching.path:patch_paths",
            "Path patching, head to head",
        ),
        Analysis(
            "circuit",
            "irl_lens.analyses.control.circuit:circuit",
            "Which heads and MLPs controllers recruit",
            needs=("controllers",),
            asks=(LABELS, DISCRETE),
        ),
        Analysis(
            "boundary-detection",
            "irl_lens.analyses.gate.detection:boundary_detection",
            "The gate as a detector of boundaries",
            needs=(METACONTROLLER,),
            asks=(LABELS,),
        ),
        Analysis(
            "gate-counterfactual",
            "irl_lens.analyses.gate.counterfactual:what_if",
            "What if the gate had switched here?",
            needs=(METACONTROLLER,),
            asks=(LABELS, Roamable),
        ),
        Analysis(
            "code-clusters",
            "irl_lens.analyses.codes.clusters:latent_space",
            "What the codes are codes of",
            needs=(METACONTROLLER,),
            asks=(LABELS,),
        ),
        Analysis(
            "code-transfer",
            "irl_lens.analyses.codes.transfer:transfer",
            "Codes put into other episodes",
            needs=(METACONTROLLER,),
            asks=(LABELS, Roamable),
        ),
        Analysis(
            "component-patches",
            "irl_lens.analyses.rollouts.component_patches:behaviour",
            "Where the agent goes after a patch",
            needs=(METACONTROLLER,),
            asks=(LABELS, Roamable),
        ),
        Analysis(
            "controller-algebra",
            "irl_lens.analyses.codes.algebra:algebra",
            "Algebra of controllers",
            needs=(METACONTROLLER,),
            asks=(LABELS, Roamable),
        ),
        Analysis(
            "atlas",
            "irl_lens.analyses.atlas:atlas",
            "Controllers of codes, one by one",
            needs=(METACONTROLLER,),
            against="irl_lens.analyses.atlas:difference",
            asks=(LABELS, Stageable, Roamable),
        ),
        Analysis(
            "atlas-clusters",
            "irl_lens.analyses.atlas:cluster_atlas",
            "Controllers of clusters of codes",
            needs=(METACONTROLLER,),
            asks=(LABELS, Stageable, Roamable),
        ),
        Analysis(
            "atlas-controllers",
            "irl_lens.analyses.atlas:controller_atlas",
            "Supervised controllers, one by one",
            needs=("controllers",),
            against="irl_lens.analyses.atlas:difference",
            asks=(LABELS, Stageable, Roamable),
        ),
        Analysis(
            "control-depth",
            "irl_lens.analyses.control.by_depth:control_by_depth",
            "Supervised controllers by depth of the base",
            several=True,
            scanned=False,
            asks=(LABELS,),
        ),
        Analysis(
            "control-ranks",
            "irl_lens.analyses.control.by_rank:control_by_rank",
            "How large a controller must be: vectors and ranks",
            several=True,
            scanned=False,
            asks=(LABELS, Filtered),
        ),
        Analysis(
            "learning-methods",
            "irl_lens.analyses.learning.compare_methods:learning_set",
            "Reinforcement learning: curves by method and seed, sample efficiency",
            several=True,
        ),
        Analysis(
            "baselines",
            "irl_lens.analyses.learning.baselines:baselines",
            "Every method of reinforcement learning: what each ends at, curves",
            several=True,
            scanned=False,
        ),
        Analysis(
            "rate-distortion",
            "irl_lens.analyses.codes.rate_distortion:rate_distortion",
            "Discovery over alpha and seeds: what codes cost, what they buy, when they switch",
            several=True,
            scanned=False,
            asks=(LABELS,),
        ),
    )
}


def analysis(name: str, several: bool = False) -> Analysis:
    """Looks an analysis up.

    Args:
        name: Its name.
        several: One of several runs, not of one.

    Raises:
        UserError: If there is none of that name; names the nearest, or all of them.
    """
    if name in of_runs(not several):
        use = f"one run: irl-lens analyze RUN {name}"
        use = use if several else f"several runs: irl-lens compare {name} RUN..."
        raise UserError(f"{name} is an analysis of {use}")
    return look_up(of_runs(several), name, " of several runs" * several)


def of_runs(several: bool) -> dict[str, Analysis]:
    """The analyses of several runs, or of one, by name."""
    return {name: one for name, one in ANALYSES.items() if one.several == several}
