"""Files of machine profiles: what is read back, found by name, refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from results import machines
from results.machines import (
    find_profile,
    machine_names,
    newest_profile,
    read_profile,
    write_profile,
)
from tests.reports.profiles import make_network, make_profile
from zoo.errors import CovbenchError


def test_a_profile_is_read_back_as_it_was(tmp_path: Path) -> None:
    profile = make_profile(make_network("net", 5, 7, 1.5))
    write_profile(profile, tmp_path / "p.json")
    assert read_profile(tmp_path / "p.json") == profile
    assert find_profile(str(tmp_path / "p.json")).network("net") == profile.networks[0]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(machines, "_FOLDER", tmp_path)
    machines._shipped.cache_clear()
    for name in ("h200-2026-11-24", "h200-2026-12-01", "h200-nvl-2027-01-01"):
        write_profile(make_profile(machine=name), tmp_path / f"{name}.json")
    return tmp_path


def test_a_machine_is_found_by_its_name(folder: Path) -> None:
    assert machine_names() == ("h200-2026-11-24", "h200-2026-12-01", "h200-nvl-2027-01-01")
    assert find_profile("h200-2026-11-24").machine == "h200-2026-11-24"
    assert find_profile("h200").machine == "h200-2026-12-01"
    assert find_profile("h200-nvl").machine == "h200-nvl-2027-01-01"
    assert newest_profile("b300") is None
    with pytest.raises(CovbenchError, match="h20"):
        find_profile("h20")


def damage(text: str, how: str) -> str:
    payload = json.loads(text)
    if how == "truncated":
        return text[: len(text) // 2]
    if how == "newer":
        payload["schema"] = 2
    if how == "unknown field":
        payload["colour"] = "red"
    if how == "wrong type":
        payload["networks"][0]["cost"]["params"] = "many"
    if how == "another file":
        payload = [1, 2]
    return json.dumps(payload)


@pytest.mark.parametrize(
    "how", ["truncated", "newer", "unknown field", "wrong type", "another file"]
)
def test_what_is_no_profile_is_refused(how: str, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    write_profile(make_profile(make_network("net")), path)
    path.write_text(damage(path.read_text(), how))
    with pytest.raises(CovbenchError, match=r"p\.json"):
        read_profile(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(CovbenchError, match="can't be read"):
        read_profile(tmp_path / "none.json")


@pytest.mark.parametrize("name", machine_names())
def test_shipped_profiles_fit_the_schema(name: str) -> None:
    profile = find_profile(name)
    assert name.startswith(profile.machine)
    assert profile.networks
