"""Internal files may be damaged in any way: each counts as missing, is reported once, and is rewritten."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from distillation_dynamics.errors import StudyError, say_once
from distillation_dynamics.files import write_json, write_text
from distillation_dynamics.jobs import asking, model_info, own, provenance, record, run, summary
from distillation_dynamics.jobs import store as jobs_store
from distillation_dynamics.jobs.content import Content
from distillation_dynamics.jobs.costs import Costs
from distillation_dynamics.jobs.hashes import Hashes
from distillation_dynamics.jobs.task import Task
from distillation_dynamics.spec.images import View
from distillation_dynamics.spec.network import ModelQuery
from helpers import describe
from test_plan import finished, fresh, library, project

__all__ = ["finished", "fresh", "library", "project"]

TRUNCATED = object()
FOLDER = object()
ODD = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "a mapping": b"{}",
    "a number": b"3",
    "a text": b'"records"',
    "true": b"true",
    "lists in lists": b"[[], [[]], [null]]",
    "keys of something else": b'{"a": {"b": [1, {"c": null}]}}',
    "keys without values": b'{"files": null, "modules": null, "key": null, "stage": null, "inputs": null, "job": null}',
    "values of other kinds": b'{"files": [], "modules": [], "key": 1, "stage": {}, "inputs": [], "job": 3, "tasks": 3}',
    "values of values of other kinds": (
        b'{"files": {"a": null, "b": {}, "c": [], "d": ["x"]}, "modules": {"m": [1]}, "key": "k", "stage": "students", '
        b'"inputs": {"a": 1}, "job": {"recipe": 3}, "packages": {"torch": null}, "code": [1], "seconds": "long"}'
    ),
    "more depth than a reader has": b"[" * 100_000,
    "not a number": b'{"seconds": NaN, "files": Infinity}',
    "no UTF-8": bytes(range(256)),
    "zeros": bytes(4096),
    "half of it": TRUNCATED,
    "a folder": FOLDER,
}


def damage(path, odd):
    """Put something else in the place of a file, and not into it: it may be a link."""
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.unlink()
    if odd is FOLDER:
        path.mkdir()
    else:
        path.write_bytes(half if odd is TRUNCATED else odd)


EACH_DAY = {"null", "a mapping", "values of values of other kinds", "half of it", "no UTF-8", "a folder"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in EACH_DAY)) for name in ODD]
)
def test_damaged_files_of_ours_are_made_anew(project, name, capsys):
    project.plan()
    files = [path for path in Path("results").rglob("*.json") if path.is_file()]
    ours = {path for path in files if path.name == ".hashes.json" or path.name.endswith(record.NAME)}
    tasks = {path for path in files if ".tasks" in path.parts}
    assert len(ours) > 20 and len(tasks) > 20 and ours | tasks < set(files)
    # What stages write, pretended ones write over.
    for path in ours | tasks if ODD[name] is FOLDER else files:
        damage(path, ODD[name])
    say_once.cache_clear()
    capsys.readouterr()
    # What only looks comes first.
    costs, store = Costs(), jobs_store.Store()
    assert not costs.seconds and store.entries() and list(store.unused()) and store.used(store.studies) is not None
    assert summary._top1([SimpleNamespace(path=lambda name: f"results/{name}")]) == "1 of 1 failed"
    project.run()
    said = capsys.readouterr().err
    assert "Traceback" not in said
    lines = [line for line in said.splitlines() if line.endswith("has unexpected content; it is written again")]
    assert len(lines) == len(set(lines))
    assert {line.partition(":")[0] for line in lines} >= set(map(str, ours))
    project.check()
    assert all(path.is_file() for path in ours)


@pytest.mark.parametrize("name", ODD)
def test_what_is_known_of_networks_is_asked_again(tmp_path, monkeypatch, name, capsys):
    queries = {
        "networks.vit": ModelQuery("vit_tiny_patch16_224", {"depth": 1}, classes=3, default=View(1, 32, (0.5,), (0.5,)))
    }
    info = describe(queries)["networks.vit"]
    calls = []

    def answer(command, **options):
        calls.append(command)
        return SimpleNamespace(returncode=0, stdout=model_info.to_json({"networks.vit": info}), stderr="")

    monkeypatch.setattr(asking.subprocess, "run", answer)
    assert model_info.describe(queries, tmp_path) == {"networks.vit": info}
    assert model_info.describe(queries, tmp_path) == {"networks.vit": info} and len(calls) == 1
    (path,) = tmp_path.iterdir()
    damage(path, ODD[name])
    assert model_info.describe(queries, tmp_path) == {"networks.vit": info} and len(calls) == 2
    assert model_info.describe(queries, tmp_path) == {"networks.vit": info} and len(calls) == 2


WHOLE = {
    "stage": "measure", "name": "networks/vit/rank", "key": "k", "seconds": 1.5, "packages": {"torch": "2.11.0"},
    "inputs": {"a": "b"}, "files": {"x": {"identity": [1, 2, 3, 4], "sha256": "s"}}, "job": {"metric": "rank"},
    "code": ["m:h"], "threads": 1, "gpus": 0,
}  # fmt: skip
NEEDED = [key for key in WHOLE if key not in ("threads", "gpus")]
NO_RECORD = {
    **{f"without {key}": {k: v for k, v in WHOLE.items() if k != key} for key in NEEDED},
    **{f"{key} is null": WHOLE | {key: None} for key in NEEDED},
    **{f"{key} is a list": WHOLE | {key: [3]} for key in NEEDED},
    "an identity of other length": WHOLE | {"files": {"x": {"identity": [1], "sha256": "s"}}},
    "an identity of texts": WHOLE | {"files": {"x": {"identity": ["a", "b", "c", "d"], "sha256": "s"}}},
    "negative seconds": WHOLE | {"seconds": -1},
    "links of another kind": WHOLE | {"linked": {"a": 1}},
}  # fmt: skip


@pytest.mark.parametrize("name", NO_RECORD)
def test_what_is_no_record_counts_as_not_there(tmp_path, name):
    path = tmp_path / record.NAME
    write_json(path, WHOLE)
    assert record.read(path) == WHOLE, "what it says beside is kept"
    write_json(path, NO_RECORD[name])
    assert record.read(path) is None


def test_a_package_that_is_not_here_is_another_version(tmp_path):
    assert record.other_packages(WHOLE | {"packages": {"no-such-package": "1.0"}}) == {
        "no-such-package": ("1.0", "none")
    }


@pytest.mark.parametrize("name", [one for one in ODD if one not in ("a folder", "half of it")])
def test_a_damaged_task_is_one_sentence(tmp_path, name):
    path = tmp_path / "task.json"
    path.write_bytes(ODD[name])
    said = run.said_by(lambda: run._carry_out(str(path), 0, 0.0))
    assert said.startswith(f"error: {path}") and "Traceback" not in said
    with pytest.raises(StudyError):
        Task.read(path)


@pytest.mark.parametrize("name", ["null", "a mapping", "a list", "no UTF-8"])
def test_a_study_whose_file_says_nothing_is_one_sentence(tmp_path, name):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/study.json").write_bytes(ODD[name])
    with pytest.raises(StudyError, match=r"mine/study\.json"):
        provenance.read("mine", tmp_path)


def test_hashes_with_odd_entries_are_read_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a").write_text("a")
    hashes = Hashes(".")
    first = hashes.of("a")
    hashes.save()
    said = json.loads(Path(".hashes.json").read_text())
    for odd in (["x"], [], [1, 2, 3, 4, 5], "text", {"a": 1}, None):
        Path(".hashes.json").write_text(json.dumps(said | {"files": {"a": odd}}))
        assert Hashes(".").of("a") == first


def test_a_folder_where_a_file_belongs_is_replaced_where_it_is_empty_and_named_where_it_is_not(tmp_path):
    path = tmp_path / "a.json"
    path.mkdir()
    write_text(path, "whole")
    assert path.read_text() == "whole"
    path.unlink()
    path.mkdir()
    (path / "mine").touch()
    with pytest.raises(StudyError, match=r"a\.json: is a folder, where a file of the study belongs; move it away"):
        write_text(path, "whole")
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"] and (path / "mine").exists()


def test_content_of_a_plan_is_read_again_where_its_file_is_damaged(tmp_path):
    path = tmp_path / "content.json"
    write_json(path, vars(Content({"main": {"train": "a"}})))
    assert own.read(path, Content) == Content({"main": {"train": "a"}})
    for odd in ("{}", "[]", '{"images": {"main": 3}}'):
        path.write_text(odd)
        assert own.read(path, Content) is None


def test_what_cannot_be_read_is_said_once(tmp_path, capsys):
    path = tmp_path / "a.json"
    assert own.read(path, dict) is None and capsys.readouterr().err == ""
    path.write_text("[]")
    for _ in range(3):
        assert own.read(path, dict) is None
    assert capsys.readouterr().err == f"{path}: has unexpected content; it is written again\n"
    os.mkfifo(tmp_path / "fifo")
    assert own.read(tmp_path / "fifo", dict) is None, "nobody writes into it"
