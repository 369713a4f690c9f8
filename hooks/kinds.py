"""What can be saved and loaded, by class name."""

from .bank import ControllerBank
from .bank_controller import BankController
from .combine import Compose, Interpolate, Scale, Sum
from .full import FullController
from .hypernetwork import CodeController, HypernetworkDecoder
from .linear_decoder import LinearDecoder
from .low_rank import LowRankController
from .mask import Mask
from .part import Part
from .patches import AblatePatch, InterpolatePatch, ReplacePatch, SubspacePatch, TransplantPatch
from .project import ProjectOut
from .sequence import Sequence
from .together import Together
from .vector import VectorController

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
