"""The stage as a whole on a made-up study: its tables, the wording of its report, and the figures drawn from them."""

import itertools
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from importlib import import_module

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from asked import said as said_of
from conftest import ROOT
from distillation_dynamics import arms, extensions
from distillation_dynamics.drawing.layout import note_of
from distillation_dynamics.drawing.style import PAGE, NoValue, Style, label
from distillation_dynamics.jobs.task import Task, code_of, key_of
from distillation_dynamics.questions.networks import table as pair_table
from distillation_dynamics.questions.shape import overview as shape_tables
from distillation_dynamics.questions.shape.references import REFERENCE_COLUMNS
from distillation_dynamics.questions.shape.shapes import SHAPE_COLUMNS, shapes_of
from distillation_dynamics.spec.base import From
from distillation_dynamics.spec.tables import REPORT_FILES, ReportJob, Run, Setting, StatisticsJob, Trained
from distillation_dynamics.stages import figures as figures_stage
from distillation_dynamics.stages import report as report_stage
from distillation_dynamics.stages import statistics as stage
from frames import frame
from losses import FIRST, SOFT, cross_entropy, hard, shares_of, with_pairs
from made_up import figure_job, names, network, study

FIGURES = ["alignment", "effects", "shape"]
COLUMNS = stage.documentation()
VARIANTS = ["soft", "hard", "spectral_last", "spectral_first_last"]
WHO = names(("cait",), VARIANTS, teacher="cait")
STYLE = Style("colorblind", 60, WHO)


def made_up(
    folder, who=WHO, seeds=2, blocks=(4, 6), images=30, epochs=6, helps=0.5, null=True, flat=(), probes=("balanced",)
):
    """Write the inputs of the stage and return its job.

    Intensity is U-shaped in trained networks and so is its null; entropy rises. The second variant is `helps` points
    better than the first, give or take a little. Controls in `flat` hardly change over depth.
    """
    generator = np.random.default_rng(0)
    students, teachers = blocks
    folder.mkdir(parents=True, exist_ok=True)
    scalars = []
    members = [(name, None, 2, teachers) for name in who.networks]
    members += [(name, None, 0, teachers) for name in who.controls.values()]
    members += [(name, seed, epochs, students) for name in who.variants for seed in range(seeds)]
    for name, seed, epoch, depth in members:
        place = np.linspace(-1, 1, depth)
        curve = place**2 if epoch else place
        columns = {"intensity": curve, "entropy": place, "activation_magnitude": curve, "rms": curve}
        columns |= {"intensity_per_rms": 0 * place, "entropy_standardised": -place}
        columns |= {"intensity_permuted": curve} if null else {}
        parts = []
        for probe in probes:
            key = {"network": name, "seed": seed, "epoch": epoch, "probe": probe}
            key |= {"block": np.repeat(np.arange(depth), images), "image": np.tile(np.arange(images), depth)}
            key |= {"group": key["image"]}
            size = 1e-6 if name in flat else 1 if probe == "balanced" else 0.01
            noise = {metric: 3 + size * np.repeat(values, images) for metric, values in columns.items()}
            scatter = 1e-7 if name in flat else 0.2
            noise = {metric: values + scatter * generator.normal(size=len(values)) for metric, values in noise.items()}
            parts.append(pd.DataFrame({**key, **noise}))
        scalars.append(folder / f"{name}{seed}.parquet")
        pd.concat(parts).to_parquet(scalars[-1])
    tables = beside(folder, who) | networks_alone(folder, who)
    listed, last = [], ((students - 1, teachers - 1),)
    if who.variants:
        listed, more = trained(folder, who, seeds, epochs, helps, generator)
        tables |= more
    terms = {"hard": (cross_entropy(), hard()), "spectral_last": with_pairs(last)}
    terms["spectral_first_last"] = with_pairs([*FIRST, *last])
    if who.variants and who.teacher:
        cka = likeness(folder, who, seeds, epochs, blocks, generator, tables.get("cka"))
        tables |= cka
    return StatisticsJob(
        names=who,
        students=tuple(listed),
        scalars=tuple(map(file_of, scalars)),
        tables=tables,
        setting=setting_of({name: terms.get(name, SOFT) for name in who.variants}) if who.variants else None,
        asked=tuple(
            name
            for name, question in extensions.questions().items()
            if question.tables and (who.variants or not question.requires)
        ),
        out=str(folder / "out"),
    )


def setting_of(terms):
    """Students of four blocks, taught by a network of six, beside the published numbers."""
    files = tuple(map(str, sorted((ROOT / "resources/published").glob("*.csv"))))
    arms = {name: Trained("vit", "cait", (4, 6), 5, own) for name, own in terms.items()}
    return Setting(arms, 10, From("published", files=files))


def networks_alone(folder, who):
    """Write what a study of networks has of runs and costs: accuracies, and nothing that was trained."""
    runs = [ran(name, None, 90.0) for name in who.networks]
    cost = {
        "device": "cpu",
        "cpu": "AMD EPYC",
        "threads": 1.0,
        "seconds": 1.0,
        "start_seconds": 0.0,
        "images_per_second": np.nan,
    }
    frame(runs).to_parquet(folder / "runs.parquet")
    pd.DataFrame([cost]).to_parquet(folder / "cost.parquet")
    return {name: file_of(folder / f"{name}.parquet") for name in ("runs", "cost")}


def ran(name, seed, top1):
    """A row of runs.parquet."""
    facts = {"test_images": 400, "test_agreement": 80.0, "parameters": 7, "train_images": 100, "epochs": 5}
    return {"network": name, "seed": seed, "test_top1": top1} | facts


def beside(folder, who):
    """Write the tables of pairs of networks; return those that there are."""
    facts = dict.fromkeys(who.networks, network([8] * 6, [4] * 6))
    tables = study(names(who.networks, teacher=None, controls=who.controls, seeds=who.seeds), facts)
    found = {}
    for table in ("cka", "neighbours", "procrustes"):
        if table in tables:
            tables[table].to_parquet(folder / f"{table}.parquet")
            found[table] = file_of(folder / f"{table}.parquet")
    return found


def trained(folder, who, seeds, epochs, helps, generator):
    """Write what students leave behind; return their runs and the tables on them."""
    labels = generator.integers(0, 10, size=400)
    splits = {"split": ["train"] * 7 + ["test"] * 400, "label": [0] * 7 + labels.tolist()}
    pq.write_table(pa.table(splits), folder / "splits.parquet")
    runs, curves, listed = [ran(name, None, 90.0) for name in who.networks], [], []
    for number, name in enumerate(who.variants):
        for seed in range(seeds):
            lift = helps * (number == 1) + generator.normal(0, 0.1)
            runs.append(ran(name, seed, 80 + seed + lift))
            for epoch in range(1, epochs + 1):
                # The last variant gains early and loses late.
                bend = (1 - 2 * epoch / epochs) * (number == len(who.variants) - 1)
                measured = 50 + 5 * epoch + seed + bend + generator.normal(0, 0.2)
                curves.append({"network": name, "seed": seed, "epoch": epoch, "validation_top1": measured})
            path = folder / name / f"seed{seed}"
            path.mkdir(parents=True)
            logits = np.eye(10)[labels] + generator.normal(0, 0.4, size=(400, 10))
            np.save(path / "logits_test.npy", logits.astype(np.float32))
            listed.append(Run(name, seed, file_of(path / "logits_test.npy"), folder=str(path)))
    frame(runs).to_parquet(folder / "runs.parquet")
    pd.DataFrame(curves).to_parquet(folder / "epochs.parquet")
    aligning = {name: (0.3, 0.2) for name in who.variants if name.startswith("spectral")}
    shares_of(**aligning).to_parquet(folder / "terms.parquet")
    return listed, {name: file_of(folder / f"{name}.parquet") for name in ("runs", "epochs", "terms", "splits")}


def likeness(folder, who, seeds, epochs, blocks, generator, more):
    """Write CKA and mismatch of the baseline's students with the teacher, below the pairs of networks in `more`."""
    students, teachers = blocks
    grid = pd.DataFrame([{"block": s, "other_block": t} for s in range(students) for t in range(teachers)])
    grid = grid.assign(network=who.baseline, epoch=epochs, images=20, tokens_per_image=16)
    grid = grid.assign(other=who.teacher, other_seed=None, other_epoch=2)
    apart = (grid["block"] / students - grid["other_block"] / teachers).abs()
    cka, mismatch = [] if more is None else [pd.read_parquet(more.files[0])], []
    for seed in range(seeds):
        jitter = generator.normal(0, 0.01, size=len(grid))
        cka.append(grid.assign(seed=seed, cka_tokens=0.9 - 0.8 * apart + jitter, cka_images=0.5))
        cka.append(grid.assign(seed=seed, epoch=0, cka_tokens=0.5 - 0.1 * apart + jitter, cka_images=0.4))
        mismatch.append(
            grid.assign(
                seed=seed,
                rank_95=5.0 + grid["block"],
                other_rank_95=6.0 + grid["other_block"],
                bandwidth_95=0.8 + 0.01 * grid["block"],
                other_bandwidth_95=0.9 - 0.02 * grid["other_block"],
            )
        )
    pd.concat(cka).to_parquet(folder / "cka.parquet")
    pd.concat(mismatch).to_parquet(folder / "mismatch.parquet")
    return {name: file_of(folder / f"{name}.parquet") for name in ("cka", "mismatch")}


def file_of(path):
    """A file that the stage reads."""
    return From(path.name, files=(str(path),))


def report_of(job):
    """The job of the report on what a job of the statistics leaves."""
    own = {name: From(name, files=(f"{job.out}/{name}.parquet",)) for name in COLUMNS}
    read = {name: part for name, part in job.tables.items() if name != "splits"}
    return ReportJob(job.names, read | own, From("templates", files=()), out=job.out)


def run(folder, **options):
    """Run both stages on a made-up study; return the tables and the report."""
    job = made_up(folder, **options)
    stage.main(job)
    report_stage.main(report_of(job))
    out = folder / "out"
    tables = {name: pd.read_parquet(out / f"{name}.parquet") for name in COLUMNS}
    scalars = pd.concat([pd.read_parquet(file) for part in job.scalars for file in part.files])
    depth = scalars.groupby(["network", "seed", "epoch", "probe", "block"], as_index=False).mean()
    tables["depth"] = depth.assign(images=30, block_name=depth["block"].astype(str))
    return tables, (out / "report.md").read_text()


@pytest.fixture(scope="module")
def two_seeds(tmp_path_factory):
    """A study of two seeds."""
    return run(tmp_path_factory.mktemp("two"))


@pytest.fixture(scope="module")
def eight_seeds(tmp_path_factory):
    """A study of eight seeds, where tests can speak."""
    return run(tmp_path_factory.mktemp("eight"), seeds=8)


def sections(text):
    """Heading -> the answer, the first paragraph under it."""
    return {part.splitlines()[0]: part.split("\n\n")[1].strip() for part in text.split("## ")[1:]}


# --- the stage ---


def test_every_column_is_written_with_its_unit_and_meaning(two_seeds, tmp_path):
    run(tmp_path / "study")
    for name, documentation in COLUMNS.items():
        schema = pq.read_schema(tmp_path / "study/out" / f"{name}.parquet")
        names = list(documentation)
        if "network" in names:
            place = 1 + names.index("network")
            names[place:place] = arms.COLUMNS
        assert schema.names == names
        for column, (unit, description) in documentation.items():
            assert schema.field(column).metadata == {b"unit": unit.encode(), b"description": description.encode()}
            assert description


def test_equal_inputs_give_equal_tables_and_an_equal_report(two_seeds, tmp_path):
    tables, text = run(tmp_path / "again")
    assert text == two_seeds[1]
    for name in COLUMNS:
        pd.testing.assert_frame_equal(tables[name], two_seeds[0][name])


def test_the_three_files_name_each_other_and_are_the_same_by_section_for_machines(tmp_path):
    run(tmp_path, seeds=1)
    texts = {name: (tmp_path / "out" / name).read_text() for name in REPORT_FILES}
    for name, text in texts.items():
        assert text.startswith(f"# Study: {REPORT_FILES[name].lower()}\n\n[")
        links = set(re.findall(r"\]\((\S+)\)", text.splitlines()[2]))
        assert links == {*texts, "../index.html"} - {name}
    told = json.loads((tmp_path / "out/report.json").read_text())
    assert all(part in texts["summary.md"] for part in told["summary"])
    for section in told["sections"]:
        parts = [f"## {section['title']}", section["answer"], *section["paragraphs"]]
        assert "\n\n".join(filter(None, parts)) in texts["report.md"]
        assert all(part in texts["methods.md"] for part in (section["sources"], *section["methods"]))
    assert told["made"] in texts["report.md"] and told["study"] in texts["methods.md"]


def test_the_stages_run_from_the_command_line_and_load_no_torch(tmp_path, root):
    job = made_up(tmp_path / "study", seeds=1)
    here = made_up(tmp_path / "here", seeds=1)
    stage.main(here)
    report_stage.main(report_of(here))
    environment = os.environ | {"PYTHONPATH": str(root / "workflow")}
    written = {"statistics": [f"{table}.parquet" for table in COLUMNS], "report": [*REPORT_FILES]}
    for name, own in (("statistics", job), ("report", report_of(job))):
        code, paths = code_of(name), tuple(f"{job.out}/{file}" for file in written[name])
        path = tmp_path / f"{name}.json"
        Task(name, "", key_of(name, own, code), own, code, {}, paths, f"{job.out}/.{name}", "mine").write(path)
        program = (
            f"import sys, runpy; sys.argv = ['x', {str(path)!r}]\n"
            "try: runpy.run_module('distillation_dynamics', run_name='__main__', alter_sys=True)\n"
            "finally: print('torch' in sys.modules)"
        )
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr
    assert (tmp_path / "study/out/report.md").read_text() == (tmp_path / "here/out/report.md").read_text()
    for name in COLUMNS:
        frames = [pd.read_parquet(tmp_path / folder / f"out/{name}.parquet") for folder in ("study", "here")]
        pd.testing.assert_frame_equal(*frames)


def test_the_shapes_are_those_that_were_made(two_seeds):
    table = two_seeds[0]["shape"]
    verdicts = table[table["network"] != "cait_untrained"].groupby("metric")["verdict"].agg(set)
    for metric in ("intensity", "activation_magnitude", "rms", "intensity_permuted"):
        assert verdicts[metric] == {"U-shaped"}
    for metric in ("entropy", "entropy_standardised"):
        assert verdicts[metric] == {"not U-shaped"}
    untrained = table[table["network"] == "cait_untrained"]
    assert set(untrained["verdict"]) == {"not U-shaped"}
    assert set(table.loc[table["network"] == "cait", "blocks"]) == {6}


def test_eight_seeds_find_the_variant_that_helps_and_no_other(eight_seeds):
    table = eight_seeds[0]["variants"].set_index("variant")
    assert table.loc["hard", "verdict"].startswith("significantly better")
    assert not table.loc[["spectral_last", "spectral_first_last"], "verdict"].str.contains("significantly").any()
    assert table.loc["hard", "mean_difference"] == pytest.approx(0.5, abs=0.2)


def test_a_gain_that_becomes_a_loss_is_found_where_it_was_put(eight_seeds):
    table = eight_seeds[0]["variants"].set_index("variant")
    assert table.loc["spectral_first_last", "early_gain"] > 0.2 > -0.2 > table.loc["spectral_first_last", "late_gain"]


# --- the report ---


def test_the_answer_on_shapes_counts_networks_and_sets_the_null_beside(two_seeds):
    assert sections(two_seeds[1])["Is it U-shaped?"] == (
        "**Intensity is U-shaped in 9 of 9 trained networks (5 a U of scale), entropy in 0 of 9 and activation "
        "magnitude in 9 of 9 (7 a U of scale) (30 images each, students of 2 seeds); but so is the null "
        "(intensity after permuting channels) in 9 of 9.**"
    )
    assert (
        "\n\n- cait is U-shaped in intensity and activation magnitude, and not in entropy; intensity " in two_seeds[1]
    )
    assert "| entropy_standardised | control | 0 of 1 | 0 of 1 | 0 of 8 |" in two_seeds[1]
    assert "| rms | scale | 1 of 1 | 0 of 1 | 8 of 8 |" in two_seeds[1]


def test_a_null_without_a_u_or_without_values_is_not_said_to_explain_any(tmp_path, two_seeds):
    _, text = run(tmp_path / "study", seeds=1, null=False)
    assert "the null (intensity after permuting channels) was not measured" in text
    table = two_seeds[0]["shape"].copy()
    table.loc[table["metric"] == "intensity_permuted", "verdict"] = "not U-shaped"
    answer = on_shapes(table, WHO)[0]
    assert "; the null (intensity after permuting channels) is in 0 of 9." in answer and "but so" not in answer


def test_what_an_untrained_network_shows_is_said_to_take_no_training(two_seeds):
    table = two_seeds[0]["shape"].copy()
    table.loc[(table["network"] == "cait_untrained") & (table["metric"] == "entropy"), "verdict"] = "U-shaped"
    said = "cait_untrained is also U-shaped in entropy: this U of cait does not come from training."
    assert said in "\n".join(on_shapes(table, WHO))


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_nothing_is_called_significant_with_fewer_than_six_seeds(seeds, tmp_path):
    tables, text = run(tmp_path / "study", seeds=seeds, helps=5.0)
    assert not re.search("significan", text, re.IGNORECASE)
    assert not tables["variants"]["verdict"].str.contains("significan").any()
    assert set(tables["effects"]["verdict"]) == {"too few seeds for a test"}
    answer = sections(text)["Does a variant help?"]
    if seeds == 1:
        assert answer.startswith("**One seed is not enough: differences to soft run from")
        assert "without an interval over seeds" in answer
    else:
        assert answer.startswith(
            f"**{seeds} seeds are too few for a test (the smallest sign-flip p is {2 / 2**seeds:.2g})"
        )


def test_eight_seeds_are_answered_by_name_and_size(eight_seeds):
    answer = sections(eight_seeds[1])["Does a variant help?"]
    assert re.match(
        r"\*\*hard \(\+0\.\d\d points\) differs significantly from soft, of 3 variants tested over 8 seeds "
        r"\(joint sign flips\); the 2 others show no detectable difference\.",
        answer,
    )


def test_a_question_of_which_nothing_is_said_has_no_section(two_seeds):
    assert "## Planned comparisons" not in two_seeds[1] and "## Does a variant help?" in two_seeds[1]


def test_a_study_without_other_variants_is_still_reported(tmp_path):
    tables, text = run(tmp_path / "study", who=names(("cait",), ["soft"], teacher="cait"), seeds=1)
    assert "There is no variant besides soft, so there is nothing to compare." in text
    assert "Not testable here: no variant aligns any pair of blocks." in text
    for name in ("variants", "differences", "mcnemar", "trajectory", "effects", "dose_and_place"):
        assert tables[name].empty and list(tables[name].columns) == list(COLUMNS[name])


def test_a_student_too_short_for_a_valley_is_said_to_be(tmp_path):
    tables, text = run(tmp_path / "study", who=names(("cait",), VARIANTS[:2], teacher="cait"), seeds=1, blocks=(2, 5))
    students = tables["shape"]["seed"].notna()
    assert set(tables["shape"].loc[students, "verdict"]) == {"no interior block"}
    assert tables["shape"].loc[students, ["p", "depth", "depth_low"]].isna().all(axis=None)
    assert "2 networks with fewer than 3 blocks cannot be tested." in text
    assert sections(text)["Is it U-shaped?"].startswith("**cait is U-shaped in intensity and activation magnitude, ")


def test_every_table_of_the_report_has_as_many_cells_as_heads(two_seeds, eight_seeds):
    for _, text in (two_seeds, eight_seeds):
        for block in re.findall(r"(?:^\|.*\n?)+", text, re.M):
            assert len({line.count("|") for line in block.strip().splitlines()}) == 1


# --- the figures ---


def draw(name, tables):
    """Draw one figure."""
    STYLE.apply()
    return import_module(f"distillation_dynamics.figures.{name}").draw(tables, STYLE)


@pytest.mark.parametrize("name", FIGURES)
def test_equal_tables_give_equal_bytes(name, two_seeds, tmp_path):
    module = import_module(f"distillation_dynamics.figures.{name}")
    paths = []
    for table in module.TABLES:
        paths.append(str(tmp_path / f"{table}.parquet"))
        two_seeds[0][table].to_parquet(paths[-1])
    contents = []
    for attempt in ("one", "two"):
        files = [str(tmp_path / f"{attempt}.{kind}") for kind in ("pdf", "png")]
        figures_stage.main(figure_job(name, paths, STYLE, files))
        contents.append([(tmp_path / f"{attempt}.{kind}").read_bytes() for kind in ("pdf", "png")])
    assert contents[0] == contents[1]


@pytest.mark.parametrize("study", ["two_seeds", "eight_seeds"])
@pytest.mark.parametrize("name", FIGURES)
def test_no_text_runs_out_of_the_page_and_the_title_says_n_and_control(name, study, request):
    figure = draw(name, request.getfixturevalue(study)[0])
    FigureCanvasAgg(figure).draw()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert width == PAGE
    assert box.x0 > -0.02 and box.y0 > -0.02 and box.x1 < width + 0.02 and box.y1 < height + 0.02
    assert "n = " in figure.get_suptitle() and re.search("ontrol|null|interval", note_of(figure))


@pytest.mark.parametrize("name", FIGURES)
def test_of_an_empty_table_there_is_nothing_to_draw(name, two_seeds):
    # That no variant aligns a pair, or that there is no published run of one, is no fault.
    for table in {*import_module(f"distillation_dynamics.figures.{name}").TABLES} - {"effects", "published_trajectory"}:
        with pytest.raises(NoValue, match=rf"\({table}.parquet is empty\)|none of the metrics whose {table}"):
            draw(name, {**two_seeds[0], table: two_seeds[0][table].iloc[:0]})


def test_shape_draws_u_shaped_curves_thick_and_says_whose_they_are(two_seeds):
    tables = two_seeds[0]
    figure, shape, depth = draw("shape", tables), tables["shape"], tables["depth"]
    drawn_of = set(map(label, depth["network"]))
    for axes in figure.axes:
        if not axes.get_visible():
            continue
        metric = axes.get_title().replace(" ", "_")
        rows = shape.query(f"metric == '{metric}' and role == 'paper' and probe == 'balanced'")
        found = {label(name) for name in rows.loc[rows["verdict"] == "U-shaped", "network"]}
        thick = {line.get_label() for line in axes.lines if line.get_linewidth() > 2}
        assert thick == found & drawn_of
        assert not found or f"{axes.get_title()}: " in note_of(figure)
    own = depth[(depth["probe"] == "balanced") & (depth["network"] == "soft")]
    mean = own[own["epoch"] == own["epoch"].max()].groupby("block")["intensity"].mean()
    panel = next(axes for axes in figure.axes if axes.get_title() == "intensity")
    (line,) = [line for line in panel.lines if line.get_label() == "soft"]
    np.testing.assert_allclose(line.get_ydata(), np.log2(mean / mean.iloc[0]))
    assert "Null: intensity of permuted channels is U-shaped in" in note_of(figure)


def test_effects_show_every_seed_the_means_and_what_the_number_of_test_images_makes(two_seeds):
    axes = draw("effects", two_seeds[0]).axes[0]
    drawn = np.concatenate([line.get_xdata() for line in axes.lines if line.get_markerfacecolor() == "none"])
    np.testing.assert_allclose(np.sort(drawn), np.sort(two_seeds[0]["differences"]["difference"]))
    variants = two_seeds[0]["variants"]
    means = np.concatenate([np.ravel(line.get_xdata()) for line in axes.lines if line.get_marker() == "d"])
    np.testing.assert_allclose(means, variants["mean_difference"])
    noise = [band.get_paths()[0].vertices[:, 0].max() for band in axes.collections]
    np.testing.assert_allclose(noise, 1.96 * variants["evaluation_standard_error"])


def test_effects_say_what_the_seeds_can_show(two_seeds, eight_seeds):
    for (tables, _), said in ((two_seeds, "cannot reach 5 %"), (eight_seeds, "p = ")):
        *words, head = draw("effects", tables).axes[0].texts
        assert len(words) == 3 and all(text.get_text().startswith(said) for text in words)
        assert head.get_text() == "joint test"
        bold = [text.get_fontweight() == "bold" for text in words]
        assert bold == tables["variants"]["verdict"].str.startswith("significantly").tolist()
    uneven = eight_seeds[0]["variants"].copy()
    uneven.loc[0, "joint_seeds"] = 7
    texts = [text.get_text() for text in draw("effects", eight_seeds[0] | {"variants": uneven}).axes[0].texts]
    assert texts[0].startswith("n = 7: ") and texts[1].startswith("n = 8: ")


def test_alignment_writes_the_effects_of_variants_that_align_one_pair_beside_its_mark(two_seeds):
    tables = two_seeds[0]
    figure = draw("alignment", tables)
    main, gain = [axes for axes in figure.axes if axes.images]
    effect = tables["effects"].set_index("variant").loc["spectral_last", "mean_difference"]
    # The first pair was aligned only together with the last.
    assert {text.xy: text.get_text() for text in main.texts} == {(5, 3): f"spectral last {effect:+.2f}"}
    assert "n = 2 seeds." in note_of(figure)
    np.testing.assert_allclose(main.images[0].get_array(), tables["alignment"]["cka"].to_numpy().reshape(4, 6))
    np.testing.assert_allclose(gain.images[0].get_array(), tables["alignment"]["gain"].to_numpy().reshape(4, 6))


def test_alignment_draws_a_study_whose_variants_align_nothing_and_blocks_without_cka(two_seeds):
    tables = two_seeds[0] | {"effects": two_seeds[0]["effects"].iloc[:0]}
    assert "No variant aligns a pair by itself." in note_of(draw("alignment", tables))
    tables["alignment"] = tables["alignment"].assign(cka=np.nan, cka_kind="", cka_rows=np.nan)
    assert "unbiased linear CKA: no value" in {axes.get_title("left") for axes in draw("alignment", tables).axes}


def test_effects_of_opposite_sign_on_one_pair_are_both_written(two_seeds):
    effects = two_seeds[0]["effects"]
    last = effects[effects["variant"] == "spectral_last"].assign(verdict="helps", mean_difference=0.26)
    other = last.assign(variant="projector_last", objective="projector", verdict="harms", mean_difference=-0.37)
    figure = draw("alignment", two_seeds[0] | {"effects": pd.concat([last, other])})
    (text,) = figure.axes[0].texts
    assert text.get_text() == "spectral last +0.26\nprojector last -0.37"
    assert "verdicts differ by variant" in {text.get_text() for text in figure.legends[0].get_texts()}


# --- networks alone, and compared ---

NETWORKS = ("vit", "vit2", "cait", "resnet")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A study of four networks, two of which differ in their seed, on two image sets; one control is flat."""
    who = names(NETWORKS, teacher=None, seeds=[("vit", "vit2")])
    options = {"who": who, "flat": ("cait_untrained",), "probes": ("balanced", "textures")}
    return who, *run(tmp_path_factory.mktemp("alone"), **options)


def test_a_study_of_networks_alone_has_all_files_and_says_what_cannot_be_asked(alone):
    _, tables, text = alone
    for name in ("differences", "variants", "mcnemar", "trajectory", "alignment"):
        assert tables[name].empty and list(tables[name].columns) == list(COLUMNS[name])
    assert "Does a variant help?" not in sections(text)
    assert "\n\nNot asked, since the study has no students: Accuracy" in text or "no students: " in text


def test_few_networks_are_answered_one_by_one_and_controls_are_never_counted(alone):
    _, _, text = alone
    answer = sections(text)["Is it U-shaped?"].splitlines()
    assert answer[0] == (
        "- **vit is U-shaped in intensity and activation magnitude, and not in entropy; intensity falls by 24 % to "
        "block 3 and rises by 31 % to the last: a U of scale (intensity over RMS varies by 4.3 % over depth), as is "
        "that of activation magnitude; the null (intensity after permuting channels) is U-shaped too; vit_untrained is "
        "so in none of these.**"
    )
    assert [line.split()[1].lstrip("*") for line in answer] == list(NETWORKS)
    assert "Intensity is U-shaped in 4 of 4 trained networks" in text
    rows = [line for line in text.splitlines() if line.startswith("| intensity |")]
    assert "| paper | 4 of 4 (3 a U of scale) | 0 of 3 | - |" in rows[0]


def test_a_flat_control_is_said_to_be_none_with_a_remedy(alone):
    _, _, text = alone
    assert "cait_untrained is flat over depth and so no control.**" in text
    said = "cait_untrained is flat over depth in intensity, entropy and activation magnitude (relative range below"
    assert said in text and "Set `control: unit_layer_scale` or `control: permuted` for it." in text
    rows = [line for line in text.splitlines() if line.startswith("| cait |")]
    assert any("| intensity | U-shaped" in row and row.endswith("| flat: no control |") for row in rows)
    assert "vit_untrained is flat" not in text
    unit = replace(names(("cait",), teacher=None), controls={"cait": "cait_unit_layer_scale"})
    shape = alone[1]["shape"].replace({"network": {"cait_untrained": "cait_unit_layer_scale"}})
    assert ", and so no control of cait. Set `control: permuted` for it." in "\n".join(on_shapes(shape, unit))


def test_a_flat_control_of_one_metric_is_none_of_that_metric_alone(alone):
    who, tables, _ = alone
    shape = tables["shape"].copy()
    shape.loc[(shape["network"] == "vit_untrained") & (shape["metric"] == "entropy"), "relative_range"] = 1e-5
    assert shape_tables.flat_controls(shape, who)["vit_untrained"] == ["entropy"]
    assert shape_tables.unmoved_controls(shape, who) == {"cait_untrained"}
    said = "\n".join(on_shapes(shape, who))
    assert "vit_untrained is flat over depth in entropy (relative range below 0.001)" in said


def test_another_image_set_has_its_own_count(alone):
    _, tables, text = alone
    assert set(tables["shape"]["probe"]) == {"balanced", "textures"}
    assert "On the image set textures: Intensity is U-shaped in 0 of 4 trained networks" in text


def test_one_network_is_answered_in_one_sentence_and_stands_beside_nothing(tmp_path):
    _, text = run(tmp_path, who=names(("vit",), teacher=None, controls=()))
    assert sections(text)["Is it U-shaped?"] == (
        "**vit is U-shaped in intensity and activation magnitude, and not in entropy; intensity falls by 24 % to "
        "block 3 and rises by 31 % to the last: a U of scale (intensity over RMS varies by 4.3 % over depth), as is "
        "that of activation magnitude; the null (intensity after permuting channels) is U-shaped too; no control was "
        "measured (30 images).**"
    )
    assert "this study has one network" in sections(text)["Networks compared"]


def test_more_than_twelve_networks_are_counted(tmp_path):
    who = names([f"n{number}" for number in range(13)], teacher=None, controls=())
    job = made_up(tmp_path, who=who, blocks=(3, 4), images=30)
    tables = dict(zip(("shape", "minimum"), shapes_of([file.files[0] for file in job.scalars]), strict=True))
    answer = on_shapes(tables["shape"], who)[0]
    assert answer.startswith("**Intensity is U-shaped in 13 of 13 trained networks")


def test_networks_without_any_of_the_papers_metrics_are_said_to_have_none(alone):
    who, tables, _ = alone
    shape = tables["shape"][tables["shape"]["role"] != "paper"]
    assert on_shapes(shape, who)[0] == "**None of the paper's metrics was measured in a trained network.**"
    some = tables["shape"].query("role != 'paper' or network != 'cait'")
    assert any("cait has none of the paper's metrics" in line for line in on_shapes(some, who))


def test_pairs_stand_beside_their_controls_and_the_ceiling(alone):
    _, tables, text = alone
    answer = sections(text)["Networks compared"]
    table = tables["networks"]
    best = table[table["kind"] == "networks"].nlargest(1, "cka").iloc[0]
    assert answer.startswith(
        f"**Most similar of 5 pairs by CKA: {best['network']} and {best['other']}, {best['cka']:.2f}"
    )
    seeds = table[table["kind"] == "seeds"].iloc[0]
    assert answer.endswith(f"; of one network with another seed: {seeds['cka']:.2f} (vit and vit2).**")
    assert "More similar than their controls: by CKA in 2 of 2 pairs" in text, "those of cait are flat"
    assert "cait_untrained is flat over depth and no control." in text
    assert "CKA rests on 1,280 rows (tokens)." in text


def on_shapes(shape, who):
    """The section on these shapes, without references."""
    return said_of("shape", who, shape=shape, references=pd.DataFrame(columns=[*REFERENCE_COLUMNS]))


def beside_of(who, change=None, unmoved=frozenset()):
    """The section of a made-up table of pairs; `change` may alter the table."""
    pairs = study(who, dict.fromkeys(who.networks, network([8] * 3, [4] * 3)))
    table = pair_table(pairs, who)
    shape = dict.fromkeys(SHAPE_COLUMNS, np.nan) | {"probe": "balanced", "role": "paper", "metric": "intensity"}
    shapes = [shape | {"network": control, "relative_range": 0.0} for control in unmoved]
    shapes = pd.DataFrame(shapes, columns=[*SHAPE_COLUMNS])
    return said_of("networks", who, networks=table if change is None else change(table), shape=shapes)


def test_of_many_networks_the_most_alike_pairs_are_listed_and_the_table_that_holds_the_others_is_named():
    who = names([f"n{number}" for number in range(15)], teacher=None, controls=())
    pair = {"kind": "networks", "cka_kind": "images", "cka_rows": 300.0, "images": 300}
    table = pd.DataFrame([pair | {"network": a, "other": b} for a, b in itertools.combinations(who.networks, 2)])
    table = table.assign(cka=np.linspace(0, 1, len(table))).reindex(columns=list(COLUMNS["networks"]))
    shape = pd.DataFrame(columns=[*SHAPE_COLUMNS])
    said = said_of("networks", who, networks=table, shape=shape)
    (lines,) = [part.splitlines() for part in said if part.startswith("|")]
    assert len(lines) == 2 + 12 and lines[2].startswith("| n13 and n14 |"), "the most alike comes first"
    assert (
        "The table shows 12 of 105 pairs, the most alike by CKA first; `statistics/networks.parquet` holds all." in said
    )
    said = said_of("networks", who, networks=table.head(12), shape=shape)
    assert len(next(part for part in said if part.startswith("|")).splitlines()) == 2 + 12
    assert not any("most alike by" in part for part in said[1:])
    assert "Of 105 pairs 12 were compared (`compare.pairs`)." in said


def test_without_a_second_seed_there_is_no_ceiling():
    answer = beside_of(names(("a", "b", "c"), teacher=None))[0]
    assert answer.endswith("No network has a second seed, so the highest attainable similarity is unknown.**")
    assert "their controls: 0." in answer
    who = names(("a", "b", "c"), teacher=None, seeds=[("a", "b")])
    answer = beside_of(who, lambda table: table[table["kind"] != "seeds"])[0]
    assert "The networks that differ in their seed were not compared, so the highest attainable" in answer


def test_two_seeds_alone_are_a_ceiling_of_nothing():
    answer = beside_of(names(("a", "b"), teacher=None, seeds=[("a", "b")]))[0]
    assert (
        answer.startswith("**Only networks that differ in their seed were compared, CKA: 0.") and "(a and b)" in answer
    )


def test_without_controls_nothing_is_said_to_be_beyond_them():
    answer, said, *_ = beside_of(names(("a", "b"), teacher=None, controls=("a",)))
    assert answer.startswith("**CKA of a and b, 0.") and "no controls of both were compared" in answer
    assert "More alike" not in said
    flat = beside_of(names(("a", "b"), teacher=None), unmoved={"a_untrained", "b_untrained"})
    assert "; a_untrained and b_untrained, flat over depth, are no controls. No network has" in flat[0]
    assert flat[1].startswith("a_untrained and b_untrained are flat over depth and no controls.")


def test_what_was_not_measured_is_not_answered():
    who = names(("a", "b"), teacher=None)
    nothing = beside_of(who, lambda table: table.iloc[:0])
    assert nothing == ["**Not applicable: no similarity of two networks was measured.**"]
    answer = beside_of(who, lambda table: table.assign(cka=np.nan, cka_kind="", cka_rows=np.nan))
    assert answer[0].startswith("**mutual neighbours of a and b, 0.") and "CKA rests" not in answer[1]


def test_measures_that_name_another_pair_are_said_to():
    who = names(("a", "b", "c"), teacher=None)
    said = beside_of(who)[1]
    assert "Mutual neighbours and Procrustes distance name the same pair." in said or "do not agree" in said

    def swapped(table):
        return table.assign(procrustes=table["cka"], neighbours=table["cka"])

    assert re.search(
        r"Other measures name another pair: \w and \w by Procrustes distance\.", beside_of(who, swapped)[1]
    )


def test_few_rows_of_a_cka_between_networks_are_said():
    said = beside_of(names(("a", "b"), teacher=None), lambda table: table.assign(cka_rows=200.0))[1]
    assert "CKA rests on 200 rows (tokens), fewer than 1,000: small differences mean nothing." in said
