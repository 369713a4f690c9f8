"""One or two plain sentences about what is seen, from the numbers."""

from __future__ import annotations

from irl_lens.analyses.explorer.outing import Outing
from irl_lens.analyses.explorer.patching import active
from irl_lens.analyses.explorer.session import Explorer
from irl_lens.envs.scenes import Scene
from irl_lens.envs.spaces import DiscreteActions


def pair(session: Explorer) -> str:
    """What differs between the boards."""
    state = session.state
    clean, edited = (session.workbench.situation(p).scene() for p in (state.clean, state.edited))
    there = {thing.name: thing.place for thing in edited.things}
    moved = [t.label or t.name for t in clean.things if there.get(t.name) != t.place]
    if not moved:
        return "Both boards are the same: move something on the edited one."
    return f"Dotted: what lies elsewhere on the other board ({', '.join(moved)})."


def trained(session: Explorer) -> str:
    """How far the base is trained."""
    workbench = session.workbench
    if not workbench.checkpoints:
        if workbench.run.bundled:
            return "No checkpoints in a bundled model; irl-lens train base keeps those of its own."
        return "This run kept no checkpoints of its base."
    if workbench.step is None:
        return "final base"
    return f"step {workbench.step} of {workbench.run.preset.pretrain.steps}"


def question(session: Explorer) -> str:
    """What the heat map measures."""
    sweep, names = session.sweep(), session.workbench.move_names
    asked = "how far is the mean on the way of the edit?"
    if sweep.why is not None and sweep.rather is not None:
        asked = f"why {names[sweep.why]} rather than {names[sweep.rather]}?"
    unit = {"logit difference": " nats", "kl": " nats"}.get(session.state.metric, "")
    first = f" Steps before {sweep.since} are left out." if sweep.since else ""
    return (
        f"Step {session.state.step}: {asked} {session.state.metric}: clean "
        f"{sweep.clean:.2f}{unit}, edited {sweep.edited:.2f}{unit}; 1 is clean, 0 edited.{first}"
    )


def moved(session: Explorer) -> str:
    """How far the edit, and the patches, move the next action."""
    read = session.readings()
    said = f"The next action is {read['edited'].kl:.2f} nats (KL) from the clean one on the edited "
    patched = f", {read['patched'].kl:.2f} with the patches" if "patched" in read else ""
    return f"{said}board{patched}."


def steered(session: Explorer) -> str:
    """How far steering moves the next action."""
    found = session.shift()
    if "steered" not in found:
        return "Nothing steers: the bars are what the base does alone."
    return (
        f"At step {session.state.step} steering moves the next action by "
        f"{found['steered'].kl:.2f} nats (KL) from what the base does alone."
    )


def no_arrows(session: Explorer) -> str:
    """Why there are no arrows where actions lead, and what there is instead; empty if there are."""
    if session.workbench.walkable:
        return ""
    return (
        f"There are no arrows: {session.workbench.actions.described()} are no moves from place to "
        "place. See the bars of the mean action."
    )


def not_asked(session: Explorer) -> str:
    """Why no two actions can be asked about; empty if they can."""
    spec = session.workbench.actions
    if isinstance(spec, DiscreteActions):
        return ""
    return f"{spec.described().capitalize()}: no two are asked about, but where their mean goes."


def gone(scene: Scene, before: Outing, after: Outing) -> str:
    """Where roll-outs went, before and after."""
    return (
        f"{len(after.path)} roll-outs: before, {_most(scene, before)} first; after, "
        f"{_most(scene, after)}."
    )


def patches(session: Explorer) -> str:
    """What is in force."""
    count, within = len(session.state.spots), len(active(session.state))
    if not count:
        return "No patch yet."
    beyond = "" if within == count else f" ({count - within} beyond the step looked at)"
    return f"{count} patch{'es' * (count > 1)} in force{beyond}:"


def _most(scene: Scene, out: Outing) -> str:
    found = out.first(scene)
    best = max(found, key=lambda name: found[name])
    return f"{100 * found[best]:.0f} % come upon {best}"
