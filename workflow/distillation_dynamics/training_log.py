"""What happens in training, as it is kept: the columns of the step and epoch tables, and the log that fills them.

Imports no torch.
"""

from dataclasses import dataclass, field

import numpy as np

from .files import Column

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
    """What happened: columns of the step and epoch tables, the last epoch's logits on validation, and the cost."""

    steps: dict[str, list] = field(default_factory=lambda: {name: [] for name in STEP_COLUMNS})
    epochs: dict[str, list] = field(default_factory=lambda: {name: [] for name in EPOCH_COLUMNS})
    seconds: float = 0.0
    gflops_per_image: float = 0.0
    validation_logits: np.ndarray | None = None

    def best_epoch(self) -> tuple[int, float]:
        """Return the epoch of the highest validation top-1 (the earliest of equals), and that accuracy in percent."""
        best = int(np.nanargmax(self.epochs["validation_top1"]))
        return self.epochs["epoch"][best], self.epochs["validation_top1"][best]
