"""The jobs of a chain that measure networks and hold them beside each other."""

from itertools import combinations_with_replacement

from ..extensions import Metric
from ..spec.compare import CompareJob, MapJob, Rows
from ..spec.images import Probe
from ..spec.measure import MeasureJob
from ..spec.network import Checkpoints
from ..spec.tables import MAIN_PROBE, PUBLISHED_PROBE
from ..study.load import metrics_of, pairs_of
from ..study.study import STUDENT
from .content import DATA, sets_of
from .node import Node
from .trained import Trained

ROWS = "rows"
# Images where the study does not say how many: of the metrics by what they say of theirs, and of the published choice.
USUAL = {"measure": 320, "saliency": 4, "compare": 1000, PUBLISHED_PROBE: 32}


class Measured(Trained):
    """The jobs of a study up to what is measured of its networks, and of pairs of them."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.measured = _all_measured(self)
        self.compared = _compared(self)
        self.map = _mapped(self)


def _all_measured(chain: Trained) -> dict[str, dict[str, Node]]:
    """Add the measurements of all networks; return network -> metric -> node."""
    nodes: dict[str, dict[str, Node]] = {}
    for network in chain.names:
        nodes[network] = {
            name: _measured(chain, network, name, metric, nodes) for name, metric in wanted(chain, network).items()
        }
    return nodes


def wanted(chain: Trained, network: str) -> dict[str, Metric]:
    """Return the metrics that are measured of a network."""
    kind, name = network.split("/")[:2]
    if kind == "networks":
        return metrics_of(chain.study, name)
    return metrics_of(chain.study, seed=chain.by_network[network][1])


def _measured(chain: Trained, network: str, name: str, metric: Metric, others: dict[str, dict[str, Node]]) -> Node:
    study, (checkpoints, node, weights) = chain.study, chain.checkpoints(network)
    probes = _probes(chain, network, metric)
    reads = [(node, weights), *(chain.reads_set(source) for source in _sets(chain, metric))]
    reference, first = None, chain.names[0]
    if metric.reference and network != first:
        file = f"{chain.checkpoints(first)[0].folders[0]}/{metric.reference}"
        reference = others[first][name].files(file)
        reads.append((others[first][name], [file]))
    options, machine = study.measure.of(metric.options), chain.machine("measure")
    job = MeasureJob(name, checkpoints, probes, options, reference, machine=machine, out="")
    names = [f"{table}.parquet" for table in metric.tables]
    own = metric.files_of(len(checkpoints.shapes))
    names += [f"{folder}/{file}" for folder in checkpoints.folders for file in own]
    folder = f"{chain.home}/measure/{network}/{name}"
    return chain.add("measure", f"{network}/{name}", job, folder, names, reads, [f"metrics.{name}"])


def _sets(chain: Trained, metric: Metric) -> list[str]:
    return [DATA] if metric.main_only else list(sets_of(chain.study))


def _probes(chain: Trained, network: str, metric: Metric) -> tuple[Probe, ...]:
    """Return the image sets that a metric is measured on, as the network sees them; the main one first."""
    study = chain.study
    kind, name = network.split("/")[:2]
    view = study.view(name if kind == "networks" else STUDENT)
    counts, split = chain.content.counts.get(DATA, {}), study.data.measured
    asked = {"measure": study.measure.images, "saliency": study.measure.saliency_images}
    given = asked.get(metric.images, study.measure.compare_images)
    there, classes = study.data.count_of(split, counts), study.data.classes
    main = Probe(MAIN_PROBE, chain.seen(DATA, view), split, _count(given, USUAL[metric.images], there), classes)
    if metric.main_only:
        return (main,)
    probes = [main]
    count = _count(study.measure.published_images, USUAL[PUBLISHED_PROBE], counts.get("test"))
    if count:
        probes.append(Probe(PUBLISHED_PROBE, chain.seen(DATA, view), "test", count, classes, first=True))
    probes += [
        Probe(name, chain.seen(name, view), "test", data.images, data.classes) for name, data in study.probes.items()
    ]
    return tuple(probes)


def _count(given: int | None, usual: int, there: int | None) -> int:
    """Return how many images are measured: those asked for, or as many as usual or there are."""
    if given is not None:
        return given
    return usual if there is None else min(usual, there)


def _rows(chain: Measured, network: str) -> list[Rows]:
    """Return the rows of a network at its checkpoints."""
    checkpoints, node = chain.checkpoints(network)[0], chain.measured[network][ROWS]
    return [
        Rows(name, checkpoints.seed, epoch, node.files(f"{folder}/rows.safetensors"))
        for name, epoch, folder in zip(checkpoints.names, checkpoints.epochs, checkpoints.folders, strict=True)
    ]


def _compared(chain: Measured) -> dict[str, dict[str, Node]]:
    """Add the comparisons: every student with the teacher, every network with every other.

    Return pair -> metric -> node.
    """
    study = chain.study
    nodes: dict[str, dict[str, Node]] = {}
    if not study.measure.pairs:
        return nodes
    pairs = {}
    for network, (_, seed) in chain.by_network.items():
        if not pairs_of(study, seed):
            continue
        teacher = _rows(chain, f"networks/{study.teacher}")[0]
        pairs[network] = network, f"networks/{study.teacher}", [(rows, teacher) for rows in _rows(chain, network)]
    names = [name for name in chain.names if name not in chain.by_network]
    for a, b in combinations_with_replacement(names, 2):
        (first, first_control), (second, second_control) = _rows(chain, a), _rows(chain, b)
        # Of one network: with itself, and with its control.
        beside = [(first, second), (first, second_control) if a == b else (first_control, second_control)]
        pairs[f"{a}/{b.partition('/')[2]}"] = a, b, beside
    for pair, (a, b, rows) in pairs.items():
        nodes[pair] = {}
        for metric in pairs_of(study, chain.by_network[a][1] if a in chain.by_network else None):
            job = CompareJob(metric, tuple(rows), machine=chain.machine("compare"), out="")
            reads = [(chain.measured[n][ROWS], _files(chain, n)) for n in dict.fromkeys((a, b))]
            folder = f"{chain.home}/compare/{pair}/{metric}"
            nodes[pair][metric] = chain.add(
                "compare", f"{pair}/{metric}", job, folder, [f"{metric}.parquet"], reads, [f"metrics.pairs.{metric}"]
            )
    return nodes


def _files(chain: Trained, network: str) -> list[str]:
    folders: Checkpoints = chain.checkpoints(network)[0]
    return [f"{folder}/rows.safetensors" for folder in folders.folders]


def _mapped(chain: Measured) -> Node | None:
    """Add the map of all networks, blocks and epochs; None where nothing is compared.

    Of the students those of the first seed: the distances of all points to each other are many, and other seeds lie
    over them.
    """
    if not chain.study.measure.pairs:
        return None
    later = {network for network, (_, seed) in chain.by_network.items() if seed != chain.seeds[0]}
    names = [name for name in chain.names if name not in later]
    rows = tuple(rows for network in names for rows in _rows(chain, network))
    reads = [(chain.measured[network][ROWS], _files(chain, network)) for network in names]
    job = MapJob(rows, machine=chain.machine("compare"), out="")
    return chain.add("map", "", job, f"{chain.home}/compare", ["map.parquet"], reads, record_name=".map.record.json")
