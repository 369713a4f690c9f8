"""Ten small oracles for internal RL (arXiv 2512.20605).

Each asks an adapter for numbers, computes what they should be from the paper's equation, and
returns the discrepancies by name; the worst decides. They are exact properties of the maths:
they hold of untrained weights, and say nothing of how well anything learns. The sources name
the paper's sections; "none" marks what the paper does not state but its equations need.
"""

from __future__ import annotations

import math
from contextlib import suppress

import torch
from torch import Tensor, nn

from irl_lens.conformance.adapter import Adapter, Discovery, NotOffered, Rollout
from irl_lens.conformance.oracle import Discrepancies, oracle
from irl_lens.hooks import Gate

ROWS, STEPS = 4, 9
SHUT = -50.0
"""A shift of the gate's logit after which beta is about 1e-22: in float32, z is held."""


@oracle("e_t <- e_t + U_t e_t", "App. D, injection", 1e-3)
def matrix_product(adapter: Adapter) -> Discrepancies:
    """What control adds is the product of the matrix U and the vector e, neither the entries
    of e times the row sums of U, nor with anything added. U e and U^T e are both accepted:
    which axis of U is called the first is a convention."""
    stream = _normal(adapter.d_model, seed=0)
    found = _discover(adapter, stream=stream)
    matrix, change = _given(found, "matrix"), _given(found, "controlled") - stream
    if not matrix.any():
        raise NotOffered("every U is zero, and so is its product with anything")
    products = [
        torch.einsum(axes, matrix, stream) for axes in ("...ij,...j->...i", "...ij,...i->...j")
    ]
    return {"what is added against U e": min(_gap(change, product) for product in products)}


@oracle("e_t + U(none) e_t = e_t", "none; a claim of the implementation", 0.0)
def null_control(adapter: Adapter) -> Discrepancies:
    """The control that the implementation claims to be none (its zero code, or a zero
    controller) leaves the stream as it is, bit for bit."""
    stream = _normal(adapter.d_model, seed=0)
    with torch.no_grad():
        left = adapter.null(stream)
        _check_shape(adapter, "stream without control", left, stream.shape)
        return {"change of e": _largest(left - stream)}


@oracle("z_t = beta_t z~_t + (1 - beta_t) z_{t-1}, z_0 = 0", "App. D, temporal integration", 1e-5)
def integration(adapter: Adapter) -> Discrepancies:
    """The code is the proposals integrated by the gate, from zero."""
    found = _discover(adapter)
    return {"z": _gap(found.codes, Gate().integrate(found.proposals, found.beta))}


@oracle("beta_t = f_switch(e_t, h_{t-1}, z_{t-1})", "App. D, switching unit", 1e-3)
def integrated_code(adapter: Adapter) -> Discrepancies:
    """The switching unit reads the integrated code: a proposal that a shut gate kept out moves
    no later gate, and the first code, which is in force, does. The discrepancy is that of
    ln beta. A switching unit with a memory of its own may pass."""
    noise, held, code = (_normal(adapter.n_z, seed=1) for _ in range(3))
    held[:, 1:] += 5.0
    code[:, :1] += 5.0
    shut = _discover(adapter, noise=noise, shift=SHUT).beta[:, 1:]
    if shut.max() > math.exp(SHUT / 2):
        raise NotOffered("the adapter's shift does not shut the gate")
    moved = _discover(adapter, noise=held, shift=SHUT).beta[:, 1:]
    before, after = (_discover(adapter, noise=n).beta[:, 1] for n in (noise, code))
    return {
        "gate after proposals it kept out": _largest((moved / shut).log()),
        "gate that does not read the code in force": _infinite_if(torch.equal(before, after)),
    }


@oracle("z_t = z~_t where the gate opens, else z_{t-1}", "App. E, abstract actions", 0.0)
def hard_hold(adapter: Adapter) -> Discrepancies:
    """In roll-outs the code in force is the one taken up last, bit for bit, for as long as the
    gate stays shut."""
    proposals = _normal(adapter.n_z, seed=2)
    found = {
        "z": _rollout(adapter, proposals),
        "z under a gate held shut": _rollout(adapter, proposals, shift=SHUT),
    }
    if all(rollout.switched.all() for rollout in found.values()):
        raise NotOffered("the gate opened at every step, so that nothing was held")
    return {name: _largest(r.codes - _held(proposals, r)) for name, r in found.items()}


@oracle("sum over t of KL(N(mu_t, Sigma_t) || N(0, I))", "App. D, loss", 1e-4)
def kl_at_every_step(adapter: Adapter) -> Discrepancies:
    """The loss charges the KL of every valid step alike, whatever the gates: over other streams
    and with the gate shut it is the same multiple of the sum. The multiple is free: means
    and sums differ by a factor that alpha takes up."""
    ratios = []
    for seed, shift in ((0, 0.0), (3, 0.0), (4, 0.0), (0, SHUT)):
        found = _discover(adapter, stream=_normal(adapter.d_model, seed), shift=shift)
        mu, log_sigma, kl = (_given(found, name) for name in ("mu", "log_sigma", "kl"))
        terms = mu.double() ** 2 + (2 * log_sigma.double()).exp() - 1 - 2 * log_sigma.double()
        ratios.append(kl / (0.5 * terms.sum()))
    first, *streams, shut = torch.stack(ratios)
    return {
        "KL over streams": _largest(torch.stack(streams) / first - 1),
        "KL with the gate shut": _largest(shut / first - 1),
    }


@oracle("beta_1 = 1, z_1 = z~_1", "App. D, switching unit; App. E", 1e-6)
def first_switch(adapter: Adapter) -> Discrepancies:
    """The first step switches, in discovery and in roll-outs, even with a gate held shut: z_0
    = 0 never acts."""
    found: Discrepancies = {}
    for shift, where in ((0.0, ""), (SHUT, ", gate held shut")):
        made = _discover(adapter, shift=shift)
        found[f"beta_1{where}"] = _largest(made.beta[:, 0] - 1)
        found[f"z_1{where}"] = _largest(made.codes[:, 0] - made.proposals[:, 0])
        with suppress(NotOffered):
            opened = _rollout(adapter, _normal(adapter.n_z, seed=2), shift=shift).switched
            found[f"no switch at the start of a roll-out{where}"] = _infinite_if(
                not opened[:, 0].all()
            )
    return found


@oracle("dL / d(base) = 0", "App. D: the base is frozen in discovery", 0.0)
def frozen_base(adapter: Adapter) -> Discrepancies:
    """The backward pass of discovery leaves no gradient in any parameter of the base, and does
    in the metacontroller."""
    base, metacontroller = map(_gradient, adapter.backward())
    return {
        "gradient in the base": base,
        "no gradient in the metacontroller": _infinite_if(metacontroller == 0),
    }


@oracle("L = sum over t = 1..T of the row", "none; implied by the loss of App. D", 1e-4)
def padding(adapter: Adapter) -> Discrepancies:
    """What comes after the end of a row, and how much of it, moves nothing before: no code, no
    gate, no controlled stream, and not the KL."""
    lengths = torch.tensor([6, 4, 5, 2])
    stream, noise = _normal(adapter.d_model, seed=0), _normal(adapter.n_z, seed=1)
    valid, steps = torch.arange(STEPS) < lengths[:, None], int(lengths.max())
    cut = _discover(adapter, stream[:, :steps], noise[:, :steps], lengths)
    stream, noise = (x.masked_fill(~valid[..., None], 7.0) for x in (stream, noise))
    long = _discover(adapter, stream, noise, lengths)
    found: Discrepancies = {}
    for name, value in vars(long).items():
        expected = getattr(cut, name)
        if value is not None and value.ndim:
            value, expected = value[valid], expected[valid[:, :steps]]
        if value is not None:
            found[name] = _gap(value, expected)
    return found


@oracle("y_t(cached steps 1..t) = y_t(one forward)", "none; roll-outs of App. E need it", 1e-4)
def cached_decoding(adapter: Adapter) -> Discrepancies:
    """Acting one step at a time with carried caches gives the outputs, the codes and the
    switches of one forward over the whole sequence."""
    proposals = _normal(adapter.n_z, seed=2)
    whole, steps = (_rollout(adapter, proposals, cached=way) for way in (False, True))
    return {
        "outputs": _gap(steps.outputs, whole.outputs),
        "z": _gap(steps.codes, whole.codes),
        "switches differ": _infinite_if(not torch.equal(steps.switched, whole.switched)),
    }


ORACLES = (
    *(matrix_product, null_control, integration, integrated_code, hard_hold),
    *(kl_at_every_step, first_switch, frozen_base, padding, cached_decoding),
)
"""All of them, in the order of the table."""


def _normal(width: int, seed: int) -> Tensor:
    return torch.randn(ROWS, STEPS, width, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def _discover(
    adapter: Adapter,
    stream: Tensor | None = None,
    noise: Tensor | None = None,
    lengths: Tensor | None = None,
    shift: float = 0.0,
) -> Discovery:
    """Runs discovery, by default on the first stream and noise without any padding."""
    stream = _normal(adapter.d_model, seed=0) if stream is None else stream
    noise = _normal(adapter.n_z, seed=1) if noise is None else noise
    lengths = torch.full((ROWS,), stream.shape[1]) if lengths is None else lengths
    found = adapter.discover(stream, lengths, noise, shift)
    of_codes = dict.fromkeys(("proposals", "codes", "mu", "log_sigma"), noise.shape)
    of_stream = {"controlled": stream.shape, "matrix": (*stream.shape, adapter.d_model)}
    for name, shape in {**of_codes, **of_stream, "beta": noise.shape[:2], "kl": ()}.items():
        if getattr(found, name) is not None:
            _check_shape(adapter, name, getattr(found, name), shape)
    return found


@torch.no_grad()
def _rollout(
    adapter: Adapter, proposals: Tensor, cached: bool = True, shift: float = 0.0
) -> Rollout:
    found = adapter.rollout(proposals, cached, shift)
    _check_shape(adapter, "codes", found.codes, proposals.shape)
    _check_shape(adapter, "switched", found.switched, proposals.shape[:2])
    _check_shape(adapter, "outputs", found.outputs[..., 0], proposals.shape[:2])
    return found


def _check_shape(adapter: Adapter, name: str, value: Tensor, shape: tuple[int, ...]) -> None:
    if value.shape != shape:
        raise ValueError(
            f"the adapter of {adapter.name} returns {name} of shape {tuple(value.shape)}; "
            f"it must be {tuple(shape)}"
        )


def _held(proposals: Tensor, rollout: Rollout) -> Tensor:
    return Gate(hard=True).integrate(proposals, rollout.switched.to(proposals.dtype))


def _given(found: Discovery, name: str) -> Tensor:
    value = getattr(found, name)
    if value is None:
        raise NotOffered(f"the adapter's discovery gives no {name}")
    return value


def _gradient(part: nn.Module) -> float:
    found = [p.grad.flatten() for p in part.parameters() if p.grad is not None]
    return _largest(torch.cat(found)) if found else 0.0


def _largest(x: Tensor) -> float:
    return float(x.abs().max())


def _gap(value: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest value expected."""
    return _largest(value - expected) / max(_largest(expected), 1e-30)


def _infinite_if(wrong: bool) -> float:
    return math.inf if wrong else 0.0
