"""A grammar of the grid."""

from __future__ import annotations

from irl_lens.envs.pinpad.tasks import Grammar, register

EASY = register(
    Grammar(
        name="test-easy",
        subgoals=((0,), (1,)),
        subgoal_names=("a", "b"),
        train=((0, 1), (1, 0), (0,)),
        heldout=(0, 1, 0),
    )
)
"""So easy that episodes of an untrained model succeed now and then."""
