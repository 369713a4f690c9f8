"""The context that analyses of one run share: its parts, and the samples that they measure on.

All analyses share one sample of fresh demonstrations, and all that act meet the same boards of
the held-out task. Every part is loaded or computed when it is first asked for.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from jaxtyping import Float

from irl_lens.analyses.core.demonstrations import Sample, action_log_probs, draw
from irl_lens.analyses.core.trial import Trial
from irl_lens.arrays import NDArray
from irl_lens.data.demonstrations import Demonstrations
from irl_lens.envs.trajectories import Trajectories
from irl_lens.models.fast import FastPath
from irl_lens.models.trace import MetaTrace, encode
from irl_lens.runs.run import Run


class LoadedRun:
    """A run's parts.

    Args:
        run: A run whose base is trained.
        pretrained: With the base as pretraining left it, not as discovery trained it further.
        step: With the base as it was after so many steps, of those that were kept.

    Attributes:
        sizes: How many demonstrations and boards are measured on.
    """

    def __init__(self, run: Run, pretrained: bool = False, step: int | None = None) -> None:
        # Parts of its own: what is measured is what the folder holds, whatever is done with others.
        self.run, self.sizes = run.fresh(), run.preset.evaluation
        self._pretrained = pretrained
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
        return self._with_base(pretrained=True)

    @cached_property
    def acting(self) -> LoadedRun:
        """The same with the base that acts: itself, but where discovery trained another."""
        return self._with_base(pretrained=False)

    def _with_base(self, pretrained: bool) -> LoadedRun:
        if not self.run.cotrained or self._pretrained == pretrained:
            return self
        other = LoadedRun(self.run, pretrained)
        other.sizes = self.sizes
        return other

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
        """The base's log-probability of every action on the test sample [nats]."""
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
