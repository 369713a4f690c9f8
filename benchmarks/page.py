"""Times how a page, such as a report, opens in a headless browser.

Prints JSON: megabytes; milliseconds, median of some repeats, until text is painted, until plotly's
code is unpacked, and from scrolling to a figure until it is drawn; how many figures there are. The
aim is a report that can be read within 2,000 ms.

    python benchmarks/page.py grid-report.html [--repeats 5]
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from selenium import webdriver

from irl_lens.hooks.files.json_text import to_json

PAINTED = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
UNPACKED = """
const done = arguments[0], wait = () => window.Plotly ? done(performance.now()) : setTimeout(wait);
wait();
"""
DRAWN = """
const [div, done] = arguments, began = performance.now();
div.scrollIntoView();
const wait = () => div.querySelector('.main-svg') ? done(performance.now() - began)
                                                  : setTimeout(wait);
wait();
"""


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    rounds = [_opened(options.page) for _ in range(options.repeats)]
    times = {name: round(statistics.median(one[name] for one in rounds), 1) for name in rounds[0]}
    size = options.page.stat().st_size / 1e6
    print(to_json({"megabytes": round(size, 2), "median": times}, indent=2))


def _opened(page: Path) -> dict[str, float]:
    """One look at the page, by a browser that has never seen it."""
    how = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--window-size=1200,900"):
        how.add_argument(argument)
    with webdriver.Chrome(how) as browser:
        browser.set_script_timeout(120)
        browser.get(page.resolve().as_uri())
        unpacked = browser.execute_async_script(UNPACKED)
        figures = browser.find_elements("css selector", ".figure")
        drawn = [browser.execute_async_script(DRAWN, figure) for figure in figures]
        return {
            "painted_ms": browser.execute_script(PAINTED),
            "unpacked_ms": unpacked,
            "slowest_figure_ms": max(drawn),
            "figures": len(drawn),
        }


if __name__ == "__main__":
    main()
