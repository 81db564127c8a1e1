"""Measures from before training and the effect of aligning a pair: which pairs count, and whether they predict."""

import json
import warnings

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy import stats

from distillation_dynamics.errors import StudyError
from distillation_dynamics.files import columns_of
from distillation_dynamics.foresight import __main__ as command
from distillation_dynamics.foresight import pairs, ranks
from frames import frame

SOFT = {"cross_entropy": {"weight": 0.1}, "soft": {"weight": 0.9}}
DIFFERENCES = np.array([0.4, 0.1, -0.2, 0.5])


@pytest.fixture(autouse=True)
def no_warnings():
    """What is expected to be degenerate must not warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# --- which pairs count, and what is known of them ---


def aligned(pairs="first", **more):
    """A variant that adds a term with pairs to soft."""
    return SOFT | {"spectral": {"weight": 0.2, "pairs": pairs} | more}


def effect(variant, blocks="0-0", mean=0.2, **more):
    """A row of effects.parquet, of four seeds."""
    half = stats.t.ppf(0.975, 3) * DIFFERENCES.std(ddof=1) / 2
    row = {"variant": variant, "baseline": "soft", "objective": "spectral", "options": "", "pairs": blocks}
    row |= {"weight": 0.2, "share_first": 0.3, "seeds": 4, "mean_difference": mean, "alone": True}
    return row | {"low": mean - half, "high": mean + half} | more


def study(folder, variants, effects, name="made_up", arms=None, **tables):
    """A finished study: its configuration, who is in its summary (arm -> teacher), its effects, and tables."""
    arms = {"soft": "cait"} | dict.fromkeys(variants, "cait") | (arms or {})
    summary = [{"network": "cait", "student": None, "variant": None, "teacher": None}]
    summary += [{"network": arm, "student": "small", "variant": arm, "teacher": who} for arm, who in arms.items()]
    found = {"statistics/effects": pd.DataFrame(effects), "summary/summary": pd.DataFrame(summary)}
    found |= {f"{'summary' if name == 'term_gradients' else 'tables'}/{name}": own for name, own in tables.items()}
    for path, table in found.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(folder / f"{path}.parquet")
    configuration = {"variants": {"soft": SOFT} | variants}
    (folder / "study.json").write_text(json.dumps({"name": name, "configuration": configuration}))
    return folder


def measured(arm="first"):
    """Tables of a student of three blocks and a teacher of four, seeds 0 and 1, epochs 0 and 5."""
    cka, mismatch, depth, gradients = [], [], [], []
    for seed, epoch, block, other in np.ndindex(2, 2, 3, 4):
        key = {"network": arm, "seed": seed, "epoch": 5 * epoch, "block": block}
        key |= {"other": "cait", "other_seed": None, "other_epoch": None, "other_block": other, "images": 9}
        number = 100 * seed + 50 * epoch + 4 * block + other
        own = {"cka_tokens": number / 1000, "cka_images": -number / 1000, "tokens_per_image": 4}
        cka.append(key | own)
        own = {"rank_95": 16.0 + block, "other_rank_95": 4.0 + number, "bandwidth_95": 0.9, "other_bandwidth_95": 0.5}
        mismatch.append(key | own)
        if other == 0:
            own = {"probe": "balanced", "linear_probe_top1": 10.0 + number}
            published = {"probe": "published", "linear_probe_top1": 1.0}
            depth += [
                {name: key[name] for name in ("network", "seed", "epoch", "block")} | one for one in (published, own)
            ]
            for term, step in (("spectral", 7 * epoch), ("soft", 7 * epoch)):
                own = {"network": arm, "seed": seed, "epoch": 1, "step": step, "term": term, "block": block}
                # The term does not reach the last block.
                known = block < 2 and term == "spectral"
                norm, cosine = (1.0 + block, 0.5 - block + number / 1000) if known else (0.0, np.nan)
                gradients.append(own | {"norm": norm, "cosine": cosine})
    for block in range(4):
        teacher = {"network": "cait", "seed": None, "epoch": 2, "block": block, "probe": "balanced"}
        depth.append(teacher | {"linear_probe_top1": 60.0 + block})
    rows = {"cka": cka, "mismatch": mismatch, "depth": depth, "term_gradients": gradients}
    return {name: frame(own) for name, own in rows.items()}


def of(folder):
    return pairs.pairs_of(pairs.read(folder))


def test_predictors_are_of_the_first_seed_before_training_and_of_the_trained_teacher(tmp_path):
    tables = measured()
    found = of(study(tmp_path, {"first": aligned([1, 2])}, [effect("first", "1-2")], **tables))
    (row,) = found.to_dict("records")
    assert list(found) == list(pairs.PAIR_COLUMNS)
    assert (row["student"], row["teacher"], row["student_block"], row["teacher_block"]) == ("small", "cait", 1, 2)
    assert row["effect"] == pytest.approx(0.2) and row["standard_error"] == pytest.approx(stats.sem(DIFFERENCES))
    # Seed 0, epoch 0, blocks 1 and 2: number 6.
    expected = {
        "cka": 0.006, "teacher_rank": 10, "rank_ratio": np.log2(17 / 10), "bandwidth_difference": 0.4,
        "teacher_probe": 62, "student_probe": 14, "gradient_cosine": (1 * 0.5 + 2 * (-0.5 + 0.004)) / 3,
        "depth": 0.5, "early": -0.5,
    }  # fmt: skip
    assert {name: row[name] for name in pairs.PREDICTORS} == pytest.approx(expected)


def test_cka_is_of_images_where_tokens_do_not_tell_of_all_pairs(tmp_path):
    tables = measured()
    tables["cka"].loc[tables["cka"]["block"] == 0, "cka_tokens"] = np.nan
    found = of(study(tmp_path, {"first": aligned([1, 2])}, [effect("first", "1-2")], cka=tables["cka"]))
    assert found["cka"].item() == pytest.approx(-0.006)


@pytest.mark.parametrize("left", [set(), {"term_gradients"}])
def test_what_was_not_measured_is_missing(tmp_path, left):
    tables = {name: table for name, table in measured().items() if name in left}
    (row,) = of(study(tmp_path, {"first": aligned()}, [effect("first")], **tables)).to_dict("records")
    known = {"gradient_cosine", "depth", "early"} if left else set()
    assert {name for name in pairs.PREDICTORS if not np.isnan(row[name])} == known


def test_a_measure_of_another_teacher_a_column_or_gradient_that_is_not_there_is_missing(tmp_path):
    tables = measured()
    tables["depth"] = tables["depth"].drop(columns="linear_probe_top1")
    tables["term_gradients"]["cosine"] = np.nan
    tables["mismatch"]["rank_95"] = 0.0
    variants = {"first": aligned(teacher="vit")}
    (row,) = of(study(tmp_path, variants, [effect("first")], **tables)).to_dict("records")
    assert row["teacher"] == "vit"
    assert {name for name in pairs.PREDICTORS if not np.isnan(row[name])} == {"depth", "early"}
    (row,) = of(study(tmp_path, {"first": aligned()}, [effect("first")], **tables)).to_dict("records")
    assert row["teacher_rank"] == 4 and np.isnan(row["rank_ratio"])


def test_only_variants_count_that_align_one_pair_alone_and_towards_the_teacher_of_their_baseline(tmp_path):
    two_terms = aligned() | {"projector": {"weight": 0.2, "pairs": "last"}}
    variants = {
        "one": aligned(), "dose": aligned(weight={"share": 0.5}), "two_terms": two_terms,
        "beside_nothing": two_terms | {"spectral": {"weight": 0, "pairs": "last"}},
        "two_pairs": aligned(["first", "last"]), "null": aligned(target="zero"),
        "more_changes": aligned(), "other_teacher": aligned() | {"teacher": "vit"},
    }  # fmt: skip
    effects = [effect(name) for name in ("one", "dose", "beside_nothing", "two_terms", "null", "other_teacher")]
    effects += [effect("two_pairs", "0-0, 2-3"), effect("two_terms", "2-3"), effect("more_changes", alone=False)]
    found = of(study(tmp_path, variants, effects, arms={"other_teacher": "vit"}))
    assert list(found["variant"]) == ["one", "dose", "beside_nothing"]


def test_one_seed_has_an_effect_and_no_error(tmp_path):
    effects = [effect("first", seeds=1, low=np.nan, high=np.nan)]
    (row,) = of(study(tmp_path, {"first": aligned()}, effects)).to_dict("records")
    assert row["effect"] == pytest.approx(0.2) and np.isnan(row["standard_error"])


# --- the command ---


def several(folder, name, **more):
    """A finished study of three pairs."""
    variants = {"first": aligned(), "middle": aligned([1, 1]), "last": aligned("last")}
    effects = [effect("first", "0-0", 0.3), effect("middle", "1-1", 0.2), effect("last", "2-3", 0.1)]
    tables = [measured(arm) for arm in variants]
    joined = {table: pd.concat([own[table] for own in tables]) for table in tables[0]}
    joined["depth"] = joined["depth"].drop_duplicates()
    return study(folder / name, variants, effects, name, **joined | more)


def test_the_command_writes_documented_tables_and_says_them_in_few_lines(tmp_path, capsys):
    folders = [str(several(tmp_path, name)) for name in ("a", "b", "c")]
    assert command.main([*folders, "--out", str(tmp_path / "out")]) is None
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "9 pairs of a (3), b (3) and c (3)" and len(lines) <= 20
    assert max(map(len, lines[:-1])) <= 120
    said = next(line.split() for line in lines if line.startswith("student_probe"))
    assert said == ["student_probe", "-", "+1.00", "+0.00", "3", "of", "3", "9", "0", "of", "3"]
    for name, columns in (("pairs", pairs.PAIR_COLUMNS), ("foresight", ranks.COLUMNS)):
        assert columns_of(pq.read_schema(tmp_path / f"out/{name}.parquet")) == columns
    found = pd.read_parquet(tmp_path / "out/pairs.parquet")
    assert list(found["study"]) == [name for name in "abc" for _ in range(3)]
    table = pd.read_parquet(tmp_path / "out/foresight.parquet")
    assert list(table["predictor"]) == list(pairs.PREDICTORS)
    pd.testing.assert_frame_equal(table, ranks.table(found), check_dtype=False)


def without_students(folder):
    (folder / "study.json").write_text(json.dumps({"name": "nobody", "configuration": {"variants": {}}}))


def without(path):
    return lambda folder: (folder / path).unlink()


def of_old_tables(folder):
    path = folder / "summary/summary.parquet"
    pd.read_parquet(path).drop(columns="variant").to_parquet(path)


def without_pairs(folder):
    path = folder / "statistics/effects.parquet"
    pd.read_parquet(path).iloc[:0].to_parquet(path)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without("study.json"), r"b holds no study; did you mean|b holds no study; allowed: a"),
        (without("statistics/effects.parquet"), "b: is not finished, statistics/effects.parquet is missing"),
        (without("summary/summary.parquet"), "b: is not finished, summary/summary.parquet is missing"),
        (without_students, "b: has no students, so that no pair was aligned; leave it out"),
        (of_old_tables, "summary.parquet: does not say who is a student of whom"),
        (without_pairs, "a and b: only a aligns a pair of blocks alone"),
    ],
)
def test_a_study_that_cannot_be_asked_is_named_with_the_remedy(tmp_path, spoil, said):
    first, second = (several(tmp_path, name) for name in ("a", "b"))
    spoil(second)
    with pytest.raises(StudyError, match=said):
        command.gathered([first, second])


def test_one_study_one_given_twice_and_none_with_a_pair_are_refused(tmp_path):
    first, second = (several(tmp_path, name) for name in ("a", "b"))
    with pytest.raises(StudyError, match="a: of one study alone none can be left out; give two or more"):
        command.gathered([first])
    with pytest.raises(StudyError, match=r"^a: is given twice; give each study once"):
        command.gathered([first, second, first])
    for folder in (first, second):
        without_pairs(folder)
    with pytest.raises(StudyError, match="a and b: none aligns a pair"):
        command.gathered([first, second])


def test_where_it_fails_nothing_is_written(tmp_path):
    first, second = (str(several(tmp_path, name)) for name in ("a", "b"))
    out = tmp_path / "out"
    assert command.main([first, "--out", str(out)]).startswith("error: ") and not out.exists()
    out.write_text("mine")
    assert command.main([first, second, "--out", str(out)]) == f"error: --out: {out} is a file; name a folder"
    assert out.read_text() == "mine"
