"""What may be said on a page that is sent around: no path tells whose machine it was made on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_PATH = re.compile(
    r"""(?<![\w./\\])                 # not within a word, a relative path or an address
    (?: file:// | ~ | [A-Za-z]: | \\ )?
    [/\\] (?: [^\s/\\'"<>|,;:()\[\]]+ [/\\] )+
    [^\s/\\'"<>|,;:()\[\]]*""",
    re.VERBOSE,
)
_KEPT = 3
"""Of paths with fewer parts, such as `/home/anna`, the last part is a name too."""


def without_paths(value: Any, root: Path) -> Any:
    """A value without absolute paths, however deep the texts lie.

    Args:
        value: Texts in lists and dictionaries, as for JSON.
        root: The folder of the store; paths below it become relative to it.

    Returns:
        The same value; of any other path only the last part is left: `…/weights.safetensors`.
    """
    if isinstance(value, str):
        return _cut(value, root)
    if isinstance(value, dict):
        return {_cut(key, root): without_paths(each, root) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(each, root) for each in value]
    return value


def _cut(text: str, root: Path) -> str:
    if "/" not in text and "\\" not in text:
        return text
    if text.startswith("data:image/"):
        return text
    for folder in sorted({str(root), str(root.resolve())}, key=len, reverse=True):
        if Path(folder).is_absolute():
            text = text.replace(folder.rstrip("/\\") + "/", "")
    return _PATH.sub(_last_part, text)


def _last_part(match: re.Match[str]) -> str:
    path = match[0].removeprefix("file://")
    parts = [part for part in re.split(r"[/\\]+", path) if part]
    return f"…/{parts[-1]}" if len(parts) >= _KEPT else "…"
