"""The job of a page on a made-up study: its tables, report and figures as files, for the tests of the page."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from distillation_dynamics.jobs import gathered
from distillation_dynamics.questions.claims._finding import AS_SCALE, VERDICTS
from distillation_dynamics.spec.base import From, from_json, to_json
from distillation_dynamics.spec.tables import PageJob
from made_up import names, study

VARIANTS = ("soft", "none", "spectral_first", "spectral_last", "projector_first", "projector_last", "hard")
WHO = names(("cait", "vit"), VARIANTS, teacher="cait")
ALONE = names(("cait", "vit"), (), teacher=None)
EDGES = (("data", "networks"), ("networks", "students"), ("students", "measure"), ("networks", "measure"))
EDGES += (("measure", "tables"), ("tables", "statistics"), ("statistics", "figures"))
TITLES = (
    *("Accuracy", "What this study can show", "Is it U-shaped?", "Networks compared", "Does a variant help?"),
    *("When does a gain arise?", "Dose and place", "Which layers should be aligned?", "Published and measured"),
    *("The paper's claims, one by one", "A question without a panel"),
)
# To make them up takes longer than to write a page.
_KNOWN = {}


def tables_of(who, seeds=(0, 1)):
    """Return every table of a study by name, which a test may change."""
    key = to_json([who, seeds])
    if key not in _KNOWN:
        _KNOWN[key] = _all_tables(who, seeds)
    return {name: table.copy() for name, table in _KNOWN[key].items()}


def _all_tables(who, seeds):
    tables = study(who, seeds=seeds)
    runs = tables["runs"] = tables["runs"].assign(parameters=7, training_tflops=0.5)
    means = runs.groupby("network", sort=False)["test_top1"].mean()
    spread = np.nan if len(seeds) == 1 else 0.5
    ends = {"test_top1_low": means.to_numpy() - spread, "test_top1_high": means.to_numpy() + spread}
    tables["summary"] = pd.DataFrame({"network": means.index, "test_top1": means.to_numpy(), **ends})
    cost = {"seconds": 4.0, "start_seconds": 1.0, "device": "cpu", "images_per_second": 90.0, "peak_mb": 800.0}
    cost |= {"cpu": "AMD EPYC", "threads": 1.0}
    tables["cost"] = runs[["network", "seed"]].assign(**cost)
    tables["claims"] = pd.DataFrame(
        {"claim": f"{v} is", "letter": v[0], "text": f"<b>{v}</b> & more", "verdict": v, "number": "a 1; b 2"}
        | {"decides": "d", "rule": "r", "control": "", "sentence": "w.", "scale": AS_SCALE if place == 0 else ""}
        for place, v in enumerate(VERDICTS)
    )  # fmt: skip
    pair = {"network": "cait", "other": "vit", "cka": 0.7, "neighbours": np.nan, "procrustes": 0.4, "images": 9}
    controls = pair | {"network": "cait_untrained", "other": "vit_untrained", "kind": "controls"}
    tables["networks"] = pd.DataFrame([pair | {"kind": "networks"}, controls])
    if who.variants:
        tables |= _of_students(who, seeds)
    return tables


def _of_students(who, seeds):
    others = [name for name in who.variants if name != who.baseline]
    interval = {"low": np.nan, "high": np.nan} if len(seeds) == 1 else {"low": -0.5, "high": 1.0}
    rows = [{"variant": v, "mean_difference": n - 2.0, **interval} for n, v in enumerate(others)]
    single = [{"variant": v, "seed": s, "difference": n - 2.0 + s / 9} for n, v in enumerate(others) for s in seeds]
    course = [
        {"variant": v, "epoch": e, "fraction": e / 2, "seeds": len(seeds), "gain": 0.1 * e, **interval}
        for v in others for e in (1, 2)
    ]  # fmt: skip
    one = {"one_low": -2.0, "one_high": 2.0, "seeds": len(seeds), "verdict": "not comparable", "run": "SoftKD"}
    beside = [{"variant": v, "published_difference": 0.1, "difference": 0.2, **interval, **one} for v in others[:2]]
    pairs = [
        {"baseline": who.baseline, "student_block": s, "teacher_block": t, "cka": 0.1 * s + 0.05 * t}
        | {"untrained_cka": 0.1, "gain": 0.2}
        | {"gain_low": 0.1, "gain_high": 0.3, "cka_seeds": 2, "aligned_by": "spectral_first" if s == t == 0 else ""}
        for s in range(4) for t in range(8)
    ]  # fmt: skip
    frames = {"variants": rows, "differences": single, "trajectory": course, "published": beside, "alignment": pairs}
    return {name: pd.DataFrame(values) for name, values in frames.items()}


def report_of(titles=TITLES):
    """Return a report with an answer and a table a section."""
    paragraphs = ["| what | n [%] |\n|---|---|\n| one & only | 1 |", "- a **bold** point\n- another"]
    section = {"sources": "Table: some.parquet.", "paragraphs": paragraphs, "methods": ["How it was tested."]}
    answered = [section | {"title": title, "answer": f"**About {title}**"} for title in titles]
    summary = ["- **first**: +0.50 [+0.10, +0.90] points", "| claim | verdict | number |\n|---|---|---|\n| a | b | c |"]
    return {"title": "made_up", "summary": summary, "study": paragraphs[0], "sections": answered}


def write(folder, who=WHO, tables=None, report=None, figures=("accuracy", "saliency"), made=None, classes=()):
    """Write all that a page reads and return its job, as a process reads it from its task."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = tables_of(who) if tables is None else tables
    for name, table in tables.items():
        written = pa.Table.from_pandas(table, preserve_index=False)
        about = [
            one.with_metadata({"unit": "points", "description": f"what `{one.name}` is"}) for one in written.schema
        ]
        pq.write_table(written.cast(pa.schema(about)), folder / f"{name}.parquet")
    (folder / "report.json").write_text(json.dumps(report or report_of()))
    for name in figures:
        Image.new("RGB", (1200, 600), "white").save(folder / f"{name}.png")
    if made is not None:
        (folder / "study.json").write_text(json.dumps(made))
    (folder / "one.record.json").write_text(json.dumps({"seconds": 1800.0}))
    (folder / "none.record.json").write_text(json.dumps({}))
    records = {"students": tuple(f"{folder}/{name}.record.json" for name in ("one", "none", "gone"))}
    job = PageJob(
        *(who, {name: _file(folder / f"{name}.parquet") for name in tables}),
        *({name: _file(folder / f"{name}.png") for name in figures}, {name: f"What {name} shows." for name in figures}),
        _file(folder / "report.json"),
        *({"palette": "colorblind", "dpi": 60}, From("", files=tuple(map(str, gathered.ASSETS))), EDGES, classes),
        **{"study": str(folder / "study.json"), "records": records, "out": str(folder / "out")},
    )
    return from_json(PageJob, to_json(job))


def _file(path):
    return From(str(path), files=(str(path),))
