"""The log of a training and the columns of its tables. Imports no torch."""

from dataclasses import dataclass, field

import numpy as np

from ..files import Column

GRADIENT_COLUMNS = {
    "gradient_norm": Column("", "norm of the gradient of the network before clipping"),
    "objective_gradient_norm": Column(
        "", "norm of the gradient of what the objective trains (projections) before clipping; NaN where it trains none"
    ),
    "clipped": Column("", "1 where the network's gradient was clipped, otherwise 0"),
}
STEP_COLUMNS = {
    "epoch": Column("epochs", "epoch of the step, 1 is the first"),
    "step": Column("updates", "0-based number of the optimiser's update"),
    "learning_rate": Column("", "rate of this update"),
    **GRADIENT_COLUMNS,
    "part": Column("", "loss (the weighted sum) or a term of it"),
    "value": Column("of the term, as its objective says", "unweighted value of the part"),
    "weight": Column("", "weight of the part in the loss, in this update"),
    "share": Column("", "share of the part in the loss: weight x value / loss"),
}
EPOCH_COLUMNS = {
    "epoch": Column("epochs", "finished epochs; 0 is the untrained model"),
    "learning_rate": Column("", "rate at the epoch's first update; NaN for epoch 0"),
    "train_loss": Column("", "mean of the weighted loss over the epoch's updates; NaN for epoch 0"),
    "validation_top1": Column("%", "top-1 accuracy on the validation images; NaN where not measured"),
    "validation_loss": Column("nats", "mean cross-entropy on the validation images; NaN where not measured"),
    "gradient_norm": Column("", "mean over the epoch's updates of the gradient's norm before clipping; NaN at epoch 0"),
    "objective_gradient_norm": Column("", "the same of what the objective trains; NaN where it trains none"),
    "clipped": Column("", "share of the epoch's updates whose gradient was clipped; NaN for epoch 0"),
}
TERM_COLUMNS = {
    "epoch": Column("epochs", "finished epochs, 1 is the first"),
    "term": Column("", "term of the loss"),
    "value": Column("of the term, as its objective says", "mean over the epoch's updates of its unweighted value"),
    "weight": Column("", "mean over the epoch's updates of its weight in the loss"),
    "share": Column("", "mean over the epoch's updates of weight x value / loss"),
}
GRADIENT_LOG_COLUMNS = {
    "epoch": Column("epochs", "epoch of the update, 1 is the first"),
    "step": Column("updates", "0-based number of the optimiser's update"),
    "term": Column("", "term of the loss"),
    "block": Column("", "0-based number of the student's block"),
    "norm": Column(
        "", "norm of the term's unweighted gradient on the block's parameters; NaN where the term was not computed"
    ),
    "cosine": Column(
        "", "cosine of it and the gradient of the terms that take nothing of a teacher; NaN where either is 0"
    ),
}
# First columns of every row of a log.
LEADING = ("epoch", "step", "learning_rate", *GRADIENT_COLUMNS)


@dataclass
class Log:
    """A training's log: parts of the loss at every step, epochs, last validation logits, and cost."""

    terms: list[str] = field(default_factory=list)
    rows: list[list[float]] = field(default_factory=list)
    # Epoch, step, and by term and block the gradient's norm and its cosine to the task's.
    gradients: list[tuple[int, int, list[list[list[float]]]]] = field(default_factory=list)
    epochs: dict[str, list] = field(default_factory=lambda: {name: [] for name in EPOCH_COLUMNS})
    seconds: float = 0.0
    gflops_per_image: float = 0.0
    validation_logits: np.ndarray | None = None

    @property
    def columns(self) -> list[str]:
        """Names of a row's numbers: LEADING, the terms' values, their weights, the loss."""
        return [*LEADING, *self.terms, *(f"weight of {term}" for term in self.terms), "loss"]

    def _numbers(self, rows: list[list[float]], *names: str) -> np.ndarray:
        """Return the named numbers of `rows`, [updates, names]."""
        table = np.array(rows, dtype=np.float64).reshape(-1, len(self.columns))
        return table[:, [self.columns.index(name) for name in names]]

    def _parts(self) -> dict[str, np.ndarray]:
        """Return value, weight and share of the loss and its terms, each [updates, parts]."""
        weights = [f"weight of {term}" for term in self.terms]
        table = self._numbers(self.rows, "loss", *self.terms, *weights)
        value, weight = np.split(table, [1 + len(self.terms)], axis=1)
        weight = np.column_stack([np.ones(len(value)), weight])
        loss = value[:, :1]
        # An inactive term has weight 0 and no value.
        part = np.where(weight == 0, 0.0, weight * value)
        share = np.divide(part, loss, out=np.full_like(value, np.nan), where=loss != 0)
        return {"value": value, "weight": weight, "share": share}

    @property
    def steps(self) -> dict[str, np.ndarray]:
        """Columns of the step table: one row per update and part."""
        parts = ["loss", *self.terms]
        leading = dict(zip(LEADING, np.repeat(self._numbers(self.rows, *LEADING), len(parts), axis=0).T, strict=True))
        whole = {name: leading[name].astype(np.int64) for name in ("epoch", "step")}
        names = {"part": np.tile(np.array(parts), len(self.rows))}
        return leading | whole | names | {name: values.ravel() for name, values in self._parts().items()}

    @property
    def by_term(self) -> dict[str, np.ndarray]:
        """Columns of the table of terms: one row per epoch and term."""
        of_row = np.array([row[0] for row in self.rows])
        epochs = np.unique(of_row)
        means = {
            name: np.array([_mean(values[of_row == epoch, 1:]) for epoch in epochs]).ravel()
            for name, values in self._parts().items()
        }
        number = np.repeat(epochs.astype(np.int64), len(self.terms))
        return {"epoch": number, "term": np.tile(np.array(self.terms), len(epochs)), **means}

    @property
    def by_block(self) -> dict[str, np.ndarray]:
        """Columns of the table of gradients: one row per logged update, term and block."""
        values = np.array([values for _, _, values in self.gradients], dtype=np.float64)
        if not len(values):
            return {name: np.array([]) for name in GRADIENT_LOG_COLUMNS}
        times, terms, blocks = values.shape[:3]
        when = np.array([logged[:2] for logged in self.gradients], dtype=np.int64).repeat(terms * blocks, axis=0)
        return {
            "epoch": when[:, 0],
            "step": when[:, 1],
            "term": np.tile(np.repeat(np.array(self.terms), blocks), times),
            "block": np.tile(np.arange(blocks), times * terms),
            "norm": values[..., 0].ravel(),
            "cosine": values[..., 1].ravel(),
        }

    @property
    def clipped(self) -> float:
        """Share of all updates whose gradient was clipped; NaN before the first."""
        return float(self._numbers(self.rows, "clipped").mean()) if self.rows else float("nan")

    def of_epoch(self, epoch: int, *names: str) -> np.ndarray:
        """Return the named numbers of one epoch (the first is 1), [updates, names]."""
        return self._numbers([row for row in self.rows if row[0] == epoch], *names)

    def best_epoch(self) -> tuple[int, float]:
        """Return the epoch of the highest validation top-1 (the earliest of equals) and that accuracy in percent."""
        best = int(np.nanargmax(self.epochs["validation_top1"]))
        return self.epochs["epoch"][best], self.epochs["validation_top1"][best]


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the means [parts] of values [updates, parts] without NaN; NaN if all are NaN."""
    there = np.isfinite(values)
    if there.all():
        return values.mean(axis=0)
    counts = there.sum(axis=0)
    return np.divide(
        np.where(there, values, 0.0).sum(axis=0), counts, out=np.full(len(counts), np.nan), where=counts > 0
    )
