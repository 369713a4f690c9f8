"""What a run can do in one world that is other than its own, without more training.

On demonstrations there: the gate's F1, and how often the code at a switch is nearest to the
centroid of the true subgoal, the centroids being those of the run's own world. On the task that is
asked for there, by players that learned nothing of it:

    base         the base alone
    controllers  supervised controllers of the true subgoal, at the layer that predicts best
    codes        centroids of the true subgoal, put in by an oracle at the gate's own switches
    mean         the internal policy's mean codes, see :mod:`irl_lens.analyses.learning.success`
    drawn        codes drawn from it as in training

The oracles are told what is asked for, the policy and the base are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from irl_lens.analyses.codes.identity import accuracy, centroid_oracle, switched
from irl_lens.analyses.core.demonstrations import draw
from irl_lens.analyses.core.label_controllers import LabelControllers
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.switch_codes import Centroids, class_means, commonest, nearest
from irl_lens.analyses.core.trial import Outcome
from irl_lens.analyses.gate.boundary_f1 import score_gate
from irl_lens.analyses.stats.estimates import Estimate
from irl_lens.envs.protocol import World
from irl_lens.hooks import Intervention
from irl_lens.models.fast import FastPath
from irl_lens.models.trace import encode
from irl_lens.rl.oracle import OracleControllers

PLAYERS = {
    "base": "base alone",
    "controllers": "supervised controllers, told the subgoal",
    "codes": "centroid codes, told the subgoal",
    "mean": "internal RL, mean codes",
    "drawn": "internal RL, codes drawn",
}
"""Who plays, and what each is called."""
KEYS = {
    "base": ("controllers.base_success_solvable", "controllers.base_subgoals"),
    "controllers": ("controllers.success_solvable", "controllers.subgoals"),
    "codes": ("codes.success_solvable", "codes.subgoals"),
    "mean": ("internal_rl.success_mean", "internal_rl.subgoals_mean"),
    "drawn": ("internal_rl.success_solvable", "internal_rl.subgoals"),
}
"""What success and subgoals of each are called where a run is evaluated."""


@dataclass(frozen=True)
class Condition:
    """What a run can do in one world.

    Attributes:
        name: What is other there.
        task: Abstract subgoals that are asked for there, in order.
        f1: The gate's, at the exact step, on demonstrations there.
        f1_null: The same of its switches shifted round; mean and central 95 % of the draws.
        identity: Nearest-centroid accuracy of codes at switches there.
        commonest: Share of the most frequent subgoal at these switches.
        outcomes: The task by players, those that there are, in the order of :data:`PLAYERS`.
    """

    name: str
    task: tuple[int, ...]
    f1: Estimate
    f1_null: Estimate
    identity: Estimate
    commonest: float
    outcomes: Mapping[str, Outcome]

    def numbers(self) -> dict[str, float]:
        """Returns the figures by the names that they have where a run is evaluated."""
        found = {
            "gate.f1": self.f1.value,
            "gate.f1_null": self.f1_null.value,
            "codes.identity": self.identity.value,
            "codes.chance": self.commonest,
        }
        for player, outcome in self.outcomes.items():
            success, subgoals = KEYS[player]
            found |= {success: outcome.success_solvable.value, subgoals: outcome.subgoals.value}
        return found


class Measurement:
    """How a run is measured in any world that it can read.

    Args:
        loaded: The run's parts, with the base that acts.
        episodes: Demonstrations; the run's own number if None.
        boards: Episodes of each player; likewise.
    """

    def __init__(
        self, loaded: LoadedRun, episodes: int | None = None, boards: int | None = None
    ) -> None:
        self.loaded, self.meta = loaded, loaded.run.metacontroller
        self.episodes = episodes or loaded.sizes.trajectories
        self.boards = boards or loaded.sizes.rollouts
        fit = loaded.fit.rows(slice(self.episodes))
        names = loaded.world.subgoal_names
        seen, labels = switched(encode(self.meta, loaded.base, fit), fit)
        self.centroids: Centroids = class_means(seen, labels, len(names))

    def of(self, world: World, name: str) -> Condition:
        """Measures in a world.

        Args:
            world: Where.
            name: What is other there.
        """
        shown = draw(world, self.loaded.run.seed, "test", self.episodes).trajectories
        trace = encode(self.meta, self.loaded.base, shown)
        gate = score_gate(trace.switches, shown.boundaries(), shown.mask, tolerance=shown.tolerance)
        codes, labels = switched(trace, shown)
        right = nearest(codes, self.centroids) == labels
        identity = accuracy(right, trace.switches, trace.switches)
        trial = replace(self.loaded.trial, world=world, rows=self.boards)
        outcomes = {player: trial.play(*hooked) for player, hooked in self._players().items()}
        task = tuple(world.heldout_subgoals)
        return Condition(name, task, gate.f1, gate.f1_null, identity, commonest(labels), outcomes)

    def _players(self) -> dict[str, tuple[FastPath, Intervention | None]]:
        loaded, done = self.loaded, self.loaded.run.finished()
        found: dict[str, tuple[FastPath, Intervention | None]] = {"base": (loaded.base, None)}
        if "controllers" in done:
            own = LabelControllers.of(loaded)
            oracle = OracleControllers(own.at(own.best), own.label)
            found["controllers"] = own.loaded.base, oracle
        found["codes"] = loaded.base, centroid_oracle(self.centroids, self.meta)
        if "internal-rl" in done:
            policy = loaded.run.policy
            found |= {"mean": (loaded.base, policy.by_mean()), "drawn": (loaded.base, policy)}
        return found
