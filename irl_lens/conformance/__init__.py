"""Does an implementation of internal RL compute what the paper says? Ten oracles.

Each is an exact property of the equations of arXiv 2512.20605, measured through a short
adapter; ``irl-lens conformance --adapter module:name`` prints the table. Here a toy, whose
gate looks at e alone, and its verdicts::

    >>> import torch
    >>> from irl_lens.hooks import Gate
    >>> class Toy(Adapter):
    ...     name, d_model, n_z = "toy 1.0", 4, 4
    ...
    ...     def discover(self, stream, lengths, noise, shift):
    ...         beta = torch.sigmoid(stream[..., 0] + shift)
    ...         beta[:, 0] = 1.0
    ...         codes = Gate().integrate(noise, beta)
    ...         matrix = codes[..., None] * torch.ones(self.d_model)
    ...         controlled = stream + stream * matrix.sum(-1)
    ...         return Discovery(noise, codes, beta, controlled=controlled, matrix=matrix)
    >>> for outcome in check(Toy()):
    ...     print(f"{outcome.oracle.name}: {outcome.verdict}")
    matrix product: fail
    null control: not applicable
    integration: pass
    integrated code: fail
    hard hold: not applicable
    kl at every step: not applicable
    first switch: pass
    frozen base: not applicable
    padding: pass
    cached decoding: not applicable

It fails twice: its gate reads no code, and it adds e times the row sums of U, not U e.
"""

from irl_lens.conformance.adapter import Adapter, Discovery, NotOffered, Rollout, load_adapter
from irl_lens.conformance.oracle import Oracle, Outcome
from irl_lens.conformance.oracles import ORACLES
from irl_lens.conformance.suite import check, report, table

__all__ = [
    "ORACLES",
    "Adapter",
    "Discovery",
    "NotOffered",
    "Oracle",
    "Outcome",
    "Rollout",
    "check",
    "load_adapter",
    "report",
    "table",
]
