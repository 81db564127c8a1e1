"""Compare one student, at each of its kept checkpoints, with its teacher, block by block.

In: the weights of both and class-balanced images of the validation split, which stream once: the teacher's answers to a
batch serve all checkpoints. Out: `cka.parquet` (likeness of every pair of blocks), `mismatch.parquet` (rank and
bandwidth of every pair after the teacher's channels are reduced to the student's number, as SpectralKD reduces them)
and `agreement.parquet` (predictions).
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from . import models
from .data import Split, balanced
from .files import Column, write_joined
from .metrics.agreement import Agreement
from .metrics.blocks import computed_with, extremes
from .metrics.cka import CKA, image_rows, token_rows
from .metrics.rank import gram_rank, reduced_gram
from .metrics.sep import bandwidth, gram_sep_folded
from .spec.comparison import ComparisonJob

BATCH = 32
LEVEL = 0.95
KEYS = {
    "model": Column("", "name of the variant"),
    "seed": Column("", "seed of the student"),
    "epoch": Column("epochs", "finished epochs of the student's training; 0 is untrained"),
}
PAIR = KEYS | {
    "student_block": Column("", "0-based number of the student's block"),
    "student_block_name": Column("", "its name in timm"),
    "teacher_block": Column("", "0-based number of the teacher's block"),
    "teacher_block_name": Column("", "its name in timm"),
}
CKA_COLUMNS = PAIR | {
    "cka_images": Column("", "unbiased linear CKA; a row is an image, the mean of its patch tokens"),
    "cka_tokens": Column("", "the same; a row is one of a few random tokens an image; NaN where the grids differ"),
    "images": Column("images", "number of images"),
    "tokens_per_image": Column("tokens", "random tokens of each image, at the same places in both networks"),
}
MISMATCH_COLUMNS = PAIR | {
    "student_rank_95": Column("", "eigenvalues that hold 95 % of the second moment of the student's tokens"),
    "teacher_rank_95": Column("", "the same of the teacher's tokens, their channels pooled to the student's number"),
    "student_bandwidth_95": Column("", "share of the channel frequencies, lowest first, that hold 95 % of the energy"),
    "teacher_bandwidth_95": Column("", "the same of the teacher's tokens, their channels pooled"),
    "images": Column("images", "number of images"),
}
AGREEMENT_COLUMNS = KEYS | {
    "agreement": Column("%", "images on which student and teacher predict the same class"),
    "kl": Column("nats", "mean KL(teacher || student) of the predicted distributions"),
    "top1": Column("%", "top-1 of the student on these images"),
    "teacher_top1": Column("%", "top-1 of the teacher on these images"),
    "images": Column("images", "number of validation images"),
}


class Grams:
    """Sums over tokens of x x^T, [C, C] in float64, of every block of a network."""

    def __init__(self):
        self.sums: list[torch.Tensor] = []

    def update(self, features: list[torch.Tensor]) -> None:
        """Take L blocks [b, C, H, W]."""
        tokens = [block.double().movedim(1, 3).flatten(0, 2) for block in features]
        grams = [values.mT @ values for values in tokens]
        self.sums = [a.add_(b) for a, b in zip(self.sums, grams, strict=True)] if self.sums else grams

    def arrays(self) -> list[np.ndarray]:
        """Return them as NumPy arrays."""
        return [gram.cpu().numpy() for gram in self.sums]


class Pair:
    """What is summed over the images for one checkpoint."""

    def __init__(self):
        self.by_image, self.by_token, self.grams, self.agreement = CKA(), CKA(), Grams(), Agreement()
        self.right = 0


def token_places(
    student: list[torch.Tensor], teacher: list[torch.Tensor], count: int, positions: np.ndarray
) -> torch.Tensor | None:
    """Return `count` random places [b, k] on the grid for the images at `positions`; None where two grids differ."""
    grids = {block.shape[2:] for block in (*student, *teacher)}
    if len(grids) > 1:
        return None
    (grid,) = grids
    size = grid[0] * grid[1]
    # Drawn from the image alone, so that batches and networks cannot change them.
    places = [np.random.default_rng([0, int(p)]).permutation(size)[:count] for p in positions]
    return torch.from_numpy(np.stack(places))


@torch.no_grad()
def answers(network: nn.Module, images: torch.Tensor, depth: int) -> tuple[np.ndarray, list[torch.Tensor]]:
    """Return logits [b, K] and the features of all `depth` blocks; raise NotFinite where they are not finite."""
    outputs = models.run(network, images, list(range(depth))).float()
    for block, values in outputs.features.items():
        extremes(values, block)
    return outputs.logits.cpu().numpy(), list(outputs.features.values())


def compare(
    teacher: tuple[str, nn.Module],
    students: list[tuple[str, nn.Module]],
    images: Split,
    positions: np.ndarray,
    tokens: int,
    device: torch.device,
    workers: int = 0,
) -> tuple[list[Pair], Grams, float]:
    """Stream the images once; return each student's sums, the teacher's Gram matrices and its top-1 [%].

    Networks come with the file of their weights. Raises StudyError naming it where one computes NaN or infinity.
    """
    pairs, grams, right = [Pair() for _ in students], Grams(), 0
    depths = [len(models.block_names(network)) for _, network in (teacher, *students)]
    for batch in images.view(0, None, BATCH, workers, positions):
        pixels, labels = batch.images.to(device), batch.labels.numpy()
        with computed_with(teacher[0]):
            teacher_logits, teacher_blocks = answers(teacher[1], pixels, depths[0])
        right += int((teacher_logits.argmax(axis=1) == labels).sum())
        grams.update(teacher_blocks)
        teacher_rows = image_rows(teacher_blocks)
        for pair, (weights, student), depth in zip(pairs, students, depths[1:], strict=True):
            with computed_with(weights):
                logits, blocks = answers(student, pixels, depth)
            pair.agreement.update(logits, teacher_logits)
            pair.right += int((logits.argmax(axis=1) == labels).sum())
            pair.grams.update(blocks)
            pair.by_image.update(image_rows(blocks), teacher_rows)
            places = token_places(blocks, teacher_blocks, tokens, batch.positions)
            if places is not None:
                pair.by_token.update(token_rows(blocks, places), token_rows(teacher_blocks, places))
    return pairs, grams, 100 * right / len(positions)


def mismatch(student: list[np.ndarray], teacher: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Return the columns of MISMATCH_COLUMNS for every pair of blocks, [Ls, Lt], from Gram matrices of their tokens."""
    reduced = {len(gram): [reduced_gram(other, len(gram)) for other in teacher] for gram in student}
    facts = {id(gram): _rank_and_bandwidth(gram) for grams in (student, *reduced.values()) for gram in grams}
    student_facts = np.array([[facts[id(gram)]] * len(teacher) for gram in student])
    teacher_facts = np.array([[facts[id(other)] for other in reduced[len(gram)]] for gram in student])
    names = ("student_rank_95", "student_bandwidth_95"), ("teacher_rank_95", "teacher_bandwidth_95")
    return {
        name: values[..., i]
        for own, values in zip(names, (student_facts, teacher_facts), strict=True)
        for i, name in enumerate(own)
    }


def _rank_and_bandwidth(gram: np.ndarray) -> tuple[float, float]:
    return gram_rank(gram, LEVEL), float(bandwidth(gram_sep_folded(gram), LEVEL))


def main(job: ComparisonJob, gpus: int = 0) -> None:
    """Compare one student at all its checkpoints with the teacher."""
    checkpoints, settings = job.network, job.settings
    device, out = models.device(gpus), Path(job.out)
    torch.backends.cudnn.allow_tf32 = False
    split = Split(job.images, "validation")
    positions = balanced(split.labels, settings.images)
    networks = []
    for model, weights in (
        (job.teacher_model, job.teacher.files[0]),
        *((checkpoints.model, path) for path in checkpoints.weights.files),
    ):
        network = models.build(model, job.images.view)
        models.load_weights(weights, network)
        networks.append((weights, network.to(device).eval().requires_grad_(False)))
    teacher, students = networks[0], networks[1:]
    pairs, grams, teacher_top1 = compare(
        teacher, students, split, positions, settings.tokens, device, job.machine.threads - 1
    )
    tables: dict[str, list[dict]] = {"cka": [], "mismatch": [], "agreement": []}
    names = models.block_names(students[0][1]), models.block_names(teacher[1])
    student_block, teacher_block = (axis.ravel() for axis in np.indices([len(own) for own in names]))
    for name, epoch, pair in zip(checkpoints.names, checkpoints.epochs, pairs, strict=True):
        key = {"model": name, "seed": checkpoints.seed, "epoch": epoch}
        of_pair = {name: np.full(len(student_block), value) for name, value in key.items()} | {
            "student_block": student_block,
            "student_block_name": np.array(names[0])[student_block],
            "teacher_block": teacher_block,
            "teacher_block_name": np.array(names[1])[teacher_block],
            "images": np.full(len(student_block), len(positions)),
        }
        by_token = pair.by_token.compute() if pair.by_token.rows else np.full([len(own) for own in names], np.nan)
        tables["cka"].append(
            of_pair
            | {
                "cka_images": pair.by_image.compute().ravel(),
                "cka_tokens": by_token.ravel(),
                "tokens_per_image": np.full(len(student_block), pair.by_token.rows // len(positions)),
            }
        )
        facts = mismatch(pair.grams.arrays(), grams.arrays())
        tables["mismatch"].append(of_pair | {name: values.ravel() for name, values in facts.items()})
        agreement, divergence = pair.agreement.compute()
        row = key | {"agreement": agreement, "kl": divergence, "top1": 100 * pair.right / len(positions)}
        row |= {"teacher_top1": teacher_top1, "images": len(positions)}
        tables["agreement"].append({name: np.array([value]) for name, value in row.items()})
    documentation = {"cka": CKA_COLUMNS, "mismatch": MISMATCH_COLUMNS, "agreement": AGREEMENT_COLUMNS}
    write_joined(out, tables, documentation)
