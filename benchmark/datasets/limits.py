"""The sizes at which a reader refuses a file, each stated once.

They are far above anything that a slice of a CT or a whole scan needs, and low enough that a
damaged or hostile header can't exhaust the machine: they are checked before memory is asked for.
"""

from __future__ import annotations

MAX_IMAGE_PIXELS = 2**26
"""Pixels of one picture (8192 x 8192)."""

MAX_VOLUME_VOXELS = 2**30
"""Voxels of one NIfTI volume (2048 slices of 724 x 724; a thin-slice CT has 2**28)."""

MAX_VOLUME_BYTES = 2**32
"""Bytes of one NIfTI volume, decoded."""

MAX_GZIP_RATIO = 1100
"""Bytes that one byte of gzip can stand for (deflate ends at 1032)."""

MAX_FILES = 100_000
"""Image files of one dataset."""

MAX_CLASSIFIED_FILES = 2**24
"""Image files of one folder of classes (the whole of ImageNet has 14 million)."""

MAX_TABLE_BYTES = 2**24
"""Bytes of a table such as groups.csv."""
