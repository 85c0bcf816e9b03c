"""What killed workers leave behind in the folders of their runs, and its removal."""

from __future__ import annotations

from pathlib import Path

from results.files import TEMPORARY
from runners.checkpoint import remove_checkpoints
from runners.progress import PROGRESS


def sweep_run(folder: Path) -> None:
    """Clear the folder of a run that has its record.

    Its worker may have been killed after the record was written and before it could tidy up.

    Args:
        folder: The run's folder.
    """
    remove_checkpoints(folder)
    (folder / PROGRESS).unlink(missing_ok=True)
    sweep_temporaries(folder)


def sweep_temporaries(folder: Path) -> None:
    """Delete the half-written files of a run, where no living worker holds it."""
    for leftover in folder.glob(TEMPORARY):
        leftover.unlink(missing_ok=True)
