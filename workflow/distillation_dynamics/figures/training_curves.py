"""Training curves: validation accuracy and training loss of every variant over epochs."""

import pandas as pd
from matplotlib.figure import Figure

from .style import PAGE, Style, label, legend_below, need, over_epochs

TABLES = ("epochs",)
ASKS = ("students",)
CAPTION = (
    "Validation top-1 and training loss by epoch: {students}, means over seeds and single seeds; no interval over "
    "seeds is drawn. Reference: the teacher's last epoch, where there is one."
)


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
        over_epochs(axes, students, column, looks)
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
