"""Everything measured on a run, live from its weights, in the order of the chain.

An analysis whose stage is not finished, or that needs what the world does not offer, is left out.
All share one sample of fresh demonstrations, and all that act meet the same boards of the held-out
task.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from irl_lens.analyses.belief.bayes_gap import (
    FloorResult,
    TrainingCurve,
    compare_with_floor,
    training_curve,
)
from irl_lens.analyses.belief.subgoal_probes import ProbeResult, probe_layers
from irl_lens.analyses.codes.identity import CodesResult, codes_at_switches
from irl_lens.analyses.control.by_layer import ControlResult, control_by_layer
from irl_lens.analyses.core.demonstrations import Sample, action_log_probs, draw
from irl_lens.analyses.core.trial import Outcome, Trial
from irl_lens.analyses.gate.boundary_f1 import GateResult, gate_against_boundaries
from irl_lens.analyses.learning.run_curves import LearningResult, learning_curves
from irl_lens.arrays import NDArray
from irl_lens.data.demonstrations import Demonstrations
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import NotOffered
from irl_lens.models.fast import FastPath
from irl_lens.models.trace import MetaTrace, encode
from irl_lens.progress import Progress
from irl_lens.runs.run import Run


@dataclass(frozen=True)
class Findings:
    """The results; None where the stage is not finished.

    Attributes:
        pretraining: The base's training curve.
        floor: Base against the Bayes filter.
        probes: Current subgoal by layer.
        controllers: Steering by layer.
        gate: Switches against boundaries.
        codes: Codes at switches.
        internal: The internal policy on the held-out task.
        raw: The base after raw-action RL on the held-out task.
        learning: Curves of both.
    """

    pretraining: TrainingCurve | None = None
    floor: FloorResult | None = None
    probes: ProbeResult | None = None
    controllers: ControlResult | None = None
    gate: GateResult | None = None
    codes: CodesResult | None = None
    internal: Outcome | None = None
    raw: Outcome | None = None
    learning: LearningResult | None = None


class LoadedRun:
    """A run's parts, loaded when first asked for.

    Args:
        run: A run whose base is trained.
        pretrained: With the base as pretraining left it, not as discovery trained it further.
        step: With the base as it was after so many steps, of those that were kept.
    """

    def __init__(self, run: Run, pretrained: bool = False, step: int | None = None) -> None:
        # Parts of its own: what is measured is what the folder holds, whatever is done with others.
        self.run, self.sizes = run.fresh(), run.preset.evaluation
        self.world = self.run.world
        if step is None:
            model = self.run.pretrained if pretrained else self.run.base
        else:
            model = self.run.snapshot(step)
        # In the precision the stages trained and acted with.
        self.base = FastPath(model, run.preset.pretrain.precision)

    @cached_property
    def pretrained(self) -> LoadedRun:
        """The same with the base as pretraining left it: itself, if that one acts."""
        if not self.run.cotrained:
            return self
        bench = LoadedRun(self.run, pretrained=True)
        bench.sizes = self.sizes
        return bench

    @cached_property
    def test(self) -> Sample:
        """Fresh demonstrations to measure on."""
        return draw(self.world, self.run.seed, "test", self.sizes.trajectories)

    @cached_property
    def fit(self) -> Trajectories:
        """Half as many others, to fit on."""
        n = max(1, self.sizes.trajectories // 2)
        return Demonstrations(self.world, self.run.seed, "analysis-fit", n)[0]

    @cached_property
    def log_probs(self) -> Float[NDArray[np.float32], "n steps actions"]:
        """The base's, on the test sample."""
        return action_log_probs(self.base, self.test.trajectories)

    @cached_property
    def trace(self) -> MetaTrace:
        """What the metacontroller makes of the test sample."""
        return encode(self.run.metacontroller, self.base, self.test.trajectories)

    @property
    def trial(self) -> Trial:
        """The held-out task, primitive actions sampled as in internal RL."""
        temperature = self.run.preset.internal_rl.temperature
        return Trial(self.world, self.sizes.rollouts, self.run.seed, temperature)


def analyse(run: Run, progress: Progress) -> Findings:
    """Measures all finished stages of a run.

    Args:
        run: The run.
        progress: Told of every analysis.
    """
    finished = run.finished()
    stages = {name: stage or run.metacontroller_stage for name, (stage, _) in ANALYSES.items()}
    wanted = [name for name, stage in stages.items() if stage in finished]
    progress.stage("analyses", len(wanted))
    if not run.stage("base").done:
        return Findings()
    bench, found = LoadedRun(run), {}
    for done, name in enumerate(wanted, start=1):
        with suppress(NotOffered):  # the world has no labels, or no filter
            found[name] = ANALYSES[name][1](bench)
        progress.update(done)
    started = any(run.stage(name).done for name in ("internal-rl", "raw-rl"))
    learning = learning_curves(run, len(bench.world.heldout_subgoals)) if started else None
    return Findings(**found, learning=learning)


def _pretraining(bench: LoadedRun) -> TrainingCurve:
    return training_curve(bench.run.stage("base"))


def _floor(bench: LoadedRun) -> FloorResult:
    bench = bench.pretrained
    return compare_with_floor(bench.base, bench.test, bench.log_probs)


def _probes(bench: LoadedRun) -> ProbeResult:
    bench = bench.pretrained
    classes, iterations = len(bench.world.subgoal_names), bench.sizes.probe_iterations
    return probe_layers(bench.base, bench.fit, bench.test, classes, iterations)


def controllability(bench: LoadedRun) -> ControlResult:
    """Measures the supervised controllers of every layer."""
    bench = bench.pretrained
    label, banks = bench.run.preset.controllers.label, bench.run.controllers
    return control_by_layer(bench.base, banks, label, bench.test, bench.trial, bench.log_probs)


def _gate(bench: LoadedRun) -> GateResult:
    names = bench.world.subgoal_names
    return gate_against_boundaries(bench.trace, bench.test.trajectories, names)


def _codes(bench: LoadedRun) -> CodesResult:
    meta, names = bench.run.metacontroller, bench.world.subgoal_names
    fit = encode(meta, bench.base, bench.fit), bench.fit
    test = bench.trace, bench.test.trajectories
    return codes_at_switches(fit, test, names, bench.base, meta, bench.trial)


def _internal(bench: LoadedRun) -> Outcome:
    return bench.trial.play(bench.base, bench.run.policy)


def _raw(bench: LoadedRun) -> Outcome:
    config = bench.run.preset
    trial = Trial(bench.world, bench.sizes.rollouts, bench.run.seed, config.raw_rl.temperature)
    return trial.play(FastPath(bench.run.raw))


ANALYSES: dict[str, tuple[str | None, Callable[[LoadedRun], Any]]] = {
    "pretraining": ("base", _pretraining),
    "floor": ("base", _floor),
    "probes": ("base", _probes),
    "controllers": ("controllers", controllability),
    "gate": (None, _gate),
    "codes": (None, _codes),
    "internal": ("internal-rl", _internal),
    "raw": ("raw-rl", _raw),
}
"""Field of :class:`Findings`, the stage it is about, None for whatever left the metacontroller
that acts, and what measures it."""
