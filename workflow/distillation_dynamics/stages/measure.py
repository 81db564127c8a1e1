"""The measure stage: stream images through a network at each checkpoint, with one pass for all metrics.

In: weights, image sets, and the due metrics. Images pass in batches of the size that the job says, so memory is that of
one batch. Out, in the folder of each metric: its documented tables for all checkpoints, and its files per checkpoint.
Metrics use float32 features. The stage knows no metric by name.
"""

import functools
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data.image_set import MeasuredImages
from ..data.split import Batch
from ..errors import StudyError, at_fault, is_memory
from ..files import replacing, sha256, write_joined
from ..metrics import tabulated
from ..metrics.accumulator import Accumulator, Context
from ..metrics.keys import filled
from ..networks.attention import Attend
from ..networks.build import build
from ..networks.device import device as device_of
from ..networks.kept import Kept
from ..networks.observer import Observer
from ..networks.weights import load_weights
from ..outputs import AttentionMap, NotFinite, Outputs, Request, computed_with
from ..progress import Pace, Progress
from ..spec.base import to_json
from ..spec.images import ImageSet
from ..spec.measure import MeasureJob

# Results of a metric for one checkpoint: rows by table, and the folder of its files (None: no files).
Left = tuple[dict[str, dict[str, np.ndarray]], Path | None]


class Measurement:
    """One metric of the network: job, module, rows so far, and the error that ended it."""

    def __init__(self, number: int, job: MeasureJob):
        self.number, self.job = number, job
        self.module = import_module(f"..metrics.{job.metric}", __package__)
        self.request = Request.of(self.module.REQUIRES)
        self.columns = tabulated.documentation(self.module)
        self.tables: dict[str, list[dict[str, Any]]] = {name: [] for name in self.columns}
        self.failed: StudyError | None = None
        self.seconds = 0.0

    @contextmanager
    def own(self) -> Iterator[None]:
        """Count the seconds of the metric, and keep its error so that the others continue."""
        begun = time.time()
        try:
            yield
        except NotFinite:
            # An error of the network, and so of all metrics.
            raise
        except Exception as error:
            if is_memory(error):
                raise
            self.failed = self.failed or at_fault(error, self.module.__file__)
        finally:
            self.seconds += time.time() - begun

    @contextmanager
    def files(self) -> Iterator[ExitStack]:
        """Yield a stack that closes the metric's open files; after an error none of them appears."""
        try:
            with ExitStack() as stack:
                yield stack
                if self.failed is not None:
                    raise self.failed
        except StudyError as error:
            self.failed = self.failed or error

    def reference(self, folder: Path) -> Path | None:
        """Return the file of the reference network: that of another job, or of this job's first checkpoint."""
        name = getattr(self.module, "REFERENCE", None)
        if name is None:
            return None
        if self.job.reference is not None:
            return Path(self.job.reference.files[0])
        own = Path(self.job.out) / self.job.network.folders[0] / name
        return own if folder != own.parent else None

    def folder(self, number: int, image_set: ImageSet) -> Path | None:
        """Return the folder for the files of a checkpoint; None except for the main image set."""
        return Path(self.job.out) / self.job.network.folders[number] if image_set == self.job.image_sets[0] else None

    def take(self, left: Left, key: dict[str, Any], folder: Path | None) -> None:
        """Take the results of an equal checkpoint under the name of this one."""
        rows, kept = left
        for table, columns in rows.items():
            named = {name: filled(name, value, len(columns[name])) for name, value in key.items() if name in columns}
            self.tables[table].append(columns | named)
        if folder is None or kept is None or not kept.is_dir():
            return
        for path in sorted(kept.iterdir()):
            with replacing(folder / path.name) as temporary:
                shutil.copyfile(path, temporary)


class Session:
    """Shared by the measurements of one process: the images of each set, and results of untrained checkpoints.

    Students of one seed start from the same weights, which are measured once.
    """

    def __init__(self):
        self.opened: dict[ImageSet, MeasuredImages] = {}
        self.untrained: dict[str, Left] = {}
        self.pace = Pace(0)

    def images(self, image_set: ImageSet, workers: int) -> MeasuredImages:
        """Return the images of an image set, opened once."""
        if image_set not in self.opened:
            self.opened[image_set] = MeasuredImages(image_set, workers)
        return self.opened[image_set]


def main(
    jobs: list[MeasureJob],
    gpus: int = 0,
    progress: Progress | None = None,
    start: float | None = None,
    session: Session | None = None,
) -> None:
    """Measure one network by all `jobs`; `start`: time.time() at the start of this process."""
    progress, begun = progress or Progress(), time.time() if start is None else start
    session, device = session or Session(), device_of(gpus)
    # Metrics are defined in float32; by default convolutions on a GPU use TF32.
    torch.backends.cudnn.allow_tf32 = False
    parts, checkpoints = [Measurement(number, job) for number, job in enumerate(jobs)], jobs[0].network
    image_sets = list(dict.fromkeys(image_set for part in parts for image_set in part.job.image_sets))
    opened = [session.images(image_set, jobs[0].machine.threads - 1) for image_set in image_sets]
    session.pace = Pace(len(checkpoints.weights.files) * sum(map(len, opened)))
    for part in parts:
        progress.begin(part.number)
    for number, weights in enumerate(checkpoints.weights.files):
        observer = functools.cache(functools.partial(_observer, jobs[0], weights, device))
        for image_set in image_sets:
            members = [part for part in parts if part.failed is None and image_set in part.job.image_sets]
            if members:
                _measure(observer, weights, number, image_set, session, members, device)
    spent = time.time() - begun - sum(part.seconds for part in parts)
    for part in parts:
        if part.failed is None:
            with part.own():
                write_joined(Path(part.job.out), part.tables, part.columns)
        if part.failed is None:
            # Shared costs (reading, the network itself) are split equally.
            progress.end(part.number, part.seconds + spent / len(parts))
        else:
            progress.fail(part.number, part.failed)


def _observer(job: MeasureJob, weights: str, device: torch.device) -> Observer:
    """Return an observer of the job's network with these weights."""
    # A network may cache values computed from its weights (TinyViT), so each checkpoint gets its own.
    network = build(job.network.model, job.image_sets[0].images.view)
    load_weights(weights, network)
    return Observer(network.to(device).eval().requires_grad_(False), job.batches)


def _measure(
    observer: Callable[[], Observer],
    weights: str,
    number: int,
    image_set: ImageSet,
    session: Session,
    parts: list[Measurement],
    device: torch.device,
) -> None:
    """Measure one checkpoint on one image set by all metrics of `parts`, except those that an equal one left."""
    network, images = parts[0].job.network, session.images(image_set, parts[0].job.machine.threads - 1)
    batches = parts[0].job.batches
    size = min(batches.images, *(getattr(part.module, "BATCH", batches.images) for part in parts))
    key = {
        "network": network.names[number], "seed": network.seed, "epoch": network.epochs[number], "probe": image_set.name
    }  # fmt: skip
    known = _known(weights, size, image_set, parts) if network.epochs[number] == 0 else {}
    for part in parts:
        if known.get(part) in session.untrained:
            with part.own():
                part.take(session.untrained[known[part]], key, part.folder(number, image_set))
    parts = [part for part in parts if known.get(part) not in session.untrained]
    if not parts:
        return
    watcher, left = observer(), {}
    with ExitStack() as stack:
        metrics: dict[Measurement, Accumulator] = {}
        for part in parts:
            folder = part.folder(number, image_set)
            context = Context(
                *(images.positions, images.labels, images.names, network.shapes, watcher.block_names),
                *(network.model.classes, image_set.images.view, batches.gradients, folder),
                *(part.reference(folder or Path()), images.groups, stack.enter_context(part.files())),
            )
            with part.own():
                metrics[part] = part.module.Metric(part.job.settings, context)
        try:
            with computed_with(weights):
                sorts = image_set.classes == network.model.classes
                _stream(watcher, images, metrics, size, device, sorts, session.pace)
        except StudyError as error:
            # An error of the network itself concerns all metrics.
            for part in parts:
                part.failed = part.failed or error
            return
        for part, metric in metrics.items():
            if part.failed is not None:
                continue
            with part.own():
                rows = tabulated.rows(part.module, metric, key, images, watcher.block_names, network.shapes)
                for table, columns in rows.items():
                    part.tables[table].append(columns)
                if metric.context.folder is not None:
                    metric.save(metric.context.folder)
                if part in known:
                    left[known[part]] = part, (rows, metric.context.folder)
    # Only now, because closing the last file may still fail.
    session.untrained |= {key: rest for key, (part, rest) in left.items() if part.failed is None}


def _known(weights: str, size: int, image_set: ImageSet, parts: list[Measurement]) -> dict[Measurement, str]:
    """Return what identifies the results of each metric: content of the weights, and all inputs of the metric."""
    content = sha256(weights)
    return {
        part: to_json(
            [content, size, part.job.metric, part.job.network.model, image_set, part.job.options, part.job.reference]
        )
        for part in parts
    }


def _stream(
    observer: Observer,
    images: MeasuredImages,
    metrics: dict[Measurement, Accumulator],
    size: int,
    device: torch.device,
    sorts: bool,
    pace: Pace,
) -> None:
    """Stream the images once per pass, each batch once through the network for all metrics that need it."""
    kept = Kept(Request.joined(part.request for part, metric in metrics.items() if metric.passes > 1))
    for number in range(1, 1 + max((metric.passes for metric in metrics.values()), default=0)):
        due = {part: metric for part, metric in metrics.items() if metric.passes >= number and part.failed is None}
        if not due:
            return
        for part, metric in due.items() if number > 1 else ():
            with part.own():
                metric.next_pass()
        ask = _asking(observer, Request.joined(part.request for part in due), _attending(due), device, sorts)
        # Free each before the next one is made.
        for outputs in chain(kept.outputs[:], map(ask, images.batches(size, size * len(kept.outputs), device))):
            if number == 1:
                kept.add(outputs)
                pace.add(size if outputs.positions is None else len(outputs.positions))
            for part, metric in due.items():
                if part.failed is None:
                    with part.own():
                        metric.update(outputs)
            del outputs


def _attending(due: dict[Measurement, Accumulator]) -> Attend:
    """Return a function that passes attention maps to the metrics that need them."""

    def attend(block: int, number: int, layer: AttentionMap) -> None:
        for part, metric in due.items():
            if part.failed is None and part.request.attention:
                with part.own():
                    metric.attend(block, number, layer)

    return attend


def _asking(
    observer: Observer, request: Request, attend: Attend, device: torch.device, sorts: bool
) -> Callable[[Batch], Outputs]:
    """Return a function that passes a batch through the network."""

    def ask(batch: Batch) -> Outputs:
        # A head for other classes has no logit of the label.
        targets = batch.labels if sorts else torch.full_like(batch.labels, -1)
        outputs = observer(batch.images, request, targets.to(device), attend)
        outputs.labels, outputs.targets, outputs.positions = batch.labels, targets, torch.from_numpy(batch.positions)
        return outputs

    return ask
