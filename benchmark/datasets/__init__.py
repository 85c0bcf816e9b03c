"""Datasets: from files that a user downloads to read-only arrays with folds and an identity."""

from __future__ import annotations

from benchmark.datasets.cases import Case
from benchmark.datasets.catalogue import list_datasets, open_dataset, verify_dataset
from benchmark.datasets.folds import Fold
from benchmark.datasets.manifest import Manifest
from benchmark.datasets.prepare import prepare_dataset
from benchmark.datasets.prepared import PreparedDataset, data_root
from benchmark.datasets.recipes import DatasetCard
from benchmark.datasets.sheet import contact_sheet

__all__ = [
    "Case",
    "DatasetCard",
    "Fold",
    "Manifest",
    "PreparedDataset",
    "contact_sheet",
    "data_root",
    "list_datasets",
    "open_dataset",
    "prepare_dataset",
    "verify_dataset",
]
