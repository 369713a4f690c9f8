"""Commands about the program itself: its settings, its installation."""

from __future__ import annotations

from dataclasses import asdict

import tyro

from irl_lens.cli.arguments import Json, PresetName
from irl_lens.cli.console import as_object

MARKS = {"ok": "ok", "absent": "--", "wrong": "!!"}


def settings(
    preset_name: tyro.conf.Positional[PresetName] = "grid", /, as_json: Json = False
) -> None:
    """Lists every setting of a preset: name, value, what it may be, what it means.

    Any of them is changed by --set NAME=VALUE when a run is started.
    """
    from irl_lens.config.listing import settings as listed
    from irl_lens.config.presets import preset

    found = listed(preset(preset_name))
    if as_json:
        as_object({"preset": preset_name, "settings": [asdict(one) for one in found]})
        return
    for one in found:
        print(f"{one.name}={one.default}  ({one.type})")
        if one.about:
            print(f"    {one.about}")


def doctor(as_json: Json = False) -> None:
    """Looks at this installation: what is there, what is missing, and what to do about it.

    Exits with 1 if something is missing or damaged that has to be mended; what only some
    commands need may be absent.
    """
    from irl_lens.commands.doctor import doctor as looked

    found = []
    for check in looked():
        found.append(check)
        if not as_json:
            print(f"{MARKS[check.verdict]}  {check.name}: {check.found}", flush=True)
            if check.remedy:
                print(f"      {check.remedy}", flush=True)
    wrong = [check.name for check in found if check.verdict == "wrong"]
    if as_json:
        as_object({"checks": [asdict(check) for check in found], "wrong": wrong})
    if wrong:
        raise SystemExit(1)
