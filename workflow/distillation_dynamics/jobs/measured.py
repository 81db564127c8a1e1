"""The jobs of a graph that measure networks and hold them beside each other."""

from itertools import combinations_with_replacement

from ..extensions import Metric
from ..spec.compare import CompareJob, KeptActivations, MapJob
from ..spec.images import ImageSet
from ..spec.measure import MeasureJob
from ..spec.network import Checkpoints
from ..spec.tables import MAIN_IMAGE_SET, PUBLISHED_IMAGE_SET
from ..study.load import metrics_of, pairs_of
from ..study.study import STUDENT
from .content import DATA, sets_of
from .task import Task
from .trained import Trained

ACTIVATIONS = "rows"
# Images where the study does not say how many: of the metrics by what they say of theirs, and of the published choice.
USUAL = {"measure": 320, "saliency": 4, "compare": 1000, PUBLISHED_IMAGE_SET: 32}


class Measured(Trained):
    """The jobs of a study up to what is measured of its networks, and of pairs of them."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.measured = _all_measured(self)
        self.compared = _compared(self)
        self.map = _mapped(self)


def _all_measured(graph: Trained) -> dict[str, dict[str, Task]]:
    """Add the measurements of all networks; return network -> metric -> task."""
    tasks: dict[str, dict[str, Task]] = {}
    for network in graph.names:
        tasks[network] = {
            name: _measured(graph, network, name, metric, tasks) for name, metric in wanted(graph, network).items()
        }
    return tasks


def wanted(graph: Trained, network: str) -> dict[str, Metric]:
    """Return the metrics that are measured of a network."""
    kind, name = network.split("/")[:2]
    if kind == "networks":
        return metrics_of(graph.study, name)
    return metrics_of(graph.study, seed=graph.by_network[network][1])


def _measured(graph: Trained, network: str, name: str, metric: Metric, others: dict[str, dict[str, Task]]) -> Task:
    study, (checkpoints, task, weights) = graph.study, graph.checkpoints(network)
    image_sets = _image_sets(graph, network, metric)
    reads = [(task, weights), *(graph.reads_set(source) for source in _sets(graph, metric))]
    reference, first = None, graph.names[0]
    if metric.reference and network != first:
        file = f"{graph.checkpoints(first)[0].folders[0]}/{metric.reference}"
        reference = others[first][name].files(file)
        reads.append((others[first][name], [file]))
    options, machine = study.measure.of(metric.options), graph.machine("measure")
    job = MeasureJob(name, checkpoints, image_sets, options, reference, machine=machine, out="")
    names = [f"{table}.parquet" for table in metric.tables]
    own = metric.files_of(len(checkpoints.shapes))
    names += [f"{folder}/{file}" for folder in checkpoints.folders for file in own]
    folder = f"{graph.home}/measure/{network}/{name}"
    return graph.add("measure", f"{network}/{name}", job, folder, names, reads, [f"metrics.{name}"])


def _sets(graph: Trained, metric: Metric) -> list[str]:
    return [DATA] if metric.main_only else list(sets_of(graph.study))


def _image_sets(graph: Trained, network: str, metric: Metric) -> tuple[ImageSet, ...]:
    """Return the image sets that a metric is measured on, as the network sees them; the main one first."""
    study = graph.study
    kind, name = network.split("/")[:2]
    view = study.view(name if kind == "networks" else STUDENT)
    counts, split = graph.content.counts.get(DATA, {}), study.data.measured
    asked = {"measure": study.measure.images, "saliency": study.measure.saliency_images}
    given = asked.get(metric.images, study.measure.compare_images)
    there, classes = study.data.count_of(split, counts), study.data.classes
    main = ImageSet(MAIN_IMAGE_SET, graph.seen(DATA, view), split, _count(given, USUAL[metric.images], there), classes)
    if metric.main_only:
        return (main,)
    image_sets = [main]
    count = _count(study.measure.published_images, USUAL[PUBLISHED_IMAGE_SET], counts.get("test"))
    if count:
        image_sets.append(ImageSet(PUBLISHED_IMAGE_SET, graph.seen(DATA, view), "test", count, classes, first=True))
    image_sets += [
        ImageSet(name, graph.seen(name, view), "test", data.images, data.classes) for name, data in study.probes.items()
    ]
    return tuple(image_sets)


def _count(given: int | None, usual: int, there: int | None) -> int:
    """Return how many images are measured: those asked for, or as many as usual or there are."""
    if given is not None:
        return given
    return usual if there is None else min(usual, there)


def _activations(graph: Measured, network: str) -> list[KeptActivations]:
    """Return what is kept of a network, checkpoint by checkpoint."""
    checkpoints, task = graph.checkpoints(network)[0], graph.measured[network][ACTIVATIONS]
    return [
        KeptActivations(name, checkpoints.seed, epoch, task.files(f"{folder}/rows.safetensors"))
        for name, epoch, folder in zip(checkpoints.names, checkpoints.epochs, checkpoints.folders, strict=True)
    ]


def _compared(graph: Measured) -> dict[str, dict[str, Task]]:
    """Add the comparisons: every student with the teacher, every network with every other.

    Return pair -> metric -> task.
    """
    study = graph.study
    tasks: dict[str, dict[str, Task]] = {}
    if not study.measure.pairs:
        return tasks
    pairs = {}
    for network, (_, seed) in graph.by_network.items():
        if not pairs_of(study, seed):
            continue
        teacher = _activations(graph, f"networks/{study.teacher}")[0]
        kept = _activations(graph, network)
        pairs[network] = network, f"networks/{study.teacher}", [(one, teacher) for one in kept]
    names = [name for name in graph.names if name not in graph.by_network]
    for a, b in combinations_with_replacement(names, 2):
        (first, first_control), (second, second_control) = _activations(graph, a), _activations(graph, b)
        # Of one network: with itself, and with its control.
        beside = [(first, second), (first, second_control) if a == b else (first_control, second_control)]
        pairs[f"{a}/{b.partition('/')[2]}"] = a, b, beside
    for pair, (a, b, rows) in pairs.items():
        tasks[pair] = {}
        for metric in pairs_of(study, graph.by_network[a][1] if a in graph.by_network else None):
            job = CompareJob(metric, tuple(rows), machine=graph.machine("compare"), out="")
            reads = [(graph.measured[n][ACTIVATIONS], _files(graph, n)) for n in dict.fromkeys((a, b))]
            folder = f"{graph.home}/compare/{pair}/{metric}"
            tasks[pair][metric] = graph.add(
                "compare", f"{pair}/{metric}", job, folder, [f"{metric}.parquet"], reads, [f"metrics.pairs.{metric}"]
            )
    return tasks


def _files(graph: Trained, network: str) -> list[str]:
    folders: Checkpoints = graph.checkpoints(network)[0]
    return [f"{folder}/rows.safetensors" for folder in folders.folders]


def _mapped(graph: Measured) -> Task | None:
    """Add the map of all networks, blocks and epochs; None where nothing is compared.

    Of the students those of the first seed: the distances of all points to each other are many, and other seeds lie
    over them.
    """
    if not graph.study.measure.pairs:
        return None
    later = {network for network, (_, seed) in graph.by_network.items() if seed != graph.seeds[0]}
    names = [name for name in graph.names if name not in later]
    rows = tuple(rows for network in names for rows in _activations(graph, network))
    reads = [(graph.measured[network][ACTIVATIONS], _files(graph, network)) for network in names]
    job = MapJob(rows, machine=graph.machine("compare"), out="")
    return graph.add("map", "", job, f"{graph.home}/compare", ["map.parquet"], reads, record_name=".map.record.json")
