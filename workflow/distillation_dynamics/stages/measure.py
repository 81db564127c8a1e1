"""The measure stage: stream images through a network at each of its checkpoints, once a pass for all metrics together.

In: weights, one or several sets of images, and the metrics that are due. Images pass in batches, as many at a time as
the job says, so that memory is that of one batch. Out, in the folder of each metric: the tables that its file
documents, for all checkpoints together, and the files that it keeps of each checkpoint. Metrics are computed on float32
features. The stage knows none by name.
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

# What a metric left of one checkpoint: its rows by table, and the folder of its files (None: none are kept).
Left = tuple[dict[str, dict[str, np.ndarray]], Path | None]


class Measurement:
    """One metric of the network: its job, its module, its rows so far, and the error that ended it."""

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
        """Count the seconds that the metric takes here, and keep its error: the others go on."""
        begun = time.time()
        try:
            yield
        except NotFinite:
            # Of the network, and so of all metrics.
            raise
        except Exception as error:
            if is_memory(error):
                raise
            self.failed = self.failed or at_fault(error, self.module.__file__)
        finally:
            self.seconds += time.time() - begun

    @contextmanager
    def files(self) -> Iterator[ExitStack]:
        """Yield what closes the files that the metric holds open; none of them appears where it has failed."""
        try:
            with ExitStack() as stack:
                yield stack
                if self.failed is not None:
                    raise self.failed
        except StudyError as error:
            self.failed = self.failed or error

    def reference(self, folder: Path) -> Path | None:
        """Return the file of the reference network: that of another job, or what its own first checkpoint left."""
        name = getattr(self.module, "REFERENCE", None)
        if name is None:
            return None
        if self.job.reference is not None:
            return Path(self.job.reference.files[0])
        own = Path(self.job.out) / self.job.network.folders[0] / name
        return own if folder != own.parent else None

    def folder(self, number: int, image_set: ImageSet) -> Path | None:
        """Return where the files of a checkpoint belong; None for all but the main image set, whose they are."""
        return Path(self.job.out) / self.job.network.folders[number] if image_set == self.job.image_sets[0] else None

    def take(self, left: Left, key: dict[str, Any], folder: Path | None) -> None:
        """Take what an equal checkpoint left, under the name of this one."""
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
    """What the measurements of one process share: the images of each image set, and what untrained checkpoints left.

    Students of one seed begin with the same weights, whatever their variant: these are measured once.
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
    """Measure one network by all of `jobs`; `start` is when this process began, as time.time() says it."""
    progress, begun = progress or Progress(), time.time() if start is None else start
    session, device = session or Session(), device_of(gpus)
    # Metrics are defined in float32, which a GPU's convolutions leave unless told otherwise.
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
            # What no metric alone caused (reading, the network itself) is shared equally.
            progress.end(part.number, part.seconds + spent / len(parts))
        else:
            progress.fail(part.number, part.failed)


def _observer(job: MeasureJob, weights: str, device: torch.device) -> Observer:
    """Return what observes the network of a job with these weights."""
    # A network may keep what it computed from its weights (TinyViT), so that each checkpoint gets one of its own.
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
    """Measure one checkpoint on one image set by all metrics of `parts`, but for those that an equal one has left."""
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
            # What the network itself computes is wrong for all.
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
    # Only now: a file that is closed last may still fail.
    session.untrained |= {key: rest for key, (part, rest) in left.items() if part.failed is None}


def _known(weights: str, size: int, image_set: ImageSet, parts: list[Measurement]) -> dict[Measurement, str]:
    """Return what tells the results of each metric: the weights' content, and all that the metric is given."""
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
    """Stream the images once a pass, each batch through the network once for all metrics that ask it anything."""
    kept = Kept(Request.joined(part.request for part, metric in metrics.items() if metric.passes > 1))
    for number in range(1, 1 + max((metric.passes for metric in metrics.values()), default=0)):
        due = {part: metric for part, metric in metrics.items() if metric.passes >= number and part.failed is None}
        if not due:
            return
        for part, metric in due.items() if number > 1 else ():
            with part.own():
                metric.next_pass()
        ask = _asking(observer, Request.joined(part.request for part in due), _attending(due), device, sorts)
        # Each goes before the next one is made.
        for outputs in chain(kept.outputs[:], map(ask, images.batches(size, size * len(kept.outputs)))):
            if number == 1:
                kept.add(outputs)
                pace.add(size if outputs.positions is None else len(outputs.positions))
            for part, metric in due.items():
                if part.failed is None:
                    with part.own():
                        metric.update(outputs)
            del outputs


def _attending(due: dict[Measurement, Accumulator]) -> Attend:
    """Return what gives attention maps to those who ask for them."""

    def attend(block: int, number: int, layer: AttentionMap) -> None:
        for part, metric in due.items():
            if part.failed is None and part.request.attention:
                with part.own():
                    metric.attend(block, number, layer)

    return attend


def _asking(
    observer: Observer, request: Request, attend: Attend, device: torch.device, sorts: bool
) -> Callable[[Batch], Outputs]:
    """Return what passes a batch through the network."""

    def ask(batch: Batch) -> Outputs:
        # A head of other classes has no logit of a label.
        targets = batch.labels if sorts else torch.full_like(batch.labels, -1)
        outputs = observer(batch.images.to(device), request, targets.to(device), attend)
        outputs.labels, outputs.targets, outputs.positions = batch.labels, targets, torch.from_numpy(batch.positions)
        return outputs

    return ask
