"""The chain: the stages of a run in their order, and the settings that each is the first to read.

The function that runs a stage stands with what it trains, under
:func:`irl_lens.training.stages.trains`, which names the stage.
"""

READS: dict[str, tuple[str, ...]] = {
    "base": ("world", "base", "pretrain"),
    "controllers": ("controllers",),
    "metacontroller": ("discovery",),
    "codes": ("codes",),
    "internal-rl": ("internal_rl",),
    "raw-rl": ("raw_rl",),
}
"""The parts of a preset by the first stage that reads them, in the order of the chain."""
STAGES = tuple(READS)
