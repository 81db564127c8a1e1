"""What happens in training, as it is kept: the columns of the step and epoch tables, and the log that fills them.

Imports no torch.
"""

from dataclasses import dataclass, field

import numpy as np

from ..files import Column

STEP_COLUMNS = {
    "epoch": Column("epochs", "epoch of the step, 1 is the first"),
    "step": Column("updates", "0-based number of the optimiser's update"),
    "learning_rate": Column("", "rate of this update"),
    "part": Column("", "loss (the weighted sum) or a term of it"),
    "value": Column("nats, or squared activation units for feature terms", "unweighted value of the part"),
    "weight": Column("", "weight of the part in the loss"),
}
EPOCH_COLUMNS = {
    "epoch": Column("epochs", "finished epochs; 0 is the untrained model"),
    "learning_rate": Column("", "rate at the epoch's first update; NaN for epoch 0"),
    "train_loss": Column("nats", "mean of the weighted loss over the epoch's updates; NaN for epoch 0"),
    "validation_top1": Column("%", "top-1 accuracy on the validation images; NaN where not measured"),
    "validation_loss": Column("nats", "mean cross-entropy on the validation images; NaN where not measured"),
}


@dataclass
class Log:
    """What happened: the parts of the loss at every step, the epochs, the last logits on validation, and the cost."""

    weights: dict[str, float] = field(default_factory=dict)
    rows: list[list[float]] = field(default_factory=list)
    epochs: dict[str, list] = field(default_factory=lambda: {name: [] for name in EPOCH_COLUMNS})
    seconds: float = 0.0
    gflops_per_image: float = 0.0
    validation_logits: np.ndarray | None = None

    @property
    def parts(self) -> list[str]:
        """Names of the recorded parts: the loss, then its terms."""
        return ["loss", *self.weights]

    @property
    def steps(self) -> dict[str, np.ndarray]:
        """The columns of the step table: one row an update and part."""
        table = np.array(self.rows, dtype=np.float64).reshape(-1, 3 + len(self.parts))
        updates, parts = len(table), len(self.parts)
        return {
            "epoch": np.repeat(table[:, 0].astype(np.int64), parts),
            "step": np.repeat(table[:, 1].astype(np.int64), parts),
            "learning_rate": np.repeat(table[:, 2], parts),
            "part": np.tile(np.array(self.parts), updates),
            "value": table[:, 3:].ravel(),
            "weight": np.tile(np.array([1.0, *self.weights.values()]), updates),
        }

    def add_step(self, epoch: int, step: int, rate: float, values: list[float]) -> None:
        """Record one update: `values` are those of `parts`."""
        self.rows.append([epoch, step, rate, *values])

    def of_epoch(self, epoch: int) -> np.ndarray:
        """Return the rows of one epoch (1 is the first): epoch, step, rate, then the values of `parts`."""
        first = next(i for i, row in enumerate(self.rows) if row[0] == epoch)
        return np.array(self.rows[first:])

    def best_epoch(self) -> tuple[int, float]:
        """Return the epoch of the highest validation top-1 (the earliest of equals), and that accuracy in percent."""
        best = int(np.nanargmax(self.epochs["validation_top1"]))
        return self.epochs["epoch"][best], self.epochs["validation_top1"][best]
