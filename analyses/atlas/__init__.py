"""The controller atlas: what each controller reads, writes and makes agents do."""

from irl_lens.analyses.atlas.atlas import Atlas, atlas
from irl_lens.analyses.atlas.page import difference, write_pages

__all__ = ["Atlas", "atlas", "difference", "write_pages"]
