"""What every network and variant reached: the section on accuracy, every seed, its mean and interval.

In: the frame of runs.parquet. Out: Markdown.
"""

import numpy as np
import pandas as pd

from ...files import Column
from ...markdown import markdown
from ...spec.tables import Names
from ..paired import interval
from .words import listed, number, plural

TABLE = {
    "network": Column("", ""),
    "what": Column("", ""),
    "seeds": Column("", ""),
    "test top-1": Column("%", ""),
    "95 % interval": Column("% over seeds", ""),
    "each seed": Column("%", ""),
    "image noise": Column("points", ""),
    "as the teacher": Column("% of test images", ""),
}


def section(runs: pd.DataFrame, names: Names) -> list[str]:
    """Return the paragraphs on accuracy; what has none is named."""
    known = runs[runs["test_top1"].notna()]
    missing = [name for name in dict.fromkeys(runs["network"]) if name not in set(known["network"])]
    without = f"No accuracy (no head for these classes): {listed(missing)}." if missing else ""
    if known.empty:
        return [f"**No network of this study has an accuracy.** {without}".strip()]
    images = sorted({int(count) for count in known["test_images"]})
    return [
        markdown(table(known, names), TABLE),
        f"Last epoch, {listed([f'{count:,}' for count in images])} test images. The interval is the t interval of the "
        "mean over seeds (of other trainings of this student by this one teacher); image noise is the binomial "
        f"standard error of one run that the number of test images causes. {without}".strip(),
    ]


def table(known: pd.DataFrame, names: Names) -> pd.DataFrame:
    """Return a row a network or variant of the runs that have an accuracy, as the report shows it."""
    return pd.DataFrame([_row(name, group, names) for name, group in known.groupby("network", sort=False)])


def _row(name: str, group: pd.DataFrame, names: Names) -> dict[str, str | int]:
    top1, count = group.sort_values("seed")["test_top1"], len(group)
    low, high = interval(top1.to_numpy())
    said = f"{low:.2f} to {high:.2f}"
    if np.isnan(low):
        said = "- (no spread)" if count > 1 else "- (one run)"
    share = top1.mean() / 100
    role = "variant" if name in names.variants else "network"
    role = {names.teacher: "teacher", names.baseline: "baseline"}.get(name, role)
    return {
        "network": name,
        "what": role,
        "seeds": count if name in names.variants else "-",
        "test top-1": f"{top1.mean():.2f}",
        "95 % interval": said,
        "each seed": ", ".join(f"{value:.2f}" for value in top1),
        "image noise": f"{100 * np.sqrt(share * (1 - share) / group['test_images'].iloc[0]):.2f}",
        "as the teacher": number(group["test_agreement"].mean(), ".1f"),
    }


def spread(runs: pd.DataFrame, names: Names) -> str:
    """Return in a sentence from where to where variants reach, and what the teacher does."""
    known = runs[runs["test_top1"].notna()]
    means = known[known["network"].isin(names.variants)].groupby("network", sort=False)["test_top1"].mean()
    teacher = known.loc[known["network"] == names.teacher, "test_top1"]
    text = f"The teacher {names.teacher} reaches {teacher.iloc[0]:.2f} %." if len(teacher) else ""
    if means.empty:
        return text
    seeds = known.loc[known["network"].isin(names.variants), "seed"].nunique()
    over = f", means over {seeds} seeds" if seeds > 1 else ", one seed"
    if len(means) == 1:
        return f"The variant {means.index[0]} reaches {means.iloc[0]:.2f} %{over}. {text}".strip()
    low, high = (f"{means[name]:.2f} % ({name})" for name in (means.idxmin(), means.idxmax()))
    return f"{plural(len(means), 'variant')} reach from {low} to {high}{over}. {text}".strip()
