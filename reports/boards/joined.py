"""The rows of a published table beside the runs that stand for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reports.comparison import Comparison, Entry
from results.published import PublishedTable, method_of

Printed = Mapping[str, str]

_TASKS = {"lungs": "lung", "infection": "hierarchical", "infection (direct)": "infection"}
"""What CHS-Net's tables call the tasks."""
_CASCADE = {"chsnet": "raiunet"}
"""A cascade's row, and the network that plays both of its parts."""
SCRATCH = "Trained from scratch; the published row starts from ImageNet weights."


@dataclass(frozen=True, eq=False)
class Joined:
    """A published row and the runs that stand for it.

    Attributes:
        printed: Its cells, as printed.
        label: What the row is called here: the network's row, or the published method.
        comparison: Where its runs stand; None where there are none.
        entry: Its runs, done or failed; None where there are none.
        notes: What differs from the published row.
    """

    printed: Printed
    label: str
    comparison: Comparison | None = None
    entry: Entry | None = None
    notes: tuple[str, ...] = ()


def join(
    published: PublishedTable, comparisons: Iterable[Comparison], network: str = ""
) -> list[Joined]:
    """Find the runs of every row of a published table.

    Args:
        published: The table.
        comparisons: Runs on the same data under the same protocol, of any task.
        network: The network of rows that name none.

    Returns:
        The published rows in their order. A row that is published with ImageNet weights alone and
        was run from scratch alone has those runs, and a note.
    """
    found = []
    from_scratch = {line.get("network") for line in published.rows if line.get("imagenet") == "no"}
    wheres = list(comparisons)
    for line in published.rows:
        wanted = line.get("network") or network
        task = _TASKS[line["segmentation"]] if "segmentation" in line else "infection"
        if wanted in _CASCADE:
            wanted, task = _CASCADE[wanted], "hierarchical"
        pretrained = line.get("imagenet") == "yes"
        own = [
            (each, entry)
            for each in wheres
            for entry in each.entries
            if (spec := entry.specs[0]).model == wanted
            and spec.task == task
            and (spec.cascade is None or spec.cascade.as_published)
        ]
        alike = [pair for pair in own if _pretrained(pair[1]) == pretrained]
        scratch = [pair for pair in own if pretrained and wanted not in from_scratch]
        if alike:
            found.append(Joined(line, alike[0][1].label, *alike[0]))
        elif scratch:
            found.append(Joined(line, scratch[0][1].label, *scratch[0], (SCRATCH,)))
        else:
            suffix = "[weights=imagenet]" if pretrained else ""
            name = f"{wanted}{suffix}" if wanted else method_of(line)
            found.append(Joined(line, name if task == "infection" else f"{name} ({task})"))
    return found


def _pretrained(entry: Entry) -> bool:
    return entry.specs[0].options.get("weights") == "imagenet"
