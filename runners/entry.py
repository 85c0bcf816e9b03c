"""A worker as a program of its own: `python -m runners.entry FILE`, for engines on other machines.

The file holds a job as JSON, the function that does it, and the folder that paths are relative
to. `-` reads it from the first line of standard input; the worker then ends when that is closed,
as it is when the process that started it is gone.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CONTINUE_ME = os.EX_TEMPFAIL
"""`runners.job.INTERRUPTED`, without the second that its imports take."""

_HELD_BACK = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


def pack(job: Any, entry: Callable[[Any], None]) -> str:
    """One line of JSON with a job and the function that does it.

    Args:
        job: A pydantic model; it must be importable, as must be the function.
        entry: What a worker does with its job.
    """
    kind = type(job)
    return json.dumps(
        {
            "entry": f"{entry.__module__}:{entry.__qualname__}",
            "kind": f"{kind.__module__}:{kind.__qualname__}",
            "cwd": os.getcwd(),
            "job": job.model_dump(mode="json"),
        }
    )


def python_path() -> str:
    """PYTHONPATH of a worker, so that it runs this very code and finds what this process finds."""
    import runners

    here = str(Path(runners.__file__).parent.parent)
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return os.pathsep.join(dict.fromkeys([here, *others]))


def main() -> None:
    """Do the job of a file, or of standard input, and end the process."""
    # A worker that is asked to stop while it still imports answers when it can.
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
    source = sys.argv[1]
    text = sys.stdin.readline() if source == "-" else Path(source).read_text(encoding="utf-8")
    packed = json.loads(text)
    if source == "-":
        threading.Thread(target=_end_with_input, daemon=True).start()
    os.chdir(packed["cwd"])
    job = _named(packed["kind"]).model_validate(packed["job"])
    _named(packed["entry"])(job)


def _named(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _end_with_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(_CONTINUE_ME)


if __name__ == "__main__":
    main()
