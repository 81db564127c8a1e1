"""Figures show what the tables say, are equal for equal tables, and refuse empty ones in a sentence."""

import os
import subprocess
import sys
from importlib import import_module
from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from conftest import ROOT
from distillation_dynamics.drawing.axis import name_blocks
from distillation_dynamics.drawing.layout import note_of
from distillation_dynamics.drawing.profiles import title
from distillation_dynamics.drawing.style import NoValue, Style, counts, label
from distillation_dynamics.errors import StudyError
from distillation_dynamics.figures import terms
from distillation_dynamics.files import Column, write_table
from distillation_dynamics.stages import figures as stage
from helpers import extension
from made_up import FAMILIES, RESNET, SWIN, figure_job, names, network, study
from made_up_statistics import statistics

OVER_DEPTH = ["depth_profiles", "profile_controls", "rank", "tokens"]
OF_STUDENTS = ["cka", "dynamics", "terms", "training_curves"]
OF_ALL = ["accuracy", "map", "sep", "spectra", "saliency", *OVER_DEPTH]
FIGURES = [*OF_ALL, *OF_STUDENTS]
# A study of one variant has no gains, and few variants were published.
MAY_BE_EMPTY = {"trajectory", "published_trajectory"}
VARIANTS = ["none", "soft", "spectral_first", "spectral_last"]
SHOWN = ["teacher", "teacher untrained", "none", "soft", "spectral first", "spectral last"]
WHO = names(variants=VARIANTS)
STAGES = names(variants=VARIANTS[:2])
ALONE = names(FAMILIES, teacher=None)
BESIDE = names(("vit", "cait", "resnet"), VARIANTS, teacher="cait")


def style_of(who):
    """The style of a study."""
    return Style("colorblind", 60, who)


class Made(dict):
    """Tables of a made-up study; each figure of them is drawn once, and all tests look at it."""

    def __init__(self, tables):
        super().__init__(tables)
        self.drawn = {}


@pytest.fixture(scope="module")
def tables():
    """Tables of a study of plain Transformers with two seeds."""
    made = study(WHO, seeds=(0, 1))
    return Made(made | statistics(WHO, made, (0, 1)))


@pytest.fixture(scope="module")
def stages():
    """Tables of a study of a Swin-like teacher and a ResNet-like student."""
    return Made(study(STAGES, {"teacher": SWIN}, RESNET))


@pytest.fixture(scope="module")
def alone():
    """Tables of four networks of different kinds, without teacher and students."""
    return Made(study(ALONE, FAMILIES))


def draw(name, tables, who=WHO):
    known = tables.drawn if isinstance(tables, Made) else {}
    if name not in known:
        style = style_of(who)
        style.apply()
        known[name] = import_module(f"distillation_dynamics.figures.{name}").draw(tables, style)
    return known[name]


def lines(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def stays_on_the_page(figure):
    FigureCanvasAgg(figure).draw()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    return box.x0 > -0.02 and box.y0 > -0.02 and box.x1 < width + 0.02 and box.y1 < height + 0.02


# Draws all figures from the tables in a folder, as another process does; the last ones first, if that is asked for.
DRAWN = """
import sys
from importlib import import_module
from itertools import combinations
from pathlib import Path
from distillation_dynamics.stages import figures as stage
from made_up import figure_job
from test_figures import FIGURES, WHO, style_of
folder, out = map(Path, sys.argv[1:3])
for name in FIGURES[:: int(sys.argv[3])]:
    tables = [folder / f"{table}.parquet" for table in import_module(f"distillation_dynamics.figures.{name}").TABLES]
    stage.main(figure_job(name, tables, style_of(WHO), [out / f"{name}.pdf", out / f"{name}.png"]))
"""


def test_another_process_draws_the_same_bytes_of_the_same_tables(tables, tmp_path):
    """Whatever the order is in which it goes through sets, and whatever it drew before."""
    for name, table in tables.items():
        table.to_parquet(tmp_path / f"{name}.parquet")
    paths = os.pathsep.join(str(ROOT / folder) for folder in ("workflow", "tests"))
    contents = []
    for seed, step in (("1", "1"), ("2", "-1")):
        out = tmp_path / seed
        out.mkdir()
        environment = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", DRAWN, tmp_path, out, step], env=environment, check=True)
        contents.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert len(contents[0]) == 2 * len(FIGURES)
    assert [name for name, content in contents[0].items() if contents[1][name] != content] == []


def test_blocks_are_numbered_where_numbers_tell_them_apart():
    def shown(names):
        axis = Figure().subplots().xaxis
        name_blocks(axis, names)
        return [text.get_text() for text in axis.get_ticklabels()]

    assert shown(("layer1", "layer2", "layer3")) == ["1", "2", "3"] and shown(("blocks.0",)) == ["0"]
    assert shown(tuple(f"layers.{number}" for number in range(12))) == ["0", "2", "4", "6", "8", "10"]
    assert shown(("blocks.10", "blocks.11")) == ["10", "11"]
    assert shown(("blocks.0", "blocks_token_only.0", "norm")) == ["0", "blocks_token_only.0", "norm"]


def test_a_figure_asks_for_what_it_cannot_do_without():
    for name in (*FIGURES, "networks"):
        module = import_module(f"distillation_dynamics.figures.{name}")
        requires = getattr(module, "REQUIRES", ())
        assert set(requires) <= {"students", "teacher", "variants", "networks", "labels"}
        assert ("labels" in requires) == (name in ("accuracy", "saliency"))
        assert ("students" in requires) == (name in OF_STUDENTS) and ("networks" in requires) == (name == "networks")


@pytest.mark.parametrize("name", ["cka", "dynamics", "sep", "spectra", *OVER_DEPTH])
def test_a_title_says_how_many_images_and_seeds_stand_behind_a_figure(name, tables):
    title = draw(name, tables).get_suptitle()
    assert "320" in title and "2 seeds" in title


def test_of_an_empty_table_there_is_nothing_to_draw_and_without_it_figures_are_refused(tables):
    for name in FIGURES:
        for table in {*import_module(f"distillation_dynamics.figures.{name}").TABLES} - MAY_BE_EMPTY:
            with pytest.raises(NoValue, match=rf"\({table}.parquet is empty\)"):
                draw(name, tables | {table: tables[table].iloc[:0]})
            with pytest.raises(StudyError, match=f"{table}.parquet: the table is missing"):
                draw(name, {other: rows for other, rows in tables.items() if other != table})


def test_no_two_share_line_and_marker_and_no_two_of_a_family_a_colour():
    variants = ("none", "soft", "hard", *(f"{a}_{b}" for a in ("spectral", "projector") for b in "abcd"))
    who = names([f"n{number}" for number in range(20)], variants, teacher="n3")
    looks = style_of(who).looks([*who.fixed, *variants])
    assert len({(str(look["linestyle"]), look["marker"]) for look in looks.values()}) == len(looks) == 40 + 11
    many = tuple(f"spectral_{number}" for number in range(12))
    looks = style_of(names(variants=many)).looks(many)
    assert len({look["color"] for look in looks.values()}) == 12
    assert len({(str(look["linestyle"]), look["marker"]) for look in looks.values()}) == 12


def test_a_control_is_its_network_lighter_and_dashed():
    looks = style_of(ALONE).looks(ALONE.fixed)
    for name, control in ALONE.controls.items():
        assert looks[name]["marker"] == looks[control]["marker"]
        assert sum(looks[control]["color"]) > sum(looks[name]["color"]) + 0.5
        assert sum(looks[name]["color"]) < 1, "networks are dark"
    assert looks["cait_s24"]["color"] == (0, 0, 0) and looks["cait_s24"]["linestyle"] == "-"


def test_the_teacher_comes_first_and_is_the_one_with_a_band():
    style = style_of(BESIDE)
    assert BESIDE.ordered == ("cait", "vit", "resnet") and style.looks(["cait"])["cait"]["color"] == (0, 0, 0)
    assert style.banded([*BESIDE.fixed, *VARIANTS]) == ["cait", "soft"]
    assert style_of(ALONE).banded(ALONE.fixed) == ["cait_s24"]


def test_a_network_looks_the_same_whichever_others_a_figure_shows():
    style = style_of(WHO)
    assert style.looks(["spectral_last"]) == {"spectral_last": style.looks(VARIANTS)["spectral_last"]}


def test_accuracy_shows_every_seed_the_mean_with_its_interval_and_joins_runs_of_a_seed(tables):
    figure = draw("accuracy", tables)
    left, right = figure.axes
    students = tables["runs"].query("network != 'teacher'")
    for axes, column in ((left, "test_top1"), (right, "test_agreement")):
        drawn = np.concatenate([line.get_xdata() for line in axes.lines if line.get_marker() not in ("|", "None", "")])
        assert set(students[column]) <= set(drawn)
        paired = [line.get_xdata() for line in axes.lines if line.get_color() == "0.75"]
        np.testing.assert_allclose(paired, students.pivot(index="seed", columns="network", values=column)[VARIANTS])
        bars = np.concatenate([np.concatenate(bar.get_segments())[:, 0] for bar in axes.collections])
        by_name = students.groupby("network")[column]
        # The t quantile of one degree of freedom.
        half = 12.7062 * by_name.std() / np.sqrt(2)
        expected = np.sort([*(by_name.mean() - half), *(by_name.mean() + half)])
        np.testing.assert_allclose(np.sort(bars), expected, rtol=1e-4)
    assert "Training images: 16,000 (teacher), 3,600 (variants)." in note_of(figure)


def test_a_network_trained_once_has_the_binomial_interval_of_the_test_images(alone):
    (axes,) = draw("accuracy", alone, ALONE).axes
    runs = alone["runs"]
    half = 1.96 * np.sqrt(runs["test_top1"] * (100 - runs["test_top1"]) / runs["test_images"])
    bars = np.concatenate([np.concatenate(bar.get_segments())[:, 0] for bar in axes.collections])
    expected = np.sort([*(runs["test_top1"] - half), *(runs["test_top1"] + half)])
    np.testing.assert_allclose(np.sort(bars), expected, rtol=1e-4)


def test_depth_profiles_are_means_over_seeds_of_the_last_epoch_on_the_balanced_images(tables):
    levels, variants = draw("depth_profiles", tables).axes[:2]
    assert list(lines(levels)) == ["teacher", "teacher untrained", "soft"]
    rows = tables["depth"].query("probe == 'balanced'")
    for name, epoch in (("soft", 5), ("teacher", 2)):
        own = rows.query(f"network == '{name}' and epoch == {epoch}")
        np.testing.assert_allclose(lines(levels)[name].get_ydata(), own.groupby("block")["intensity"].mean())
    assert list(lines(variants)) == ["none", "spectral first", "spectral last"]


def differences(tables, name, column, ratio=False):
    """What a variant changes of a column at its last epoch, [block, seed]."""
    rows = tables["depth"].query("probe == 'balanced' and epoch == 5")
    own, base = (
        rows[rows["network"] == one].pivot(index="block", columns="seed", values=column) for one in (name, "soft")
    )
    return np.log(own / base) if ratio else own - base


def curve_of(axes, name):
    """The line of a variant, which is drawn after the empty one that its name in the legend shows."""
    color = lines(axes)[name].get_color()
    return next(line for line in axes.lines if line.get_color() == color and len(line.get_xdata()) > 1)


def test_variants_are_differences_or_ratios_to_the_baseline_of_the_same_seed_with_an_interval(tables):
    figure = draw("depth_profiles", tables)
    panels = figure.axes
    entropy = differences(tables, "none", "entropy")
    np.testing.assert_allclose(curve_of(panels[3], "none").get_ydata(), entropy.mean(axis=1))
    ratio = differences(tables, "none", "intensity", ratio=True)
    np.testing.assert_allclose(curve_of(panels[1], "none").get_ydata(), np.exp(ratio.mean(axis=1)))
    # The t quantile of one degree of freedom.
    half = 12.7062 * entropy.std(axis=1, ddof=1) / np.sqrt(2)
    heights = panels[3].collections[0].get_paths()[0].vertices[:, 1]
    expected = (entropy.mean(axis=1) - half).min(), (entropy.mean(axis=1) + half).max()
    np.testing.assert_allclose([heights.min(), heights.max()], expected, rtol=1e-4)
    assert "95 % t interval over seeds" in note_of(figure)


def test_variants_of_one_seed_are_not_drawn_and_a_sentence_says_so(tables):
    figure = draw("rank", study(WHO, seeds=(0,)))
    assert "Variants were measured with one seed and are not drawn." in note_of(figure)
    assert set(lines(figure.axes[0])) == {"teacher", "teacher untrained", "soft"} and len(figure.axes) == 2
    # One metric of several seeds among others.
    depth = tables["depth"].copy()
    depth.loc[depth["seed"] == 1, "intensity"] = np.nan
    panels = draw("depth_profiles", tables | {"depth": depth}).axes
    assert [text.get_text() for text in panels[1].texts if "seeds" in text.get_text()] == ["fewer than two seeds"]
    assert len(curve_of(panels[3], "none").get_xdata()) == 4


def test_trained_networks_set_the_scale_of_levels(tables):
    depth = tables["depth"].copy()
    depth.loc[depth["network"] == "teacher_untrained", "intensity"] *= 1000
    axes = draw("depth_profiles", tables | {"depth": depth}).axes[0]
    rows = depth.query("(network == 'teacher' or network == 'soft' and epoch == 5) and probe == 'balanced'")[
        "intensity"
    ]
    low, high = axes.get_ylim()
    assert rows.min() / 3 < low < rows.min() and rows.max() < high < 3 * rows.max()


def test_depth_profiles_show_the_teacher_on_the_published_images_and_with_permuted_channels(tables):
    figure = draw("depth_profiles", tables)
    teacher = tables["depth"].query("network == 'teacher'")
    (published,) = [line for line in figure.axes[2].lines if line.get_marker() == "x"]
    np.testing.assert_array_equal(published.get_ydata(), teacher.query("probe == 'published'")["entropy"])
    assert "crosses: teacher on the published choice, the first 32 images" in note_of(figure)
    (null,) = [line for line in figure.axes[0].lines if line.get_label() == "_channels permuted"]
    np.testing.assert_array_equal(null.get_ydata(), teacher.query("probe == 'balanced'")["intensity_permuted"])


def test_levels_that_width_alone_makes_are_drawn_for_teacher_and_baseline(tables):
    rows = tables["references"].query("probe == 'balanced' and network == 'teacher'").sort_values("block")
    drawn = {"intensity_per_rms": 1, "entropy_fixed_range": 2, "entropy_standardised": 3}
    axes = draw("profile_controls", tables).axes
    panels = {column: axes[place] for column, place in drawn.items()}
    panels["entropy"] = draw("depth_profiles", tables).axes[2]
    for column, panel in panels.items():
        found = {line.get_label(): line.get_ydata() for line in panel.lines}
        np.testing.assert_array_equal(found["_teacher, reference"], rows[column])
        assert "_soft, reference" in found


def test_the_largest_clipped_share_is_named_with_its_model(tables):
    depth = tables["depth"].copy()
    depth.loc[(depth["network"] == "none") & (depth["epoch"] == 5) & (depth["block"] == 1), "clipped_share"] = 0.42
    assert "Outside the one range: at most 42 % (none)." in note_of(draw("profile_controls", tables | {"depth": depth}))


def test_a_band_is_the_mean_with_1_96_standard_errors(tables):
    axes = draw("tokens", tables).axes[0]
    rows = tables["depth"].query("network == 'teacher' and probe == 'balanced'").sort_values("block")
    low, high = (rows["token_cosine"] + sign * 1.96 * rows["token_cosine_se"] for sign in (-1, 1))
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([heights.min(), heights.max()], [low.min(), high.max()])


def test_blocks_are_named_where_all_networks_have_the_same(tables):
    same = network([8] * 3, [2] * 3)
    axes = draw("tokens", study(names(variants=["soft"]), {"teacher": same}, same)).axes[-1]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0", "1", "2"]
    assert axes.get_xlabel() == "block"
    levels, variants = draw("tokens", tables).axes[-2:]
    assert levels.get_xlabel() == "relative depth" and variants.get_xlabel() == "block"


def test_networks_without_a_value_are_named(tables, stages):
    depth = tables["depth"].copy()
    depth.loc[depth["network"].isin(["teacher", "teacher_untrained"]), "token_cosine"] = np.nan
    assert draw("tokens", tables | {"depth": depth}).axes[0].get_title("right") == "no value: teacher and control"
    nowhere = stages["depth"].assign(token_cosine=np.nan)
    assert draw("tokens", stages | {"depth": nowhere}, STAGES).axes[0].get_title("right") == "no value"


def test_ranks_lie_below_the_lines_of_channels_and_tokens(tables):
    axes = draw("rank", tables).axes
    limits = [[line.get_ydata()[0] for line in axes[place].lines if line.get_color() == "0.6"] for place in (0, 2)]
    assert limits == [[16], [48, 64]]


def test_spectra_are_pictures_of_blocks_by_frequency_above_those_of_permuted_channels(tables):
    figure = draw("spectra", tables)
    measured, baseline, permuted, _ = figure.axes[:4]
    assert [measured.get_title(), baseline.get_title()] == ["teacher", "soft"]
    rows = tables["spectrum"].query("network == 'teacher' and probe == 'balanced' and 0 < frequency < 0.5")
    own, null = (rows.pivot(index="block", columns="frequency", values=f"amplitude{end}") for end in ("", "_null"))
    largest = max(own.max(axis=None), null.max(axis=None))
    np.testing.assert_allclose(measured.images[0].get_array(), own / largest)
    np.testing.assert_allclose(permuted.images[0].get_array(), null / largest)
    assert measured.images[0].norm is permuted.images[0].norm and own.shape == (8, 31)
    mean = tables["spectrum"].query("network == 'soft' and epoch == 5 and 0 < frequency < 0.5")
    mean = mean.pivot_table(index="block", columns="frequency", values="amplitude")
    picture = baseline.images[0].get_array()
    np.testing.assert_allclose(picture / picture.max(), mean / mean.max(axis=None))


def test_spectra_say_in_how_many_blocks_the_curve_differs_from_the_null(tables):
    depth = tables["depth"].assign(amplitude_p=0.5)
    depth.loc[(depth["network"] == "teacher") & depth["block"].isin([3, 7]), "amplitude_p"] = 0.012
    # Of one of two seeds alone: the median is above.
    depth.loc[(depth["network"] == "soft") & (depth["block"] == 3) & (depth["seed"] == 0), "amplitude_p"] = 0.03
    assert "unadjusted): teacher 2 of 8, soft 0 of 4." in note_of(draw("spectra", tables | {"depth": depth}))


def test_blocks_of_fewer_channels_fill_the_places_around_their_frequencies(alone):
    pictures = {axes.get_title(): axes.images[0].get_array() for axes in draw("spectra", alone, ALONE).axes[:4]}
    own = pictures["resnet"]
    assert own.shape == (4, 31) and len(np.unique(own[0])) == 3 and len(np.unique(own[3])) == 31


def test_sep_is_drawn_against_permuted_channels_and_says_one_p_a_curve_of_the_last_block(tables):
    depth = tables["depth"].assign(sep_folded_p=0.5)
    figure = draw("sep", tables | {"depth": depth})
    assert "one test of the whole curve: teacher 0.5, soft 0.5." in note_of(figure)
    rows = (
        tables["spectrum"]
        .query("network == 'teacher' and probe == 'balanced' and block == 7")
        .dropna(subset=["sep_folded"])
    )
    expected = rows["sep_folded"] - rows["sep_folded_null"]
    np.testing.assert_allclose(lines(figure.axes[0])["teacher"].get_ydata(), expected)
    assert len(figure.axes) == 1 and len(figure.axes[0].collections) == 1
    assert set(lines(figure.axes[0])) == {"teacher", "teacher untrained", "soft"}
    depth.loc[(depth["network"] == "teacher") & (depth["block"] == 7), "sep_folded_p"] = 0.005
    assert "whole curve: teacher 0.005, soft 0.5." in note_of(draw("sep", tables | {"depth": depth}))


def pictures_of(figure):
    """The rows of pictures of the figure of dynamics: of each metric those of all variants, then the teacher's."""
    return [axes.images for axes in figure.axes if axes.images]


def test_dynamics_pictures_are_means_over_seeds_by_block_and_epoch_and_the_teacher_s(tables):
    figure = draw("dynamics", tables)
    first = pictures_of(figure)[0]
    heads = [text.get_text().replace("\n", " ") for text in figure.axes[0].texts]
    assert heads == [*SHOWN[2:], "teacher, final"]
    rows = tables["depth"].query("network == 'spectral_last'")
    expected = rows.pivot_table(values="intensity", index="block", columns="epoch")
    np.testing.assert_allclose(first[3].get_array(), expected)
    teacher = tables["depth"].query("network == 'teacher' and probe == 'balanced'")["intensity"].to_numpy()
    np.testing.assert_allclose(first[4].get_array()[:, 0], teacher)
    assert first[4].norm.vmin <= teacher.min() and teacher.max() <= first[4].norm.vmax


def test_dynamics_have_one_colour_scale_a_row_and_leave_out_what_was_not_measured_or_is_noise(tables, stages):
    rows = pictures_of(draw("dynamics", tables))
    assert all(len({picture.norm for picture in row}) == 1 and len(row) == 5 for row in rows) and len(rows) == 8
    without_attention = pictures_of(draw("dynamics", stages, STAGES))
    # Without attention, and without the standardised entropy, which hardly differs.
    assert [len(row) for row in without_attention] == [3] * 6
    flat = tables["depth"].assign(entropy_standardised=4.6 + 0.01 * (tables["depth"]["block"] % 2))
    figure = draw("dynamics", tables | {"depth": flat})
    assert len(pictures_of(figure)) == 7 and "differs by less than 5 %: entropy standardised." in note_of(figure)
    depth = tables["depth"][["network", "seed", "epoch", "probe", "images", "block", "block_name"]]
    with pytest.raises(StudyError, match="none of intensity, "):
        draw("dynamics", tables | {"depth": depth})


def test_dynamics_keep_exact_zeros_apart_from_missing_values(tables):
    depth = tables["depth"].copy()
    depth.loc[(depth["network"] == "none") & (depth["block"] == 0), "gradient_magnitude_patches"] = np.nan
    picture = pictures_of(draw("dynamics", tables | {"depth": depth}))[7][0]
    assert np.ma.getmaskarray(picture.get_array())[0].all()
    assert (picture.get_array()[3] < picture.norm.vmin).all() and (picture.get_array()[3] > 0).all()


def test_cka_shows_the_untrained_student_and_every_variant_at_its_last_epoch(tables):
    figure = draw("cka", tables)
    (panel, _) = figure.axes
    assert [text.get_text() for text in panel.texts] == ["untrained student", *SHOWN[2:]]
    rows = tables["cka"].query("network == 'soft' and epoch == 5")
    expected = rows.pivot_table(values="cka_tokens", index="block", columns="other_block")
    np.testing.assert_allclose(panel.images[2].get_array(), expected)
    assert "n = 320 images x 4 tokens, fewer than 1,000" in figure.get_suptitle()
    left, right, *_ = panel.images[2].get_extent()
    best = [line.get_xdata()[0] for line in panel.lines if left < line.get_xdata()[0] < right]
    np.testing.assert_allclose(best, left + (expected.to_numpy().argmax(axis=1) + 0.5) / 8)


def test_cka_falls_back_on_images_where_grids_differ(tables):
    cka = tables["cka"].assign(images=2000)
    cka.loc[cka["block"] == 0, "cka_tokens"] = np.nan
    figure = draw("cka", tables | {"cka": cka})
    assert "n = 2,000 images;" in figure.get_suptitle()
    assert all(np.isfinite(picture.get_array()).all() for picture in figure.axes[0].images)


def test_one_block_and_one_image_are_drawn():
    one = network([6], [1])
    made = study(names(variants=["soft"]), {"teacher": one}, one, epochs=(0, 1), images=1)
    depth = made["depth"].copy()
    depth.loc[:, [column for column in depth if column.endswith("_se")]] = np.nan
    for name in ("depth_profiles", "rank", "spectra", "dynamics", "sep", "cka", "map", "tokens", "profile_controls"):
        assert stays_on_the_page(draw(name, made | {"depth": depth}))


def test_two_networks_of_one_block_on_one_image_are_held_beside_each_other():
    who = names(("a", "b"), teacher=None)
    made = study(who, dict.fromkeys("ab", network([6], [1])), images=1)
    for name in ("networks", "map"):
        assert stays_on_the_page(draw(name, made, who))


def test_a_network_without_a_head_is_left_out_and_named(alone):
    runs = alone["runs"].copy()
    runs.loc[runs["network"] == "swin_tiny", "test_top1"] = np.nan
    figure = draw("accuracy", {"runs": runs}, ALONE)
    assert "No accuracy: swin tiny" in note_of(figure) and len(figure.axes) == 1
    with pytest.raises(NoValue, match="no network has a value of test_top1"):
        draw("accuracy", {"runs": runs.assign(test_top1=np.nan)}, ALONE)


def test_a_network_whose_metric_is_left_out_does_not_stop_the_others(alone):
    depth = alone["depth"].copy()
    depth.loc[depth["network"] == "cait_s24", "intensity":"entropy_standardised"] = np.nan
    figure = draw("depth_profiles", alone | {"depth": depth}, ALONE)
    assert "The first network has no intensity" in note_of(figure)
    assert [axes.get_title("right") for axes in figure.axes[:2]] == ["no value: cait s24", ""]
    assert stays_on_the_page(figure)


def test_each_network_has_its_column_of_spectra_and_of_many_the_first_are_shown(alone):
    figure = draw("spectra", alone, ALONE)
    assert [axes.get_title() for axes in figure.axes[:4]] == ["cait s24", "vit small", "resnet", "swin tiny"]
    who = names([f"n{number}" for number in range(7)], teacher=None)
    figure = draw("spectra", study(who, dict.fromkeys(who.networks, network([16] * 2, [2] * 2))), who)
    assert len(figure.axes) == 2 * 5 + 1 and note_of(figure).endswith("Shown: the first 5 of 7 networks.")


def test_networks_stand_in_three_columns_next_to_their_controls_above_one_matrix(alone):
    figure = draw("networks", alone, ALONE)
    *measures, matrix = figure.axes[:4]
    assert [axes.get_xlabel().split()[0] for axes in measures] == ["unbiased", "share", "Procrustes"]
    found = alone["networks"].set_index(["network", "other"])
    for axes, column in zip(measures, ("cka", "neighbours", "procrustes"), strict=True):
        marks = {line.get_label(): line for line in axes.lines if len(line.get_xdata()) == 6}
        assert list(marks) == ["two networks", "their controls"]
        pairs = list(combinations(ALONE.networks, 2))
        values = [found.loc[pair, column] for pair in pairs]
        np.testing.assert_allclose(marks["two networks"].get_xydata(), np.c_[values, range(6)])
        controls = [tuple(map(ALONE.controls.get, pair)) for pair in pairs]
        np.testing.assert_allclose(marks["their controls"].get_xdata(), [found.loc[pair, column] for pair in controls])
    # Cells: below the diagonal networks, above it their controls.
    cells = {tuple(map(int, (image.get_extent()[3], image.get_extent()[0]))): image for image in matrix.images}
    assert set(cells) == {(row, column) for row in range(4) for column in range(4) if row != column}
    cka = alone["cka"]
    rows = cka[(cka["network"] == "vit_small") & (cka["other"] == "resnet")]
    picture = rows.pivot(index="other_block", columns="block", values="cka_images")
    np.testing.assert_allclose(cells[2, 1].get_array(), picture)
    rows = cka[(cka["network"] == "vit_small_untrained") & (cka["other"] == "resnet_untrained")]
    picture = rows.pivot(index="block", columns="other_block", values="cka_images")
    np.testing.assert_allclose(cells[1, 2].get_array(), picture)
    assert len({image.norm for image in matrix.images}) == 1
    assert "No network has a second seed, so there is no ceiling" in note_of(figure)


def test_a_second_seed_is_marked_as_the_ceiling_and_a_missing_control_as_not_compared():
    who = names(("a", "b", "c"), teacher=None, controls=("a", "b"), seeds=[("a", "b")])
    figure = draw("networks", study(who, dict.fromkeys("abc", network([8] * 3, [2] * 3))), who)
    marks = {line.get_label(): len(line.get_xdata()) for line in figure.axes[0].lines}
    assert marks == {"two networks": 2, "their controls": 1, "two seeds of a network": 1}
    assert "Star: the ceiling." in note_of(figure)
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts.count("not\ncompared") == 2


def test_eight_networks_are_readable_and_of_more_the_first_eight_are_shown():
    who = names([f"network_{number}" for number in range(9)], teacher=None)
    made = study(who, dict.fromkeys(who.networks, network([8] * 3, [2] * 3)))
    figure = draw("networks", made, who)
    assert len(figure.axes[3].images) == 56
    assert stays_on_the_page(figure) and "the first 8 of 9 networks" in figure.get_suptitle().replace("\n", " ")


def test_networks_that_were_not_compared_are_said_not_to_be(tables, alone):
    with pytest.raises(NoValue, match=r"\(networks.parquet is empty\)"):
        draw("networks", tables)
    own = alone["networks"].assign(kind="own control")
    with pytest.raises(NoValue, match="no two networks were compared"):
        draw("networks", alone | {"networks": own}, ALONE)
    with pytest.raises(NoValue, match="no student was compared with the teacher"):
        draw("cka", {"cka": tables["cka"].assign(other="somebody")})


def test_the_map_has_a_line_a_network_from_its_first_block_to_its_last(tables):
    networks, students = draw("map", tables).axes
    rows = tables["map"].query("network == 'teacher'").sort_values("block")
    np.testing.assert_array_equal(lines(networks)["teacher"].get_xydata(), rows[["x", "y"]])
    assert set(lines(networks)) == set(SHOWN[:2]) and set(lines(students)) == set(SHOWN[2:])
    last = tables["map"].query("network == 'soft' and epoch == 5 and seed == 0").sort_values("block")
    np.testing.assert_array_equal(lines(students)["soft"].get_xydata(), last[["x", "y"]])
    faint = [line.get_alpha() for line in students.lines if line.get_alpha() is not None]
    assert len(faint) == 3 * 2 * len(VARIANTS) and max(faint) < 1
    figure = draw("map", tables)
    assert "63 %" in note_of(figure) and "fading: earlier epochs" in note_of(figure)
    assert "n = 320 images" in figure.get_suptitle()


def test_a_map_of_networks_alone_does_not_speak_of_epochs(alone):
    figure = draw("map", alone, ALONE)
    assert len(figure.axes) == 1 and "fading" not in note_of(figure)


def test_a_network_without_maps_of_an_image_is_said_to_have_no_value(alone):
    saliency = alone["saliency"].query("network != 'resnet' or method == 'image'")
    texts = [text.get_text() for axes in draw("saliency", {"saliency": saliency}, ALONE).axes for text in axes.texts]
    assert texts.count("no value") == 2 * texts.count("gradient") == 2 * 2
    with pytest.raises(NoValue, match="no network has a map"):
        draw("saliency", {"saliency": saliency.query("method == 'image'")}, ALONE)


def test_images_without_a_label_are_said_to_have_none(alone):
    unlabelled = {"saliency": alone["saliency"].assign(label=None)}
    assert "no label" in {text.get_text() for text in draw("saliency", unlabelled, ALONE).axes[0].texts}


def test_shares_of_the_loss_are_stacked_to_one_and_norms_are_below(tables):
    figure = draw("terms", tables)
    shares, norms, clipped = figure.axes
    terms, epochs = tables["terms"], tables["epochs"]
    assert [text.get_text() for text in shares.texts] == [label(variant) for variant in VARIANTS]
    expected = terms[terms["network"].isin(VARIANTS)].groupby(["network", "term", "epoch"])["share"].mean()
    np.testing.assert_allclose(sorted(bar.get_height() for bar in shares.patches), sorted(expected))
    tops = {}
    for bar in shares.patches:
        tops[bar.get_x()] = max(tops.get(bar.get_x(), 0), bar.get_y() + bar.get_height())
    np.testing.assert_allclose(list(tops.values()), 1)
    for axes, column in ((norms, "gradient_norm"), (clipped, "clipped")):
        for variant in VARIANTS:
            norm = epochs[epochs["network"] == variant].groupby("epoch")[column].mean()
            np.testing.assert_allclose(lines(axes)[label(variant)].get_ydata(), norm)
    assert "n = 2 seeds" in figure.get_suptitle() and "flat" not in note_of(figure)
    always = epochs.assign(clipped=np.where(epochs["network"] == "soft", 1.0, 0.5))
    note = note_of(draw("terms", tables | {"epochs": always}))
    assert "Third row flat at 1: 98 % or more of the updates of soft were clipped in every epoch." in note


@pytest.mark.parametrize("name", ["terms", "training_curves"])
def test_without_students_there_is_nothing_to_draw_of_their_training(name, alone):
    with pytest.raises(NoValue, match="no student was trained"):
        draw(name, alone, ALONE)


def test_of_more_than_a_page_holds_the_first_are_shown_and_a_sentence_says_so(tables, monkeypatch):
    monkeypatch.setattr(terms, "MOST", 2)
    figure = draw("terms", dict(tables))
    assert [text.get_text() for text in figure.axes[0].texts] == ["none", "soft"]
    assert "Shown: the first 2 of 4 variants." in note_of(figure)


def test_training_curves_draw_accuracy_loss_gain_and_the_teacher(tables):
    figure = draw("training_curves", tables)
    top1, loss, gain = figure.axes
    assert [axes.get_ylabel().split("\n")[0] for axes in figure.axes] == [
        "validation",
        "validation cross-",
        "gain in validation",
    ]
    mean = tables["epochs"].query("network == 'soft'").groupby("epoch")["validation_loss"].mean()
    np.testing.assert_allclose(lines(loss)["soft"].get_ydata(), mean)
    teacher = tables["epochs"].query("network == 'teacher'").set_index("epoch")["validation_top1"]
    (final,) = (text for text in top1.texts if text.get_text() == "teacher (teacher), final")
    assert len(teacher) > 1 and final.xy[1] == teacher[teacher.index.max()]
    for variant in ("none", "spectral_first", "spectral_last"):
        rows = tables["trajectory"].query(f"variant == '{variant}'")
        assert any(np.array_equal(line.get_xydata(), rows[["epoch", "gain"]]) for line in gain.lines)
    crosses = [line for line in gain.lines if line.get_marker() == "x"]
    # At the same share of the four epochs.
    assert all(line.get_xdata().tolist() == [1, 2, 3, 4] for line in crosses) and len(crosses) == 3
    assert "Gain: over soft" in note_of(figure) and "(1 of 3 of the same run)" in note_of(figure)
    alone = draw("training_curves", tables | {"trajectory": tables["trajectory"].iloc[:0]})
    assert len(alone.axes) == 2 and "Gain" not in note_of(alone)


def test_a_title_says_of_how_many_seeds_what_is_shown_was_measured(tables):
    depth = tables["depth"].copy()
    depth.loc[depth["seed"] == 1, "entropy"] = np.nan
    assert counts(depth, "rms").endswith(", 2 seeds") and counts(depth, "entropy").endswith(", 1 seed")
    assert counts(depth, "rms", "entropy").endswith(", 1 or 2 seeds")
    assert "seed" not in counts(depth[depth["seed"].isna()], "rms")


def test_a_title_names_an_epoch_only_of_what_was_trained(tables):
    depth = tables["depth"]
    assert title("Ranks", depth, ["rms"]).startswith("Ranks, last epoch (n = ")
    assert title("Ranks", depth.assign(epoch=np.nan), ["rms"]).startswith("Ranks (n = ")


WRONG = {
    "nothing": ("pass", r"figures/mine\.py, line 2: draw returned None; return a Figure of matplotlib"),
    "something else": ("return 3", r"line 2: draw returned 3; return a Figure"),
    "an empty figure": ("return figure.Figure()", r"line 2: draw returned an empty figure; raise NoValue instead"),
    "empty axes": ("return figure.Figure().subplots().figure", r"line 2: draw returned an empty figure"),
    "a column that is not there": (
        "return tables['runs']['top5']",
        r"mine\.py, line 3: KeyError: 'top5'; none of its tables \(runs\) has such a column",
    ),
    "an attribute that is not there": ("return tables['runs'].top5", r"line 3: AttributeError: .* no attribute 'top5'"),
    "a table that is not there": (
        "return tables['depth']",
        r"line 3: KeyError: 'depth'; none of its tables \(runs\) has",
    ),
    "text for a number": ("return figure.Figure().subplots().plot(['a'], [{}])", r"line 3: \w+Error"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_figure_that_fails_is_one_sentence_with_file_and_line(tmp_path, monkeypatch, name):
    text = f"from matplotlib import figure\ndef draw(tables, style):\n    {WRONG[name][0]}\n"
    extension(monkeypatch, tmp_path, "figures", text)
    write_table(tmp_path / "runs.parquet", {"network": ["vit"]}, {"network": Column("", "who")})
    job = figure_job("mine", (tmp_path / "runs.parquet",), style_of(WHO), [tmp_path / "mine.png"])
    with pytest.raises(StudyError, match=WRONG[name][1]) as error:
        stage.main(job)
    assert "\n" not in str(error.value) and not (tmp_path / "mine.png").exists()
