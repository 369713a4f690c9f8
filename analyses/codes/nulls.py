"""What the codes' identity is to be held against: the same guess from what was there before them.

    at(t)     = step t itself, or end(t), the step on which the segment that begins at t ends
    c_g       = mean of x_at(t) over switches t with subgoal g
    guess(t)  = argmin_g |x_at(t) - c_g|

with x in place of the code z_t

    stream     e_end(t), at the layer that is controlled: what an encoder of segments reads
    embedding  e_end(t), at the embedding
    untrained  what the encoder gives at t before training
    at switch  e_t, at the layer that is controlled: what a policy reads

at the switches at which the codes themselves are scored, centroids from the same other episodes,
and the same nearest-centroid guess. An identity that the stream at a segment's end has too is no
achievement of the code: where a segment led is plain to see once it has ended. What codes add is
that they are few numbers and steer. (None of these is in arXiv 2512.20605.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Float

from irl_lens.analyses.codes.identity import accuracy
from irl_lens.analyses.core.demonstrations import pieces
from irl_lens.analyses.core.linear_probe import layer_streams
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import Count, Seed
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.core.switch_codes import Codes, class_means, nearest
from irl_lens.analyses.figures.intervals import with_intervals
from irl_lens.analyses.figures.style import GREY, MAIN, styled
from irl_lens.analyses.gate.event_scores import Marks
from irl_lens.analyses.stats.estimates import Estimate
from irl_lens.arrays import NDArray
from irl_lens.envs.trajectories import Trajectories
from irl_lens.models.causal import CausalHalf
from irl_lens.models.fast import FastPath
from irl_lens.models.segments import segment_ends
from irl_lens.models.trace import encode
from irl_lens.runs.folder import RunFolder
from irl_lens.runs.parts import untrained_metacontroller


@dataclass(frozen=True)
class CodeNulls(Result):
    """Nearest-centroid accuracy of the subgoal at switches, from codes and from their nulls.

    Attributes:
        codes: From the codes.
        stream: From the controlled layer's stream at the end of the segment.
        embedding: From the embedding there.
        untrained: From encoders before training; mean and range over initialisations.
        at_switch: From the controlled layer's stream at the switch.
    """

    codes: Estimate
    stream: Estimate
    embedding: Estimate
    untrained: Estimate
    at_switch: Estimate

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a source."""
        rows = [{"source": name} | x.columns("accuracy") for name, x in vars(self).items()]
        return pd.DataFrame(rows)

    def caption(self) -> str:
        """Says what others reach, and what the codes' identity then means."""
        plain = max(self.stream.value, self.embedding.value)
        means = (
            "Where a segment led is plain to see at its end, without any code; that codes say it "
            "too is necessary, and no finding: whether they steer is what counts."
            if plain >= self.codes.value - 0.05
            else "Codes tell subgoals better than the stream that they are made of."
        )
        return (
            f"Against {self.codes.value:.3f} from the code: nearest centroids in the controlled "
            f"layer's stream at the segment's end give {self.stream}, in the embedding there "
            f"{self.embedding}, from encoders before training {self.untrained.value:.3f} "
            f"({self.untrained.low:.3f} to {self.untrained.high:.3f}), and in the stream at the "
            f"switch itself, which is what a policy reads, {self.at_switch}. {means}"
        )

    def figure(self) -> go.Figure:
        """Draws the accuracy of each."""
        names = {
            "codes": "code",
            "stream": "stream at the<br>segment's end",
            "embedding": "embedding at the<br>segment's end",
            "untrained": "untrained encoder",
            "at_switch": "stream at<br>the switch",
        }
        values = [getattr(self, name) for name in names]
        colours = [MAIN, *[GREY] * (len(values) - 1)]
        figure = go.Figure(
            go.Bar(x=list(names.values()), **with_intervals(values), marker_color=colours)
        )
        figure.update_yaxes(title="accuracy of the subgoal", range=[0, 1.05])
        figure.update_xaxes(showgrid=False)
        return styled(figure, "The codes' identity beside its nulls")


def code_nulls(loaded: LoadedRun, seed: Seed = 0, encoders: Count = 5) -> CodeNulls:
    """Guesses subgoals at a run's switches from its codes, and from their nulls.

    Args:
        loaded: The run's parts.
        seed: Seed of untrained encoders.
        encoders: How many of these.
    """
    meta, names = loaded.run.metacontroller, loaded.world.subgoal_names
    fresh = [with_untrained_encoder(loaded.run, meta, seed + i) for i in range(encoders)]
    before, after = encode(meta, loaded.base, loaded.fit), loaded.trace
    shown = (loaded.fit, before), (loaded.test.trajectories, after)
    read = [at_switches(loaded.base, meta, fresh, x, trace.switches) for x, trace in shown]
    labels = [x.require("subgoals")[trace.switches] for x, trace in shown]

    def identity(fitted: Codes, seen: Float[NDArray[np.floating], "others latent"]) -> Estimate:
        guesses = nearest(seen, class_means(fitted, labels[0], len(names)))
        return accuracy(guesses == labels[1], after.switches, after.switches)

    found = [identity(*pair).value for pair in zip(*(r.untrained for r in read), strict=True)]
    return CodeNulls(
        identity(*(trace.z[trace.switches] for _, trace in shown)),
        identity(*(r.stream for r in read)),
        identity(*(r.embedding for r in read)),
        Estimate(float(np.mean(found)), min(found), max(found)),
        identity(*(r.at_switch for r in read)),
    )


@dataclass(frozen=True)
class AtSwitches:
    """What there is at the switches of demonstrations, in the order of the marks.

    Attributes:
        stream: The controlled layer's stream where the segment ends.
        embedding: The embedding there.
        at_switch: The controlled layer's stream at the switch.
        untrained: What each untrained encoder gives.
    """

    stream: Float[NDArray[np.float32], "codes d_model"]
    embedding: Float[NDArray[np.float32], "codes d_model"]
    at_switch: Float[NDArray[np.float32], "codes d_model"]
    untrained: tuple[Codes, ...]


@torch.no_grad()
def at_switches(
    base: FastPath, meta: CausalHalf, fresh: list[CausalHalf], shown: Trajectories, marks: Marks
) -> AtSwitches:
    """Reads what there is at the switches of demonstrations.

    Args:
        base: The base model.
        meta: Says which layer is controlled.
        fresh: Metacontrollers with untrained encoders.
        shown: The demonstrations.
        marks: The switches, first steps included.
    """
    order, parts = [], list[list[torch.Tensor]]()
    numbers = np.cumsum(marks).reshape(marks.shape) - 1
    for rows, piece in pieces(shown):
        mask, steps = base.tensor(piece.mask), piece.mask.shape[1]
        opened = base.tensor(marks[rows, :steps])
        embedding, stream = layer_streams(base, piece, (0, meta.layer))
        ends = opened.nonzero()[:, 0], segment_ends(opened, mask)[opened]
        parts.append(
            [stream[ends], embedding[ends], stream[opened]]
            + [one(stream, mask).mu[opened] for one in fresh]
        )
        order.append(numbers[rows, :steps][marks[rows, :steps]])
    place = np.argsort(np.concatenate(order))
    stream, embedding, here, *untrained = [
        torch.cat(column).cpu().numpy()[place] for column in zip(*parts, strict=True)
    ]
    return AtSwitches(stream, embedding, here, tuple(untrained))


def with_untrained_encoder(run: RunFolder, meta: CausalHalf, seed: int) -> CausalHalf:
    """The metacontroller with its gate, and the encoder as it is before training."""
    fresh, state = untrained_metacontroller(run, seed), meta.state_dict()
    kept = {name: x for name, x in state.items() if name.split(".")[0] not in meta.encoding}
    fresh.load_state_dict(kept, strict=False)
    return fresh
