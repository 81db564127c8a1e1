"""Figures show what the tables say, are equal for equal tables, and refuse empty ones in a sentence."""

from importlib import import_module

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from distillation_dynamics.errors import StudyError
from distillation_dynamics.figures import stage
from distillation_dynamics.figures.style import Style
from made_up import figure_job, network, study

OVER_DEPTH = ["attention", "depth_profiles", "gradients", "rank", "tokens"]
FIGURES = ["accuracy", "agreement", "cka", "dynamics", "sep", "spectra", "training_curves", *OVER_DEPTH]
VARIANTS = ["none", "soft", "spectral_first", "spectral_last"]
MODELS = ["teacher", "teacher untrained", "none", "soft", "spectral first", "spectral last"]
STYLE = Style("colorblind", 60, tuple(VARIANTS), "soft")


@pytest.fixture(scope="module")
def tables():
    """Tables of a study of plain Transformers with two seeds."""
    return study(VARIANTS, seeds=(0, 1))


@pytest.fixture(scope="module")
def stages():
    """Tables of a study of a Swin-like teacher and a ResNet-like student: stages of different width and grid."""
    teacher = network([12, 24, 48, 96], [8, 4, 2, 1], "layers.{}")
    return study(VARIANTS[:2], teacher=teacher, student=network([8, 16, 32, 64], [8, 4, 2, 1], "layer{}", False))


def draw(name, tables):
    STYLE.apply()
    return import_module(f"distillation_dynamics.figures.{name}").draw(tables, STYLE)


def lines(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def stays_on_the_page(figure):
    FigureCanvasAgg(figure).draw()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    return box.x0 > -0.02 and box.y0 > -0.02 and box.x1 < width + 0.02 and box.y1 < height + 0.02


@pytest.mark.parametrize("name", FIGURES)
def test_equal_tables_give_equal_bytes(name, tables, tmp_path):
    module = import_module(f"distillation_dynamics.figures.{name}")
    paths = []
    for table in module.TABLES:
        paths.append(str(tmp_path / f"{table}.parquet"))
        tables[table].to_parquet(paths[-1])
    contents = []
    for attempt in ("one", "two"):
        files = [tmp_path / f"{attempt}.{kind}" for kind in ("pdf", "png")]
        stage.main(figure_job(name, paths, STYLE, files))
        contents.append([file.read_bytes() for file in files])
    assert contents[0] == contents[1]


@pytest.mark.parametrize("name", FIGURES)
def test_every_axis_has_a_label_and_no_text_runs_out_of_the_page(name, tables):
    figure = draw(name, tables)
    assert stays_on_the_page(figure)
    labels = [axes.get_xlabel() + axes.get_ylabel() for axes in figure.axes]
    assert any(labels) or (figure.get_supxlabel() and figure.get_supylabel())


@pytest.mark.parametrize("name", FIGURES)
def test_stages_of_different_width_are_drawn_like_blocks(name, stages):
    assert stays_on_the_page(draw(name, stages))


@pytest.mark.parametrize("name", ["agreement", "cka", "dynamics", "sep", "spectra", *OVER_DEPTH])
def test_a_title_says_how_many_images_and_seeds_stand_behind_a_figure(name, tables):
    title = draw(name, tables).get_suptitle()
    assert "320" in title and "2 seeds" in title


@pytest.mark.parametrize("name", FIGURES)
def test_an_empty_table_is_refused_by_name(name, tables):
    for table in import_module(f"distillation_dynamics.figures.{name}").TABLES:
        with pytest.raises(StudyError, match=f"{table}.parquet: the table is missing or empty"):
            draw(name, tables | {table: tables[table].iloc[:0]})


def test_no_two_models_share_line_and_marker():
    names = ("none", "soft", "hard", *(f"{a}_{b}" for a in ("spectral", "projector") for b in "abcd"))
    looks = Style("colorblind", 60, names, "soft").looks(names)
    assert len({(look["linestyle"], look["marker"]) for look in looks.values()}) == len(looks)


def test_a_model_looks_the_same_whichever_others_a_figure_shows():
    assert STYLE.looks(["spectral_last"]) == {"spectral_last": STYLE.looks(VARIANTS)["spectral_last"]}


def test_accuracy_shows_every_seed_as_a_point_at_its_value(tables):
    left, right = draw("accuracy", tables).axes
    students = tables["runs"].query("variant != 'teacher'")
    for axes, column in ((left, "test_top1"), (right, "test_agreement")):
        drawn = np.concatenate([line.get_xdata() for line in axes.lines if line.get_marker() not in ("|", "None", "")])
        assert set(students[column]) <= set(drawn)


def test_depth_profiles_are_means_over_seeds_of_the_last_epoch_on_the_balanced_images(tables):
    drawn = lines(draw("depth_profiles", tables).axes[0])
    assert list(drawn)[:6] == MODELS
    for name, epoch in (("soft", 5), ("teacher", 2)):
        rows = tables["depth"].query(f"model == '{name}' and epoch == {epoch} and probe == 'balanced'")
        np.testing.assert_allclose(drawn[name].get_ydata(), rows.groupby("block")["intensity"].mean())


def test_depth_profiles_show_the_teacher_on_the_published_images_and_with_permuted_channels(tables):
    axes = draw("depth_profiles", tables).axes
    teacher = tables["depth"].query("model == 'teacher'")
    published = lines(axes[4])["teacher, published: first 32 images"]
    np.testing.assert_array_equal(published.get_ydata(), teacher.query("probe == 'published'")["entropy_fixed_range"])
    null = lines(axes[0])["teacher, channels permuted"].get_ydata()
    np.testing.assert_array_equal(null, teacher.query("probe == 'balanced'")["intensity_permuted"])


def test_depth_profiles_share_the_scale_of_a_measure_and_its_control(tables):
    axes = draw("depth_profiles", tables).axes
    assert all(axes[column].get_ylim() == axes[3 + column].get_ylim() for column in range(3))


def test_the_largest_clipped_share_is_named_with_its_model(tables):
    depth = tables["depth"].copy()
    depth.loc[(depth["model"] == "none") & (depth["epoch"] == 5) & (depth["block"] == 1), "clipped_share"] = 0.42
    assert "at most 42 %\n(none)" in draw("depth_profiles", tables | {"depth": depth}).axes[4].get_title("right")


def test_a_band_is_the_mean_with_1_96_standard_errors(tables):
    axes = draw("tokens", tables).axes[0]
    rows = tables["depth"].query("model == 'teacher' and probe == 'balanced'").sort_values("block")
    low, high = (rows["token_cosine"] + sign * 1.96 * rows["token_cosine_se"] for sign in (-1, 1))
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([heights.min(), heights.max()], [low.min(), high.max()])


def test_blocks_are_named_where_all_models_have_the_same(tables):
    same = network([8] * 3, [2] * 3)
    axes = draw("tokens", study(["soft"], teacher=same, student=same)).axes[-1]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0", "1", "2"]
    assert axes.get_xlabel() == "block"
    assert draw("tokens", tables).axes[-1].get_xlabel() == "relative depth of the block"


def test_models_without_a_value_are_left_out_and_named(tables, stages):
    panel = draw("gradients", tables).axes[1]
    assert set(lines(panel)) == set(MODELS[2:])
    assert panel.get_title("right") == "no value: teacher, teacher untrained"
    assert draw("attention", stages).axes[0].get_title("right") == "no value: students"
    nowhere = stages["depth"].assign(attention_entropy=np.nan, attention_distance=np.nan)
    assert draw("attention", {"depth": nowhere}).axes[1].get_title("right") == "no model has a value"
    assert draw("gradients", stages).axes[1].get_title("right") == "no model has a value"


def test_gradients_of_exactly_zero_are_markers_on_the_lower_edge(tables, stages):
    figure = draw("gradients", tables)
    zeros = [line for line in figure.axes[0].lines if line.get_linestyle() == "None"]
    assert len(zeros) == len(VARIANTS)
    assert all(line.get_xdata().tolist() == [1] and line.get_ydata().tolist() == [0] for line in zeros)
    assert "exactly zero (all students)" in figure.get_suptitle()
    assert "No gradient is exactly zero" in draw("gradients", stages).get_suptitle()


def test_ranks_lie_below_the_lines_of_channels_and_tokens(tables):
    image, data = draw("rank", tables).axes[:2]
    limits = [[line.get_ydata()[0] for line in axes.lines if line.get_color() == "0.4"] for axes in (image, data)]
    assert limits == [[16], [48, 64]]


def test_spectra_say_which_block_each_panel_shows_and_leave_the_constant_term_out(tables):
    axes = draw("spectra", tables).axes
    assert [panel.get_title() for panel in axes[:3]] == ["first block", "middle block", "last block"]
    drawn = lines(axes[2])["teacher"]
    rows = tables["spectrum"].query("model == 'teacher' and probe == 'balanced' and block == 7")
    np.testing.assert_array_equal(drawn.get_ydata(), rows["amplitude"].iloc[1:32])
    np.testing.assert_array_equal(drawn.get_xdata(), np.arange(1, 32) / 64)


def test_a_spectrum_inside_its_null_is_said_to_be_inside(tables):
    spectrum = tables["spectrum"].assign(amplitude=tables["spectrum"]["amplitude_null"])
    texts = [text.get_text() for axes in draw("spectra", tables | {"spectrum": spectrum}).axes for text in axes.texts]
    assert texts == ["teacher: 0 % outside"] * 3 + ["soft: 0 % outside"] * 3


def test_sep_outside_its_null_is_counted_without_the_last_frequency(tables):
    inside = tables["spectrum"].assign(sep_folded=tables["spectrum"]["sep_folded_null"])
    assert "outside: teacher 0 %, soft 0 %" in draw("sep", tables | {"spectrum": inside}).get_suptitle()
    outside = inside.assign(sep_folded=inside["sep_folded_null_high"] + 1)
    assert "outside: teacher 100 %, soft 100 %" in draw("sep", tables | {"spectrum": outside}).get_suptitle()


def test_dynamics_pictures_are_means_over_seeds_by_block_and_epoch(tables):
    figure = draw("dynamics", tables)
    pictures = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title().replace("\n", " ") for axes in pictures[:4]] == MODELS[2:]
    rows = tables["depth"].query("model == 'spectral_last'")
    expected = rows.pivot_table(values="intensity", index="block", columns="epoch")
    np.testing.assert_allclose(pictures[3].images[0].get_array(), expected)


def test_dynamics_have_one_colour_scale_a_row_and_leave_out_what_was_not_measured(tables, stages):
    rows = [axes for axes in draw("dynamics", tables).axes if axes.images]
    for first in range(0, len(rows), 4):
        assert len({axes.images[0].norm for axes in rows[first : first + 4]}) == 1
    assert len(rows) == 8 * 4
    without_attention = [axes for axes in draw("dynamics", stages).axes if axes.images]
    assert len(without_attention) == 7 * 2
    depth = tables["depth"][["model", "seed", "epoch", "probe", "images", "block", "block_name"]]
    with pytest.raises(StudyError, match="none of intensity, "):
        draw("dynamics", tables | {"depth": depth})


def test_dynamics_keep_exact_zeros_apart_from_missing_values(tables):
    depth = tables["depth"].copy()
    depth.loc[(depth["model"] == "none") & (depth["block"] == 0), "gradient_magnitude_patches"] = np.nan
    picture = [axes for axes in draw("dynamics", tables | {"depth": depth}).axes if axes.images][28].images[0]
    assert np.ma.getmaskarray(picture.get_array())[0].all()
    assert (picture.get_array()[3] < picture.norm.vmin).all() and (picture.get_array()[3] > 0).all()


def test_cka_shows_the_untrained_student_and_every_variant_at_its_last_epoch(tables):
    figure = draw("cka", tables)
    panels = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in panels] == ["untrained student", *MODELS[2:]]
    rows = tables["cka"].query("model == 'soft' and epoch == 5")
    expected = rows.pivot_table(values="cka_tokens", index="student_block", columns="teacher_block")
    np.testing.assert_allclose(panels[2].images[0].get_array(), expected)
    assert "n = 320 validation images x 4 tokens, fewer than 1,000" in figure.get_suptitle()
    best = [line.get_xdata()[0] for line in panels[2].lines]
    np.testing.assert_array_equal(best, expected.to_numpy().argmax(axis=1))


def test_cka_falls_back_on_images_where_grids_differ(tables):
    cka = tables["cka"].assign(images=2000)
    cka.loc[cka["student_block"] == 0, "cka_tokens"] = np.nan
    figure = draw("cka", tables | {"cka": cka})
    assert "n = 2,000 validation images;" in figure.get_suptitle()
    assert all(np.isfinite(axes.images[0].get_array()).all() for axes in figure.axes if axes.images)


def test_agreement_has_a_line_a_variant_and_the_share_that_chance_would_give(tables):
    shares, divergence = draw("agreement", tables).axes
    rows = tables["agreement"].query("model == 'soft'").groupby("epoch").mean(numeric_only=True)
    np.testing.assert_allclose(lines(shares)["soft"].get_ydata(), rows["agreement"])
    np.testing.assert_allclose(lines(shares)["soft, by chance"].get_ydata(), 0.86 * rows["top1"])
    assert divergence.get_yscale() == "log" and set(lines(divergence)) == set(MODELS[2:])


def test_one_block_and_one_image_are_drawn():
    one = network([6], [1])
    made = study(["soft"], epochs=(0, 1), images=1, teacher=one, student=one)
    depth = made["depth"].copy()
    depth.loc[:, [column for column in depth if column.endswith("_se")]] = np.nan
    for name in ("depth_profiles", "rank", "spectra", "dynamics", "sep", "cka"):
        assert stays_on_the_page(draw(name, made | {"depth": depth}))
