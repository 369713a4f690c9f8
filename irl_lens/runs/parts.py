"""The trained parts of a run, rebuilt from its folder: a new object at each call, gradients off.

Weights are read onto the CPU and end up on the run's device, whichever they were trained on.

Whoever trains a part further, or hooks it while others use the run, takes it from here;
:class:`irl_lens.runs.run.Run` keeps one of each.
"""

from __future__ import annotations

import torch

from irl_lens.envs.protocol import World
from irl_lens.envs.registry import make_world
from irl_lens.files.tensors import CheckpointError, copy_weights, split_parts
from irl_lens.models.base import TrajectoryModel, hook_name
from irl_lens.models.baselines import PickedController, RotatedDecoder, TrueSwitching
from irl_lens.models.causal import CausalHalf, Gated
from irl_lens.models.compile.model import CompILE
from irl_lens.models.controllers import Banks, bank_weights, controller_banks
from irl_lens.models.gates import CausalGate
from irl_lens.models.metacontroller import Metacontroller
from irl_lens.models.policy import GaussianNetwork, LatentPolicy
from irl_lens.models.segments import SegmentMetacontroller
from irl_lens.runs.folder import RunFolder


def load_world(run: RunFolder) -> World:
    """The world that a run is set in."""
    return make_world(run.preset.world)


def load_base(run: RunFolder) -> TrajectoryModel:
    """The base that acts: as discovery left it where that trained it further.

    Raises:
        CheckpointError: The base is not trained, or a file is missing or damaged.
    """
    if run.base_stage == "base":
        return load_pretrained(run)
    stage = run.stage(run.base_stage)
    weights = split_parts(stage.weights(), "meta", "base")["base"]
    return _model(run).load_weights(weights, str(stage.folder)).frozen()


def load_pretrained(run: RunFolder) -> TrajectoryModel:
    """The base as pretraining left it, though discovery may have trained it further.

    Raises:
        CheckpointError: The base is not trained, or a file is missing or damaged.
    """
    stage = run.stage("base")
    return _model(run).load_weights(stage.weights(), str(stage.folder)).frozen()


def load_snapshot(run: RunFolder, step: int) -> TrajectoryModel:
    """The base as it was after so many steps of pretraining, of those that were kept.

    Raises:
        UserError: Nothing was kept after ``step``.
        CheckpointError: The file is damaged.
    """
    stage = run.stage("base")
    return _model(run).load_weights(stage.snapshot(step), str(stage.folder)).frozen()


def load_raw(run: RunFolder) -> TrajectoryModel:
    """The base as raw-action reinforcement learning left it.

    Raises:
        CheckpointError: The stage is not done, or a file is missing or damaged.
    """
    stage = run.stage("raw-rl")
    return _model(run).load_weights(stage.weights(), str(stage.folder)).frozen()


def load_controllers(run: RunFolder) -> Banks:
    """The supervised controllers by layer.

    Raises:
        CheckpointError: They are not trained, or a file is missing or damaged.
    """
    banks = controller_banks(run.preset.controllers, load_world(run), run.preset.base.d_model)
    stage = run.stage("controllers")
    copy_weights(bank_weights(banks), stage.weights(), str(stage.folder))
    for bank in banks.values():
        bank.requires_grad_(False).to(run.device)
    return banks


def load_discovered(run: RunFolder) -> Metacontroller:
    """The metacontroller as discovery left it.

    Raises:
        CheckpointError: Discovery is not done, or a file is missing or damaged.
    """
    meta = Metacontroller(run.preset.discovery, run.preset.base.d_model)
    stage = run.stage("metacontroller")
    weights = stage.weights()
    own = split_parts(weights, "meta", "base")["meta"] if run.cotrained else weights
    copy_weights(meta.state_dict(), own, str(stage.folder))
    return meta.requires_grad_(False).eval().to(run.device)


def load_gate(run: RunFolder) -> CausalGate:
    """The gate that was taught where to expect surprise.

    Raises:
        CheckpointError: It is not trained, or a file is missing or damaged.
    """
    gate, stage = CausalGate(run.preset.switches, run.preset.base.d_model), run.stage("switches")
    copy_weights(gate.state_dict(), stage.weights(), str(stage.folder))
    return gate.requires_grad_(False).eval().to(run.device)


def load_metacontroller(run: RunFolder) -> CausalHalf:
    """The metacontroller with the codes it ended up with, which acts and is analysed.

    Raises:
        CheckpointError: Discovery is not done, its codes are to be learned yet, or a file is
            missing or damaged.
    """
    if run.metacontroller_stage == "metacontroller":
        return load_discovered(run)
    meta = SegmentMetacontroller(run.preset.codes, run.preset.base.d_model)
    stage = run.stage("codes")
    copy_weights(meta.state_dict(), stage.weights(), str(stage.folder))
    return meta.requires_grad_(False).eval().to(run.device)


def untrained_metacontroller(run: RunFolder, seed: int) -> CausalHalf:
    """One of the kind and sizes of the metacontroller that acts, as it is before any training."""
    kinds = {
        "metacontroller": (Metacontroller, run.preset.discovery),
        "codes": (SegmentMetacontroller, run.preset.codes),
    }
    kind, config = kinds[run.metacontroller_stage]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        meta: CausalHalf = kind(config, run.preset.base.d_model)
    return meta.requires_grad_(False).eval().to(run.device)


def load_acting(run: RunFolder) -> Gated:
    """What the codes of internal RL act through: the metacontroller, unless settings say otherwise.

    Raises:
        CheckpointError: A stage that it is made of is not done, or a file is missing or damaged.
    """
    config, layer = run.preset.internal_rl, run.preset.acting_layer
    if config.decoder == "controllers":
        decoder = PickedController(load_controllers(run)[layer])
        return TrueSwitching(decoder, hook_name(layer), run.device)
    meta = load_metacontroller(run)
    if config.decoder == "random":
        meta.decoder = RotatedDecoder(meta.decoder, run.seed).to(run.device)
    if config.switching == "true":
        return TrueSwitching(meta.decoder, meta.hook_name, run.device)
    return meta


def load_policy(run: RunFolder, prefix: int | None = None) -> LatentPolicy:
    """The trained internal policy.

    Args:
        run: A run whose internal RL is done.
        prefix: The policy trained on so many abstract subgoals; the whole task's if None.

    Raises:
        CheckpointError: It was not trained, or a file is missing or damaged.
    """
    stage, meta, config = run.stage("internal-rl"), load_acting(run), run.preset.internal_rl
    part = stage if prefix is None else stage.part(f"prefix-{prefix}")
    network = GaussianNetwork(
        run.preset.base.d_model, meta.decoder.n_z, config.width, config.initial_std
    )
    copy_weights(dict(network.named_parameters()), part.weights(), str(part.folder))
    return LatentPolicy(network.requires_grad_(False).to(run.device), meta).eval()


def load_compile(run: RunFolder) -> CompILE:
    """What CompILE learned: a policy of codes, their termination, and what cuts demonstrations.

    Raises:
        CheckpointError: It is not trained, or a file is missing or damaged.
    """
    world, stage = load_world(run), run.stage("compile")
    model = CompILE(run.preset.compile, world.observation, world.actions)
    copy_weights(dict(model.named_parameters()), stage.weights(), str(stage.folder))
    return model.requires_grad_(False).eval().to(run.device)


def _model(run: RunFolder) -> TrajectoryModel:
    """An untrained base of the run's sizes, for the world that its base was trained in.

    Raises:
        CheckpointError: The world is no longer what the base was trained in.
    """
    world = load_world(run)
    model = TrajectoryModel(run.preset.base, world.observation, world.actions)
    base, now = run.stage("base"), model.made_for()
    made = base.result.get("made_for") if base.done else None
    for what, was in (made or now).items():
        if was != now[what]:
            raise CheckpointError(
                f"the base in {base.folder} was trained on the {what} {was}, and the world of "
                f"its run now has {now[what]}; put the world back as it was, or start another run"
            )
    return model.to(run.device)
