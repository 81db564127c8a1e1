"""Tasks that measure and compare networks."""

from .. import extensions
from ..extensions import Metric
from ..spec.compare import ACTIVATIONS, KEPT, CompareJob, KeptActivations, MapJob
from ..spec.images import ImageSet
from ..spec.measure import MeasureJob
from ..spec.tables import MAIN_IMAGE_SET, PUBLISHED_IMAGE_SET
from ..study.compared import network_pairs
from ..study.study import Study
from .content import DATA, sets_of
from .graph import Graph, Read
from .memory import batches
from .task import Task

# Default numbers of images, from the metrics' own settings and the published choice.
USUAL = {"measure": 320, "saliency": 4, "compare": 1000, PUBLISHED_IMAGE_SET: 32}


def add(graph: Graph) -> None:
    """Add the tasks to a graph that has networks."""
    known = extensions.metrics()
    for network in graph.by_network:
        # One at a time: the others read the reference's metrics.
        graph.measured[network] = {}
        for name in _metrics(graph, network, known):
            graph.measured[network][name] = _measured(graph, network, name, known[name])
    if graph.study.compare.metrics:
        graph.compared = _compared(graph)
        graph.map = _map(graph)


def _metrics(graph: Graph, network: str, known: dict[str, Metric]) -> list[str]:
    """Return the metrics to measure on a network, including those its comparisons need."""
    study, weights = graph.study, graph.by_network[network]
    wanted = {*study.measure.metrics}
    if weights.seed is None:
        wanted |= {ACTIVATIONS} if study.compare.metrics else set()
        wanted -= set(study.networks[weights.owner].without)
    else:
        wanted -= _left_out(study, weights.seed)
        wanted |= {ACTIVATIONS} if _pair_metrics(study, weights.seed) else set()
    return [name for name in known if name in wanted]


def _pair_metrics(study: Study, seed: int | None) -> list[str]:
    """Return the pair metrics of networks (`seed` None), or of that seed's students with their teachers."""
    return [name for name in sorted(study.compare.metrics) if name not in _left_out(study, seed)]


def _left_out(study: Study, seed: int | None) -> set[str]:
    """Return the metrics not measured on students of this seed; none for the first seed and for networks."""
    return set() if seed in (None, *study.seeds[:1]) else study.first_seed_only


def _measured(graph: Graph, network: str, name: str, metric: Metric) -> Task:
    """Add a measurement of all checkpoints of a network."""
    weights, first = graph.by_network[network], next(iter(graph.by_network))
    sets = [DATA] if metric.main_only else list(sets_of(graph.study))
    reads: list[Read] = [(weights.task, weights.files), *map(graph.read_set, sets)]
    reference = None
    if metric.reference and network != first:
        task, file = graph.measured[first][name], f"{graph.by_network[first].checkpoints.folders[0]}/{metric.reference}"
        reference = task.files(file)
        reads.append((task, [file]))
    checkpoints, options = weights.checkpoints, graph.study.settings(metric.options)
    job = MeasureJob(
        *(name, checkpoints, _image_sets(graph, network, metric), options, reference),
        batches=batches(graph.study.model_info[weights.owner]),
        machine=graph.machine("measure"),
        out="",
    )
    kept = metric.files_of(len(checkpoints.shapes))
    names = [f"{table}.parquet" for table in metric.tables]
    names += [f"{folder}/{file}" for folder in checkpoints.folders for file in kept]
    where = f"{network}/{name}"
    return graph.add("measure", where, job, names, reads, [f"metrics.{name}"], folder=f"measure/{where}")


def _image_sets(graph: Graph, network: str, metric: Metric) -> tuple[ImageSet, ...]:
    """Return the image sets a metric is measured on, in the network's view; the main one first."""
    study, view = graph.study, graph.study.view(graph.by_network[network].owner)
    counts, split = graph.content.counts.get(DATA, {}), study.data.measured
    given = getattr(study, metric.images).images
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
    """Return the number of images to measure: as requested, or the default, at most all there are."""
    if given is not None:
        return given
    return usual if there is None else min(usual, there)


def _activations(graph: Graph, network: str) -> list[KeptActivations]:
    """Return the kept activations of a network by checkpoint."""
    checkpoints, task = graph.by_network[network].checkpoints, graph.measured[network][ACTIVATIONS]
    return [
        KeptActivations(name, checkpoints.seed, epoch, task.files(f"{folder}/{KEPT}"))
        for name, epoch, folder in zip(checkpoints.names, checkpoints.epochs, checkpoints.folders, strict=True)
    ]


def _read_activations(graph: Graph, network: str) -> Read:
    folders = graph.by_network[network].checkpoints.folders
    return graph.measured[network][ACTIVATIONS], [f"{folder}/{KEPT}" for folder in folders]


def _compared(graph: Graph) -> dict[str, dict[str, Task]]:
    """Add the comparisons: every student with its teacher, and the pairs of networks that the study asks for.

    Return pair -> metric -> task.
    """
    study, pairs = graph.study, {}
    for network, weights in graph.by_network.items():
        if weights.seed is not None and _pair_metrics(study, weights.seed):
            # All checkpoints of a student carry the name of its arm.
            owner = f"networks/{study.variants[weights.checkpoints.names[0]].teacher}"
            teacher = _activations(graph, owner)[0]
            pairs[network] = network, owner, [(kept, teacher) for kept in _activations(graph, network)]
    for a, b in ((f"networks/{one}", f"networks/{other}") for one, other in network_pairs(study)):
        (first, first_control), (second, second_control) = _activations(graph, a), _activations(graph, b)
        # A single network is compared with itself and with its control.
        compared = [(first, second), (first, second_control) if a == b else (first_control, second_control)]
        pairs[f"{a}/{b.partition('/')[2]}"] = a, b, compared
    return {
        pair: {
            metric: _comparison(graph, pair, metric, (a, b), compared)
            for metric in _pair_metrics(study, graph.by_network[a].seed)
        }
        for pair, (a, b, compared) in pairs.items()
    }


def _comparison(
    graph: Graph,
    pair: str,
    metric: str,
    networks: tuple[str, str],
    compared: list[tuple[KeptActivations, KeptActivations]],
) -> Task:
    """Add the comparison of two networks by one metric."""
    job = CompareJob(metric, tuple(compared), machine=graph.machine("compare"), out="")
    reads = [_read_activations(graph, network) for network in dict.fromkeys(networks)]
    where, by_name = f"{pair}/{metric}", [f"metrics.pairs.{metric}"]
    return graph.add("compare", where, job, [f"{metric}.parquet"], reads, by_name, folder=f"compare/{where}")


def _map(graph: Graph) -> Task:
    """Add the map of all networks, blocks and epochs.

    It contains the first seed's students: pairwise distances grow quadratically, and other seeds overlap.
    """
    first = (None, *graph.study.seeds[:1])
    names = [network for network, weights in graph.by_network.items() if weights.seed in first]
    kept = tuple(one for network in names for one in _activations(graph, network))
    reads = [_read_activations(graph, network) for network in names]
    job = MapJob(kept, machine=graph.machine("compare"), out="")
    return graph.add("map", "", job, ["map.parquet"], reads, folder="compare", record_name=".map.record.json")
