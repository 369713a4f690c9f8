"""The ``irl-lens`` command: the one place that composes worlds, training and analyses.

Everything heavy is imported inside the sub-commands, so that ``--help`` and mistakes in the
arguments are answered at once. Results go to standard output, progress and errors to
standard error. Exit codes: 0; 1 when a conformance oracle, a check of the doctor or a run of a
sweep failed; 2 for a mistake the user can mend; 130 after Ctrl-C; 141 when nobody reads what is
printed any more. Whatever else goes wrong is a bug, shown with its traceback (1).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Annotated, Literal

import tyro

from irl_lens import __version__
from irl_lens.cli.about import doctor, settings
from irl_lens.cli.console import leave, one_line
from irl_lens.cli.interchange import convert, demonstrate, export
from irl_lens.cli.looking import analyze, compare, evaluate, explore, report, scan, watch
from irl_lens.cli.publishing import bundle, conformance, summary
from irl_lens.cli.training import run, sweep, train
from irl_lens.errors import UserError

_DESCRIPTION = (
    "Train sequence models of behaviour, find the abstract actions in their residual stream, "
    "and do reinforcement learning with them. Exit codes: 0 done, 1 a check or a run of a sweep "
    "failed, 2 a mistake that can be mended, 130 stopped by Ctrl-C. irl-lens --version tells the "
    "version."
)


def completion(shell: Annotated[Literal["bash", "zsh", "fish"], tyro.conf.Positional]) -> None:
    """Prints the script by which a shell completes commands and options.

    bash: irl-lens completion bash > ~/.local/share/bash-completion/completions/irl-lens.
    zsh: irl-lens completion zsh > DIR/_irl-lens, with DIR one of $fpath.
    fish: irl-lens completion fish > ~/.config/fish/completions/irl-lens.fish.

    Args:
        shell: The shell.
    """
    _obey(["--tyro-print-completion", shell])


_COMMANDS: dict[str, Callable[..., None]] = {
    "run": run,
    "train": train,
    "sweep": sweep,
    "watch": watch,
    "evaluate": evaluate,
    "explore": explore,
    "report": report,
    "analyze": analyze,
    "compare": compare,
    "scan": scan,
    "summary": summary,
    "bundle": bundle,
    "export": export,
    "demonstrate": demonstrate,
    "convert": convert,
    "conformance": conformance,
    "settings": settings,
    "doctor": doctor,
    "completion": completion,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of the ``irl-lens`` command.

    Args:
        arguments: The command line without the program; sys.argv when not given.

    Raises:
        SystemExit: With an exit code that is not 0, see above.
    """
    # OpenMP's threads wait for one another by spinning: with another program on the processor
    # that makes torch tens of times slower. It reads this once, when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    given = sys.argv[1:] if arguments is None else arguments
    if wrong := [argument for argument in given if "\0" in argument]:
        leave(2, f"{wrong[0]!r} has a NUL byte, which no name can have; leave it out")
    if list(given) == ["--version"]:
        print(f"irl-lens {__version__}")
        return
    try:
        _obey(given)
    except KeyboardInterrupt as stop:
        why = f"{stop}; " if str(stop) else "stopped; "
        leave(130, f"{why}give the same command again to continue")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # which is flushed at exit
        raise SystemExit(141) from None
    except (UserError, OSError) as error:
        leave(2, one_line(error))
    except ValueError as error:
        if not _raised_by_us(error.__traceback__):
            raise
        leave(2, one_line(error))


def _obey(given: Sequence[str]) -> None:
    tyro.extras.subcommand_cli_from_dict(
        _COMMANDS, prog="irl-lens", description=_DESCRIPTION, args=given
    )


def _raised_by_us(trace: TracebackType | None) -> bool:
    """Whether the innermost frame is this package's: a third party's error is a bug to show."""
    module = ""
    while trace is not None:
        module, trace = trace.tb_frame.f_globals.get("__name__", ""), trace.tb_next
    return module.split(".")[0] == "irl_lens"
