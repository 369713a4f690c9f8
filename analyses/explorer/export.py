"""What one can take away: a snippet, data, figures, intervention files."""

from __future__ import annotations

import pprint
import tempfile
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go

from irl_lens.analyses.explorer import figures, fork_figures, forks, sentences, steering_shift
from irl_lens.analyses.explorer.patching import active, contrast, replacements
from irl_lens.analyses.explorer.session import Explorer
from irl_lens.analyses.explorer.web.sessions import name_of
from irl_lens.analyses.figures.files import WIDTH, picture
from irl_lens.analyses.figures.page import drawn, page, plotly_code
from irl_lens.envs.spaces import DiscreteActions
from irl_lens.errors import UserError
from irl_lens.hooks import Intervention, save

TEMPLATE = """\
import torch

import irl_lens
from irl_lens.analyses.explorer import Explorer, contrast, replacements

state = {state}
session = Explorer.open(
    irl_lens.load({run!r}),
    state,
    base={base!r},
)

# The clean and the edited run with all activations, and the patches in force, as plain hooks:
runs = contrast(session.workbench, session.state)
hook = replacements(runs.clean, session.state.spots, last=session.state.step)
logits = runs.model.run_with_hooks(
    torch.from_numpy(runs.pairs.corrupted), return_type="logits", fwd_hooks=hook.fwd_hooks()
)
print({policy})  # {meaning} at the step looked at

# Where agents go from that step on: alone, with the patches, with the steering.
alone = session.rollouts()
patched = session.rollouts(patches=True)
steered = session.rollouts(steered=True)
view = session.view()  # all that the page shows, as plain values
"""

TITLES = {
    "patch": "What patching each activation undoes of the edit",
    "steer": "Where agents go, alone and steered",
    "fork": "The walk and its branches",
}
HEADING, LEAST, BOARD = 60, 360, 240
"""Height of a title, least height of a figure, and width of a board [px]."""


def snippet(session: Explorer) -> str:
    """Returns Python that makes the present state again, in a notebook or elsewhere."""
    workbench = session.workbench
    policy, meaning, width = "logits[0, -1].softmax(-1)", "probability of each action", 96
    if not isinstance(workbench.actions, DiscreteActions):
        width = 240  # an action is a line of numbers
        policy = "session.workbench.loaded.base.action_head.policy(logits[0, -1])"
        meaning = "means of an action, then deviations,"
    state = pprint.pformat(session.state.plain(), width=width, compact=True, sort_dicts=False)
    return TEMPLATE.format(
        state=state,
        run=name_of(workbench.run),
        base=workbench.hash,
        policy=policy,
        meaning=meaning,
    )


def data(session: Explorer, tab: str) -> pd.DataFrame:
    """Returns the numbers of a tab."""
    if tab == "fork":
        return forks.table(session.workbench, session.state)
    if tab == "steer":
        return _outings(session, steered=True)
    return session.sweep().to_dataframe()


def figure(session: Explorer, tab: str, look: str = "paths") -> go.Figure:
    """Returns the main figure of a tab."""
    if tab == "fork":
        return fork_figures.tree(session)
    if tab == "steer":
        outings = session.rollouts(), session.rollouts(steered=True)
        side = session.state.side
        exact = not session.workbench.walkable
        return figures.outings(figures.scene_of(session, side), look, *outings, exact)
    return figures.heat_map(session, session.sweep())


def titled(session: Explorer, tab: str) -> go.Figure:
    """Returns the main figure of a tab as it stands on paper: with a title and a size."""
    found = figure(session, tab)
    layout = found.to_dict()["layout"]
    height = max(layout.get("height", 0) + HEADING, LEAST)
    title = {"text": TITLES[tab], "font": {"size": 16}, "x": 0, "xref": "paper", "y": 0.96}
    margin = {"t": layout["margin"]["t"] + HEADING}
    return found.update_layout(
        title=title, width=WIDTH, height=height, margin=margin, autosize=False
    )


def html(session: Explorer, tab: str) -> str:
    """Returns the figure as a page that needs no network, with what it says and both boards."""
    sides = ("clean", "edited")
    boards = [(side, figures.world(session, side).update_layout(width=BOARD)) for side in sides]
    return page(
        "taken",
        title=f"{name_of(session.workbench.run)}, step {session.state.step}",
        plotly=plotly_code(),
        figure=drawn(titled(session, tab)),
        caption=_caption(session, tab),
        boards=[(side, drawn(board, displayModeBar=False)) for side, board in boards],
    )


def image(session: Explorer, tab: str, kind: str) -> bytes:
    """Returns the figure as a picture.

    Args:
        session: The session.
        tab: The tab.
        kind: ``"png"`` or ``"svg"``.

    Raises:
        UserError: Kaleido, or the browser that it draws with, is not there.
    """
    return picture(titled(session, tab), kind)


def patches(session: Explorer) -> Intervention:
    """The patches in force as one intervention, for the walk up to the step looked at.

    Raises:
        UserError: There is none.
    """
    spots = active(session.state)
    if not spots:
        raise UserError("no patch is in force; click a cell of the heat map first")
    runs = contrast(session.workbench, session.state)
    return replacements(runs.clean, spots, session.state.step)


def steering(session: Explorer) -> Intervention:
    """What steers, as an intervention that acts from the step looked at on.

    Raises:
        UserError: Nothing does.
    """
    return steering_shift.steering(session.workbench, session.state)


def file(session: Explorer, hook: Intervention) -> bytes:
    """Returns an intervention as the file that :func:`irl_lens.hooks.load` reads."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "intervention.safetensors"
        base = session.workbench.hash
        save(hook, path, base=base, card={"explorer": session.state.plain()})
        return path.read_bytes()


def _caption(session: Explorer, tab: str) -> str:
    if tab == "fork":
        return ""
    if tab == "steer":
        outings = session.rollouts(), session.rollouts(steered=True)
        return sentences.gone(figures.scene_of(session, session.state.side), *outings)
    return sentences.question(session)


def _outings(session: Explorer, steered: bool) -> pd.DataFrame:
    rows, exact = [], None if session.workbench.walkable else ("column", "row")
    for name, out in (
        ("before", session.rollouts()),
        ("after", session.rollouts(steered=steered)),
    ):
        for row in range(len(out.path)):
            path, _ = out.walked(row)
            rows += [
                {"which": name, "rollout": row, "step": step, "place": place}
                | ({} if exact is None else dict(zip(exact, out.trail[row, step], strict=True)))
                for step, place in enumerate(path)
            ]
    return pd.DataFrame(rows)
