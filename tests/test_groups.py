"""Images of one photograph are known by their names, and held out together."""

import json
import re
import signal

import numpy as np
import pytest

from distillation_dynamics.data import groups
from distillation_dynamics.data.balanced import balanced
from distillation_dynamics.data.split import Split
from distillation_dynamics.errors import StudyError
from distillation_dynamics.files import read_table
from distillation_dynamics.spec.data import DataJob
from distillation_dynamics.spec.images import Images, Validation
from distillation_dynamics.stages import data as stage
from pictures import VIEW, make_folder, write_pictures

NAMES = {"train": np.array(["a_1.png", "a_2.png", "b.png"]), "test": np.array(["a_3.png", "c.png", "d/c_1.png"])}


def test_images_whose_names_match_alike_are_one_group():
    alone = groups.groups_of(NAMES, None, "data")
    assert {key: list(values) for key, values in alone.items()} == {"train": [0, 1, 2], "test": [3, 4, 5]}
    for pattern in (r"^(\w)_", r"^[a-z](?=_)", r"^(?:(\w)_|.)"):
        found = groups.groups_of(NAMES, pattern, "data")
        one = found["train"][0]
        assert found["train"][1] == one == found["test"][0]
        # Neither what is not matched nor what has no first group is of a group.
        rest = [found["train"][2], *found["test"][1:]]
        assert len({one, *rest}) == 4


def test_a_pattern_that_matches_no_name_is_said():
    with pytest.raises(
        StudyError, match=r"^probes\.mine\.groups: 'xyz' matches the name of no image, such as a_1\.png"
    ):
        groups.groups_of(NAMES, "xyz", "probes.mine")


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*$", "(.*)*x$", "a*a*a*a*a*a*a*a*a*b"])
def test_a_pattern_that_goes_back_for_ever_ends_in_a_sentence(monkeypatch, pattern):
    monkeypatch.setattr(groups, "SECONDS", 0.05)
    names = {"test": np.array(["b.png", "a" * 400 + "!"])}
    before = signal.getsignal(signal.SIGVTALRM)
    with pytest.raises(StudyError, match=r"^data\.groups: .* takes too long to match \(it was at a+!\); write it so"):
        groups.groups_of(names, pattern, "data")
    assert signal.getsignal(signal.SIGVTALRM) == before and signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)
    # The next one has its own time.
    assert groups.groups_of(names, "^a", "data")["test"].tolist() in ([0, 1], [1, 0])


def test_where_each_image_is_alone_as_many_are_held_out_as_ever():
    labels = np.random.default_rng(0).permutation(np.arange(60) % 3)
    np.testing.assert_array_equal(groups.held_out(labels, np.arange(60) * 7, 4), balanced(labels, 12))


@pytest.mark.parametrize("mixed", [False, True])
def test_images_of_a_group_are_held_out_together(mixed):
    generator = np.random.default_rng(1)
    of_group = generator.permutation(np.repeat(np.arange(40), 5))
    labels = np.arange(200) % 3 if mixed else of_group % 4
    held = groups.held_out(labels, of_group, 12)
    assert np.bincount(labels[held]).tolist() == [12] * (3 if mixed else 4) and (np.diff(held) > 0).all()
    rest = groups.not_of(held, of_group)
    assert not {*of_group[held]} & {*of_group[rest]}
    # At most one group a class is held out in part.
    lost = 200 - len(held) - len(rest)
    assert lost <= 4 * 4 if not mixed else lost < 100
    other = groups.held_out(labels, of_group, 12, seed=1)
    assert not np.array_equal(held, other)
    np.testing.assert_array_equal(held, groups.held_out(labels, of_group, 12))


def split(tmp_path, pattern, per_class=2, taken_from="train"):
    job = DataJob(
        "folder", 2, Validation(taken_from, per_class), {}, False, None, pattern,
        train=(str(tmp_path / "train"),), test=(str(tmp_path / "test"),), out=str(tmp_path / "out"),
    )  # fmt: skip
    stage.main(job)
    return read_table(tmp_path / "out/splits.parquet")


def test_no_photograph_is_in_training_and_validation(tmp_path):
    names = [
        f"class{label}/photo{label}{photo}_{crop}.jpg" for label in (0, 1) for photo in range(4) for crop in (0, 1, 2)
    ]
    write_pictures(tmp_path / "train", names)
    make_folder(tmp_path / "test", classes=2)
    table = split(tmp_path, r"(photo\d+)_")
    own = table[table["file"] == "train"]
    counts = own.groupby("split")["label"].value_counts().to_dict()
    assert counts == {("train", 0): 9, ("train", 1): 9, ("validation", 0): 2, ("validation", 1): 2}
    photographs = own["name"].str.extract(r"(photo\d+)_")[0]
    assert not {*photographs[own["split"] == "train"]} & {*photographs[own["split"] == "validation"]}
    images = Images("key", VIEW, False, folder=str(tmp_path / "out"), train=str(tmp_path / "train"), test="")
    assert len(Split(images, "train")) == 18 and len(Split(images, "validation")) == 4
    plain = split(tmp_path, None)
    assert plain["split"].value_counts().to_dict() == {"train": 20, "test": 12, "validation": 4}
    with pytest.raises(
        StudyError,
        match=r"^data\.validation\.per_class: where 11 images of class class0 are held out with all of their",
    ):
        split(tmp_path, r"(photo\d+)_", per_class=11)


def literal(splits, numbers):
    """(one, other) -> images of the other that are of a group that one has, image by image, of all two splits."""
    found = {}
    for place, (one, file, rows) in enumerate(splits):
        for other, other_file, other_rows in splits[place + 1 :]:
            own = {numbers[file][row] for row in rows}
            found[one, other] = [row for row in other_rows if numbers[other_file][row] in own]
    return found


@pytest.mark.parametrize("seed", range(3))
def test_images_of_one_photograph_in_two_splits_are_counted_and_the_first_is_named(seed):
    generator = np.random.default_rng(seed)
    numbers = {"train": generator.integers(0, 30, 40), "test": generator.integers(0, 30, 25)}
    names = {key: np.array([f"{key}{row}.png" for row in range(len(own))]) for key, own in numbers.items()}
    rows = generator.permutation(40)
    splits = [("train", "train", rows[:25]), ("validation", "train", rows[25:]), ("test", "test", np.arange(25))]
    said = groups.in_both(splits, numbers, names)
    expected = {pair: rows for pair, rows in literal(splits, numbers).items() if rows}
    assert len(said) == len(expected) == 3
    for sentence, ((one, other), both) in zip(said, expected.items(), strict=True):
        whole = len(next(rows for name, _, rows in splits if name == other))
        file = {"validation": "train"}.get(other, other)
        start = f"{len(both)} of {whole} {other} images are of a photograph (data.groups) that {one} images are of, "
        assert sentence.startswith(f"{start}too, such as {names[file][both[0]]}: ")
    nothing = np.array([], dtype=int)
    assert groups.in_both([("train", "train", nothing), *splits[2:]], numbers, names) == []
    apart = {"train": np.arange(40), "test": np.arange(40, 65)}
    assert groups.in_both(splits, apart, names) == []


def test_what_is_trained_and_tested_on_is_said_once_and_recorded(tmp_path, capsys):
    names = [
        f"class{label}/photo{label}{photo}_{crop}.jpg" for label in (0, 1) for photo in range(4) for crop in (0, 1)
    ]
    write_pictures(tmp_path / "train", names)
    write_pictures(tmp_path / "test", ["class0/photo00_7.jpg", "class0/other_1.jpg", "class1/photo13_7.jpg"])
    split(tmp_path, r"(photo\d+)_")
    notes = json.loads((tmp_path / "out/pictures.json").read_text())["test"]["notes"]
    said = [line.removeprefix("note: ") for line in capsys.readouterr().err.splitlines() if "photograph" in line]
    assert said == notes and all(note.startswith("data.test: ") for note in notes)
    together = sum(int(re.search(r": (\d) of 3 test images are of a photograph", note)[1]) for note in notes)
    assert together == 2, "each of the two is of a photograph that train or validation has"
    split(tmp_path, None)
    assert "photograph" not in capsys.readouterr().err
