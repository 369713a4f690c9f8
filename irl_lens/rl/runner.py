"""Roll-outs: a fixed batch of episodes, played to their ends with carried caches.

All rows are reset together and none is reset again (autoreset disabled), so that the
positions of the key-value cache stay aligned; each row has its own end. One step of the
base costs the same for a row that is over as for one that is not, so rows that are over
are cut out of the cache and of the acting hook as soon as there are enough of them. The
noise of a row does not depend on which other rows are still there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from irl_lens.arrays import NDArray
from irl_lens.envs.protocol import VectorWorld
from irl_lens.hooks import Intervention
from irl_lens.models.acting import Actor, GatedActor
from irl_lens.models.played import Carried, Played
from irl_lens.models.sharing import sharing
from irl_lens.rl.recorder import Rollout, RolloutRecorder

CROWDED = 0.8
"""Rows are cut out when less than this share of those still computed is not over."""


class RolloutRunner:
    """Plays episodes with a base model, and a hook on it if wanted.

    Args:
        fast: The base model, or another one that is played step by step.
        horizon: Most steps of an episode.
        hook: An intervention; an :class:`irl_lens.models.acting.Actor` is driven, anything
            else is attached as it is.
        temperature: Actions are drawn from p^(1 / temperature), normalised. At 0 nothing is drawn:
            the likeliest action is taken (the mean, where actions are Gaussian), and there are no
            log-probabilities (NaN).
        whole: Compute rows that are over to the end too. Else the last bits of a row's numbers
            may depend on when others end, as matrices of other sizes are multiplied in another
            order: of no account to actions out of a finite set, but a body falls otherwise.

    Raises:
        ValueError: The temperature is below 0.
    """

    def __init__(
        self,
        fast: Played,
        horizon: int,
        hook: Intervention | None = None,
        temperature: float = 1.0,
        whole: bool = False,
    ) -> None:
        if temperature < 0:
            raise ValueError(
                f"temperature {temperature}; take a positive one, 1 to leave probabilities as they "
                "are, or 0 for the likeliest action"
            )
        self.fast, self.horizon, self.hook = fast, horizon, hook
        self.temperature, self.whole = temperature, whole

    def twin(self) -> RolloutRunner:
        """Returns another on the same weights, to play other episodes at the same time."""
        hook = None if self.hook is None else sharing(self.hook)
        return RolloutRunner(self.fast.twin(), self.horizon, hook, self.temperature, self.whole)

    @torch.no_grad()
    def play(
        self, env: VectorWorld, seed: int, given: Shaped[Tensor, "rows steps *action"] | None = None
    ) -> Rollout:
        """Plays one episode in each row of ``env``.

        Args:
            env: A vector environment whose rows end and stay put.
            seed: Seed of the episodes' layouts, of the actions and of the hook's noise.
            given: Actions to take at the first steps, in place of those drawn: episodes
                that fork where these end.

        Returns:
            The episodes, cut to the longest.

        Raises:
            UserError: The model was not made for what ``env`` shows.
        """
        self.fast.model.check_fits(env)
        generator = torch.Generator().manual_seed(seed)
        with (
            self._seeded(seed),
            self.fast.held(),
            self.hook.attached(self.fast.model) if self.hook else nullcontext(),
        ):
            return self._episodes(env, seed, generator, given)

    @contextmanager
    def _seeded(self, seed: int) -> Iterator[None]:
        """Gives the hook noise of its own, and afterwards back the generator it had."""
        if not isinstance(self.hook, GatedActor):
            yield
            return
        # Another stream: what is drawn of it depends on the hook alone.
        before, self.hook.generator = self.hook.generator, torch.Generator().manual_seed(seed + 1)
        try:
            yield
        finally:
            self.hook.generator = before

    def _episodes(
        self, env: VectorWorld, seed: int, generator: torch.Generator, given: Tensor | None
    ) -> Rollout:
        observation, info = env.reset(seed=seed)
        recorder = RolloutRecorder(observation, info, self.horizon, env.actions)
        cache = self.fast.cache(env.num_envs, self.horizon)
        head, device = self.fast.action_head, self.fast.device
        while recorder.live.any() and recorder.step < self.horizon:
            rows = torch.from_numpy(recorder.rows)  # here, not where the model is
            self._tell(info, rows)
            noise = head.noise(env.num_envs, generator)[rows].to(device)
            seen = self.fast.tensor(observation[recorder.rows, None])
            outputs = self.fast.logits(seen, cache=cache)[:, 0]
            wanted = None
            if given is not None and recorder.step < given.shape[1]:
                wanted = given[rows, recorder.step].to(device)
            actions, log_probs = self._choose(outputs, noise, wanted)
            chosen = recorder.before(
                observation, info, actions.cpu().numpy(), log_probs.cpu().numpy()
            )
            observation, reward, terminated, truncated, info = env.step(chosen)
            recorder.after(reward, terminated | truncated, info)
            self._compact(recorder, cache)
        return recorder.rollout(self.hook.record() if isinstance(self.hook, Actor) else None)

    def _choose(
        self, outputs: Tensor, noise: Tensor, wanted: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The actions that are wanted, or else drawn, and their log-probabilities."""
        head = self.fast.action_head
        if self.temperature == 0:
            actions = head.mode(outputs) if wanted is None else wanted
            return actions, outputs.new_full((len(outputs),), torch.nan)
        if wanted is None:
            return head.sample(outputs, noise, self.temperature)
        return wanted, head.log_prob(outputs, wanted, self.temperature)

    def _tell(self, info: dict[str, Any], rows: Tensor) -> None:
        if isinstance(self.hook, Actor):
            told = info.keys() & {"subgoal", "visit"}
            labels = {name: torch.from_numpy(info[name])[rows] for name in told}
            self.hook.observe({name: x.to(self.fast.device) for name, x in labels.items()})

    def _compact(self, recorder: RolloutRecorder, cache: Carried) -> None:
        """Cuts rows that are over out of the computation, once they are enough."""
        driven = self.hook is None or isinstance(self.hook, Actor)
        if self.whole or not driven or recorder.live.mean() >= CROWDED or not recorder.live.any():
            return
        kept = _gaps_filled(recorder.live)
        index = self.fast.tensor(kept)
        cache.keep(index)
        if isinstance(self.hook, Actor):
            self.hook.keep(index)
        recorder.keep(kept)


def _gaps_filled(live: Bool[NDArray[np.bool_], " rows"]) -> Int[NDArray[np.int64], " kept"]:
    """Indices of the rows that are True, most at their own place and the last in the gaps."""
    index = np.arange(live.sum())
    index[~live[: len(index)]] = np.flatnonzero(live[len(index) :]) + len(index)
    return index
