"""What stands beside the codes' identity is read where it is said to be read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from irl_lens.analyses.codes.identity import codes
from irl_lens.analyses.codes.nulls import at_switches, code_nulls, with_untrained_encoder
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.models.trace import encode
from irl_lens.runs.run import Run


def test_streams_are_read_at_switches_and_at_the_ends_of_segments(
    smoke_run: Run, few_demonstrations: Callable[..., LoadedRun]
) -> None:
    loaded, meta = few_demonstrations(smoke_run), smoke_run.metacontroller
    shown, base = loaded.test.trajectories, loaded.base
    marks = shown.boundaries()
    marks[:, 0] = True
    read = at_switches(base, meta, [meta], shown, marks)
    observations = base.tensor(shown.observations)
    embedding, stream = (base.residual(observations, n).numpy() for n in (0, meta.layer))
    rows, steps = np.nonzero(marks)
    # The next switch of the episode, or its last step.
    last = shown.lengths - 1
    ends = [
        next((u for u in np.flatnonzero(marks[r]) if u > t), last[r])
        for r, t in zip(rows, steps, strict=True)
    ]
    for found, wanted in (
        (read.at_switch, stream[rows, steps]),
        (read.stream, stream[rows, ends]),
        (read.embedding, embedding[rows, ends]),
        (read.untrained[0], encode(meta, base, shown).mu[marks]),
    ):
        np.testing.assert_allclose(found, wanted, atol=2e-4)


def test_an_untrained_encoder_comes_with_the_trained_gate(smoke_run: Run) -> None:
    loaded, meta = LoadedRun(smoke_run), smoke_run.metacontroller
    fresh, again = (with_untrained_encoder(smoke_run, meta, 3) for _ in range(2))
    own, other = meta.state_dict(), fresh.state_dict()
    changed = {name for name, x in own.items() if not torch.equal(x, other[name])}
    assert {name.split(".")[0] for name in changed} == set(meta.encoding)
    assert all(torch.equal(x, other[name]) for name, x in again.state_dict().items())
    shown = loaded.test.trajectories
    assert not np.allclose(encode(fresh, loaded.base, shown).mu, loaded.trace.mu, atol=1e-3)


def test_the_codes_own_number_is_that_of_their_analysis(
    smoke_run: Run, few_demonstrations: Callable[..., LoadedRun]
) -> None:
    loaded = few_demonstrations(smoke_run)
    found = code_nulls(loaded, encoders=2)
    assert found.codes == codes(loaded).identity
    assert found.untrained.low < found.untrained.value < found.untrained.high
    assert list(found.to_dataframe()["source"]) == list(vars(found))
    assert len(found.figure().data[0].x) == 5 and found.codes.value <= 1  # type: ignore
    plain = "no finding" in found.caption()
    assert plain == (max(found.stream.value, found.embedding.value) >= found.codes.value - 0.05)
