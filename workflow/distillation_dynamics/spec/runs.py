"""The folder that one training or loading of a network leaves: the names of its files. Networks and students alike."""

from .networks import NetworkJob

CHECKPOINT = "checkpoints/epoch{:03d}.safetensors"
WEIGHTS = ("trained.safetensors", "control.safetensors")
LOGITS = "logits_{}.npy"
TRAINING = ("steps.parquet", "epochs.parquet", "terms.parquet")
RESULT = ("result.json", "cost.json")
TERM_GRADIENTS = "term_gradients.parquet"
RUN_FILES = (LOGITS.format("validation"), LOGITS.format("test"), *TRAINING, TERM_GRADIENTS, *RESULT)


def network_files(job: NetworkJob) -> tuple[str, ...]:
    """Return the names of the files that a network's job leaves."""
    logits = tuple(LOGITS.format(split) for split in job.measures)
    return (*WEIGHTS, *logits, *(TRAINING if job.recipe is not None else ()), *RESULT)
