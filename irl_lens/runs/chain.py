"""The chain: the stages of a run in their order, and the settings that each is the first to read.

Beside it stand stages of other methods, which a run has if they are asked for.

The function that runs a stage stands with what it trains, under
:func:`irl_lens.training.stages.trains`, which names the stage.
"""

READS: dict[str, tuple[str, ...]] = {
    "base": ("world", "base", "pretrain"),
    "controllers": ("controllers",),
    "metacontroller": ("discovery",),
    "switches": ("switches",),
    "codes": ("codes",),
    "internal-rl": ("internal_rl",),
    "raw-rl": ("raw_rl",),
    "compile": ("world", "compile"),
    "compile-rl": ("compile_rl",),
}
"""The parts of a preset by the first stage that reads them, in the order of the chain; the stages
of other methods come last, and need nothing of the chain."""
BASELINES = ("compile", "compile-rl")
"""Other methods, to compare with: they are run by name, and are no part of the chain."""
STAGES = tuple(name for name in READS if name not in BASELINES)
