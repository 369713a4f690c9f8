"""What a user names on the command line: the corridor, and a preset that is set in it."""

from __future__ import annotations

from dataclasses import replace

from irl_lens.config.presets import preset, register_preset
from tests.corridor_world import CorridorConfig

register_preset(replace(preset("smoke"), name="corridor", world=CorridorConfig()))
