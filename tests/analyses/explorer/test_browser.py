"""The explorer's page in a real browser: patch, edit, steer, fork, take away, by mouse and key.

One server, one browser, and one run, whose base was kept while it trained and which has an atlas.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from irl_lens.analyses.explorer.session import Explorer
from irl_lens.analyses.explorer.web.server import Server
from irl_lens.runs.run import Run
from tests.analyses.explorer.ant_explorer import ant_run, edited, free, serving, small

pytestmark = pytest.mark.browser
PATIENCE = 90
"""Seconds that a page may take on a machine with other things to do [s]."""


@pytest.fixture(scope="module")
def server(kept_run: Run) -> Iterator[Server]:
    atlas = kept_run.folder / "analyses" / "atlas"
    atlas.mkdir(parents=True)
    (atlas / "index.html").write_text("<h1>an atlas of this run</h1>")
    served = Server(kept_run, port=0)
    yield served
    served.close()


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def chromium(downloads: Path) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no chromium with its driver; apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    # Whatever is not this machine cannot be reached: the page has to do without.
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
    saved = {
        "download.default_directory": str(downloads),
        "profile.default_content_setting_values.automatic_downloads": 1,
    }
    options.add_experimental_option("prefs", saved)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driven = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield driven
    driven.quit()


class Reached(NamedTuple):
    """An element when the Tab key came by; later it may be hidden, or drawn anew."""

    id: str | None
    name: str
    role: str
    html: str

    @classmethod
    def of(cls, element: Any) -> Reached:
        html = element.get_attribute("outerHTML")[:200]
        return cls(element.get_attribute("id"), element.accessible_name, element.aria_role, html)


class Page:
    """A page with a session of its own."""

    def __init__(self, driver: Any, server: Server, size: tuple[int, int] = (1366, 768)) -> None:
        self.driver, self.server = driver, server
        driver.set_window_size(*size)
        known = set(server.sessions._sessions)
        driver.get(server.url)
        self.until(lambda: "come upon" in self.text("gone"))
        # The last: Dash itself looks at the page once before it is first asked for it.
        (*_, key) = (key for key in server.sessions._sessions if key not in known)
        self.session: Explorer = server.sessions.get(key)[0]

    def until(self, condition: Callable[[], Any]) -> None:
        """Waits for a condition."""
        if self.within(PATIENCE, condition):
            return
        raise AssertionError(f"not within {PATIENCE} s; the page says: {self.text('message')!r}")

    def within(self, seconds: float, condition: Callable[[], Any]) -> bool:
        """Whether a condition comes to hold."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if condition():
                    return True
            except Exception:  # an element that is being drawn anew
                pass
            time.sleep(0.1)
        return False

    def find(self, name: str) -> Any:
        return self.driver.find_element("id", name)

    def text(self, name: str) -> str:
        return self.find(name).text

    def press(self, name: str) -> None:
        """Clicks an element."""
        element = self.find(name)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def click(self, name: str, x: float, y: float) -> None:
        """Clicks a figure at numbers of its axes."""
        from selenium.webdriver.common.actions.action_builder import ActionBuilder

        at = self.steady(name, x, y)
        for press in (False, True):  # plotly sees what is under the pointer a little later
            builder = ActionBuilder(self.driver)
            builder.pointer_action.move_to_location(at[0] + (not press), at[1])
            if press:
                builder.pointer_action.click()
            builder.perform()
            time.sleep(0.3)

    def steady(self, name: str, x: float, y: float) -> list[int]:
        """Where numbers of a figure's axes are seen, once it no longer moves (pixels)."""
        seen: list[list[int] | None] = [None]

        def still() -> bool:
            seen.append(self.seen(name, x, y))
            return seen[-1] is not None and seen[-1] == seen[-2]

        self.until(still)
        assert seen[-1] is not None
        return seen[-1]

    def seen(self, name: str, x: float, y: float) -> list[int] | None:
        """Where numbers of a figure's axes are in the window, if they are (pixels)."""
        return self.driver.execute_script(
            """const figure = document.getElementById(arguments[0]);
            figure.scrollIntoView({block: 'center'});
            const g = figure.querySelector('.js-plotly-plot');
            const {left, top} = g.getBoundingClientRect(), {xaxis, yaxis} = g._fullLayout;
            const x = Math.round(left + xaxis._offset + xaxis.d2p(arguments[1]));
            const y = Math.round(top + yaxis._offset + yaxis.d2p(arguments[2]));
            const inside = x > 0 && y > 0 && x < innerWidth && y < innerHeight;
            return inside ? [x, y] : null;""",
            name,
            x,
            y,
        )

    def patch(self, step: int, site: str) -> None:
        """Clicks a site until it is patched: a map that is just being redrawn is deaf."""
        row = self.session.sweep().sites.index(site)
        for _ in range(3):
            self.click("map", step, row)
            if self.within(PATIENCE / 3, lambda: self.session.state.spots):
                return
        raise AssertionError(f"{site} is not patched at step {step}")

    def board(self, name: str, place: int) -> None:
        """Clicks a place of a board."""
        scene = self.session.workbench.situation(self.session.state.edited).scene()
        x, y = scene.xy(place)
        self.click(name, float(x), float(y))

    def button(self, said: str) -> Any:
        """The button that says something."""
        return self.driver.find_element("xpath", f"//button[normalize-space()='{said}']")

    def tabbed(self) -> list[Reached]:
        """What the Tab key comes by, from first to last, as it was when it came by."""
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.keys import Keys

        first = self.find("run")  # blurring would go on from where one was
        self.driver.execute_script("arguments[0].focus()", first)
        found = [Reached.of(first)]
        while len(found) < 200:
            ActionChains(self.driver).send_keys(Keys.TAB).perform()
            now = self.driver.switch_to.active_element
            if now.tag_name == "body" or now == first:
                return found
            found.append(Reached.of(now))
        raise AssertionError("the Tab key never comes round")

    def type(self, name: str, text: str) -> None:
        """Types into a field, as one does with a keyboard."""
        from selenium.webdriver.common.keys import Keys

        field = self.find(name)
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(text, Keys.ENTER)


def test_a_click_on_the_map_sends_the_agent_elsewhere(chromium: Any, server: Server) -> None:
    page = Page(chromium, server)
    assert "Click a cell" in page.text("panel-patch")
    before, step = page.text("gone"), page.session.state.step
    page.click("map", step, page.session.sweep().sites.index("L1") + 1)
    page.until(lambda: page.session.state.spots)
    page.until(lambda: page.text("gone") != before and "come upon" in page.text("gone"))
    scene = page.session.workbench.situation(page.session.state.edited).scene()
    outs = page.session.rollouts(), page.session.rollouts(patches=True)
    firsts = [max(out.first(scene).items(), key=lambda pair: pair[1]) for out in outs]
    assert firsts[0][0] != firsts[1][0] and f"upon {firsts[1][0]}" in page.text("gone")
    page.press("undo")
    page.until(lambda: not page.session.state.spots and page.text("gone") == before)
    errors = [e for e in chromium.get_log("browser") if e["level"] == "SEVERE"]
    assert not errors


def test_an_ant_is_edited_patched_and_forked(
    chromium: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    workbench = small(ant_run(tmp_path_factory.mktemp("ant") / "run"))
    served = serving(workbench, edited(workbench))
    try:
        page = Page(chromium, served)
        state = page.session.state
        page.board("edited", state.edited["places"]["wall0"])
        page.until(lambda: "wall0 is picked up" in page.text("hand"))
        place = free(workbench, state)[0]
        page.board("edited", place)
        page.until(lambda: page.session.state.edited["places"]["wall0"] == place)
        page.patch(state.step, "L1")
        page.until(lambda: "with the patches" in page.text("moved"))
        page.press("tab-fork")
        page.press("fork")
        page.until(lambda: len(page.session.state.branches) == 1)
        page.until(lambda: "walk" in page.text("branches"))
        errors = [e for e in chromium.get_log("browser") if e["level"] == "SEVERE"]
        assert not errors
    finally:
        served.close()


def test_boards_are_edited_by_clicks(chromium: Any, server: Server) -> None:
    page = Page(chromium, server)
    state = page.session.state
    scene = page.session.workbench.situation(state.edited).scene()
    thing = next(t for t in scene.things if t.place not in state.walk)
    taken = {*state.edited["places"].values(), *state.walk}
    free = next(p for p in scene.standing if p not in taken)
    page.board("edited", thing.place)
    page.until(lambda: "picked up" in page.text("hand"))
    page.board("edited", free)
    page.until(lambda: page.session.state.edited["places"][thing.name] == free)
    assert page.session.state.clean == state.clean
    page.press("undo")
    page.until(lambda: page.session.state == state)


def test_steering_by_a_controller_and_by_a_point(chromium: Any, server: Server) -> None:
    page = Page(chromium, server)
    page.press("tab-steer")
    page.until(lambda: "come upon" in page.text("gone-steer"))
    labels = {label.text: label for label in chromium.find_elements("css selector", "#kind label")}
    labels["a controller of the bank"].click()
    page.until(lambda: page.session.state.steering.kind == "controller")
    page.until(lambda: page.session.ready(steered=True))
    labels = {label.text: label for label in chromium.find_elements("css selector", "#kind label")}
    labels["a code z"].click()
    page.until(lambda: page.session.state.steering.kind == "code")
    page.until(lambda: chromium.find_elements("css selector", "#latent .points path"))
    workbench, before = page.session.workbench, page.session.state.steering.code
    points = workbench.axes.transform(workbench.switch_codes.codes)
    far = int(abs(points).sum(axis=1).argmax())
    page.click("latent", *map(float, points[far]))
    page.until(lambda: page.session.state.steering.code != before)
    code = page.session.state.steering.code
    assert code == pytest.approx(workbench.switch_codes.codes[far])
    said = [f"{x:.2f}" for x in code or ()]
    page.until(lambda: [n.text for n in chromium.find_elements("css selector", ".number")] == said)
    page.until(lambda: page.session.ready(steered=True))
    page.until(lambda: "come upon" in page.text("gone-steer"))


def test_futures_fork(chromium: Any, server: Server) -> None:
    page = Page(chromium, server)
    page.press("tab-fork")
    page.until(lambda: page.find("fork").is_displayed())
    page.press("fork")
    page.until(lambda: len(page.session.state.branches) == 1)
    page.until(lambda: "walk" in page.text("branches"))
    page.type("fork-seed", "3")
    page.press("fork")
    page.until(lambda: len(page.session.state.branches) == 2)
    page.until(lambda: "part" in page.text("parted") and "Branches 1 and 2" in page.text("parted"))
    first = page.session.state.branches[0]
    page.button("Make branch 1 the walk").click()
    page.until(lambda: page.session.state.walk == first.path[:-1])


def test_the_snippet_is_taken_away(chromium: Any, server: Server) -> None:
    page = Page(chromium, server)
    page.session.patch(1, page.session.state.step, held=True)
    page.press("tab-keep")
    page.until(lambda: "Explorer.open" in page.text("snippet"))
    # What a reader would copy, as it stands on the page.
    code = page.driver.execute_script("return document.getElementById('snippet').textContent")
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["session"].state == page.session.state
    assert names["view"] == page.session.view()


KEYED = {
    "patch": {"component", "metric", "clear", "at-layer", "patch"},
    "steer": {"side", "rows", "rollout-seed"},
    "fork": {"parent", "fork-step", "fork-seed", "fork", "compare"},
    "keep": {"get-state", "get-csv", "get-html", "snippet"},
}
"""Some of what each tab has; cells of the map are patched by the fields below it."""
ALWAYS = {"run", "atlas", "watch", "undo", "back", "play", "on", "draw", "put", "thing", "place"}


def test_the_whole_page_is_reached_by_keyboard_and_has_names(chromium: Any, server: Server) -> None:
    from selenium.webdriver.common.keys import Keys

    page, names = Page(chromium, server), list(KEYED)
    page.press("on")  # something to undo
    page.until(lambda: page.find("undo").is_enabled())
    chromium.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.find("tab-patch").send_keys(Keys.END)
    page.until(lambda: page.find("panel-keep").is_displayed())
    page.find("tab-keep").send_keys(Keys.ARROW_RIGHT)
    for name in names:
        page.until(lambda name=name: page.find(f"panel-{name}").is_displayed())
        assert chromium.switch_to.active_element.get_attribute("id") == f"tab-{name}"
        chosen = [
            n for n in names if page.find(f"tab-{n}").get_attribute("aria-selected") == "true"
        ]
        assert chosen == [name]
        assert [n for n in names if page.find(f"panel-{n}").is_displayed()] == [name]
        page.until(lambda: not page.find("stop").is_displayed())  # it goes when work is done
        reached = page.tabbed()
        known = {element.id for element in reached}
        assert (ALWAYS | KEYED[name]) <= known, (ALWAYS | KEYED[name]) - known
        assert known & {f"tab-{n}" for n in names} == {f"tab-{name}"}
        assert not [e.html for e in reached if not e.name]
        sliders = {e.name for e in reached if e.role == "slider"}
        assert {"step of the walk", "training"} <= sliders
        page.find(f"tab-{name}").send_keys(Keys.ARROW_RIGHT)
    page.until(lambda: page.find("panel-patch").is_displayed())


def test_a_reload_and_a_link_keep_the_state_and_a_file_opens_again(
    chromium: Any, server: Server, downloads: Path
) -> None:
    def latest() -> Explorer:
        (*_, key) = server.sessions._sessions
        return server.sessions.get(key)[0]

    page = Page(chromium, server)
    page.session.patch(2, 0)
    page.press("on")
    page.press("tab-keep")
    page.until(lambda: "#keep." in chromium.current_url)
    state, link = page.session.state, chromium.current_url
    page.press("get-state")
    page.until(lambda: (downloads / "state.json").is_file())
    chromium.refresh()
    page.until(lambda: latest() is not page.session and latest().state == state)
    page.until(lambda: page.find("panel-keep").is_displayed())
    chromium.get("about:blank")
    other = Page(chromium, server)
    assert other.session.state != state
    page.until(lambda: other.find("upload"))
    upload = other.find("upload").find_element("css selector", "input")
    upload.send_keys(str(downloads / "state.json"))
    page.until(lambda: other.session.state == state)
    chromium.get("about:blank")
    chromium.get(link)
    page.until(lambda: latest() is not other.session and latest().state == state)


def test_the_hint_goes_away_for_good(chromium: Any, server: Server) -> None:
    page = Page(chromium, server)
    chromium.execute_script("window.localStorage.clear()")
    page = Page(chromium, server)
    assert page.find("hint").is_displayed()
    page.press("got-it")
    page.until(lambda: not page.find("hint").is_displayed())
    page = Page(chromium, server)
    assert not page.find("hint").is_displayed()


def test_the_world_is_explained(chromium: Any, server: Server) -> None:
    page = Page(chromium, server)
    page.find("world").find_element("css selector", "summary").click()
    page.until(lambda: "0 then 1" in page.text("world"))
    picture = page.find("world").find_element("css selector", "img")
    page.until(lambda: picture.get_property("naturalWidth") > 100)


def test_it_is_usable_by_keyboard(chromium: Any, server: Server) -> None:
    from selenium.webdriver.common.keys import Keys

    page = Page(chromium, server)
    step = page.session.state.step
    chromium.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.type("at-layer", "1")
    page.find("patch").send_keys(Keys.ENTER)
    page.until(lambda: page.session.state.spots)
    assert str(page.session.state.spots[0]) == f"residual post, layer 1, from step {step} on"
    page.find("on").send_keys(Keys.ENTER)
    page.until(lambda: page.session.state.step == step + 1)
    page.type("at-layer", "99")
    page.find("patch").send_keys(Keys.ENTER)
    page.until(lambda: page.text("message"))
    assert len(page.session.state.spots) == 1


@pytest.mark.parametrize("size", [(1366, 768), (1920, 1080)])
def test_nothing_overlaps_nor_hangs_over(
    chromium: Any, server: Server, size: tuple[int, int], tmp_path: Path
) -> None:
    page = Page(chromium, server, size)
    width = chromium.execute_script("return document.documentElement.scrollWidth")
    assert width <= chromium.execute_script("return window.innerWidth")
    top = chromium.execute_script(
        "return document.getElementById('map').getBoundingClientRect().top"
    )
    assert 0 < top < size[1] / 2
    assert chromium.save_screenshot(str(tmp_path / "page.png"))
    assert page.text("message") == ""


def kinds(driver: Any) -> list[str]:
    return [label.text for label in driver.find_elements("css selector", "#kind label")]


def test_training_time_is_a_slider(chromium: Any, server: Server, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    page = Page(chromium, server)
    page.until(lambda: page.text("trained") == "final base")
    page.press("tab-steer")
    page.until(lambda: len(kinds(chromium)) == 3)
    page.session.fork()
    chromium.find_element("css selector", "#checkpoint [role=slider]").send_keys(Keys.HOME)
    page.until(lambda: page.text("trained").startswith("step 0 of"))
    assert page.session.state.checkpoint == 0 and not page.session.state.branches
    page.until(lambda: "trained on the final base" in page.text("lacking"))
    page.until(lambda: kinds(chromium) == ["nothing"])
    page.until(lambda: "come upon" in page.text("gone-steer"))
    assert chromium.save_screenshot(str(tmp_path / "untrained.png"))
    page.press("undo")
    page.until(lambda: page.text("trained") == "final base" and len(kinds(chromium)) == 3)


def test_figures_and_data_are_taken_away(chromium: Any, server: Server, downloads: Path) -> None:
    page = Page(chromium, server)
    page.press("tab-keep")
    page.until(lambda: "Explorer.open" in page.text("snippet"))

    def taken(button: str, name: str) -> Path:
        page.press(button)
        page.until(lambda: (downloads / name).is_file())
        return downloads / name

    table = pd.read_csv(taken("get-csv", "patch.csv"))
    assert np.allclose(table["effect"], page.session.sweep().effects.ravel())
    text = taken("get-html", "patch.html").read_text()
    assert 'class="figure"' in text and "share of the" in text
    page.press("get-patch-file")
    page.until(lambda: "click a cell" in page.text("message"))
    page.press("get-png")
    if find_spec("kaleido") is None:
        page.until(lambda: "no PNG" in page.text("message") and "kaleido" in page.text("message"))
    else:
        page.until(lambda: (downloads / "patch.png").is_file() or "no PNG" in page.text("message"))


def test_the_atlas_and_other_runs_are_a_click_away(chromium: Any, server: Server) -> None:
    page, first = Page(chromium, server), chromium.current_window_handle
    page.press("atlas")
    page.until(lambda: len(chromium.window_handles) == 2)
    chromium.switch_to.window(chromium.window_handles[-1])
    page.until(lambda: "an atlas of this run" in chromium.page_source)
    chromium.close()
    chromium.switch_to.window(first)
    page.press("on")
    page.until(lambda: "#patch." in chromium.current_url)
    page.press("run")
    page.until(lambda: chromium.find_elements("css selector", ".dash-options-list-option"))
    options = chromium.find_elements("css selector", ".dash-options-list-option")
    next(option for option in options if option.text == "grid").click()
    page.until(lambda: "run=grid" in chromium.current_url and "#" not in chromium.current_url)
    page.until(lambda: "irl-lens train base keeps" in page.text("trained"))
    page.until(lambda: "come upon" in page.text("gone"))
    assert page.find("atlas").get_attribute("href").endswith("atlas?run=grid")


def test_it_works_in_a_frame_as_notebooks_show_it(
    chromium: Any, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "notebook.html").write_text(server._repr_html_())
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    notebook = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=notebook.serve_forever, daemon=True).start()
    try:
        chromium.get(f"http://127.0.0.1:{notebook.server_port}/notebook.html")
        chromium.switch_to.frame(0)
        page = Page.__new__(Page)
        page.driver, page.server = chromium, server
        page.until(lambda: "come upon" in page.text("gone"))
        page.press("on")
        page.until(lambda: not chromium.find_element("id", "undo").get_property("disabled"))
    finally:
        chromium.switch_to.default_content()
        notebook.shutdown()
        notebook.server_close()
