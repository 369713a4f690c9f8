"""What happens on the page: every act changes one session's state, every view is drawn from it.

An act that is refused says why beside the title, and nothing else changes. After any act the
number ``tick`` grows, and what is on show is drawn again.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, no_update, set_props

from irl_lens.analyses.explorer import links, patching
from irl_lens.analyses.explorer.patching import Tick
from irl_lens.analyses.explorer.session import Explorer
from irl_lens.analyses.explorer.web.jobs import Job, Jobs
from irl_lens.analyses.explorer.web.sessions import Sessions
from irl_lens.analyses.patching.contrast import BY_HEAD

_TICKS = count(1)
Act = Callable[..., Any]


def poll(on: bool) -> None:
    """Asks the page for its questions about progress, or not; an output would make a cycle."""
    set_props("poll", {"disabled": not on})


WRONG = (ValueError, TypeError, LookupError, AttributeError)
"""What acts raise that are given what no field of the page gives."""


def failing(error: Exception) -> str:
    """What to say of a refusal."""
    if isinstance(error, ValueError):
        return " ".join(str(error).split())
    return "that is no value for this field; nothing was changed"


class Acts:
    """Registers acts.

    Args:
        app: The page.
        sessions: Whose states are changed.
    """

    def __init__(self, app: Dash, sessions: Sessions) -> None:
        self.app, self.sessions = app, sessions

    def next(self) -> int:
        """Returns a number that no change had so far."""
        return next(_TICKS)

    def __call__(
        self,
        trigger: Input | Sequence[Input],
        act: Act,
        states: Sequence[State] = (),
        long: bool = False,
        first: bool = False,
    ) -> None:
        """Registers one: ``act(session, *triggers, *states)``, and the work if it may be long.

        One that is ``first`` acts when the page opens: nothing is drawn before it is done, so that
        no field shows, and then sets, what was before.
        """
        triggers = [trigger] if isinstance(trigger, Input) else list(trigger)

        @self.app.callback(
            Output("tick", "data", allow_duplicate=True),
            Output("message", "children", allow_duplicate=True),
            *triggers,
            State("key", "data"),
            *states,
            prevent_initial_call="initial_duplicate" if first else True,
        )
        def changed(*values: Any) -> tuple[Any, Any]:
            """Acts on the session; returns a new tick if the state is another, and a message."""
            given, key, rest = (
                values[: len(triggers)],
                values[len(triggers)],
                values[len(triggers) + 1 :],
            )
            try:
                session, jobs = self.sessions.get(key)
                before, work = session.state, [jobs] if long else []
                if act(session, *given, *rest, *work) is no_update:
                    return next(_TICKS) if first else no_update, no_update
            except WRONG as error:
                # Drawn again all the same: what was typed gives way to what is.
                return next(_TICKS), failing(error)
            if session.state is before and not first:
                # Fields that show a state anew come by here: what was said stays.
                return no_update, no_update
            return next(_TICKS), ""


def register(acts: Acts) -> None:
    """Registers all acts."""
    _episode(acts)
    _patch(acts)
    _steer(acts)
    _fork(acts)


def _pressed(act: Act) -> Act:
    """An act of a button, whose number of clicks does not matter; none before the first."""

    def pressed(session: Explorer, clicks: int | None, *rest: Any) -> Any:
        """Acts if the button was pressed at all."""
        return act(session, *rest) if clicks else no_update

    return pressed


def _listed(act: Callable[[Explorer, int], Any]) -> Act:
    """An act of the buttons of a list, on the number of the one that was pressed."""

    def pressed(session: Explorer, clicks: list[int | None]) -> Any:
        """Acts, if one was pressed at all: they are drawn anew too."""
        if not any(clicks) or not isinstance(ctx.triggered_id, dict):
            return no_update
        return act(session, ctx.triggered_id["index"])

    return pressed


def _episode(acts: Acts) -> None:
    def step(session: Explorer, value: Any) -> None:
        """Looks at another step, the last of the walk at most."""
        last = len(session.state.walk) - 1
        session.set(step=min(value, last) if isinstance(value, int) else value)

    acts(Input("step", "value"), step)

    def rewind(session: Explorer, value: Any) -> Any:
        """Goes to the checkpoint at a position of the slider, the final base at its end."""
        kept = (*session.workbench.checkpoints, None)
        if type(value) is not int or not 0 <= value < len(kept):
            raise ValueError(
                f"position {value!r} of the slider; take one from 0 to {len(kept) - 1}"
            )
        return session.rewind(kept[value])

    acts(Input("checkpoint", "value"), rewind)

    def arrived(session: Explorer, text: str | None) -> Any:
        """Opens the state of a link."""
        return links.opened(session, links.unpacked(text)) if text else no_update

    def uploaded(session: Explorer, file: str | None) -> Any:
        """Opens the state of a file, which comes as a data URL."""
        if not file:
            return no_update
        return links.opened(session, b64decode(file.partition(",")[2]))

    acts(Input("arrived", "data"), arrived, first=True)
    acts(Input("upload", "contents"), uploaded)
    acts(Input("undo", "n_clicks"), _pressed(lambda s: s.undo()))
    acts(
        Input("draw", "n_clicks"), _pressed(lambda s, seed: s.draw(seed)), [State("seed", "value")]
    )
    acts(Input("expert", "n_clicks"), _pressed(lambda s: s.walk("expert")))
    acts(Input("model", "n_clicks"), _pressed(lambda s: s.walk("model")))
    acts(Input("ask", "n_clicks"), _pressed(lambda s, task: s.ask(task)), [State("task", "value")])
    acts(Input("mend", "n_clicks"), _pressed(lambda s: s.mend()))
    acts(
        Input("put", "n_clicks"),
        _pressed(lambda s, name, place: s.put(name, place)),
        [State("thing", "value"), State("place", "value")],
    )


def _patch(acts: Acts) -> None:
    acts(Input("component", "value"), lambda s, v: s.set(component=v))
    acts(Input("metric", "value"), lambda s, v: s.set(metric=v))
    acts(Input("why", "value"), lambda s, v: s.set(why=None if v == -1 else v))
    acts(Input("rather", "value"), lambda s, v: s.set(rather=None if v == -1 else v))

    def clicked(session: Explorer, click: Any, held: str) -> Any:
        """Patches the cell of the heat map that was clicked, or takes the patch out."""
        if not click:
            return no_update
        point = click["points"][0]
        site = patching.sites(session.workbench, session.state).index(point["y"])
        return toggle(session, site, int(point["x"]), held)

    def toggle(session: Explorer, site: int, step: int, held: str) -> Any:
        """Patches a row and step of the heat map."""
        heads, by_head = session.workbench.heads, session.state.component in BY_HEAD
        layer, head = divmod(site, heads) if by_head else (site, None)
        return session.patch(layer + 1, step, head, held=held == "on" and not by_head)

    def typed(session: Explorer, layer: Any, head: Any, step: Any, held: str) -> Any:
        """Patches the layer, head and step that are in the fields."""
        by_head = session.state.component in BY_HEAD
        return session.patch(
            layer, step, head if by_head else None, held=held == "on" and not by_head
        )

    acts(Input("map", "clickData"), clicked, [State("held", "value")])
    fields = [State(name, "value") for name in ("at-layer", "at-head", "at-step", "held")]
    acts(Input("patch", "n_clicks"), _pressed(typed), fields)
    acts(Input("clear", "n_clicks"), _pressed(lambda s: s.unpatch()))

    acts(Input({"kind": "spot", "index": ALL}, "n_clicks"), _listed(lambda s, i: s.unpatch(i)))


def _steer(acts: Acts) -> None:
    acts(Input("side", "value"), lambda s, v: s.set(side=v))
    acts(Input("rows", "value"), lambda s, v: s.set(rows=v))
    acts(Input("rollout-seed", "value"), lambda s, v: s.set(rollout_seed=v))
    acts(Input("gate", "value"), lambda s, v: s.steer(gate=v))
    acts(Input("forced", "value"), lambda s, v: s.steer(forced=v))

    def kind(session: Explorer, value: str, layer: Any, name: Any, strength: Any, z: Any) -> Any:
        """Chooses what steers, as the fields below say."""
        if value == "controller":
            return session.steer(kind=value, layer=layer, name=name, strength=float(strength))
        if value == "code":
            # Sliders begin at 0, where no code of a demonstration is.
            begun = z if any(z) else session.workbench.switch_codes.codes[0].tolist()
            return session.steer(kind=value, code=tuple(map(float, begun)))
        return session.steer(kind=value)

    chosen = [State(n, "value") for n in ("bank", "controller", "strength")]
    sliders = State({"kind": "z", "index": ALL}, "value")
    acts(Input("kind", "value"), kind, [*chosen, sliders])

    def bank(session: Explorer, layer: Any, name: Any, strength: Any) -> Any:
        """Chooses a controller of the bank, if one steers."""
        if session.state.steering.kind != "controller":
            return no_update
        return session.steer(layer=layer, name=name, strength=float(strength))

    acts([Input(n, "value") for n in ("bank", "controller", "strength")], bank)

    def dragged(session: Explorer, z: list[float]) -> Any:
        """Takes the code that the sliders say, if a code steers."""
        if session.state.steering.kind != "code" or not z:
            return no_update
        now = session.state.steering.code or ()
        # Sliders have steps: what they only show is not what they say.
        if len(now) == len(z) and all(abs(a - b) < 1e-3 for a, b in zip(now, z, strict=True)):
            return no_update
        return session.steer(code=tuple(map(float, z)))

    acts(Input({"kind": "z", "index": ALL}, "value"), dragged)

    def taken(session: Explorer, click: Any) -> Any:
        """Takes the code of the point that was clicked."""
        if not click or "customdata" not in click["points"][0]:
            return no_update
        index = int(click["points"][0]["customdata"])
        code = session.workbench.switch_codes.codes[index]
        return session.steer(kind="code", code=tuple(code.tolist()))

    acts(Input("latent", "clickData"), taken)


def _fork(acts: Acts) -> None:
    def grow(session: Explorer, parent: Any, step: Any, seed: Any, jobs: Jobs) -> Any:
        """Begins a branch; if it takes long, it is told of when it is there."""
        if step is None or seed is None:
            raise ValueError("give a step to leave at, and a seed, as whole numbers")
        leaves = None if parent in ("walk", None) else int(parent)

        def work(tick: Tick) -> None:
            """Grows it."""
            session.fork(step, leaves, tick, seed)

        horizon = session.workbench.world.horizon
        job = Job("growing a branch", work, horizon, (session.state, step, leaves, seed), True)
        if not jobs.done(job):
            poll(True)

    fields = [State(name, "value") for name in ("parent", "fork-step", "fork-seed")]
    acts(Input("fork", "n_clicks"), _pressed(grow), fields, long=True)

    acts(Input({"kind": "open", "index": ALL}, "n_clicks"), _listed(lambda s, n: s.open_branch(n)))
    acts(Input({"kind": "drop", "index": ALL}, "n_clicks"), _listed(lambda s, n: s.drop(n)))
