"""What a task asks of a plan: one run a row, and for a cascade the runs that predict its lungs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmark.datasets import Fold, PreparedDataset
from benchmark.datasets.folds import inner_folds
from benchmark.datasets.inside import Cascade
from benchmark.datasets.prepared import TASKS
from benchmark.protocols import Protocol
from results.spec import RunSpec
from zoo.errors import CovbenchError, unknown
from zoo.selection import Row

HIERARCHICAL = "hierarchical"


@dataclass(frozen=True)
class Ask:
    """What is to be segmented, and how.

    Attributes:
        task: One of `benchmark.datasets.prepared.TASKS`.
        cascade: How lungs reach the second network of a hierarchical run.
        lung: The network that predicts them; None where each row predicts its own.
    """

    task: str = "infection"
    cascade: Cascade = field(default_factory=Cascade)
    lung: Row | None = None


def check_ask(ask: Ask, protocol: Protocol) -> None:
    """Refuse a task that nobody knows, or that the protocol's outputs can't give.

    Raises:
        CovbenchError: So it is.
    """
    if ask.task not in TASKS:
        raise unknown("task", ask.task, TASKS, ", ".join(TASKS))
    one_class = protocol.input.outputs == "sigmoid" or protocol.loss.name == "bce-dice"
    if ask.task == "multiclass" and one_class:
        raise CovbenchError(
            f"The protocol {protocol.name} has one foreground class, and multiclass has several.",
            "Choose another protocol, or --set outputs=softmax --set loss.name=cross-entropy.",
        )


@dataclass(frozen=True, eq=False)
class Place:
    """One fold of a dataset under a protocol, with a seed, as the specs of its runs share it.

    Attributes:
        dataset: The dataset, opened for any task.
        fold: The fold.
        protocol: The settings.
        seed: The seed.
        sources: Hash of the source of every network, by name.
    """

    dataset: PreparedDataset
    fold: Fold
    protocol: Protocol
    seed: int
    sources: Mapping[str, str]

    def spec(self, row: Row, task: str, **more: Any) -> RunSpec:
        """A run of a row at this place."""
        shared: dict[str, Any] = {
            "model": row.name,
            "options": dict(row.options),
            "task": task,
            "dataset": self.dataset.name,
            "data_hash": self.dataset.hash_for(task),
            "fold": self.fold.number,
            "fold_hash": self.fold.hash,
            "protocol": self.protocol.name,
            "settings": self.protocol.canonical(),
            "seed": self.seed,
            "source": self.sources[row.name],
        }
        return RunSpec(**{**shared, **more})

    def lungs(self, row: Row, count: int) -> list[RunSpec]:
        """The runs that predict the lungs of this fold: of its test slices, then of the others.

        Raises:
            CovbenchError: The training slices can't be cut into so many parts.
        """
        parts = inner_folds(
            self.dataset.cases,
            self.dataset.foreground,
            self.fold,
            self.protocol.split,
            count,
            groups_known=self.dataset.manifest.groups_known,
        )
        return [
            self.spec(row, "lung"),
            *(
                self.spec(row, "lung", fold_hash=part.hash, inner=(part.number, count))
                for part in parts
            ),
        ]

    def cascade(self, row: Row, ask: Ask) -> tuple[RunSpec, list[RunSpec]]:
        """A hierarchical run, and the runs that it needs.

        Raises:
            CovbenchError: The training slices can't be cut into so many parts.
        """
        cascade, lung = ask.cascade, ask.lung or row
        if cascade.lungs == "truth":
            truth = self.dataset.hash_for("lung")  # the lungs are its input, and in no run
            named = {"lung_row": "", "lung_source": truth}
            return self.spec(row, HIERARCHICAL, cascade=cascade.model_copy(update=named)), []
        if lung != row:
            named = {"lung_row": lung.label, "lung_source": self.sources[lung.name]}
            cascade = cascade.model_copy(update=named)
        needs = self.lungs(lung, cascade.inner_folds)
        ids = tuple(each.id for each in needs)
        return self.spec(row, HIERARCHICAL, cascade=cascade, needs=ids), needs


def fold_of(dataset: PreparedDataset, protocol: Protocol, spec: RunSpec) -> Fold:
    """The fold of a run, or the part of it that the run tests.

    Raises:
        CovbenchError: The dataset has no such fold.
    """
    fold = next((f for f in dataset.folds(protocol.split) if f.number == spec.fold), None)
    if fold is None:
        raise CovbenchError(f"{spec.dataset} has no fold {spec.fold}.", "Give one of its folds.")
    if spec.inner is None:
        return fold
    part, count = spec.inner
    return inner_folds(
        dataset.cases,
        dataset.foreground,
        fold,
        protocol.split,
        count,
        groups_known=dataset.manifest.groups_known,
    )[part - 1]


def serving(datasets: Sequence[PreparedDataset], tasks: Sequence[str]) -> dict[str, list[str]]:
    """The tasks of a command that each dataset can't serve, by its name.

    Raises:
        CovbenchError: No dataset can serve any of them.
    """
    lacks = {
        dataset.name: [task for task in tasks if task not in dataset.manifest.tasks]
        for dataset in datasets
    }
    if all(len(lacking) == len(tasks) for lacking in lacks.values()):
        first = datasets[0]
        has = ", ".join(first.manifest.tasks)
        raise CovbenchError(
            f"{first.name} can serve {has}, not {' or '.join(tasks)}.",
            "Choose another --task, or prepare the data with lung masks (lung, hierarchical) or "
            "with several classes (multiclass: --option label_map=1:1,2:2,...).",
        )
    return lacks
