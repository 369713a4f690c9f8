"""Our implementation passes every oracle, and each oracle catches what it is there for.

Every mutant is our own implementation with one part made wrong, mostly one of the known ways
to get the method wrong; it fails the oracle named, and no other.
"""

from __future__ import annotations

import doctest
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MethodType

import pytest
import torch
from torch import Tensor

from irl_lens import cli
from irl_lens.conformance import (
    ORACLES,
    Adapter,
    Discovery,
    Outcome,
    Rollout,
    check,
    report,
    table,
)
from irl_lens.conformance.adapters import own
from irl_lens.conformance.adapters.own import OwnAdapter
from irl_lens.hooks import HypernetworkDecoder, starting_at
from irl_lens.models.fast import FastPath
from irl_lens.models.metacontroller import (
    MetaCodes,
    Metacontroller,
    MetaState,
    SequenceEmbedder,
)
from irl_lens.models.switching import SwitchingUnit


def verdicts(adapter: Adapter) -> dict[str, str]:
    return {outcome.oracle.name: outcome.verdict for outcome in check(adapter)}


@pytest.mark.parametrize("seed", range(3))
def test_ours_passes(seed: int) -> None:
    assert verdicts(OwnAdapter(seed)) == {oracle.name: "pass" for oracle in ORACLES}


def test_the_example_of_our_adapter_runs() -> None:
    assert doctest.testmod(own) == (0, 2)


def row_sums(adapter: OwnAdapter) -> None:
    def delta(self, z: Tensor, e: Tensor) -> Tensor:
        A, B = self(z)
        return e * (B.mT @ A).sum(-1)

    adapter.meta.decoder.delta = MethodType(delta, adapter.meta.decoder)


def added_vector(adapter: OwnAdapter) -> None:
    """U e + b, where b is zero for the zero code."""
    delta = type(adapter.meta.decoder).delta
    adapter.meta.decoder.delta = MethodType(
        lambda self, z, e: delta(self, z, e) + 0.1 * z.sum(-1, keepdim=True), adapter.meta.decoder
    )


def biases_of_the_decoder(adapter: OwnAdapter) -> None:
    decoder = adapter.meta.decoder
    assert isinstance(decoder, HypernetworkDecoder)
    for head in (decoder.read, decoder.write):
        torch.nn.init.constant_(head.bias, 0.1)


class PlainSwitch(SwitchingUnit):
    """The equations one step after the other, with places to go wrong."""

    def read(self, code: Tensor, proposal: Tensor) -> Tensor:
        return code

    def mix(self, beta: Tensor, proposal: Tensor, code: Tensor) -> Tensor:
        return beta * proposal + (1 - beta) * code

    def first(self, beta: Tensor) -> Tensor:
        return torch.ones_like(beta)

    def integrate(self, stream: Tensor, history: Tensor, proposals: Tensor):
        code = last = torch.zeros_like(proposals[0])
        codes, gates = [], []
        for t, proposal in enumerate(proposals):
            beta = self(stream[t], history[t], self.read(code, last))
            beta = beta if t else self.first(beta)
            code, last = self.mix(beta.unsqueeze(-1), proposal, code), proposal
            codes.append(code)
            gates.append(beta)
        return torch.stack(codes), torch.stack(gates)


class Accumulating(PlainSwitch):
    def mix(self, beta: Tensor, proposal: Tensor, code: Tensor) -> Tensor:
        return code + beta * proposal


class ReadsProposals(PlainSwitch):
    def read(self, code: Tensor, proposal: Tensor) -> Tensor:
        return proposal


class ReadsNoCode(PlainSwitch):
    def read(self, code: Tensor, proposal: Tensor) -> Tensor:
        return torch.zeros_like(code)


class NotForced(PlainSwitch):
    def first(self, beta: Tensor) -> Tensor:
        return beta


class SoftInRollouts(Metacontroller):
    def advance(self, stream: Tensor, state: MetaState, code: Tensor) -> MetaState:
        if state.steps:
            code = torch.lerp(state.code, code, self.gate(stream, state).unsqueeze(-1))
        return super().advance(stream, state, code)


class AlmostHeld(Metacontroller):
    """Decays the code by a part in ten million each step."""

    def advance(self, stream: Tensor, state: MetaState, code: Tensor) -> MetaState:
        return super().advance(stream, state, code * (1 - 1e-7) if state.steps else code)


class WeightedCodes(MetaCodes):
    def kl(self) -> Tensor:
        return self.beta * super().kl()


class SwitchedCodes(MetaCodes):
    def kl(self) -> Tensor:
        return (self.beta >= 0.5) * super().kl()


class LastCodes(MetaCodes):
    def kl(self) -> Tensor:
        return super().kl() * (torch.arange(self.beta.shape[1]) == 0)


def charging(codes: type[MetaCodes]) -> Callable[[OwnAdapter], None]:
    class Charging(Metacontroller):
        def forward(self, *arguments: Tensor) -> MetaCodes:  # type: ignore[override]
            return codes(**vars(super().forward(*arguments)))

    return lambda adapter: setattr(adapter.meta, "__class__", Charging)


class ReadsPadding(SequenceEmbedder):
    def forward(self, stream: Tensor, lengths: Tensor) -> Tensor:
        return super().forward(stream, torch.full_like(lengths, len(stream)))


def charges_padding(adapter: OwnAdapter) -> None:
    class ChargesPadding(OwnAdapter):
        def discover(self, *arguments) -> Discovery:  # type: ignore[override]
            found = super().discover(*arguments)
            assert found.mu is not None and found.log_sigma is not None
            codes = MetaCodes(found.mu, found.log_sigma, found.proposals, found.codes, found.beta)
            return replace(found, kl=codes.kl().mean())

    adapter.__class__ = ChargesPadding


def not_frozen(adapter: OwnAdapter) -> None:
    """A loss that reaches the base too."""
    backward, base = adapter.backward, adapter.base
    base.model.requires_grad_(True)

    def leaking() -> tuple[torch.nn.Module, torch.nn.Module]:
        modules = backward()
        base.logits(torch.zeros(1, 2, adapter.world.observation.size)).sum().backward()
        return modules

    adapter.backward = leaking  # type: ignore[method-assign]


class FreshContext(FastPath):
    """Every step is the first the base sees, though not the first of its sequence."""

    def logits(self, *arguments, cache=None, **named) -> Tensor:  # type: ignore[override]
        if cache is None:
            return super().logits(*arguments, **named)
        with starting_at(cache.length):
            logits = super().logits(*arguments, **named)
        cache.length += logits.shape[1]
        return logits


def of_class(part: str, wrong: type) -> Callable[[OwnAdapter], None]:
    def mutate(adapter: OwnAdapter) -> None:
        *path, last = part.split(".")
        owner: object = adapter
        for name in path:
            owner = getattr(owner, name)
        getattr(owner, last).__class__ = wrong

    return mutate


MUTANTS: dict[str, tuple[str, Callable[[OwnAdapter], None]]] = {
    "e times the row sums of U": ("matrix product", row_sums),
    "a vector added": ("matrix product", added_vector),
    "a decoder with biases": ("null control", biases_of_the_decoder),
    "proposals that add up": ("integration", of_class("meta.switch", Accumulating)),
    "a gate fed the proposal": ("integrated code", of_class("meta.switch", ReadsProposals)),
    "a gate fed no code": ("integrated code", of_class("meta.switch", ReadsNoCode)),
    "a soft gate in roll-outs": ("hard hold", of_class("meta", SoftInRollouts)),
    "a code that decays": ("hard hold", of_class("meta", AlmostHeld)),
    "KL times beta": ("kl at every step", charging(WeightedCodes)),
    "KL at switches": ("kl at every step", charging(SwitchedCodes)),
    "KL of one step": ("kl at every step", charging(LastCodes)),
    "a first gate not forced": ("first switch", of_class("meta.switch", NotForced)),
    "a base not frozen": ("frozen base", not_frozen),
    "an embedding of the padding": ("padding", of_class("meta.embedder", ReadsPadding)),
    "KL of the padding": ("padding", charges_padding),
    "a fresh context each step": ("cached decoding", of_class("base", FreshContext)),
}
"""What is wrong, the one oracle that must see it, and how to make it wrong."""


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_fails_its_oracle_and_no_other(mutant: str) -> None:
    name, mutate = MUTANTS[mutant]
    adapter = OwnAdapter()
    mutate(adapter)
    expected = {oracle.name: "fail" if oracle.name == name else "pass" for oracle in ORACLES}
    assert verdicts(adapter) == expected


def test_every_oracle_has_a_mutant() -> None:
    assert {name for name, _ in MUTANTS.values()} == {oracle.name for oracle in ORACLES}


def test_plain_equations_are_no_mutant() -> None:
    adapter = OwnAdapter()
    adapter.meta.switch.__class__ = PlainSwitch
    assert set(verdicts(adapter).values()) == {"pass"}


class Bare(OwnAdapter):
    """Offers the least: proposals, codes and gates."""

    null, rollout, backward = Adapter.null, Adapter.rollout, Adapter.backward

    def discover(self, *arguments) -> Discovery:  # type: ignore[override]
        found = super().discover(*arguments)
        return Discovery(found.proposals, found.codes, found.beta)


def test_what_is_not_offered_is_not_applicable_and_says_why() -> None:
    outcomes = {outcome.oracle.name: outcome for outcome in check(Bare())}
    passed = {name for name, outcome in outcomes.items() if outcome.verdict == "pass"}
    assert passed == {"integration", "integrated code", "first switch", "padding"}
    rest = {name: outcome for name, outcome in outcomes.items() if name not in passed}
    assert {outcome.verdict for outcome in rest.values()} == {"not applicable"}
    assert "gives no matrix" in rest["matrix product"].note
    assert "rolls nothing out" in rest["hard hold"].note


def test_a_shift_without_effect_is_not_held_against_the_gate() -> None:
    class Unshifted(OwnAdapter):
        def _shifted(self, shift: float) -> Metacontroller:
            return super()._shifted(0.0)

    assert verdicts(Unshifted())["integrated code"] == "not applicable"


def test_numbers_that_are_none_fail() -> None:
    class Broken(OwnAdapter):
        def discover(self, *arguments) -> Discovery:  # type: ignore[override]
            found = super().discover(*arguments)
            return replace(found, codes=found.codes * torch.nan, kl=torch.tensor(torch.nan))

    failed = verdicts(Broken())
    assert failed["integration"] == failed["kl at every step"] == failed["padding"] == "fail"


SHAPES = {
    "beta": r"\(4, 9, 1\).* \(4, 9\)",
    "codes": r"\(4, 9, {z}, 1\).* \(4, 9, {z}\)",
    "mu": r"\(4, 9, {z}, 1\).* \(4, 9, {z}\)",
    "kl": r"\(1,\).* \(\)",
    "controlled": r"\(4, 9, {d}, 1\).* \(4, 9, {d}\)",
    "matrix": r"\(4, 9, {d}, {d}, 1\).* \(4, 9, {d}, {d}\)",
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_wrong_shape_names_the_adapter_and_both_shapes(name: str) -> None:
    class Columns(OwnAdapter):
        def discover(self, *arguments) -> Discovery:  # type: ignore[override]
            found = super().discover(*arguments)
            return replace(found, **{name: getattr(found, name).unsqueeze(-1)})

    said = SHAPES[name].format(z=Columns().n_z, d=Columns().d_model)
    with pytest.raises(ValueError, match=rf"irl-lens .* {name} of shape {said}"):
        check(Columns())


def test_wrong_shapes_of_the_other_calls_are_named_too() -> None:
    class Flat(OwnAdapter):
        def null(self, stream: Tensor) -> Tensor:
            return super().null(stream).flatten()

    class Last(OwnAdapter):
        def rollout(self, *arguments) -> Rollout:  # type: ignore[override]
            found = super().rollout(*arguments)
            return replace(found, outputs=found.outputs[:, -1:])

    for adapter, said in ((Flat(), "stream without control"), (Last(), "outputs")):
        with pytest.raises(ValueError, match=f"irl-lens .* {said} of shape"):
            check(adapter)


def test_the_page_has_the_command_and_every_oracle() -> None:
    outcomes = [Outcome(oracle, 0.0, "") for oracle in ORACLES]
    page = report(OwnAdapter(), outcomes, "the command")
    assert table(outcomes) in page and "`the command`" in page and torch.__version__ in page
    for oracle in ORACLES:
        assert oracle.statement in page and oracle.equation in page and oracle.source in page


def test_the_command_passes_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "page.md"
    cli.main(["conformance", "--out", str(out)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == str(out)
    assert "\n".join(lines[:-1]) in out.read_text()
    assert "--adapter irl_lens.conformance.adapters.own:OwnAdapter`" in out.read_text()


MY_ADAPTER = """
from irl_lens.conformance.adapters.own import OwnAdapter

class Wrong(OwnAdapter):
    def null(self, stream):
        return 2 * stream

nothing = None
def number():
    return 3

def narrow(width):
    raise RuntimeError

class Ledger:
    def __init__(self):
        raise RuntimeError
"""


@pytest.fixture
def somebodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "somebodys.py").write_text(MY_ADAPTER)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("somebodys")
def test_the_command_exits_1_if_an_oracle_fails(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["conformance", "--adapter", "somebodys:Wrong"])
    assert stop.value.code == 1
    assert capsys.readouterr().out.count("| fail ") == 1


@pytest.mark.usefixtures("somebodys")
@pytest.mark.parametrize(
    ("adapter", "said"),
    [
        ("somebodys", "write module:name"),
        (".somebodys:Wrong", "write module:name"),
        ("nobodys:Adapter", "No module named 'nobodys'"),
        ("somebodys:Missing", "no class or function called 'Missing'"),
        ("somebodys:nothing", "no class or function called 'nothing'"),
        ("somebodys:number", "makes a int, no adapter"),
        ("somebodys:narrow", "missing a required argument: 'width'; it is called without"),
        ("somebodys:Ledger", "is no subclass of irl_lens.conformance.Adapter"),
        ("somebodys:Wrong.null", "no class or function called 'Wrong.null'"),
        ("somebodys:", "write module:name"),
        (":Wrong", "write module:name"),
        ("nosuch", "write module:name"),
        ("os:system", "is no subclass of irl_lens.conformance.Adapter"),
        ("os:abort", "nor a Python function that makes one"),
        ("subprocess:Popen", "is no subclass"),
        ("irl_lens.conformance:Adapter", "is no subclass"),
    ],
)
def test_adapters_that_are_none_exit_2(
    adapter: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["conformance", "--adapter", adapter])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert said in error and len(error.splitlines()) == 1
