"""Accuracy and cost of every run, network and variant of a study.

In: results, logits and training tables of networks and students. Out: `runs.parquet` (one row per run),
`epochs.parquet` (all training curves), `terms.parquet` (terms of the loss by epoch), `term_gradients.parquet` (norm and
direction of each term's gradient by block), `summary.parquet` and `summary.md` (one row per network or variant),
`cost.parquet` and `cost.md` (measured seconds and memory, which differ between runs; everything else is equal for equal
seeds). Imports no torch.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from ..arms import write_of_study
from ..files import Column, columns_to_write, read_json, read_npy, read_table, whole_numbers, write_text
from ..markdown import markdown
from ..metrics.pairs.agreement import agreement
from ..networks.weights_file import described
from ..spec.tables import Run, SummaryJob
from ..training.log import EPOCH_COLUMNS, GRADIENT_LOG_COLUMNS, TERM_COLUMNS

SPLITS = "validation", "test"
RUN_COLUMNS = {
    "network": Column("", "network, or variant"),
    "seed": Column("", "seed of the student; null for networks"),
    "validation_top1": Column("%", "top-1 of the last epoch on the validation images; NaN where not measured"),
    "test_top1": Column("%", "top-1 of the last epoch on the test images; NaN where not measured"),
    "best_epoch": Column(
        "epochs", "epoch of the best validation top-1 (recorded, never used); null where there is none"
    ),
    "best_validation_top1": Column("%", "validation top-1 of that epoch"),
    "validation_agreement": Column("%", "validation images on which it and the teacher predict the same class"),
    "validation_kl": Column("nats", "mean KL(teacher || it) of the predicted distributions, validation images"),
    "test_agreement": Column(
        "%", "test images on which it and the teacher predict the same class; NaN with other classes"
    ),
    "test_kl": Column("nats", "mean KL(teacher || it) of the predicted distributions, test images"),
    "test_images": Column("images", "number of test images; 0 where not measured"),
    "train_images": Column("images", "number of training images; 0 for weights that were not trained here"),
    "epochs": Column("epochs", "epochs of training"),
    "updates": Column("updates", "of the optimiser in training; 0 for weights that were not trained here"),
    "clip_gradient_norm": Column("", "largest norm of a gradient; NaN where there was no limit"),
    "clipped": Column("", "share of the updates whose gradient was clipped; NaN where nothing was trained"),
    "ema_decay": Column("", "of the average of weights that is measured; NaN: weights as trained"),
    "parameters": Column("", "parameters"),
    "training_tflops": Column("1e12 operations", "of training, 2 a multiply-add, without the teacher's share"),
    "loaded": Column(
        "", "how weights from elsewhere were read: names, sizes, missing and unused tensors; empty: unchanged"
    ),
}
EPOCH_KEYS = {name: RUN_COLUMNS[name] for name in ("network", "seed")}
SUMMARY_COLUMNS = {
    "network": Column("", "network, or variant"),
    "seeds": Column("", "number of runs"),
    "test_top1": Column("%", "mean over seeds of the last epoch's top-1 on the test images"),
    "test_top1_low": Column("%", "lower end of the 95 % t interval over seeds; NaN with one seed"),
    "test_top1_high": Column("%", "upper end of that interval"),
    "image_standard_error": Column("points", "binomial standard error of one run's test top-1"),
    "validation_top1": Column("%", "mean over seeds of the last epoch's top-1 on the validation images"),
    "best_validation_top1": Column("%", "mean over seeds of the best epoch's validation top-1"),
    "test_agreement": Column("%", "mean agreement with the teacher on the test images"),
    "test_kl": Column("nats", "mean KL(teacher || it) on the test images"),
    "parameters": Column("", "parameters"),
    "training_tflops": Column("1e12 operations", "mean over seeds, without the teacher's share"),
}
MEANS = ("validation_top1", "best_validation_top1", "test_agreement", "test_kl", "training_tflops")
COST_COLUMNS = EPOCH_KEYS | {
    "seconds": Column("s", "its share of the wall time of training with its validations and test, start-up left out"),
    "images_per_second": Column("images/s", "training images over that time; NaN where nothing was trained"),
    "device": Column("", "cpu or cuda"),
    "networks": Column("networks", "trained together by the same process on the same batches"),
    "own_seconds": Column("s", "of its share what it alone caused, equal parts of the rest left out; NaN on a GPU"),
    "start_seconds": Column("s", "its share of start-up, loading and writing, on top of `seconds`"),
    "peak_mb": Column(
        "MB", "most memory of the process that made it, over all of torchrun on a machine; NaN where not recorded"
    ),
    "cpu": Column("", "CPU of the machine that made it; empty where not recorded"),
    "threads": Column("threads", "threads that the process computed with; NaN where not recorded"),
}
# Tables of a training.
COURSES = {
    "epochs": EPOCH_KEYS | EPOCH_COLUMNS,
    "terms": EPOCH_KEYS | TERM_COLUMNS,
    "term_gradients": EPOCH_KEYS | GRADIENT_LOG_COLUMNS,
}
TABLES = {"runs": RUN_COLUMNS, **COURSES, "summary": SUMMARY_COLUMNS, "cost": COST_COLUMNS}


def logits_of(run: Run) -> dict[str, np.ndarray]:
    """Return split -> logits [n, K] of a run, of the splits on which it has an accuracy.

    None without a head for the study's classes; no validation if nothing is held out.
    """
    if not run.measured:
        return {}
    folder = Path(run.folder)
    result = read_json(folder / "result.json")
    measured = [split for split in SPLITS if result.get(f"{split}_top1") is not None]
    return {split: read_npy(folder / f"logits_{split}.npy") for split in measured}


def collect(listed: tuple[Run, ...], teacher: str | None, taught: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Return the tables `runs`, `epochs`, `terms` and `cost`; missing values are NaN.

    Networks are compared with the study's `teacher`, variants with their own (`taught`: variant -> teacher).
    """
    answers = {run.network: logits_of(run) for run in listed if run.network in (teacher, *taught.values())}
    runs, costs = [], []
    courses: dict[str, list[pd.DataFrame]] = {name: [] for name in COURSES}
    for run in listed:
        folder, logits = Path(run.folder), logits_of(run)
        key = {"network": run.network, "seed": run.seed}
        result = read_json(folder / "result.json")
        row = dict.fromkeys(RUN_COLUMNS, np.nan) | key | {"best_epoch": None}
        row |= dict.fromkeys(("train_images", "epochs", "updates"), 0)
        row |= {"test_images": len(logits.get("test", ())), "training_tflops": result["training_gflops"] / 1e3}
        row |= {name: value for name, value in result.items() if name in RUN_COLUMNS and value is not None}
        row["loaded"] = described(result["loaded"]) if result.get("loaded") else ""
        theirs = answers.get(taught.get(run.network, teacher or ""), {})
        if run.network != teacher:
            for split in logits.keys() & theirs.keys():
                # Heads for different classes cannot be compared.
                if logits[split].shape != theirs[split].shape:
                    continue
                row[f"{split}_agreement"], row[f"{split}_kl"] = agreement(logits[split], theirs[split])
        runs.append(row)
        # Released weights have no training tables, and networks no gradients of terms.
        written = {Path(file).stem for file in run.files.files}
        for name, parts in courses.items():
            if name in written:
                course = read_table(folder / f"{name}.parquet")
                parts.append(course.assign(network=run.network, seed=whole_numbers([run.seed] * len(course))))
        record = read_json(run.record)
        cost = read_json(folder / "cost.json") | {name: record.get(name) for name in ("peak_mb", "threads")}
        cost["cpu"] = record.get("cpu", "")
        costs.append(key | {name: np.nan if value is None else value for name, value in cost.items()})
    joined = {
        name: pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COURSES[name]))
        for name, parts in courses.items()
    }
    missing = {"seed": "Int64", "best_epoch": "Int64"}
    return {"runs": pd.DataFrame(runs).astype(missing), **joined, "cost": pd.DataFrame(costs).astype({"seed": "Int64"})}


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per network or variant: means over seeds and, from two on, the 95 % t interval of test top-1."""
    rows = []
    for network, group in runs.groupby("network", sort=False):
        top1, count = group["test_top1"], len(group)
        low = high = np.nan
        if count > 1:
            low, high = stats.t.interval(0.95, count - 1, loc=top1.mean(), scale=stats.sem(top1))
        share, images = top1.mean() / 100, group["test_images"].iloc[0]
        means = {name: group[name].mean() for name in MEANS}
        rows.append(
            {
                "network": network,
                "seeds": count,
                "test_top1": top1.mean(),
                "test_top1_low": low,
                "test_top1_high": high,
                "image_standard_error": 100 * np.sqrt(share * (1 - share) / images) if images else np.nan,
                "parameters": group["parameters"].iloc[0],
                **means,
            }
        )
    return pd.DataFrame(rows)


def main(job: SummaryJob, gpus: int = 0) -> None:
    """Collect all runs of the study."""
    out = Path(job.out)
    tables = collect(job.runs, job.teacher, {name: arm.teacher for name, arm in job.arms.items()})
    tables["summary"] = summary = summarise(tables["runs"])
    for name, documentation in TABLES.items():
        columns = columns_to_write(tables[name], documentation)
        write_of_study(out / f"{name}.parquet", columns, documentation, job.arms)
    write_text(out / "summary.md", _titled("What every network and variant reached", summary, SUMMARY_COLUMNS))
    write_text(out / "cost.md", _titled("What every run cost", tables["cost"], COST_COLUMNS))


def _titled(title: str, table: pd.DataFrame, documentation: dict[str, Column]) -> str:
    """Return a Markdown table with a title, and the meanings of its columns."""
    lines = [
        f"- `{name}`{f' [{column.unit}]' if column.unit else ''}: {column.description}"
        for name, column in documentation.items()
    ]
    return "\n".join([f"# {title}", "", markdown(table, documentation).strip(), "", *lines, ""])
