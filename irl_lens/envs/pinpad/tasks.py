"""Task grammars: which sequences of abstract subgoals are trained on, and which is held out.

A task is a walk over abstract subgoals; an abstract subgoal is a fixed sequence of
colours to visit. The paper's tables (arXiv 2512.20605, Tables A1 and A2) are data here;
``walks`` gives the construction behind Table A1: all length-3 walks on a transition graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Task = tuple[int, ...]


@dataclass(frozen=True)
class Grammar:
    """A set of training tasks and a held-out task over abstract subgoals.

    Attributes:
        name: How presets refer to it.
        subgoals: For each abstract subgoal the colours it visits, in order.
        subgoal_names: One letter or word for each abstract subgoal.
        train: Training tasks, each a walk over subgoal indices.
        heldout: The task reinforcement learning is asked to solve.
    """

    name: str
    subgoals: tuple[tuple[int, ...], ...]
    subgoal_names: tuple[str, ...]
    train: tuple[Task, ...]
    heldout: Task

    def __post_init__(self) -> None:
        if len(self.subgoal_names) != len(self.subgoals):
            raise ValueError(
                f"grammar {self.name!r}: {len(self.subgoals)} subgoals but "
                f"{len(self.subgoal_names)} names; give one name a subgoal"
            )
        for task in (*self.train, self.heldout):
            self.colours(task)

    @property
    def n_colours(self) -> int:
        """One more than the largest colour any subgoal names."""
        return 1 + max(colour for subgoal in self.subgoals for colour in subgoal)

    @property
    def transitions(self) -> frozenset[tuple[int, int]]:
        """Pairs of consecutive subgoals that occur in training."""
        return frozenset(pair for task in self.train for pair in pairwise(task))

    def colours(self, task: Task) -> tuple[int, ...]:
        """Returns the colours to visit for ``task``, in order."""
        return tuple(c for s in self._checked(task) for c in self.subgoals[s])

    def stages(self, task: Task) -> tuple[int, ...]:
        """Returns the abstract subgoal of each single visit of ``task``."""
        return tuple(s for s in self._checked(task) for _ in self.subgoals[s])

    def _checked(self, task: Task) -> Task:
        for s in task:
            if not isinstance(s, int | np.integer) or not 0 <= s < len(self.subgoals):
                raise ValueError(
                    f"grammar {self.name!r}: task {task} names subgoal {s}; it has "
                    f"{len(self.subgoals)} subgoals, numbered from 0"
                )
        if not task:
            raise ValueError(f"grammar {self.name!r}: an empty task; name at least one subgoal")
        return task


def walks(transitions: frozenset[tuple[int, int]], length: int) -> tuple[Task, ...]:
    """Returns all walks of ``length`` subgoals along ``transitions``, in sorted order."""
    found = [(s,) for s in sorted({s for pair in transitions for s in pair})]
    for _ in range(length - 1):
        found = [(*w, b) for w in found for a, b in sorted(transitions) if a == w[-1]]
    return tuple(sorted(found))


def parse(tasks: str, names: str) -> tuple[Task, ...]:
    """Reads tasks written as words over one-letter subgoal names, such as ``"ACA ADB"``."""
    return tuple(tuple(names.index(letter) for letter in word) for word in tasks.split())


PAPER_GRID = Grammar(
    name="paper-grid",
    subgoals=((0, 1), (2, 3), (4, 5), (6, 7)),
    subgoal_names=("A", "B", "C", "D"),
    train=parse("ACA ACB ADB ADC BAC BAD BDB BDC CAC CAD CBA CBD DBA DBD DCA DCB", "ABCD"),
    heldout=(0, 1, 2, 3, 0, 1),
)
"""Table A1: 16 tasks of three colour pairs; the held-out task uses no trained transition."""

PAPER_ANT = Grammar(
    name="paper-ant",
    subgoals=((0,), (1,), (2,), (3,)),
    subgoal_names=("0", "1", "2", "3"),
    train=parse("032 103 210 321 020 021 031 102 131 132 202 203 213 310 313 320", "0123"),
    heldout=(0, 1, 2, 3),
)
"""Table A2: one colour is one abstract subgoal."""

GRAMMARS = {grammar.name: grammar for grammar in (PAPER_GRID, PAPER_ANT)}


def grammar(name: str) -> Grammar:
    """Returns the named grammar; raises ``ValueError`` listing the names there are."""
    if name not in GRAMMARS:
        raise ValueError(
            f"no grammar {name!r}; there are: {', '.join(sorted(GRAMMARS))}; one of your own is "
            "known after irl_lens.envs.pinpad.tasks.register"
        )
    return GRAMMARS[name]


def register(added: Grammar) -> Grammar:
    """Makes a grammar known by its name, so that worlds and environments can be given it.

    Returns:
        The grammar itself.

    Raises:
        ValueError: Another grammar already has the name.
    """
    if GRAMMARS.setdefault(added.name, added) != added:
        raise ValueError(f"there is another grammar {added.name!r} already; give this one a name")
    return added
