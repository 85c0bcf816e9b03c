"""Downloads: from a server on this machine, cut off, resumed, changed, refused."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from benchmark.datasets.download import HASHES, download
from zoo.errors import CovbenchError

DATA = np.random.default_rng(0).bytes(1_000_000)


@dataclass
class Server:
    """A server of one file; `cut` is after how many bytes it hangs up."""

    data: bytes = DATA
    tag: str = '"one"'
    cut: int | None = None
    redirect: str = ""
    asked: list[str | None] = field(default_factory=list)
    address: str = ""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.headers["Range"])
            if state.redirect:
                self.send_response(302)
                self.send_header("Location", state.redirect)
                self.end_headers()
                return
            if self.path != "/set.zip":
                self.send_error(404)
                return
            start = 0
            if self.headers["Range"] and self.headers["If-Range"] == state.tag:
                start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
                if start >= len(state.data):
                    self.send_error(416)
                    return
                self.send_response(206)
                whole = len(state.data)
                self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(state.data) - start))
            if state.tag:
                self.send_header("ETag", state.tag)
            self.end_headers()
            self.wfile.write(state.data[start : state.cut])

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.address = f"http://127.0.0.1:{http.server_address[1]}/set.zip"
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield state
        http.shutdown()
        thread.join()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_fetched_once_and_its_hash_written_down(server: Server, tmp_path: Path):
    told: list[tuple[int, int]] = []
    where = download({"set.zip": server.address}, tmp_path / "new", lambda *at: told.append(at))
    assert (where / "set.zip").read_bytes() == DATA
    assert told[-1] == (len(DATA), len(DATA)) and len(told) > 1
    sha = hashlib.sha256(DATA).hexdigest()
    assert json.loads((where / HASHES).read_text()) == {"set.zip": sha}
    assert names(where) == sorted([HASHES, "set.zip"])
    download({"set.zip": server.address}, where)
    assert server.asked == [None]


def test_a_download_that_was_cut_off_goes_on_where_it_ended(server: Server, tmp_path: Path):
    server.cut = 600_000
    with pytest.raises(CovbenchError, match=r"set\.zip could not be fetched") as caught:
        download({"set.zip": server.address}, tmp_path)
    assert "again" in caught.value.remedy and server.address in caught.value.remedy
    there = (tmp_path / "set.zip.part").stat().st_size
    assert 0 < there <= 600_000 and not (tmp_path / "set.zip").exists()
    server.cut = None
    download({"set.zip": server.address}, tmp_path)
    assert server.asked == [None, f"bytes={there}-"]
    assert (tmp_path / "set.zip").read_bytes() == DATA
    assert names(tmp_path) == sorted([HASHES, "set.zip"])


def test_a_part_that_is_whole_already_is_fetched_anew(server: Server, tmp_path: Path):
    (tmp_path / "set.zip.part").write_bytes(DATA)
    (tmp_path / "set.zip.part.version").write_text(server.tag)
    download({"set.zip": server.address}, tmp_path)
    assert server.asked == [f"bytes={len(DATA)}-", None]
    assert (tmp_path / "set.zip").read_bytes() == DATA
    assert names(tmp_path) == sorted([HASHES, "set.zip"])


@pytest.mark.parametrize("tag", ['"two"', ""])
def test_it_starts_over_where_the_server_has_another_file(server: Server, tmp_path: Path, tag: str):
    server.cut = 600_000
    with pytest.raises(CovbenchError):
        download({"set.zip": server.address}, tmp_path)
    server.cut, server.tag, server.data = None, tag, DATA[::-1]
    download({"set.zip": server.address}, tmp_path)
    assert (tmp_path / "set.zip").read_bytes() == DATA[::-1]


def test_a_file_that_changed_since_first_use_is_refused(server: Server, tmp_path: Path):
    download({"set.zip": server.address}, tmp_path)
    (tmp_path / "set.zip").write_bytes(b"other")
    with pytest.raises(CovbenchError, match="its SHA-256 differs"):
        download({"set.zip": server.address}, tmp_path)
    (tmp_path / "set.zip").unlink()
    server.data = DATA[::-1]
    with pytest.raises(CovbenchError, match="its SHA-256 differs"):
        download({"set.zip": server.address}, tmp_path)
    assert not (tmp_path / "set.zip").exists()


def test_what_cannot_be_reached_or_is_not_safe(server: Server, tmp_path: Path):
    with pytest.raises(CovbenchError, match="404"):
        download({"set.zip": server.address + "x"}, tmp_path)
    with pytest.raises(CovbenchError, match="not an https address"):
        download({"set.zip": "http://example.org/set.zip"}, tmp_path)
    server.redirect = f"http://localhost:{server.address.split(':')[2].split('/')[0]}/else"
    with pytest.raises(CovbenchError, match="could not be fetched"):
        download({"set.zip": server.address}, tmp_path)
    with pytest.raises(CovbenchError, match="could not be fetched"):
        download({"set.zip": "http://127.0.0.1:9/set.zip"}, tmp_path)
