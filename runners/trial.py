"""Users' files of networks, imported once in a process of their own before this one does it.

Such a file is trusted code, and may still be broken: one that hangs, forks, or ends its process
must not take the command with it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Sequence

from runners.isolated import Broken, run_isolated
from zoo.errors import CovbenchError
from zoo.limits import limits, raising
from zoo.plugins import is_file, load
from zoo.selection import terms

# What workers need too: they are forked from the same server.
_PRELOAD = ("runners.worker", "zoo.nets", "torchvision.models")


def try_files(words: Sequence[str]) -> None:
    """Import the files that a selection names, each in a process of its own.

    Args:
        words: The words after --models.

    Raises:
        CovbenchError: A file can't be imported; its line is named where one is to blame.
    """
    files = list(dict.fromkeys(_files(words)))
    seconds = limits().plugin_seconds
    trials = [(file, seconds) for file in files]
    for place, answer in run_isolated(_try, trials, preload=_PRELOAD):
        if isinstance(answer, tuple):
            raise CovbenchError(*answer)
        if isinstance(answer, Broken):
            hung = answer.reason.endswith("SIGALRM")
            reason = f"it took more than {seconds} s" if hung else answer.reason
            raise CovbenchError(
                f"{files[place]} can't be imported: {reason}.",
                "A file of a network must define it and end: put what else it does below "
                '`if __name__ == "__main__":`.' + (f" {raising('plugin_seconds')}" if hung else ""),
            )


def load_named(names: Sequence[str]) -> None:
    """Load the plug-ins that a command names, their files after a trial.

    Args:
        names: Files and entry points.

    Raises:
        CovbenchError: One can't be imported, or there is none of that name.
    """
    try_files(names)
    for name in names:
        if not load(name):
            raise CovbenchError(
                f"There is no plug-in {name}.",
                "Give the file of a network (my_net.py) or the name of an installed one.",
            )


def _files(words: Sequence[str]) -> Iterable[str]:
    """The files among the terms of a selection."""
    for word in words:
        for term in terms(word):
            name = term.removeprefix("!").partition("[")[0].strip()
            if is_file(name) and os.path.exists(name.rpartition(":")[0] or name):
                yield os.path.abspath(name)


def _try(trial: tuple[str, int]) -> tuple[str, str] | None:
    """Import one file within some seconds; the two lines of what is wrong with it, or None."""
    name, seconds = trial
    signal.alarm(seconds)  # ends the process, whatever it is doing then
    forks: list[int] = []
    os.register_at_fork(before=lambda: forks.append(1), after_in_child=lambda: os._exit(0))
    try:
        load(name)
    except CovbenchError as error:
        return error.problem, error.remedy
    finally:
        signal.alarm(0)
    if forks:
        return (
            f"{name} starts processes while it is imported.",
            'Put that below `if __name__ == "__main__":`, or into the network that needs it.',
        )
    return None
