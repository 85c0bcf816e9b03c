"""Export and import of an honest store: what comes through, what stays behind."""

from __future__ import annotations

import fcntl
import getpass
import io
import json
import lzma
import os
import socket
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from results.anonymous import UNSAID, Pseudonyms, account, anonymous, hide_cases, plain_platform
from results.archive import Keep, pack
from results.cases import CASES, read_cases
from results.files import sha256_file, write_atomically
from results.predictions import PREDICTIONS, read_predictions
from results.record import RunRecord
from results.spec import sha256
from results.store import Store
from results.unpack import IMPORTED, unpack
from tests.archives import files
from tests.factory import make_failure, make_record, make_scores
from tests.stores import write_run
from zoo.errors import CovbenchError

HOST, HOME, CWD = socket.gethostname(), str(Path.home()), str(Path.cwd())
DICE = {"anna-1": 0.5, "anna-2": None, "bert-1": 0.75}
DATA = {"n_test": 3, "shared_groups": ("anna",)}


def npz(**probabilities: int) -> bytes:
    """Predictions of 4 x 5 pixels, each image of one value."""
    text = io.BytesIO()
    arrays: Any = {
        f"p{n}": np.full((4, 5), v, np.uint8) for n, v in enumerate(probabilities.values())
    }
    np.savez_compressed(
        text, ids=np.array([name.replace("_", "-") for name in probabilities]), **arrays
    )
    return text.getvalue()


def add_file(store: Store, record: RunRecord, name: str, content: bytes) -> RunRecord:
    """Put a file beside a record, which names it from then on."""
    folder = store.folder(record.spec)
    write_atomically(folder / name, content)
    changed = record.model_copy(update={"files": {**record.files, name: sha256(content)}})
    write_atomically(folder / "record.json", changed.to_text())
    return changed


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Four runs, two of them of one network with two seeds, and a failed one."""
    made = Store(tmp_path / "runs")
    for model, seed in (("unet", 0), ("unet", 1), ("miniseg", 0), ("enet", 3)):
        record = write_run(made, DICE, data=DATA, model=model, seed=seed)
        add_file(made, record, PREDICTIONS, npz(anna_1=10, anna_2=20, bert_1=30 + seed))
    made.write_failure(make_failure("fcn8s"))
    return made


def by_id(root: Path) -> dict[str, RunRecord]:
    return {r.spec.id: r for r in Store(root).records() if isinstance(r, RunRecord)}


def test_a_round_trip_keeps_ids_scores_and_cases(store: Store, tmp_path: Path) -> None:
    packed = pack(store.root, tmp_path / "a.covbench")
    found = unpack(tmp_path / "a.covbench", tmp_path / "other")
    before, after = by_id(store.root), by_id(tmp_path / "other")
    assert before.keys() == after.keys() and len(after) == 4
    for key, record in before.items():
        same = after[key]
        assert (same.scores, same.counts, same.cost) == (record.scores, record.counts, record.cost)
        assert (same.training, same.data, same.files) == (
            record.training,
            record.data,
            record.files,
        )
    assert read_cases(tmp_path / "other").frame.equals(read_cases(store.root).frame)
    assert [failure.status for failure in Store(tmp_path / "other").all_failures()] == [
        "out of memory"
    ]
    assert not packed.left_out and packed.manifest.runs == 4 and packed.manifest.failures == 1
    assert (len(found.new), found.there, found.images, found.failures) == (4, (), 12, 1)
    assert not list((tmp_path / "other").rglob(PREDICTIONS))
    assert not list((tmp_path / "other").glob(".import*"))


def test_an_imported_run_says_so_and_its_payload_is_that_of_the_archive(
    store: Store, tmp_path: Path
) -> None:
    archive = tmp_path / "a.covbench"
    pack(store.root, archive)
    unpack(archive, tmp_path / "other")
    with tarfile.open(archive, "r:xz") as tar:
        sent = {
            name: tar.extractfile(name).read()  # type: ignore[union-attr]
            for name in tar.getnames()
        }
    for path in (tmp_path / "other").rglob("record.json"):
        name = str(path.relative_to(tmp_path / "other"))
        assert json.loads(path.read_text()) == json.loads(sent[name])
        origin = json.loads((path.parent / IMPORTED).read_text())
        assert origin["archive_sha256"] == sha256_file(archive)
        assert origin.keys() == {"archive_sha256", "archive_covbench", "imported", "covbench"}


def test_the_manifest_comes_first_and_lists_every_file(store: Store, tmp_path: Path) -> None:
    pack(store.root, tmp_path / "a.covbench")
    with tarfile.open(tmp_path / "a.covbench", "r:xz") as tar:
        first, *rest = tar.getmembers()
        content = json.load(tar.extractfile(first))  # type: ignore[arg-type]
    assert first.name == "manifest.json"
    assert [info.name for info in rest] == sorted(content["files"])
    assert content["runs"] == 4 and content["schema"] == 1 and "not honesty" in content["note"]
    for info in (first, *rest):
        assert (info.mtime, info.uid, info.gid, info.uname, info.gname) == (0, 0, 0, "", "")


def test_the_same_runs_give_the_same_bytes(store: Store, tmp_path: Path) -> None:
    pack(store.root, tmp_path / "a", keep=Keep(predictions="all"))
    unpack(tmp_path / "a", tmp_path / "other")
    pack(tmp_path / "other", tmp_path / "b", keep=Keep(predictions="all"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_tells_of_people_and_machines_is_gone(tmp_path: Path) -> None:
    user = getpass.getuser() + "-the-user"
    secrets = [HOST, HOME + "/secret", CWD, user, "--models", "my-lab", "best_of_jane"]
    told = " ".join(secrets)
    store = Store(tmp_path / "runs")
    record = write_run(store, DICE, data=DATA, model="mine")
    cost = record.cost.model_copy(update={"notes": (f"not counted: x (KeyError: '{told}')",)})
    changed = record.model_copy(
        update={
            "cost": cost,
            "env": record.env.model_copy(update={"platform": "Linux-6.1.0-my-lab-x86_64"}),
            "code": record.code.model_copy(
                update={"network_class": "covbench_file_mine_0a1b2c3d.Mine"}
            ),
            "weights_name": "best_of_jane.pth",
        }
    )
    write_atomically(store.folder(record.spec) / "record.json", changed.to_text())
    add_file(store, changed, "best_of_jane.py", b"# " + told.encode())
    (store.folder(record.spec) / "log.txt").write_text(told)
    (store.root / "plan.json").write_text(json.dumps(told))
    failure = make_failure("fcn8s").model_copy(
        update={"exception": f"OSError: {told}", "hint": told, "log_tail": told}
    )
    store.write_failure(failure)
    pack(store.root, tmp_path / "a.covbench")
    content = lzma.decompress((tmp_path / "a.covbench").read_bytes())
    for secret in secrets:
        assert secret.encode() not in content, secret
    unpack(tmp_path / "a.covbench", tmp_path / "other")
    (after,) = by_id(tmp_path / "other").values()
    assert after.spec == record.spec
    assert after.code.network_class == "mine.Mine"
    assert after.cost.notes == ("not counted: x (KeyError)",)
    assert (after.env.platform, after.env.cpu) == ("Linux-6.1.0-x86_64", record.env.cpu)
    assert Store(tmp_path / "other").all_failures()[0].exception == "OSError"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Linux-6.18.44-fc-v657-x86_64-with-glibc2.36", "Linux-6.18.44-x86_64-with-glibc2.36"),
        (
            "Linux-5.15.0-91-jdoe-lab-aarch64-with-glibc2.35",
            "Linux-5.15.0-91-aarch64-with-glibc2.35",
        ),
        ("macOS-14.5-arm64-arm-64bit", "macOS-14.5-arm64-arm-64bit"),
        ("Windows-10-10.0.19045-SP0", "Windows-10-10.0.19045-SP0"),
    ],
)
def test_a_platform_keeps_what_numbers_may_depend_on(text: str, plain: str) -> None:
    assert plain_platform(text) == plain


@pytest.mark.parametrize("text", ["The data of Jane changed.", "/home/jane: gone", "", ": x"])
def test_an_exception_without_a_type_is_not_quoted(text: str) -> None:
    failure = make_failure().model_copy(update={"exception": text})
    assert account(failure).exception == UNSAID
    assert account(account(failure)) == account(failure)


@pytest.mark.parametrize(
    "path",
    ["/home/jane/x.pt", "~/x.pt", "C:\\Jane\\x.pt", "\\\\share\\x", "file:///x", "a=/data/x"],
)
def test_a_path_in_the_options_stops_the_export(path: str) -> None:
    record = make_record(options={"weights": path})
    with pytest.raises(CovbenchError, match="holds a path"):
        anonymous(record, Pseudonyms())


@pytest.mark.parametrize("word", ["a/b", "smp:unet/resnet34", "https://a.org/b", "km/h", "1 / 2"])
def test_what_only_looks_like_a_path_is_none(word: str) -> None:
    record = make_record(options={"encoder": word})
    assert anonymous(record, Pseudonyms()).spec == record.spec


def test_hidden_cases_pair_within_one_export_alone(store: Store, tmp_path: Path) -> None:
    keep = Keep(predictions="all", hide_cases=True)
    for name in "ab":
        pack(store.root, tmp_path / name, keep=keep)
        unpack(tmp_path / name, tmp_path / f"from-{name}")
    before, after = read_cases(store.root), read_cases(tmp_path / "from-a")
    again = read_cases(tmp_path / "from-b")
    assert not after.left_out and not set(before.frame["id"]) & set(after.frame["id"])
    assert not set(after.frame["id"]) & set(again.frame["id"])
    # Each image has one name in all four runs, and each patient one in both of its images.
    assert sorted(after.frame["id"].value_counts()) == [4, 4, 4]
    assert sorted(after.frame["group"].value_counts()) == [4, 8]
    columns = [name for name in before.frame.columns if name not in ("id", "group")]
    one, other = (
        each.frame[columns].sort_values(["run", "dice"], ignore_index=True)
        for each in (before, after)
    )
    assert one.equals(other)
    everything = b"".join(files(tmp_path / "from-a").values())
    assert b"anna" not in everything and b"bert" not in everything
    for record in after.records:
        own = after.frame[after.frame["run"] == record.spec.id]
        guesses = read_predictions(tmp_path / "from-a", record)
        (best,) = own[own["dice"] == 0.75]["id"]
        assert guesses[best].tolist() == [[30 + record.spec.seed] * 5] * 4
        assert record.data.shared_groups == (own[own["dice"] == 0.5]["group"].item(),)


def test_hidden_cases_stand_in_the_order_of_their_new_names(store: Store, tmp_path: Path) -> None:
    pack(store.root, tmp_path / "a", keep=Keep(predictions="all", hide_cases=True))
    unpack(tmp_path / "a", tmp_path / "other")
    for path in (tmp_path / "other").rglob(CASES):
        names = [line.split(",")[0] for line in path.read_text().splitlines()[1:]]
        assert names == sorted(names)
        with np.load(path.parent / PREDICTIONS) as file:
            assert file["ids"].tolist() == names


def test_sources_are_hidden_like_patients() -> None:
    text = "id,group,source,tp\na,p1,clinic,1\nb,p2,clinic,2\n"
    hidden = hide_cases(text.encode(), Pseudonyms(b"key")).decode()
    assert "clinic" not in hidden
    lines = [line.split(",") for line in hidden.splitlines()[1:]]
    assert len({line[2] for line in lines}) == 1 and sorted(line[3] for line in lines) == ["1", "2"]


def test_a_hash_of_predictions_that_would_have_other_names_is_not_told(
    store: Store, tmp_path: Path
) -> None:
    pack(store.root, tmp_path / "a", keep=Keep(hide_cases=True))
    unpack(tmp_path / "a", tmp_path / "other")
    assert {tuple(each.files) for each in by_id(tmp_path / "other").values()} == {(CASES,)}


def test_predictions_of_the_first_seed_of_each_network(store: Store, tmp_path: Path) -> None:
    packed = pack(store.root, tmp_path / "a", keep=Keep(predictions="first-seed"))
    unpack(tmp_path / "a", tmp_path / "other")
    having = {
        (each.spec.model, each.spec.seed)
        for each in by_id(tmp_path / "other").values()
        if (Store(tmp_path / "other").folder(each.spec) / PREDICTIONS).exists()
    }
    assert having == {("unet", 0), ("miniseg", 0), ("enet", 3)}
    assert packed.predictions == 3 and packed.weights == packed.sources == 0


def test_weights_and_sources_go_along_where_they_are_asked_for(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    record = write_run(store, DICE, data=DATA)
    record = add_file(store, record, "weights.safetensors", b"weights")
    record = add_file(store, record, "my_net.py", b"raise SystemExit('never run')")
    pack(store.root, tmp_path / "a")
    unpack(tmp_path / "a", tmp_path / "bare")
    folder = Store(tmp_path / "bare").folder(record.spec)
    assert {p.name for p in folder.iterdir()} == {CASES, "record.json", IMPORTED, ".lock"}
    (bare,) = by_id(tmp_path / "bare").values()
    assert bare.files.keys() == {CASES, "weights.safetensors"}
    pack(store.root, tmp_path / "b", keep=Keep(weights=True, sources=True))
    found = unpack(tmp_path / "b", tmp_path / "full")
    folder = Store(tmp_path / "full").folder(record.spec)
    assert (folder / "weights.safetensors").read_bytes() == b"weights"
    assert (folder / "my_net.py").exists() and found.sources == 1


def test_the_tables_of_each_class_go_along_and_are_hidden_too(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    record = write_run(store, DICE, data=DATA)
    table = (store.folder(record.spec) / CASES).read_bytes()
    record = add_file(store, record, "cases-ground-glass.csv", table)
    for number, keep in enumerate((Keep(), Keep(sources=True), Keep(hide_cases=True))):
        pack(store.root, tmp_path / f"{number}", keep=keep)
        found = unpack(tmp_path / f"{number}", tmp_path / f"to{number}")
        folder = Store(tmp_path / f"to{number}").folder(record.spec)
        there = (folder / "cases-ground-glass.csv").read_bytes()
        assert there == (folder / CASES).read_bytes()
        assert (there == table) != keep.hide_cases
        assert found.sources == 0
    named = add_file(store, record, "cases-net.py", b"a source with no place in an archive")
    assert len(pack(store.root, tmp_path / "source").specs) == 1
    record = named.model_copy(update={"files": record.files})
    write_atomically(store.folder(record.spec) / "record.json", record.to_text())
    bad = add_file(store, record, "cases-consolidation.csv", b"no,table")
    assert bad.files.keys() > record.files.keys()
    packed = pack(store.root, tmp_path / "bad")
    assert len(packed.left_out) == 1 and len(packed.specs) == 1


def test_only_the_wanted_runs_go(store: Store, tmp_path: Path) -> None:
    packed = pack(store.root, tmp_path / "a", lambda spec: spec.model == "unet")
    assert [(spec.model, spec.seed) for spec in packed.specs] == [("unet", 0), ("unet", 1)]
    with pytest.raises(CovbenchError, match="no runs to export"):
        pack(store.root, tmp_path / "b", lambda _: False)
    assert not (tmp_path / "b").exists()


def test_damaged_runs_are_left_out_and_named(store: Store, tmp_path: Path) -> None:
    one, other, third, _ = by_id(store.root).values()
    (store.folder(one.spec) / CASES).write_text("changed")
    (store.folder(other.spec) / "record.json").write_text("{")
    (store.folder(third.spec) / PREDICTIONS).write_bytes(b"changed")
    packed = pack(store.root, tmp_path / "a", keep=Keep(predictions="all"))
    assert len(packed.left_out) == 3 and len(packed.specs) == 2
    found = unpack(tmp_path / "a", tmp_path / "other")
    assert {record.spec.id for record in found.records} == {spec.id for spec in packed.specs}


def test_a_file_name_in_a_record_reaches_nothing_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("secret = 1")
    store = Store(tmp_path / "runs")
    record = write_run(store, DICE, data=DATA)
    folder = store.folder(record.spec)
    name = os.path.relpath(tmp_path / "secret.py", folder)
    listed = {**record.files, name: sha256_file(tmp_path / "secret.py")}
    changed = record.model_copy(update={"files": listed})
    write_atomically(folder / "record.json", changed.to_text())
    with pytest.raises(CovbenchError, match="no place in an archive"):
        pack(store.root, tmp_path / "a", keep=Keep(sources=True))


def test_what_is_there_is_kept(store: Store, tmp_path: Path) -> None:
    pack(store.root, tmp_path / "a")
    here = Store(tmp_path / "other")
    same = write_run(here, DICE, data=DATA, model="unet")
    unlike = write_run(here, DICE, data=DATA, model="enet", seed=3)
    worse = unlike.model_copy(update={"scores": {"infection": make_scores(0.1)}})
    write_atomically(here.folder(worse.spec) / "record.json", worse.to_text())
    before = {each.spec.id: files(here.folder(each.spec)) for each in (same, unlike)}
    found = unpack(tmp_path / "a", here.root)
    assert {spec.id for spec in found.there} == {same.spec.id, unlike.spec.id}
    assert [spec.id for spec in found.differing] == [unlike.spec.id]
    assert len(found.new) == 2 and len(by_id(here.root)) == 4
    for record in (same, unlike):
        now = files(here.folder(record.spec))
        assert {k: v for k, v in now.items() if k != ".lock"} == before[record.spec.id]
    again = unpack(tmp_path / "a", here.root)
    assert (again.new, len(again.there), again.failures) == ((), 4, 0)


def test_predictions_are_added_to_a_run_that_has_none_and_names_them(
    store: Store, tmp_path: Path
) -> None:
    pack(store.root, tmp_path / "a")
    pack(store.root, tmp_path / "b", keep=Keep(predictions="all"))
    unpack(tmp_path / "a", tmp_path / "other")
    found = unpack(tmp_path / "b", tmp_path / "other")
    assert (found.new, len(found.there), found.completed) == ((), 4, 4)
    for record in by_id(tmp_path / "other").values():
        assert len(read_predictions(tmp_path / "other", record)) == 3


def test_a_run_in_the_hands_of_a_worker_is_left_to_it(store: Store, tmp_path: Path) -> None:
    pack(store.root, tmp_path / "a")
    here = Store(tmp_path / "other")
    spec = next(iter(by_id(store.root).values())).spec
    here.folder(spec).mkdir(parents=True)
    with (here.folder(spec) / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = unpack(tmp_path / "a", here.root)
    assert [each.id for each in found.busy] == [spec.id] and len(found.new) == 3
    assert [path.name for path in here.folder(spec).iterdir()] == [".lock"]


def test_a_damaged_record_gives_way(store: Store, tmp_path: Path) -> None:
    pack(store.root, tmp_path / "a")
    here = Store(tmp_path / "other")
    spec = next(iter(by_id(store.root).values())).spec
    write_atomically(here.folder(spec) / "record.json", "{")
    assert len(unpack(tmp_path / "a", here.root).new) == 4
    assert list(here.folder(spec).glob("record.json.damaged-*"))


def test_a_dry_run_writes_nothing(store: Store, tmp_path: Path) -> None:
    pack(store.root, tmp_path / "a", keep=Keep(predictions="all"))
    found = unpack(tmp_path / "a", tmp_path / "other", dry_run=True)
    assert len(found.new) == 4 and not (tmp_path / "other").exists()
    before = files(store.root)
    again = unpack(tmp_path / "a", store.root, dry_run=True)
    assert (len(again.new), len(again.there)) == (0, 4) and files(store.root) == before
