"""Settings nobody should give: refused at once, in one line, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest

from irl_lens import cli
from irl_lens.config.overrides import changed, settings_of
from irl_lens.config.presets import PRESETS
from irl_lens.config.ranges import Range, check, describe, parse
from irl_lens.config.schema import Preset
from irl_lens.config.validation import MOST_WEIGHTS, check_preset, try_world
from irl_lens.errors import UserError
from irl_lens.runs.run import Run

SMOKE = PRESETS["smoke"]
KINDS = settings_of(SMOKE)
HOSTILE = (
    *("", " ", "nan", "inf", "-inf", "1e400", "-1e308", "9" * 5_000, "-9999999999999999999"),
    *("two", "0x10", "1,2,3,4,5", ",", "1;2", "[]", "{}", "\0", "\n", "--help", "$HOME", "../.."),
)
"""Texts that no setting takes."""
TRAINED = ("pretrain", "controllers", "discovery", "switches", "codes", "compile")
PLAYED = ("internal_rl", "raw_rl", "compile_rl")
ZERO_TAKEN = {
    "world.walls",
    *(f"{part}.steps" for part in TRAINED),
    *(f"{part}.episodes" for part in PLAYED),
    *(f"{part}.entropy" for part in PLAYED),
    *(f"{part}.weight_decay" for part in TRAINED + PLAYED),
    *("compile.kl_codes", "compile.kl_boundaries"),
    *(
        "pretrain.warmup",
        "pretrain.observation_weight",
        "pretrain.uncertain",
        "pretrain.epsilon",
        "controllers.init",
    ),
    *("discovery.epsilon", "codes.epsilon", "codes.refractory", "internal_rl.prefix_episodes"),
    *("discovery.lookahead", "discovery.base_lr", "discovery.log_sigma", "codes.log_sigma"),
}


def refused(*settings: str) -> str:
    with pytest.raises(UserError) as stop:
        check_preset(changed(SMOKE, settings))
    said = str(stop.value)
    assert len(said.splitlines()) == 1 and len(said) < 1_000, said
    return said


@pytest.mark.parametrize("key", KINDS)
def test_hostile_texts_are_refused_and_the_setting_named(key: str) -> None:
    for text in HOSTILE:
        said = refused(f"{key}={text}")
        assert key in said or said.startswith("world: "), (text, said)


@pytest.mark.parametrize("key", KINDS)
def test_zero_is_taken_where_it_means_something(key: str) -> None:
    if key in ZERO_TAKEN:
        check_preset(changed(SMOKE, [f"{key}=0"]))
    else:
        refused(f"{key}=0")


def ranges(kind: Any) -> Iterator[tuple[Any, Range]]:
    """The ranges of a setting, each with the kind of number that it is of."""
    if get_origin(kind) is Annotated:
        yield from ((kind, found) for found in kind.__metadata__)
    for part in get_args(kind):
        yield from ranges(part)


RANGED = [(key, *found) for key, kind in KINDS.items() for found in ranges(kind)]


def test_every_number_has_a_range() -> None:
    ranged = {key for key, _, _ in RANGED}
    for key, kind in KINDS.items():
        assert key in ranged or get_origin(kind) is Literal or kind in (bool, str) or "world" in key


@pytest.mark.parametrize(("key", "kind", "allowed"), RANGED)
def test_ranges_end_where_they_say(key: str, kind: Any, allowed: Range) -> None:
    whole = isinstance(allowed.low, int) and get_args(kind)[0] is int
    step = 1 if whole else 1e-6 * max(1.0, allowed.high)
    twice = get_args(kind)[0] not in (int, float)
    for number, taken in (
        (allowed.low, not allowed.above),
        (allowed.high, not allowed.below),
        (allowed.low - step, False),
        (allowed.high + step, False),
    ):
        if taken:
            parse(kind, f"{number},{number}" if twice else str(number), key)
        else:
            with pytest.raises(UserError, match=f"{key} = .*take"):
                parse(kind, f"{number},{number}" if twice else str(number), key)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("controllers.layers=1,3", r"controllers\.layers = 3, and the base has 2 blocks"),
        ("controllers.layers=2,2", "give each layer once"),
        ("discovery.layer=3", r"discovery\.layer = 3.*take 1 to 2, or raise base\.n_layers"),
        ("codes.layer=9", r"codes\.layer = 9"),
        ("base.n_layers=1 codes.layer=2", r"codes\.layer = 2"),
        ("base.n_heads=3", r"base\.d_model = 32 is no multiple of base\.n_heads = 3"),
        ("controllers.rank=33", r"controllers\.rank = 33; take at most base\.d_model = 32"),
        (
            "controllers.kind=ful",
            r"controllers\.kind: .*'ful' is known; take full, low-rank",
        ),
        ("discovery.rank=33", r"discovery\.rank = 33"),
        ("discovery.alpha=0.5,1,0.2,2", "ascending from 0 to 1"),
        ("discovery.alpha=0,1,0,2", "ascending from 0 to 1"),
        ("codes.alpha=0,1,1.5,2", "ascending from 0 to 1"),
        ("codes.alpha=0,0,1,2", "positive weights, or one knot"),
        ("discovery.alpha=0,1,2", r"discovery\.alpha = .*between commas"),
        ("pretrain.betas=0.9", "2 numbers between commas"),
        ("pretrain.lr=1e-3 pretrain.lr=1e-2", "given twice"),
        ("base.d-model=64 base.d_model=64", "given twice"),
        ("name=smoke", "PART.NAME"),
        ("base=3", "PART.NAME"),
        ("base.d_modle=64", r"did you mean 'base\.d_model'"),
        ("base.warmup=3", r"'base\.warmup'; there is pretrain\.warmup;"),
        ("warmup=3", r"'warmup'; there is pretrain\.warmup;"),
        ("raw_rl.width=64", "no setting 'raw_rl.width'"),
        ("world.size=4 world.walls=12", "take fewer objects or a larger size"),
        ("world.grammar=paper-grid", "names colour 7, but the world has 4 colours"),
        ("world.grammar=none", "no grammar 'none'"),
        ("world.size=100000", "size 100000; take a whole number from 2 to 32"),
        ("world.horizon=1025", "horizon 1025; take a whole number from 1 to 1024"),
        ("base.d_model=8192 base.n_layers=256", f"at most {MOST_WEIGHTS:,}"),
        ("codes.latent=8192 base.d_model=4096", "codes would have"),
        ("discovery.history=8192 discovery.sequence=8192 base.d_model=8192", "weights"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_preset(changed(SMOKE, settings.split()))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("world.horizon=3", "boards drawn are solvable within horizon 3"),
        ("world.walls=20", "boards drawn are solvable"),
        ("pretrain.epsilon=0.999", "pretrain.epsilon: noise of 0.999 lets .* games end within"),
        ("codes.epsilon=0.999", "codes.epsilon: noise of 0.999 lets .* games end within"),
    ],
)
def test_worlds_in_which_next_to_nothing_can_be_done_are_refused(settings: str, said: str) -> None:
    chosen = changed(SMOKE, settings.split())
    with pytest.raises(UserError, match=said):
        try_world(chosen, check_preset(chosen))


@pytest.mark.parametrize("name", PRESETS)
def test_every_setting_of_a_preset_may_be_written_out(name: str) -> None:
    preset = PRESETS[name]
    for key in settings_of(preset):
        part, _, field = key.partition(".")
        value = getattr(getattr(preset, part), field)
        text = repr(value).translate(str.maketrans("", "", "()' ")).rstrip(",")
        assert changed(preset, [f"{key}={text}"]) == preset
    try_world(preset, check_preset(preset))


@pytest.mark.parametrize(
    "value", [None, True, "x", [], {}, [[]], -1, 1.5, 10**400, 1e308, [1, 2, 3], {"a": 1}]
)
def test_an_edited_configuration_is_refused(tmp_path: Path, value: object) -> None:
    for key, kind in KINDS.items():
        part, _, name = key.partition(".")
        preset = SMOKE.to_dict()
        preset[part][name] = value
        try:
            chosen = Run(tmp_path, {"preset": preset, "seed": 0}).preset
        except UserError as error:
            assert name in str(error) or str(error).startswith("world: ")
        else:  # then it is one that the command line takes too
            check(kind, getattr(getattr(chosen, part), name), key)


@pytest.mark.parametrize("seed", [-1, 2**32, 10**400])
def test_seeds_out_of_range_are_refused(tmp_path: Path, seed: int) -> None:
    with pytest.raises(UserError, match="take a whole number from 0 to 4,294,967,295"):
        Run.create(tmp_path / "run", SMOKE, seed)
    assert list(tmp_path.iterdir()) == []
    Run.create(tmp_path / "run", SMOKE, 2**32 - 1)


def test_presets_made_in_python_are_checked_before_anything_is_written(tmp_path: Path) -> None:
    for chosen in (
        replace(SMOKE, codes=replace(SMOKE.codes, layer=9)),
        replace(SMOKE, pretrain=replace(SMOKE.pretrain, lr=float("nan"))),
        replace(SMOKE, world=replace(SMOKE.world, horizon=2)),
        replace(SMOKE, name=""),
    ):
        with pytest.raises(UserError):
            Run.create(tmp_path / "run", chosen, 0)
    assert list(tmp_path.iterdir()) == []


def mistyped(part: str, name: str, value: object) -> Preset:
    """As Python makes it where no annotation is checked: with a value of another type."""
    config = replace(getattr(SMOKE, part))
    object.__setattr__(config, name, value)
    return replace(SMOKE, **{part: config})


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("pretrain", "steps", 2.0),
        ("pretrain", "steps", True),
        ("pretrain", "lr", "1e-3"),
        ("controllers", "layers", [1]),
        ("controllers", "layers", 1),
        ("discovery", "alpha", (0.0, 0.17)),
        ("internal_rl", "solvable", 1),
        ("base", "act_fn", None),
    ],
)
def test_other_types_are_refused(tmp_path: Path, part: str, name: str, value: object) -> None:
    with pytest.raises(UserError, match=rf"^{part}\.{name} = .*; take "):
        Run.create(tmp_path / "run", mistyped(part, name, value), 0)
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_another_kind_is_refused() -> None:
    chosen = replace(SMOKE)
    object.__setattr__(chosen, "internal_rl", SMOKE.raw_rl)
    with pytest.raises(UserError, match="internal_rl is of type RLConfig; give a InternalRLConfig"):
        check_preset(chosen)


def test_what_a_setting_may_be_is_said_in_words() -> None:
    assert describe(KINDS["discovery.decoder_lr"]) == "a number above 0 to 1e+38 or none"
    assert describe(KINDS["internal_rl.start"]) == "prior or posterior"
    layers = "one or more between commas, each a whole number from 1 to 256"
    assert describe(KINDS["controllers.layers"]) == layers


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("irl-lens: ") and len(said.splitlines()) == 1
    return said


def test_the_command_says_so_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ("run", "smoke", "--out", str(tmp_path / "run"))
    for text in ("codes.layer=9", "pretrain.lr=nan", "world.size=1e9", "evaluation.rollouts=1e12"):
        assert text.partition("=")[0] in fails(capsys, *run, "--set", text)
    assert "4294967296" in fails(capsys, *run, "--seed", str(2**32))
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_is_checked_whole_before_its_first_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = ("sweep", "base", "--preset", "smoke", "--out", str(tmp_path / "sweep"))
    assert "codes.layer = 9" in fails(capsys, *sweep, "--over", "codes.layer=1", "codes.layer=9")
    assert "seed -1" in fails(capsys, *sweep, "--seeds", "0", "-1")
    twice = (*sweep, "--set", "codes.layer=1", "--over", "codes.layer=2")
    assert "codes.layer is given twice" in fails(capsys, *twice)
    assert list(tmp_path.iterdir()) == []
