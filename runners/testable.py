"""What a trained run needs to be tested on another dataset, and the reasons why it can't be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmark.datasets import PreparedDataset
from benchmark.datasets.inside import Cascade
from benchmark.labels import kinds_of, unnamed
from benchmark.protocols import Protocol
from reports.comparison import Comparison
from reports.words import listed
from results.files import sha256_file
from results.record import RunRecord
from results.spec import RunSpec
from results.store import Store
from results.untrusted import WEIGHTS
from runners.stages import HIERARCHICAL
from zoo.errors import CovbenchError
from zoo.registry import get_card
from zoo.source import source_hash


class LeftOut(Exception):
    """A run can't be tested on a dataset: a reason that goes for others too, and a remedy."""

    def __init__(self, reason: str, remedy: str, *, harmless: bool = False) -> None:
        self.reason = reason
        self.remedy = remedy
        self.harmless = harmless


def check_cascade(spec: RunSpec) -> None:
    """Refuse a record that is half a cascade.

    Raises:
        LeftOut: It is.
    """
    if (spec.task == HIERARCHICAL) != (spec.cascade is not None):
        raise LeftOut(
            "its record says of a cascade one thing and another", "Train it again, or leave it out."
        )


def check_masks(spec: RunSpec, dataset: PreparedDataset) -> None:
    """Refuse a dataset that lacks the masks that a run is scored against, or is given.

    Args:
        spec: The run.
        dataset: The dataset, opened for any task.

    Raises:
        LeftOut: It lacks them.
    """
    asked = {spec.truth, *(["lung"] if spec.cascade and spec.cascade.lungs == "truth" else [])}
    if lacking := sorted(asked - set(dataset.manifest.tasks)):
        raise LeftOut(
            f"{dataset.name} has masks for {', '.join(dataset.manifest.tasks)}, not for "
            f"{lacking[0]}",
            "Choose another dataset with --data, or prepare it with such masks.",
        )


def check_truth(record: RunRecord, dataset: PreparedDataset) -> None:
    """Refuse a dataset that a run was trained on, or of several classes that are others.

    Args:
        record: The run.
        dataset: The dataset, opened for the run's task.

    Raises:
        LeftOut: It is such a one.
    """
    if dataset.data_hash == record.spec.data_hash:
        raise LeftOut(
            f"trained on {dataset.name} itself",
            "Give another dataset with --data.",
            harmless=True,
        )
    kinds = kinds_of(dataset.classes)
    if kinds and not record.data.classes:
        raise LeftOut(
            "its record, of an earlier covbench, doesn't say what its labels mean",
            "Run it again: covbench run --force.",
        )
    if kinds != record.data.classes:
        words = [listed(list(each.values())) for each in (kinds, record.data.classes)]
        raise LeftOut(
            f"{dataset.name} has other classes: {words[0]}; the run's: {words[1]}",
            "Prepare it with those of the training: --option label_map=... --option classes=...",
        )
    if any(name == unnamed(label) for label, name in kinds.items()):
        raise LeftOut(
            "nothing says that the classes of both are the same: they have no names",
            "Prepare both with names: --option classes=1:ground glass,2:consolidation",
        )


def cascade_on(spec: RunSpec, dataset: PreparedDataset) -> Cascade | None:
    """The cascade of a run as it is on another dataset: true lungs are those of that one."""
    if spec.cascade is None or spec.cascade.lungs != "truth":
        return spec.cascade
    return spec.cascade.model_copy(update={"lung_source": dataset.hash_for("lung")})


def lungs_of(store: Store, spec: RunSpec, known: Mapping[str, RunRecord]) -> RunRecord | None:
    """The run whose network outlines the lungs of a cascade; None where none does.

    Args:
        store: The store of the runs.
        spec: The run.
        known: The store's records by id.

    Raises:
        LeftOut: That run is not there, or can't be used.
    """
    if spec.cascade is None or spec.cascade.lungs == "truth":
        return None
    found = known.get(spec.needs[0]) if spec.needs else None
    if found is None or found.spec.task != "lung" or found.spec.inner or found.spec.trained:
        raise LeftOut(
            "its lung run is not in the store", "Copy that run's folder there, or train it again."
        )
    try:
        protocol_of(found.spec)
        check_source(store, found.spec)
        weights_of(store, found)
    except LeftOut as why:
        raise LeftOut(f"its lung run: {why.reason}", why.remedy) from None
    return found


def protocol_of(spec: RunSpec) -> Protocol:
    """The protocol of a run.

    Raises:
        LeftOut: It is none of this version.
    """
    protocol = Comparison(spec, ()).protocol
    if protocol is None or protocol.canonical() != spec.settings:
        raise LeftOut(
            "its protocol is that of another version of covbench",
            "Use the version that its record names.",
        )
    return protocol


def check_source(store: Store, spec: RunSpec) -> None:
    """A network is what its code says: the weights alone are not it.

    Raises:
        LeftOut: Its code is not here, or changed.
    """
    try:
        source = source_hash(get_card(spec.model))
    except CovbenchError as error:
        kept = next(store.folder(spec).glob("*.py"), None)
        raise LeftOut(
            f"there is no network {spec.model} here",
            f"Read the file that it is in, and if you trust it add --plugin {kept}"
            if kept
            else error.remedy,
        ) from None
    if source != spec.source:
        raise LeftOut(
            "the network's source changed since it was trained",
            "Use the version of covbench or of the file that it was trained with, or train again.",
        )


def weights_of(store: Store, record: RunRecord) -> Path:
    """The weights that a run kept, checked.

    Raises:
        LeftOut: There are none, or they are not those of the record.
    """
    path = store.folder(record.spec) / WEIGHTS
    expected = record.files.get(WEIGHTS)
    if expected is None:
        raise LeftOut(
            "no weights were kept",
            "Train again so that they are: covbench run ... --set keep=both --force",
        )
    if not path.is_file():
        raise LeftOut(f"its {WEIGHTS} is gone", "Put the file back, or train it again.")
    if sha256_file(path) != expected:
        raise LeftOut(
            f"its {WEIGHTS} is not the one of its record", "Put the file back, or train it again."
        )
    return path
