"""The controller atlas: what each controller reads, writes and makes agents do."""

from irl_lens.analyses.atlas.atlas import Atlas
from irl_lens.analyses.atlas.describe import atlas, cluster_atlas, controller_atlas
from irl_lens.analyses.atlas.difference import AtlasDifference, difference

__all__ = [
    "Atlas",
    "AtlasDifference",
    "atlas",
    "cluster_atlas",
    "controller_atlas",
    "difference",
]
