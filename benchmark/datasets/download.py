"""Download the files of a dataset that lie at a stable address: https, resumed, checked.

A file is fetched into a `.part` file beside its place; a later try goes on where it ended, as long
as the server still has the same file. Its SHA-256 is written down at first use, in `sha256.json`;
from then on a file that differs is refused.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from zoo.errors import CovbenchError, reason_of
from zoo.limits import read_limited

HASHES = "sha256.json"
MAX_BYTES = 2**36
"""The most that one file may have (64 GiB)."""

Progress = Callable[[int, int], None]

_CHUNK = 2**18
_SECONDS = 60  # without a byte
_NOTHING_LEFT = 416  # "range not satisfiable"
_LOCAL = ("127.0.0.1", "localhost", "::1")


def download(addresses: Mapping[str, str], folder: Path, progress: Progress | None = None) -> Path:
    """Fetch files into a folder; those that are there and as they were are kept.

    Args:
        addresses: File name to address; https, or http on this machine itself.
        folder: Where they go.
        progress: Called as progress(bytes so far, bytes in all) for each file; in all is 0 where
            the server doesn't say.

    Returns:
        `folder`.

    Raises:
        CovbenchError: An address can't be reached or isn't safe, the disk is full, or a file is
            not what it was at first use.
    """
    import pooch

    recorded = _recorded(folder)
    for name, address in addresses.items():
        _check_secure(address)
        known = recorded.get(name)
        if known is not None and (folder / name).is_file():
            _check(folder / name, known)
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
            pooch.utils.get_logger().setLevel("ERROR")
            fetched = pooch.retrieve(
                address,
                known_hash=f"sha256:{known}" if known else None,
                fname=name,
                path=folder,
                downloader=_Resuming(folder / f"{name}.part", progress),
            )
            recorded[name] = known or pooch.file_hash(fetched, alg="sha256")
            _write(folder, recorded)
        except ValueError as error:
            raise _changed(folder / name) from error
        except OSError as error:  # those of requests are such, too
            raise CovbenchError(
                f"{name} could not be fetched from {urlsplit(address).hostname} "
                f"({reason_of(error)}).",
                "Run the command again: it goes on where it ended. Or fetch the files yourself "
                f"into a folder and name that: {address}",
            ) from error
    return folder


class _Resuming:
    """What pooch calls to fetch one address into a file; it goes on with a part that is there."""

    def __init__(self, part: Path, progress: Progress | None) -> None:
        self._part = part
        self._tag = part.with_name(f"{part.name}.version")
        self._progress = progress

    def __call__(self, url: str, output_file: Any, pooch: object) -> None:
        if not self._fetch(url):
            self._part.unlink()  # it is whole or longer than the file: nothing to go on with
            self._fetch(url)
        shutil.copyfile(self._part, output_file)
        self._part.unlink()
        self._tag.unlink()

    def _fetch(self, url: str) -> bool:
        """Fetch what is lacking of the part; False where the server has nothing beyond it."""
        import requests

        there = self._part.stat().st_size if self._part.is_file() else 0
        tag = self._tag.read_text() if self._tag.is_file() else ""
        # If-Range makes the server start over where its file is another one by now.
        asked = {"Range": f"bytes={there}-", "If-Range": tag} if there and tag else {}
        asked["Accept-Encoding"] = "identity"
        with requests.get(url, headers=asked, stream=True, timeout=_SECONDS) as answer:
            if "Range" in asked and answer.status_code == _NOTHING_LEFT:
                return False
            answer.raise_for_status()
            _check_secure(answer.url)
            resumed = answer.status_code == requests.codes.partial_content
            done = there if resumed else 0
            length = int(answer.headers.get("Content-Length", 0))
            total = done + length if length else 0
            if total > MAX_BYTES:
                raise OSError(f"it claims {total:,} bytes")
            tag = _strong(answer.headers.get("ETag", "")) or answer.headers.get("Last-Modified", "")
            self._tag.write_text(tag)
            with self._part.open("ab" if resumed else "wb") as file:
                for chunk in answer.iter_content(_CHUNK):
                    file.write(chunk)
                    done += len(chunk)
                    if done > MAX_BYTES:
                        raise OSError("it is too large")
                    if self._progress is not None:
                        self._progress(done, total)
            if total and done != total:
                raise OSError(f"it ended after {done:,} of {total:,} bytes")
        return True


def _strong(tag: str) -> str:
    """An ETag that stands for the very bytes, or nothing: weak ones can't be resumed on."""
    return "" if tag.startswith("W/") else tag


def _check_secure(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme != "https" and parts.hostname not in _LOCAL:
        raise CovbenchError(
            f"{address} is not an https address.", "Fetch the file yourself and name its folder."
        )


def _recorded(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file at first use."""
    try:
        kept = dict(json.loads(read_limited(folder / HASHES, "record_bytes")))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise CovbenchError(
            f"{folder / HASHES} can't be read.", f"Delete {folder} and download again."
        ) from error
    return {str(name): str(sha) for name, sha in kept.items()}


def _write(folder: Path, recorded: Mapping[str, str]) -> None:
    draft = folder / f".{HASHES}.tmp"
    draft.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    draft.replace(folder / HASHES)


def _check(path: Path, known: str) -> None:
    import pooch

    if pooch.file_hash(path, alg="sha256") != known:
        raise _changed(path)


def _changed(path: Path) -> CovbenchError:
    return CovbenchError(
        f"{path.name} is not the file that it was at first use: its SHA-256 differs.",
        f"Delete {path} and its line in {path.parent / HASHES} if the dataset was revised.",
    )
