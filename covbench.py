"""The public names of covbench, for plug-ins and notebooks.

from covbench import create_model, register_model
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoo.contract import check_model
from zoo.registry import create_model, register_model
from zoo.selection import list_models

if TYPE_CHECKING:
    from results.record import RunRecord

__all__ = ["check_model", "create_model", "list_models", "load_records", "register_model"]


def load_records(path: str | Path) -> list[RunRecord]:
    """Read the records of finished runs.

    Args:
        path: A folder of runs, such as `runs`.

    Returns:
        The records, without damaged ones.

    Raises:
        CovbenchError: There is no such folder.
    """
    from results.store import load_records as load  # a plug-in needs none of this

    return load(path)
