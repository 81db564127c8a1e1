"""Networks have no seed, and weights from elsewhere no epoch: what is not there is missing, in files and to readers."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from distillation_dynamics.drawing.style import Style, last_epoch
from distillation_dynamics.figures import map as figure
from distillation_dynamics.files import Column, columns_to_write, read_table, whole_numbers, write_joined, write_table
from distillation_dynamics.metrics.keys import MAY_BE_MISSING, NETWORK, filled
from distillation_dynamics.page.panel import PageData
from distillation_dynamics.page.profiles import profiles
from distillation_dynamics.page.rows import over_seeds, packed
from distillation_dynamics.spec.base import From
from distillation_dynamics.spec.tables import Run, SummaryJob
from distillation_dynamics.stages import summary
from distillation_dynamics.statistics.checkpoints import at_last_epoch, of_first_seed
from distillation_dynamics.statistics.terms import shares
from frames import frame, minus_ones
from made_up import names, study

COLUMNS = {"seed": Column("", "seed"), "value": Column("", "value")}
# A network as it was released and its control, a network that was trained, two students of two seeds and epochs.
ROWS = [
    *({"network": "dino", "seed": None, "epoch": None}, {"network": "dino_untrained", "seed": None, "epoch": 0}),
    {"network": "cait", "seed": None, "epoch": 2},
    *({"network": name, "seed": seed, "epoch": epoch} for name in "ab" for seed in (1, 0) for epoch in (0, 4)),
]


@pytest.mark.parametrize(
    "seeds", [[None, None], [None, 3], [3, 4], [2**53 + 1, None]], ids=["networks", "both", "students", "large"]
)
def test_a_whole_number_that_is_missing_is_null_and_stays_whole(tmp_path, seeds):
    values = [np.array([value]) for value in (np.nan, 1.5)]
    parts = [{"seed": whole_numbers([seed]), "value": own} for seed, own in zip(seeds, values, strict=True)]
    write_joined(tmp_path, {"a": parts}, {"a": COLUMNS})
    written = pq.read_table(tmp_path / "a.parquet")
    assert written.to_pydict()["seed"] == seeds and str(written.schema.field("seed").type) == "int64"
    assert written["value"].null_count == 0 and np.isnan(written.to_pydict()["value"][0])
    read = read_table(tmp_path / "a.parquet")
    assert read["seed"].isna().tolist() == [seed is None for seed in seeds]
    assert [int(seed) for seed in read["seed"].dropna()] == [seed for seed in seeds if seed is not None]
    write_table(tmp_path / "b.parquet", columns_to_write(read, COLUMNS), COLUMNS)
    assert (tmp_path / "b.parquet").read_bytes() == (tmp_path / "a.parquet").read_bytes()


def test_a_part_without_and_one_with_missing_numbers_are_one_column(tmp_path):
    parts = [{"seed": np.array([1, 2]), "value": np.zeros(2)}, {"seed": whole_numbers([None]), "value": np.zeros(1)}]
    write_joined(tmp_path, {"a": parts}, {"a": COLUMNS})
    assert pq.read_table(tmp_path / "a.parquet").to_pydict()["seed"] == [1, 2, None]


def test_keys_that_may_be_missing_are_of_one_type_whether_they_are_or_not():
    assert {"seed", "epoch"} == {name for name in NETWORK if name in MAY_BE_MISSING}
    for name in MAY_BE_MISSING:
        assert str(filled(name, None, 2).dtype) == str(filled(name, 7, 2).dtype) == "Int64"
        assert list(filled(name, 7, 3)) == [7, 7, 7] and filled(name, None, 3).isna().all()
    assert filled("network", "cait", 2).tolist() == ["cait", "cait"]


def test_the_last_epoch_is_the_only_one_of_weights_from_elsewhere():
    table = frame(ROWS)
    last = at_last_epoch(table, "network", "seed")
    assert last.dtype == bool and last.tolist() == [True, True, True] + [False, True] * 4
    pd.testing.assert_frame_equal(last_epoch(table), table[last])
    # Of students alone, whose columns have no missing value and another type, it is the same.
    students = table[table["seed"].notna()].astype({"seed": int, "epoch": int})
    assert at_last_epoch(students, "network", "seed").tolist() == [False, True] * 4
    pairs = table.assign(other="cait", other_epoch=table["epoch"])
    assert at_last_epoch(pairs, "network", "other", epoch="other_epoch").tolist() == last.tolist()
    assert at_last_epoch(table.iloc[:0], "network").empty


def test_the_first_seed_is_the_only_one_of_a_network():
    assert of_first_seed(frame(ROWS), "network").tolist() == [True] * 3 + [False, False, True, True] * 2


def test_means_over_seeds_hold_those_who_have_none():
    table = frame([row | {"value": place} for place, row in enumerate(ROWS)])
    means = over_seeds(table, ["network", "epoch"], ["value"]).set_index(["network", "epoch"])
    assert len(means) == 7 and means["seeds"].tolist() == [1, 1, 1, 2, 2, 2, 2]
    assert means["value"].tolist() == [0, 1, 2, 4, 5, 8, 9]
    columns = packed(table)["columns"]
    assert columns["seed"][:4] == [None, None, None, 1] and columns["epoch"][:3] == [None, 0, 2]


def test_shares_of_the_loss_of_a_network_that_was_trained_here_are_known():
    table = frame([{"network": "cait", "seed": None, "epoch": epoch, "term": "hard", "share": 1.0} for epoch in (1, 2)])
    assert shares(table) == {("cait", "hard"): {"share_first": 1.0, "share_all": 1.0}}


@pytest.fixture(scope="module")
def released():
    """Tables of a study of two released networks and their controls."""
    who = names(("dino", "vit"), (), teacher=None)
    tables = study(who)
    for table in tables.values():
        if "epoch" in table:
            table.loc[table["network"].isin(who.networks), "epoch"] = pd.NA
    return who, tables


def test_released_networks_are_on_the_page_at_no_epoch(released):
    who, tables = released
    table, metrics = profiles(PageData(who, tables, {}))
    assert metrics and table["last"].all() and table["epoch"].isna().all()
    said = dict(zip(table["network"], table["epoch_said"], strict=True))
    assert said == {"dino": "as released", "vit": "as released", "dino_untrained": "0", "vit_untrained": "0"}
    assert table["intensity_gaussian"].notna().all() and table["intensity_half"].notna().all()


def test_released_networks_and_their_controls_are_on_the_map(released):
    who, tables = released
    (axes,) = figure.draw(tables, Style("colorblind", 50, who)).axes
    assert {line.get_label() for line in axes.lines if not line.get_label().startswith("_")} == {
        *("dino", "vit", "dino untrained", "vit untrained")
    }


def test_a_run_without_seed_or_best_epoch_has_none_in_the_summary(tmp_path):
    result = '{"parameters": 7, "training_gflops": 0, "train_images": null, "epochs": null}'
    cost = '{"seconds": 1.0, "images_per_second": null, "device": "cpu", "networks": 1, "own_seconds": 1}'
    (tmp_path / "result.json").write_text(result)
    (tmp_path / "cost.json").write_text(cost.replace("}", ', "start_seconds": 0}'))
    (tmp_path / ".record.json").write_text("{}")
    where = {"folder": str(tmp_path), "record": str(tmp_path / ".record.json")}
    run = Run("dino", None, From("dino", files=()), measured=False, **where)
    summary.main(SummaryJob((run,), None, {}, out=str(tmp_path / "out")))
    for table, columns in {"runs": ("seed", "best_epoch"), "cost": ("seed",)}.items():
        written = pq.read_table(tmp_path / f"out/{table}.parquet")
        assert [written.to_pydict()[name] for name in columns] == [[None]] * len(columns)
        assert {str(written.schema.field(name).type) for name in columns} == {"int64"}
    assert minus_ones(tmp_path) == [] and "| dino | - | 1.00 |" in (tmp_path / "out/cost.md").read_text()
