"""Who is answered, what malformed requests do, and that sessions do not meet."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from itertools import count
from threading import Event
from typing import Any

import pytest
from dash.dcc import Input

import irl_lens
from irl_lens.analyses.explorer import settings
from irl_lens.analyses.explorer.web.hosts import Hosts
from irl_lens.analyses.explorer.web.jobs import Cancelled, Job, Jobs
from irl_lens.analyses.explorer.web.open_requests import OpenRequests
from irl_lens.analyses.explorer.web.page import page
from irl_lens.analyses.explorer.web.server import Server, open_page
from irl_lens.analyses.explorer.web.sessions import Sessions
from irl_lens.errors import UserError

Reply = tuple[int, str]
LIMITS = ("min", "max", "step")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    served = Server(irl_lens.load("grid"), port=0, most=60)
    yield served
    served.close()


def ask(
    server: Server, path: str = "/", body: Any = None, headers: dict[str, str] | None = None
) -> Reply:
    """One request; a body that is no text is sent as JSON."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    text = body if isinstance(body, str | None) else json.dumps(body)
    sent = {"Content-Type": "application/json"} | (headers or {})
    connection.request("GET" if body is None else "POST", path, text, sent)
    reply = connection.getresponse()
    found = reply.status, reply.read().decode()
    connection.close()
    return found


def acted(
    server: Server,
    key: str,
    component: str,
    value: Any,
    prop: str = "value",
    given: dict[str, Any] | None = None,
) -> Reply:
    """What the page sends when a field changes, for acts of one field; other fields as given."""
    outputs = [name for name in server.app.callback_map if name.startswith("..tick.data@")]
    wanted = {"id": component, "property": prop}
    name, about = next(
        (name, server.app.callback_map[name])
        for name in outputs
        if server.app.callback_map[name]["inputs"] == [wanted]
    )
    states = [dict(s) for s in about["state"]]
    values = {"key": key, "held": "on"} | (given or {})
    body = {
        "output": name,
        "outputs": [
            {"id": part.split(".")[0], "property": part.split(".", 1)[1]}
            for part in name.strip(".").split("...")
        ],
        "inputs": [wanted | {"value": value}],
        "state": [s | {"value": values.get(s["id"])} for s in states],
        "changedPropIds": [f"{component}.{prop}"],
    }
    return ask(server, "/_dash-update-component", body)


def viewed(server: Server, key: str, view: str, given: dict[str, Any]) -> Reply:
    """What the page asks for when a figure is drawn: the first callback that draws it."""
    callbacks = server.app.callback_map
    name = next(name for name in callbacks if f".{view}.figure" in f".{name}")
    values = {"key": key, "tick": 1, "finished": 0} | given

    def filled(fields: list[dict[str, str]]) -> list[dict[str, Any]]:
        return [field | {"value": values.get(field["id"])} for field in fields]

    body = {
        "output": name,
        "outputs": [
            dict(zip(("id", "property"), part.split(".", 1), strict=True))
            for part in name.strip(".").split("...")
        ],
        "inputs": filled(callbacks[name]["inputs"]),
        "state": filled(callbacks[name]["state"]),
        "changedPropIds": ["tick.data"],
    }
    return ask(server, "/_dash-update-component", body)


def test_only_our_own_page_is_answered(server: Server) -> None:
    here = f"127.0.0.1:{server.port}"
    assert ask(server)[0] == 200
    assert ask(server, headers={"Host": f"localhost:{server.port}"})[0] == 200
    assert ask(server, headers={"Origin": f"http://{here}"})[0] == 200
    for headers in (
        {"Host": "evil.example"},
        {"Host": f"evil.example:{server.port}"},
        {"Host": "127.0.0.1:1"},
        {"Host": f"127.0.0.1.evil.example:{server.port}"},
        {"Origin": "http://evil.example"},
        {"Origin": f"https://{here}"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
    ):
        status, text = ask(server, headers=headers)
        assert status == 403 and "own" in text, headers


def test_other_names_are_answered_when_they_are_allowed_and_as_they_are_written() -> None:
    served = Server(irl_lens.load("grid"), port=0, allowed=("lab.Example.org", "localhost:1"))
    here = f"127.0.0.1:{served.port}"
    try:
        for headers in (
            {},
            {"Host": "lab.example.org", "Origin": "https://lab.example.org"},
            {"Host": "lab.example.org", "Origin": "http://lab.example.org"},
            {"Host": here, "Origin": "https://lab.example.org"},  # a proxy with a Host of its own
            {"Host": "localhost:1", "Origin": "http://localhost:1"},
        ):
            assert ask(served, headers=headers)[0] == 200, headers
        for headers in (
            {"Host": "lab.example.org:81"},
            {"Host": "a.lab.example.org"},
            {"Host": "lab.example.org", "Origin": "https://evil.example"},
            {"Host": "lab.example.org", "Origin": f"https://{here}"},
            {"Host": "127.0.0.1:1"},
            {"Host": "evil.example"},
        ):
            status, text = ask(served, headers=headers)
            assert status == 403 and "own" in text and "--allow-host" in text, headers
    finally:
        served.close()


@pytest.mark.parametrize("name", ["*", "http://a", "a/b", "*.example.org", "", "a:b", "a b", "a:"])
def test_what_is_no_name_cannot_be_allowed(name: str) -> None:
    with pytest.raises(UserError, match="--allow-host"):
        Hosts((name,))


def test_it_listens_on_the_loopback_and_finds_a_port() -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    other = open_page("grid", port=taken.getsockname()[1])
    try:
        assert other.port != taken.getsockname()[1]
        assert other._server.server_address[0] == "127.0.0.1"
        assert other.url in other._repr_html_()
    finally:
        other.close()
        taken.close()


def test_nothing_comes_from_elsewhere(server: Server) -> None:
    text = ask(server)[1]
    assert "http://" not in text.replace("http://www.w3.org", "") and "https://" not in text


def test_malformed_requests_get_a_message_and_change_nothing(server: Server) -> None:
    key = server.sessions.new()
    session, _ = server.sessions.get(key)
    before = session.state
    path = "/_dash-update-component"
    for body in ("", "{", "[]", "null", {"output": "no.such"}, {"inputs": 3}, {"output": 5}):
        status, text = ask(server, path, body)
        assert status in (400, 415, 500) and "error" in json.loads(text), (body, text)
    for component, value in (
        ("step", "soon"),
        ("component", 7),
        ("metric", None),
        ("side", []),
        ("rows", 1e99),
        ("rollout-seed", {"a": 1}),
    ):
        status, text = acted(server, key, component, value)
        assert status == 200 and "message" in text, text
        assert session.state is before, component
    status, text = acted(server, key, "map", {"points": []}, "clickData")
    assert status == 200 and "no value" in text and session.state is before
    assert "reload the page" in acted(server, "no key", "metric", "kl")[1]
    assert acted(server, key, "metric", "kl")[0] == 200 and session.state.metric == "kl"


def test_whatever_is_typed_into_a_field_is_taken_or_refused_by_name(server: Server) -> None:
    key = server.sessions.new()
    session, _ = server.sessions.get(key)
    before, last = session.state, len(session.state.walk) - 1
    fork = {"parent": "walk", "fork-step": 500, "fork-seed": 0}
    patch = {"at-layer": 99, "at-head": 0, "at-step": 0}
    for button, given, said in (
        ("fork", fork, f"step 500; the walk has steps 0 to {last}"),
        ("fork", fork | {"fork-step": None}, "give a step"),
        ("fork", fork | {"fork-step": 0, "fork-seed": -1}, "seed of the roll-outs -1"),
        ("patch", patch, "layer 99; take one from 1"),
        ("put", {"thing": "agent", "place": 1.5}, "place 1.5; take one from 0"),
        ("draw", {"seed": None}, "seed None; give a whole number"),
    ):
        text = acted(server, key, button, 1, "n_clicks", given)[1]
        assert said in text, text
    for field, value in (("forced", 500), ("rows", 0), ("rollout-seed", -1)):
        assert f"{value}; take a whole number" in acted(server, key, field, value)[1], field
    with pytest.raises(UserError, match=r"seed 0\.5; take a whole number from 0 to 9"):
        settings._within("seed", 0.5, 0, 9)  # a state's types are checked before, in tests
    assert session.state is before
    whole = page(session, key, {"a": "a"}, "a")._traverse()
    fields: list[Any] = [part for part in whole if isinstance(part, Input)]
    numbers = [field for field in fields if field.type == "number"]
    assert len(numbers) == 10
    assert not [field.id for field in numbers if any(hasattr(field, name) for name in LIMITS)]


def test_what_is_still_to_be_computed_is_drawn_as_such(server: Server) -> None:
    key = server.sessions.new()
    session, jobs = server.sessions.get(key)
    with session.workbench.lock:  # whoever computes waits here
        for view, given in (
            ("map", {"tab": "patch"}),
            ("effects", {"tab": "patch", "look": "paths"}),
        ):
            assert "still to be p" in viewed(server, key, view, given)[1], view
        jobs.cancel()
    jobs.wait(60)
    session.draw(7)
    session.sweep()
    assert "give the same" in viewed(server, key, "map", {"tab": "patch"})[1]


@pytest.mark.parametrize("many", [8, pytest.param(50, marks=pytest.mark.slow)])
def test_sessions_at_once_do_not_meet(server: Server, many: int) -> None:
    keys = [server.sessions.new() for _ in range(many)]
    count = len(server.sessions.get(keys[0])[0].state.walk)

    def drive(number: int) -> tuple[int, str, int]:
        key, step = keys[number], number % count
        acted(server, key, "step", step)
        acted(server, key, "rollout-seed", number + 1)
        point = {"points": [{"x": step, "y": f"L{1 + number % 2}"}]}
        assert acted(server, key, "map", point, "clickData")[0] == 200
        state = server.sessions.get(key)[0].state
        return state.step, str(state.spots[0]), state.rollout_seed

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(drive, range(many)))
    assert found == [
        (n % count, f"residual post, layer {1 + n % 2}, from step {n % count} on", n + 1)
        for n in range(many)
    ]


def test_closing_ends_what_is_under_way() -> None:
    served, steps = Server(irl_lens.load("grid"), port=0), count()

    def endless(tick: Callable[[int], None]) -> None:
        while True:
            tick(next(steps))

    _, jobs = served.sessions.get(served.sessions.new())
    first, second = (jobs.start(Job("walk", endless)) for _ in range(2))
    served.close()
    assert first.finished and second.finished and second.stopped
    assert len(served.sessions) == 0
    with pytest.raises(ConnectionRefusedError):
        ask(served)
    served.close()


def test_what_is_being_answered_is_waited_for() -> None:
    answering, go_on = Event(), Event()

    def slow(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        answering.set()
        go_on.wait(60)
        return [b"done"]

    open_requests = OpenRequests(slow)
    assert open_requests.wait(0)
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(open_requests, {}, print)
        assert answering.wait(60) and not open_requests.wait(0)
        go_on.set()
        assert open_requests.wait(60) and reply.result(60) == [b"done"]


def test_the_longest_unused_session_is_closed() -> None:
    sessions = Sessions(irl_lens.load("grid"), most=3)
    keys = [sessions.new() for _ in range(3)]
    sessions.get(keys[0])
    sessions.new()
    assert len(sessions) == 3 and sessions.get(keys[0])
    with pytest.raises(UserError, match="reload"):
        sessions.get(keys[1])
    with pytest.raises(UserError, match="no run"):
        sessions.new("/etc")


def test_work_shows_how_far_it_is_and_is_stopped() -> None:
    jobs, seen = Jobs(), []

    def endless(tick: Any) -> None:
        step = 0
        while True:
            tick(step := step + 1)
            seen.append(step)

    job = jobs.start(Job("running", endless, 9, "a"))
    assert not job.wait(0.05) and job.step > 0
    assert jobs.start(Job("running", endless, 9, "a")) is job
    aside = jobs.start(Job("walking", endless))
    other = jobs.start(Job("running", lambda tick: tick(7), 9, "b"))
    assert job.wait(5) and job.stopped
    assert other.wait(5) and str(other) == "running: step 7 of at most 9" and not other.error
    assert jobs.running() == [aside]
    for _ in range(2):
        jobs.collect()
        assert (jobs.count, jobs.changed, jobs.said) == (1, 0, "")
    jobs.cancel()
    assert aside.wait(5) and aside.stopped and not jobs.running()
    with pytest.raises(UserError, match="invalid literal"):
        jobs.done(Job("reading", lambda tick: int("soon")), 5)
    assert jobs.done(Job("reading", lambda tick: tick(1)), 5)
    jobs.collect()
    assert (jobs.count, jobs.said) == (1, "stopped")
    late = jobs.start(Job("reading", lambda tick: tick(1), changes=True))
    assert jobs.said == "" and late.wait(5)
    jobs.collect()
    assert (jobs.count, jobs.changed) == (2, 2)


def test_roll_outs_can_be_stopped(server: Server) -> None:
    session, jobs = server.sessions.get(server.sessions.new())
    session.set(rows=512)

    def work(tick: Any) -> None:
        for seed in range(1_000):
            session.set(rollout_seed=seed)
            session.rollouts(tick=tick)

    job = jobs.start(Job("rolling out", work))
    job.wait(0.2)
    jobs.cancel()
    assert job.wait(10) and job.error == "stopped"
    assert not session.workbench.model.hook_dict["blocks.0.hook_resid_pre"].fwd_hooks


def test_sweeps_and_forks_show_how_far_they_are_and_are_stopped(server: Server) -> None:
    session, _ = server.sessions.get(server.sessions.new())
    session.set(component="head z")
    seen: list[int] = []
    session.sweep(seen.append)
    assert seen == list(range(session.workbench.layers * session.workbench.heads))
    seen.clear()
    before = session.fork(tick=seen.append, seed=3).state
    assert seen == list(range(len(before.branches[0].path) - 1)) and before.rollout_seed == 3

    def stop(step: int) -> None:
        raise Cancelled

    session.set(component="mlp out")
    for work in (lambda: session.sweep(stop), lambda: session.fork(tick=stop)):
        with pytest.raises(Cancelled):
            work()
    assert not session.swept and session.state.branches == before.branches
    assert not session.workbench.model.hook_dict["blocks.0.hook_resid_pre"].fwd_hooks


def test_a_branch_grows_on_the_walk_it_was_begun_on_or_not_at_all(server: Server) -> None:
    session, _ = server.sessions.get(server.sessions.new())

    def meanwhile(change: Callable[[], object]) -> Callable[[int], None]:
        def tick(step: int) -> None:
            if step == 0:
                change()

        return tick

    with pytest.raises(UserError, match="fork again"):
        session.fork(tick=meanwhile(lambda: session.draw(5)))
    assert not session.state.branches
    step = session.state.step + 1
    session.fork(tick=meanwhile(lambda: session.set(step=step)))
    assert session.state.step == step and len(session.state.branches) == 1
