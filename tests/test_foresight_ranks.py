"""Whether a predictor ranks the pairs of a study that did not choose its sign: made-up pairs, compared with literal
steps.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from distillation_dynamics.foresight import pairs, ranks


@pytest.fixture(autouse=True)
def no_warnings():
    """What is expected to be degenerate must not warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def made_up(**studies):
    """Pairs of studies, each of (effect, cka) or (effect, cka, early) a pair; predictors left out are missing."""
    rows = []
    for name, values in studies.items():
        for value in values:
            known = dict(zip(("effect", "cka", "early"), value, strict=False))
            rows.append(dict.fromkeys(pairs.PREDICTORS, np.nan) | {"study": name} | known)
    return pd.DataFrame(rows)


def row_of(found, predictor="cka"):
    return ranks.table(found).set_index("predictor").loc[predictor]


def literal(found, predictor):
    """Correlation and difference to early by study, each step spelt out; None where it cannot be computed."""

    def rank(values):
        return [sum(o < v for o in values) + (sum(o == v for o in values) + 1) / 2 for v in values]

    def rho(x, y):
        if len(x) < 3 or len(set(x)) < 2 or len(set(y)) < 2:
            return None
        return np.corrcoef(rank(x), rank(y))[0, 1]

    own, early = {}, {}
    for name, rows in found.groupby("study"):
        rows = [row for row in rows.to_dict("records") if not np.isnan(row[predictor])]
        for kind, values in (("early", early), (predictor, own)):
            values[name] = rho([row[kind] for row in rows], [row["effect"] for row in rows])
    scores, less = [], []
    for name, value in own.items():
        others = [other for study, other in own.items() if study != name and other is not None]
        if value is None or not others or np.mean(others) == 0:
            continue
        scores.append(value * np.sign(np.mean(others)))
        if early[name] is not None:
            less.append(scores[-1] - early[name])
    return scores, less


def test_it_is_what_the_steps_give_one_by_one():
    draw = np.random.default_rng(3)
    found = made_up(**{f"s{n}": draw.integers(0, 5, (4 + n, 3)).astype(float) for n in range(6)})
    found.loc[[2, 5, 11], "cka"] = np.nan
    scores, less = literal(found, "cka")
    assert len(scores) == 6 and len(less) >= 5
    row = row_of(found)
    for values, name, start in ((scores, "correlation", ""), (less, "less_early", "less_early_")):
        half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
        told = [row[name], row[f"{start}low"], row[f"{start}high"]]
        assert told == pytest.approx([np.mean(values), np.mean(values) - half, np.mean(values) + half])
    assert (row["tested"], row["less_early_studies"]) == (6, len(less))
    assert (row["studies"], row["pairs"], row["missing"]) == (6, len(found) - 3, 3)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_sign_is_told_by_the_other_studies_and_a_perfect_predictor_has_1(sign):
    rows = [(1.0, sign * 5.0, 0.0), (2.0, sign * 7.0, -1.0), (3.0, sign * 8.0, -2.0)]
    row = row_of(made_up(a=rows, b=rows, c=rows))
    assert row["sign"] == sign and row["correlation"] == pytest.approx(1) and row["tested"] == 3
    # All studies agree: no spread, no interval.
    assert np.isnan([row["low"], row["high"]]).all()
    # Early is just the wrong way here, so that it is another name of depth.
    assert row["less_early"] == pytest.approx(2) and row["other_than_depth"] == 0


def test_a_sign_that_flips_between_studies_is_worse_than_nothing():
    up = [(1.0, 5.0), (2.0, 7.0), (3.0, 8.0)]
    down = [(effect, -cka) for effect, cka in up]
    assert row_of(made_up(a=up, b=down))["correlation"] == pytest.approx(-1)
    row = row_of(made_up(a=up, b=down, c=up, d=down, e=up))
    # Left out, an up leaves 2 of 4 (no sign is told), a down leaves 3 of 4.
    assert row["correlation"] == pytest.approx(-1) and row["tested"] == 2 and row["computed"] == 5
    assert row["sign"] == 1


def test_early_has_the_sign_that_it_names_and_depth_learns_it():
    late = [(1.0, 0.0, 0.0), (2.0, 0.0, -0.5), (3.0, 0.0, -1.0)]
    found = made_up(a=late, b=late).assign(depth=lambda rows: -rows["early"])
    early, depth = row_of(found, "early"), row_of(found, "depth")
    assert early["correlation"] == pytest.approx(-1) and early["sign"] == 1
    assert np.isnan(early["less_early"]) and early["less_early_studies"] == 0
    assert depth["correlation"] == pytest.approx(1) and depth["sign"] == 1
    assert depth["less_early"] == pytest.approx(2)


def test_it_is_computed_of_three_pairs_or_more_that_differ():
    up = [(1.0, 5.0), (2.0, 7.0), (3.0, 8.0)]
    few, alike, even = up[:2], [(effect, 5.0) for effect, _ in up], [(1.0, cka) for _, cka in up]
    unknown = [(1.0, np.nan), *up[:2]]
    row = row_of(made_up(a=up, b=up, few=few, alike=alike, even=even, unknown=unknown))
    assert (row["tested"], row["computed"], row["studies"]) == (2, 2, 6)
    assert (row["pairs"], row["missing"]) == (16, 1) and row["correlation"] == pytest.approx(1)
    # One study that can be computed is told no sign, and no study at all nothing.
    assert row_of(made_up(a=up, few=few))[["tested", "computed"]].tolist() == [0, 1]
    assert np.isnan(row_of(made_up(a=up, few=few))["correlation"])
    assert row_of(made_up(a=few, b=few))[["sign", "tested", "computed"]].tolist() == [0, 0, 0]


def test_values_that_differ_by_rounding_are_one():
    values = pd.Series([0.5, 0.5 + 1e-9, 0.5 - 1e-9, 0.7])
    effects = pd.Series([0.1, 0.3, 0.2, 0.4])
    expected = np.corrcoef([2, 2, 2, 4], [1, 3, 2, 4])[0, 1]
    assert ranks.correlation(values, effects) == pytest.approx(expected)
    assert np.isnan(ranks.correlation(values[:3], effects[:3]))
    # Infinite and huge values have ranks, too.
    assert ranks.correlation(pd.Series([-np.inf, 1e300, np.inf]), effects[:3]) == pytest.approx(0.5)


def test_a_predictor_is_told_from_depth_where_it_orders_pairs_otherwise():
    as_depth = [(1.0, 5.0, -1.0), (3.0, 7.0, 0.0), (2.0, 7.0, 0.0)]
    backwards = [(effect, -cka, early) for effect, cka, early in as_depth]
    otherwise = [(1.0, 5.0, -1.0), (3.0, 7.0, 0.0), (2.0, 6.0, 0.0)]
    one_depth = [(effect, cka, 0.0) for effect, cka, _ in otherwise]
    assert row_of(made_up(a=as_depth, b=backwards, c=as_depth))["other_than_depth"] == 0
    assert row_of(made_up(a=as_depth, b=otherwise, c=one_depth))["other_than_depth"] == 2
