"""What can be saved and loaded, by class name."""

from irl_lens.hooks.codes.hypernetwork import CodeController, HypernetworkDecoder
from irl_lens.hooks.codes.linear_decoder import LinearDecoder
from irl_lens.hooks.combinators.arithmetic import Compose, Interpolate, Scale, Sum
from irl_lens.hooks.combinators.mask import Mask
from irl_lens.hooks.combinators.project import ProjectOut
from irl_lens.hooks.combinators.sequence import Sequence
from irl_lens.hooks.combinators.together import Together
from irl_lens.hooks.controllers.bank import BankController, ControllerBank
from irl_lens.hooks.controllers.full import FullController
from irl_lens.hooks.controllers.low_rank import LowRankController
from irl_lens.hooks.controllers.vector import VectorController
from irl_lens.hooks.core.part import Part
from irl_lens.hooks.patches import (
    AblatePatch,
    InterpolatePatch,
    ReplacePatch,
    SubspacePatch,
    TransplantPatch,
)

KINDS: dict[str, type[Part]] = {
    kind.__name__: kind
    for kind in (
        *(LowRankController, FullController, VectorController),
        *(ControllerBank, BankController, CodeController),
        *(HypernetworkDecoder, LinearDecoder),
        *(Scale, Sum, Compose, Interpolate, ProjectOut, Sequence, Mask, Together),
        *(ReplacePatch, TransplantPatch, AblatePatch, InterpolatePatch, SubspacePatch),
    )
}
"""Every kind there is. Add a :class:`Part` of your own to save it too."""
