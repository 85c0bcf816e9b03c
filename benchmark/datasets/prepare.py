"""From source files to a prepared dataset: checked, decoded once, written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.datasets.cases import Case, write_cases
from benchmark.datasets.catalogue import RECIPES, get_recipe
from benchmark.datasets.prepared import (
    CASES,
    IMAGES,
    MANIFEST,
    MASKS,
    Manifest,
    PreparedDataset,
    data_root,
    file_hash,
)
from benchmark.datasets.recipes import REVISION, Decoded, Recipe, Slice
from benchmark.labels import IGNORE
from zoo.errors import CovbenchError

Progress = Callable[[int, int], None]

_STALE_SECONDS = 24 * 3600


def prepare_dataset(
    name: str,
    source: Path | None = None,
    *,
    as_name: str | None = None,
    root: Path | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> PreparedDataset:
    """Make the local, verified copy of a dataset that every run reads.

    Where a copy of the same source files with the same options is there and whole, nothing is
    done and its `fresh` is False. Otherwise the new copy is written beside it and takes its
    place whole: a crash never leaves one half-made.

    Args:
        name: phantom, ct100 or folder.
        source: The folder with the downloaded files; none for phantom.
        as_name: Another name to keep it under; required for folder.
        root: Where prepared datasets live; see `data_root`.
        progress: Called as progress(done, total) after each file or patient.
        **options: The recipe's options, as values or as a command line's strings.

    Returns:
        The prepared dataset, opened.

    Raises:
        CovbenchError: The name, an option or a source file does not do; the error says which.
    """
    recipe = get_recipe(name)
    target = data_root(root) / _target_name(recipe, as_name)
    parsed = recipe.parse(options)
    found = recipe.find(source, parsed)
    wanted: dict[str, Any] = {
        "recipe": name,
        "revision": REVISION,
        "parameters": parsed.model_dump(mode="json"),
        "sources": {label: file_hash(path) for label, path in sorted(found.files.items())},
    }
    if existing := _same(target, wanted):
        return existing
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        draft = _beside(target)
        draft.mkdir()
        try:
            counted = _write_arrays(draft, found.decode(), found.steps, progress)
            classes = _classes(getattr(parsed, "label_map", {0: 0, 1: 1}))
            manifest = Manifest(
                name=target.name,
                **wanted,
                **counted,
                classes=classes,
                tasks=("infection",) if len(classes) == 2 else ("multiclass",),
                licence=recipe.card.licence,
                citation=recipe.card.citation,
            )
            manifest = manifest.model_copy(update={"manifest_hash": manifest.identity()})
            text = manifest.model_dump_json(by_alias=True, indent=2)
            _write(draft / MANIFEST, text.encode())
            _publish(draft, target, manifest)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise CovbenchError(
            f"{target} could not be written ({error.strerror or error}).",
            "Free some disk space, or set COVBENCH_DATA to a folder that you may write to.",
        ) from error
    return PreparedDataset(target, fresh=True)


def _target_name(recipe: Recipe, as_name: str | None) -> str:
    """The folder's name; a recipe's own name stays with that recipe."""
    name = as_name or recipe.card.name
    if name == "folder":
        raise CovbenchError(
            "Your own data need a name of their own.", f"Name them: `{recipe.card.obtain}`."
        )
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name):
        raise CovbenchError(
            f"{name!r} can't be the name of a dataset.",
            "Use up to 64 of a-z, 0-9, dot, dash and underscore, a letter or digit first.",
        )
    if name in RECIPES and name != recipe.card.name:
        raise CovbenchError(
            f"The name {name} belongs to the dataset {name} itself.", "Choose another name."
        )
    return name


def _same(target: Path, wanted: dict[str, Any]) -> PreparedDataset | None:
    """The whole dataset that is there already, if it was made from just this."""
    try:
        existing = PreparedDataset(target)
        made = existing.manifest.model_dump(mode="json")
        if any(made[key] != value for key, value in wanted.items()):
            return None
        existing.verify()
    except CovbenchError:
        return None
    return existing


def _write_arrays(
    draft: Path, decoded: Decoded, steps: int, progress: Progress | None
) -> dict[str, Any]:
    """Write images, masks and the table; return the manifest's fields about them."""
    cases: list[Case] = []
    foreground: list[int] = []
    seen: set[str] = set()
    pixels: Counter[int] = Counter()
    hashes = {IMAGES: hashlib.sha256(), MASKS: hashlib.sha256()}
    with (draft / IMAGES).open("wb") as images, (draft / MASKS).open("wb") as masks:
        for done, step in enumerate(decoded.steps, start=1):
            for item in step:
                case, labels = _checked(item, seen)
                cases.append(case)
                pixels.update(labels)
                foreground.append(sum(n for k, n in labels.items() if k not in (0, IGNORE)))
                for name, file, array in (
                    (IMAGES, images, item.image),
                    (MASKS, masks, item.mask),
                ):
                    data = array.tobytes()
                    hashes[name].update(data)
                    file.write(data)
            if progress is not None:
                progress(done, steps)
        for file in (images, masks):
            file.flush()
            os.fsync(file.fileno())
    if not any(foreground):
        raise CovbenchError(
            f"None of the {len(cases)} masks holds anything but background.",
            "Check that these are the masks, and that label_map maps their labels to classes.",
        )
    table = write_cases(cases, foreground)
    _write(draft / CASES, table)
    files = {name: sha.hexdigest() for name, sha in hashes.items()}
    return {
        "files": {**files, CASES: hashlib.sha256(table).hexdigest()},
        "slices": len(cases),
        "groups": len({case.group for case in cases}),
        "groups_known": decoded.groups_known,
        "fold_list": decoded.fold_list,
        "class_pixels": dict(sorted(pixels.items())),
        "notes": decoded.notes,
    }


def _classes(label_map: Mapping[int, int]) -> dict[int, str]:
    """Names of the classes that a label map can give."""
    count = len(set(label_map.values()) - {IGNORE})
    if count == 2:
        return {0: "background", 1: "infection"}
    return {0: "background", **{k: f"class-{k}" for k in range(1, count)}}


def _checked(item: Slice, seen: set[str]) -> tuple[Case, dict[int, int]]:
    """The slice's line of the table and its pixels per label."""
    if item.id in seen:
        raise CovbenchError(
            f"Two slices are called {item.id!r}.",
            "Rename a file: slice k of a volume NAME is called NAME-k.",
        )
    for name in (item.id, item.group):
        if any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") for each in name):
            raise CovbenchError(
                f"The name {name!a} holds a control character or is no valid text.",
                "Rename the file, or mend the group, so that tables and archives can hold it.",
            )
    seen.add(item.id)
    height, width = item.image.shape
    counts = np.bincount(item.mask.ravel(), minlength=256)
    labels = {int(k): int(counts[k]) for k in np.flatnonzero(counts)}
    return Case(item.id, item.group, height, width, item.spacing_mm), labels


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _beside(target: Path) -> Path:
    """A hidden name in the same folder, for what is on its way in or out."""
    return target.parent / f".{target.name}-{secrets.token_hex(6)}"


def _publish(draft: Path, target: Path, manifest: Manifest) -> None:
    """Put a finished draft in its place, unless another process has just put the same there."""
    try:
        draft.rename(target)
        return
    except OSError:
        if not target.exists():
            raise
    try:
        there = PreparedDataset(target)
        if there.manifest == manifest:
            there.verify()
            return
    except CovbenchError:
        pass  # it is damaged: replaced below
    old = _beside(target)
    target.rename(old)
    draft.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _sweep(target: Path) -> None:
    """Remove drafts that killed processes left long ago."""
    for left in target.parent.glob(f".{target.name}-*"):
        if time.time() - left.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
