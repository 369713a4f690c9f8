"""Whether codes at switches fall into kinds, and whether the kinds are the abstract subgoals.

    purity = 1/n sum over clusters of the largest count of one subgoal in the cluster
    I(cluster; subgoal) = sum p(c, g) log2 p(c, g) / (p(c) p(g))                          [bits]

Clusters by k-means, which sees no label. Null: labels exchanged between episodes among codes
that are equally many switches from the start, so that what all first codes share is no
finding. Intervals by resampling episodes; information of few codes leans upwards, and so does
its null. (The paper reports transfer, not the codes themselves: arXiv 2512.20605, App. B.3.2.)

Codes are drawn on their principal axes, and by UMAP (McInnes et al. 2018) where umap-learn is
installed. That is for looking only: no number comes from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jaxtyping import Float, Int
from plotly.subplots import make_subplots
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from irl_lens.analyses.codes.cluster_scores import (
    Score,
    count_all,
    count_by_episode,
    exchanged,
    mutual_information,
    ordinals,
    purity,
    score_against_null,
)
from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.core.switch_codes import SwitchCodes
from irl_lens.analyses.figures.style import GREY, MAIN, styled, subgoal_colours
from irl_lens.analyses.report.headline_results import LoadedRun
from irl_lens.arrays import NDArray

SHOWN = 1_500
"""Codes drawn in the figure."""
NEIGHBOURS = 15
"""Of each code in UMAP's layout."""


@dataclass(frozen=True)
class LatentSpace(Result):
    """See the module.

    Attributes:
        points: Some of the codes on their two principal axes.
        labels: Their subgoals.
        unrolled: The same codes by UMAP; None without umap-learn, or with too few of them.
        explained: Share of the variance on each axis.
        purity: Share of codes that are of their cluster's commonest subgoal.
        information: Of the cluster on the subgoal [bits].
        entropy: Of the subgoals of all codes [bits], which bounds it.
        clusters: How many.
        codes: How many.
        names: Of the subgoals.
    """

    points: Float[NDArray[np.float64], "shown 2"]
    labels: Int[NDArray[np.int64], " shown"]
    unrolled: Float[NDArray[np.float32], "shown 2"] | None
    explained: tuple[float, float]
    purity: Score
    information: Score
    entropy: float
    clusters: int
    codes: int
    names: tuple[str, ...]

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a score."""
        scores = {"purity": self.purity, "information": self.information}
        return pd.DataFrame(
            {"score": name} | x.value.columns("value") | x.null.columns("null") | {"p": x.p}
            for name, x in scores.items()
        )

    def figure(self) -> go.Figure:
        """Draws the codes in the plane, by UMAP too if there is one, and scores beside nulls."""
        clouds = [self.points] if self.unrolled is None else [self.points, self.unrolled]
        n, names = len(clouds), ["codes at switches", "the same by UMAP"][: len(clouds)]
        figure = make_subplots(
            cols=n + 2,
            subplot_titles=[*names, "purity", "information, bits"],
            column_widths=[0.6 / n] * n + [0.2, 0.2],
        )
        for column, cloud in enumerate(clouds, start=1):
            self._cloud(figure, column, cloud)
        for column, score in ((n + 1, self.purity), (n + 2, self.information)):
            _bars(figure, column, score)
        for number, axis in enumerate((figure.update_xaxes, figure.update_yaxes), start=1):
            share = f"{self.explained[number - 1]:.0%}".replace("%", " %")
            axis(title=f"z, principal axis {number} ({share})", col=1)
            if n > 1:
                axis(title=f"UMAP, axis {number}", showticklabels=False, col=2)
        figure.update_yaxes(range=[0, 1.05], col=n + 1)
        figure.update_yaxes(range=[0, 1.05 * max(self.entropy, 0.1)], col=n + 2)
        layout = {"legend": {"y": 1.12}, "margin": {"t": 120}}
        return styled(figure, "What the codes are codes of", 460, **layout)

    def _cloud(self, figure: go.Figure, column: int, cloud: NDArray) -> None:
        for i, (name, colour) in enumerate(subgoal_colours(self.names).items()):
            own = cloud[self.labels == i]
            figure.add_scatter(
                x=own[:, 0],
                y=own[:, 1],
                mode="markers",
                name=f"subgoal {name}",
                legendgroup=name,
                showlegend=column == 1,
                marker={"color": colour, "size": 5, "opacity": 0.6},
                row=1,
                col=column,
            )

    def caption(self) -> str:
        """Says whether the kinds of codes are subgoals."""
        found = self.information
        verdict = "more than" if found.p < 0.05 else "NOT more than"
        return (
            f"{self.clusters} clusters of {self.codes} codes tell {found.value} of the "
            f"{self.entropy:.3f} bits of the subgoal, {verdict} the {found.null.value:.3f} with "
            f"labels exchanged between episodes (p = {found.p:.3g}). Purity is "
            f"{self.purity.value}, against {self.purity.null.value:.3f}. Intervals are 95 % over "
            "episodes, those of nulls over draws."
        )

    def claims(self) -> tuple[Claim, ...]:
        """Information against labels exchanged between episodes."""
        found = self.information
        sentence = (
            f"{self.clusters} clusters of codes tell {found.value.value:.3f} of the "
            f"{self.entropy:.3f} bits of the subgoal, {found.null.value:.3f} with labels exchanged."
        )
        effect = (found.value.value - found.null.value) / self.entropy if self.entropy else 0.0
        return (Claim(sentence, effect, found.p),)


def latent_space(
    bench: LoadedRun,
    clusters: int | None = None,
    seed: int = 0,
    draws: int = 500,
    umap: bool = True,
) -> LatentSpace:
    """Clusters the codes that the run's metacontroller uses on fresh demonstrations.

    Args:
        bench: The run.
        clusters: How many; one a subgoal if not given.
        seed: Of the clusters, the null and the resampling.
        draws: Of the null, and resamples.
        umap: Lay the codes out by UMAP too where it is installed, which takes seconds.
    """
    names = bench.world.subgoal_names
    harvest = SwitchCodes.of(bench.trace, bench.test.trajectories)
    return describe_codes(harvest, names, clusters or len(names), seed, draws, umap)


def describe_codes(
    harvest: SwitchCodes,
    names: tuple[str, ...],
    clusters: int,
    seed: int = 0,
    draws: int = 500,
    umap: bool = False,
) -> LatentSpace:
    """Clusters codes; see :func:`latent_space`.

    Args:
        harvest: The codes.
        names: Of the subgoals.
        clusters: How many.
        seed: Of the clusters, the null and the resampling.
        draws: Of the null, and resamples.
        umap: Lay them out by UMAP too.
    """
    rng, clusters = np.random.default_rng(seed), min(clusters, len(harvest))
    means = KMeans(clusters, n_init=4, random_state=seed)  # type: ignore[arg-type]
    found = means.fit_predict(harvest.codes)
    found, shape = found.astype(np.int64), (clusters, len(names))
    own = count_by_episode(harvest, found, harvest.labels, shape)
    weights = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), size=draws)
    resampled = np.tensordot(weights, own, axes=1)
    order = ordinals(harvest.episodes)
    shuffles = (exchanged(harvest.labels, order, rng) for _ in range(draws))
    null = np.stack([count_all(found, labels, shape) for labels in shuffles])
    pca = PCA(min(2, harvest.codes.shape[1])).fit(harvest.codes)
    points = np.zeros((min(len(harvest), SHOWN), 2))
    points[:, : pca.n_components_] = pca.transform(harvest.codes[:SHOWN])
    explained = (*pca.explained_variance_ratio_.tolist(), 0.0)
    share = own.sum(axis=(0, 1)) / len(harvest)
    return LatentSpace(
        points,
        harvest.labels[:SHOWN],
        unrolled(harvest.codes[:SHOWN], seed) if umap else None,
        (explained[0], explained[1]),
        score_against_null(purity, own.sum(axis=0), resampled, null),
        score_against_null(mutual_information, own.sum(axis=0), resampled, null),
        float(-(share[share > 0] * np.log2(share[share > 0])).sum()),
        clusters,
        len(harvest),
        names,
    )


def unrolled(
    codes: Float[NDArray[np.float32], "shown latent"], seed: int = 0
) -> Float[NDArray[np.float32], "shown 2"] | None:
    """Lays codes out in the plane so that neighbours stay neighbours, by UMAP.

    Args:
        codes: The codes.
        seed: Of the layout.

    Returns:
        The layout; None if umap-learn is not installed, or fewer codes differ than it needs.
    """
    try:
        from umap import UMAP  # type: ignore[import-not-found]
    except ImportError:
        return None
    if len(np.unique(codes, axis=0)) <= NEIGHBOURS:
        return None
    plane = UMAP(n_neighbors=NEIGHBOURS, random_state=seed, n_jobs=1).fit_transform(codes)
    return np.asarray(plane, np.float32)


def _bars(figure: go.Figure, column: int, score: Score) -> None:
    for name, estimate, colour in (
        ("clusters", score.value, MAIN),
        ("labels<br>exchanged", score.null, GREY),
    ):
        figure.add_bar(
            x=[name],
            y=[estimate.value],
            error_y={
                "array": [estimate.high - estimate.value],
                "arrayminus": [estimate.value - estimate.low],
            },
            marker_color=colour,
            showlegend=False,
            row=1,
            col=column,
        )
