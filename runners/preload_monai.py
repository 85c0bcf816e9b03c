"""Imported by the server of workers before it forks, where a network needs MONAI.

MONAI imports some two thousand modules, whatever is wanted of it.
"""

from __future__ import annotations

import os
import warnings

# The server must not touch CUDA: what is forked from it could not use it any more.
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")

_format = warnings.formatwarning
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import monai.networks.nets  # noqa: F401
warnings.formatwarning = _format  # it puts its own in its place
