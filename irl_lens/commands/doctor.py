"""What an installation has and lacks: each thing looked at, and what to do where it is missing.

Nothing is changed and nothing asked of a network. What is broken is told as well: torch, MuJoCo and
the rest are imported by the checks that need them, and drawing is tried in a process of its own,
which a driver may end.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

PACKAGE = "irl-lens"
LEAST_FREE = 2.0
"""Free space on the disk [GB] under which a warning is due: a chain's checkpoints and snapshots."""
DRAW = """
import gymnasium, irl_lens.envs
for name in [name for name in gymnasium.registry if name.startswith("irl_lens/")]:
    env = gymnasium.make(name, render_mode="rgb_array")
    env.reset(seed=0)
    print(name.partition("/")[2], "%d x %d" % env.render().shape[:2])
"""
DRAW_SECONDS = 120.0


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        verdict: ``ok``; ``absent``, which only some commands miss; or ``wrong``, which has to be
            mended.
        found: What is there.
        remedy: What to do; empty where nothing need be done.
    """

    name: str
    verdict: Literal["ok", "absent", "wrong"]
    found: str
    remedy: str = ""


def doctor() -> Iterator[Check]:
    """Looks at the installation, one thing after the other.

    Yields:
        What was found. A check that fails itself is ``wrong``, with the reason.
    """
    for look in (python, libraries, extras, processor, graphics_card, drawing, browser, disk):
        yield from _surviving(look)
    yield from _surviving(bundled_models)


def python() -> Iterator[Check]:
    """Python's version, and the package's with its place."""
    import irl_lens

    where = Path(irl_lens.__file__).parent
    yield Check(PACKAGE, "ok", f"{irl_lens.__version__} in {where}")
    yield Check("Python", "ok", f"{platform.python_version()} on {platform.platform(terse=True)}")


def libraries() -> Iterator[Check]:
    """Versions of what the package cannot do without."""
    yield from (_library(name, limits) for name, limits, extra in _required() if not extra)


def extras() -> Iterator[Check]:
    """Versions of what only some commands need."""
    for name, limits, extra in _required():
        if extra:
            found = _library(name, limits)
            remedy = found.remedy and f'pip install "{PACKAGE}[{extra}]"'
            verdict = "ok" if found.verdict == "ok" else "absent"
            yield Check(f"{name} (extra {extra})", verdict, found.found, remedy)


def processor() -> Iterator[Check]:
    """Cores, and the threads that torch would compute with."""
    import torch

    told = os.environ.get("OMP_NUM_THREADS")
    why = "" if told is None else f", as OMP_NUM_THREADS={told} says"
    yield Check("cores", "ok", f"{os.cpu_count()}")
    yield Check("threads", "ok", f"{torch.get_num_threads()} of torch{why}")


def graphics_card() -> Iterator[Check]:
    """Graphics cards that torch sees, or why it sees none."""
    import torch

    from irl_lens.models.device import why_none

    if torch.cuda.is_available():
        cards = map(torch.cuda.get_device_name, range(torch.cuda.device_count()))
        yield Check("graphics card", "ok", ", ".join(cards))
    else:
        remedy = "nothing need be done: all commands run on the processor"
        yield Check("graphics card", "absent", f"none, {why_none()}", remedy)


def drawing() -> Iterator[Check]:
    """Whether worlds are drawn here, without a screen: a picture of each is made."""
    command = [sys.executable, "-c", DRAW]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DRAW_SECONDS)
        said = done.stdout if done.returncode == 0 else done.stderr or f"ends: {done.returncode}"
    except subprocess.TimeoutExpired:
        done, said = None, f"no picture after {DRAW_SECONDS:.0f} s"
    if done is not None and done.returncode == 0:
        yield Check("OpenGL", "ok", ", ".join(said.splitlines()) + " pixels drawn")
        return
    remedy = (
        "install libegl1 (or libosmesa6 and set MUJOCO_GL=osmesa); only pictures of ants miss it"
    )
    yield Check("OpenGL", "absent", said.strip().splitlines()[-1], remedy)


def browser() -> Iterator[Check]:
    """A browser that PNG and SVG files are drawn with."""
    from irl_lens.analyses.figures.files import find_browser

    if found := find_browser():
        yield Check("browser", "ok", found)
    else:
        remedy = "install Chrome or Chromium, or name one in BROWSER_PATH; only PNG and SVG miss it"
        yield Check("browser", "absent", "no Chrome or Chromium on the PATH", remedy)


def disk() -> Iterator[Check]:
    """Free space where runs would be written."""
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    text = f"{free:.1f} GB free in {Path.cwd()}"
    if free >= LEAST_FREE:
        yield Check("disk", "ok", text)
    else:
        yield Check("disk", "wrong", text, f"free {LEAST_FREE:g} GB, or choose a place with --out")


def bundled_models() -> Iterator[Check]:
    """Every file of the models that come with the package, against its SHA-256."""
    from irl_lens.runs.folder import bundled_names
    from irl_lens.runs.run import find_run

    for name in bundled_names():
        try:
            run = find_run(name)
            files = [file for stage in run.finished().values() for file in stage.files()]
            count = len(run.evaluation)
            found = f"{len(files)} files and {count} measurements are as they were written"
            yield Check(f"model {name}", "ok", found)
        except ValueError as error:
            yield Check(f"model {name}", "wrong", str(error), f"install {PACKAGE} anew")


def _surviving(look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    try:
        yield from look()
    except Exception as error:  # whatever is broken is what is to be told
        name = look.__name__.replace("_", " ")
        said = f"{type(error).__name__}: {error}"
        yield Check(name, "wrong", said, f"install {PACKAGE} anew, as README says")


def _required() -> Iterator[tuple[str, str, str]]:
    """What the installed package asks for: name, limits of the version, and of which extra."""
    from packaging.requirements import Requirement

    told = metadata.metadata(PACKAGE)
    needed = [Requirement(text) for text in metadata.requires(PACKAGE) or ()]
    for extra in ("", *sorted(told.get_all("Provides-Extra") or ())):
        for one in needed:
            if bool(extra) == (one.marker is not None) and (
                one.marker is None or one.marker.evaluate({"extra": extra})
            ):
                yield one.name, str(one.specifier), extra


def _library(name: str, limits: str) -> Check:
    """Whether a library is installed, in a version within limits."""
    from packaging.specifiers import SpecifierSet

    remedy = f'pip install "{name}{limits}"'
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(name, "wrong", "not installed", remedy)
    if not SpecifierSet(limits).contains(version, prereleases=True):
        return Check(name, "wrong", f"{version}, and {limits} is asked for", remedy)
    return Check(name, "ok", version)
