"""Training curves: validation accuracy and training loss of every variant over epochs."""

import pandas as pd
from matplotlib.figure import Figure

from .style import PAGE, Style, label, legend_below, need

TABLES = ("epochs",)
ASKS = ("students",)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the mean over seeds of each variant, single seeds thin, and the teacher's final accuracy."""
    epochs = need(tables, "epochs", "epoch", "validation_top1", "train_loss")
    students = epochs[epochs["network"].isin(style.names.variants)]
    teacher = epochs[epochs["network"] == style.names.teacher]
    looks = style.looks(students["network"])
    figure = Figure(figsize=(PAGE, 3.1), layout="constrained")
    accuracy, loss = figure.subplots(1, 2)
    panels = (accuracy, "validation_top1"), (loss, "train_loss")
    for axes, column in panels:
        for variant, look in looks.items():
            rows = students[students["network"] == variant].dropna(subset=[column])
            mean = rows.groupby("epoch")[column].mean()
            axes.plot(mean.index, mean, label=label(variant), **look)
            if rows["seed"].nunique() > 1:
                for _, one in rows.groupby("seed"):
                    axes.plot(one["epoch"], one[column], color=look["color"], linewidth=0.4, alpha=0.5)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
    final = teacher.dropna(subset=["validation_top1"]).tail(1)["validation_top1"]
    if len(final):
        accuracy.axhline(
            final.iloc[0],
            color="black",
            linewidth=0.8,
            linestyle=(0, (6, 3)),
            label=f"teacher ({label(style.names.teacher)}), final",
        )
    accuracy.set_ylabel("validation top-1 [%]")
    loss.set_ylabel("training loss [nats]")
    seeds = students["seed"].nunique()
    figure.suptitle(f"Training of the students ({seeds} seed{'s' * (seeds > 1)})", fontsize="medium")
    legend_below(figure, accuracy, 4)
    return figure
