"""Names of the files of one trained or loaded network; the same for networks and students."""

from .networks import NetworkJob

CHECKPOINT = "checkpoints/epoch{:03d}.safetensors"
WEIGHTS = ("trained.safetensors", "control.safetensors")
LOGITS = "logits_{}.npy"
TRAINING = ("steps.parquet", "epochs.parquet", "terms.parquet")
RESULT = ("result.json", "cost.json")
TERM_GRADIENTS = "term_gradients.parquet"
RUN_FILES = (LOGITS.format("validation"), LOGITS.format("test"), *TRAINING, TERM_GRADIENTS, *RESULT)


def network_files(job: NetworkJob) -> tuple[str, ...]:
    """Return the names of the files of a network's job."""
    logits = tuple(LOGITS.format(split) for split in job.measures)
    return (*WEIGHTS, *logits, *(TRAINING if job.recipe is not None else ()), *RESULT)
