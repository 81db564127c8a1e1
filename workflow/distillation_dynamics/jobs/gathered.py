"""The jobs of a chain that gather what all networks left: tables, summary, statistics, figures, page, paper."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from .. import extensions
from ..data.classes import class_names
from ..spec.base import From
from ..spec.runs import LOGITS, RESULT
from ..spec.tables import (
    Drawn,
    FiguresJob,
    Names,
    PageJob,
    PaperJob,
    Run,
    Setting,
    StatisticsJob,
    SummaryJob,
    TablesJob,
)
from ..study.study import STUDENT
from . import record
from .measured import Measured
from .node import STUDY_FILE, Node

# Per-image scalars stay with their networks: of ImageNet they are gigabytes.
SCALARS, SHARED_TABLES = "scalars", ("depth", "spectrum")
SUMMARY_TABLES = ("runs", "epochs", "terms", "summary", "cost")
STATISTICS_TABLES = (
    *("shape", "minimum", "references", "networks", "differences", "variants", "mcnemar", "trajectory"),
    *("effects", "dose_and_place", "alignment", "nearest"),
    *("published", "published_trajectory", "published_entropy", "claims"),
)
PAPER_TABLES = (
    *("accuracy", "variants", "dose_and_place", "effects", "nearest", "shape", "shape_counts", "networks", "published"),
    *("claims", "claims_evidence"),
)
RESOURCES = Path(__file__).parents[3] / "resources"
PUBLISHED, SOURCES = RESOURCES / "published", RESOURCES / "sources.bib"
# Script and style of the page, and Vega, which draws its charts.
ASSETS = tuple(Path(__file__).parents[1] / "page/assets" / name for name in ("page.css", "page.js", "vega.js"))


class Gathered(Measured):
    """All jobs of a study."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.tables = _tables(self)
        self.summary = _summary(self)
        self.statistics = _statistics(self)
        data = self.study.data
        self.classes = class_names(data.source, data.files["test"], data.classes)
        self.figures = _figures(self)
        self.page = _page(self)
        self.paper = _paper(self)


def names_of(chain: Measured) -> Names:
    """Return who is in the tables of a study."""
    study = chain.study
    controls = {name: f"{name}_{network.control}" for name, network in study.networks.items()}
    variants = tuple(study.variants)
    return Names(tuple(controls), controls, study.teacher, variants, study.baseline, study.seeds_of_one())


def setting_of(chain: Measured) -> Setting | None:
    """Return what the students of a study are, with the published numbers to hold beside them; None without."""
    study = chain.study
    if study.student is None or study.teacher is None:
        return None
    models = [study.student.model, study.networks[study.teacher].model]
    student, teacher = (f"{model.name} {model.args}" if model.args else model.name for model in models)
    blocks = len(study.facts[STUDENT].shapes), len(study.facts[study.teacher].shapes)
    files = sorted(PUBLISHED.glob("*.csv"))
    epochs = study.student.recipe.epochs
    return Setting(student, teacher, blocks, study.data.classes, epochs, study.variants, _by_content(files))


def _by_content(files: Iterable[Path]) -> From:
    """Return files that come with the project, as what a job reads."""
    files = list(files)
    content = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    return From(content, files=tuple(map(str, files)))


def _by_table(chain: Measured) -> dict[str, list[list[Node]]]:
    """Return table -> the nodes that fill it: a list a network (or pair) of those side by side."""
    found: dict[str, list[list[Node]]] = {}
    known = extensions.metrics()
    for nodes in chain.measured.values():
        own: dict[str, list[Node]] = {}
        for metric, node in nodes.items():
            for table in known[metric].tables:
                own.setdefault(table, []).append(node)
        for table, filled in own.items():
            found.setdefault(table, []).append(filled)
    for nodes in chain.compared.values():
        for metric, node in nodes.items():
            found.setdefault(metric, []).append([node])
    if chain.map is not None:
        found["map"] = [[chain.map]]
    return {table: nodes for table, nodes in found.items() if table != SCALARS}


def _tables(chain: Gathered) -> dict[str, Node]:
    """Add the tables of all networks; return them by name."""
    found = {}
    for table, nodes in _by_table(chain).items():
        file = f"{table}.parquet"
        job = TablesJob(table, tuple(tuple(node.files(file) for node in beside) for beside in nodes), out="")
        reads = [(node, [file]) for beside in nodes for node in beside]
        found[table] = chain.add(
            "tables", table, job, f"{chain.home}/tables", [file], reads, record_name=f".{table}{record.NAME}"
        )
    return found


def _left(node: Node) -> list[str]:
    """What the summary reads of a run: its logits and curves where it has them."""
    names = [*(LOGITS.format(split) for split in ("validation", "test")), "epochs.parquet", "terms.parquet", *RESULT]
    written = {path.rpartition("/")[2] for path in node.order.writes}
    return [name for name in names if name in written]


def _summary(chain: Gathered) -> Node:
    """Add the summary."""
    study, runs = chain.study, []
    for name, node in chain.networks.items():
        runs.append((name, -1, node, study.sorts(name)))
    runs += [(*pair, node, True) for pair, node in chain.students.items()]
    job = SummaryJob(
        tuple(
            Run(network, seed, node.files(*_left(node)), measured=measured, folder=node.folder)
            for network, seed, node, measured in runs
        ),
        study.teacher,
        out="",
    )
    names = [*(f"{table}.parquet" for table in SUMMARY_TABLES), "summary.md", "cost.md"]
    reads = [(node, _left(node)) for _, _, node, _ in runs]
    return chain.add("summary", "", job, f"{chain.home}/summary", names, reads)


def _statistics(chain: Gathered) -> Node:
    """Add the statistics."""
    logits = LOGITS.format("test")
    owners = dict.fromkeys(SUMMARY_TABLES, chain.summary) | chain.tables
    names = [
        name for name in ("depth", "runs", "epochs", "terms", "cost", *extensions.pair_metrics()) if name in owners
    ]
    read: dict[str, Node] = {name: owners[name] for name in names} | {"splits": chain.data}
    known = extensions.metrics()
    scalars = [
        node for nodes in chain.measured.values() for metric, node in nodes.items() if SCALARS in known[metric].tables
    ]
    students = tuple(Run(*pair, node.files(logits), folder=node.folder) for pair, node in chain.students.items())
    job = StatisticsJob(
        *(names_of(chain), students, tuple(node.files(f"{SCALARS}.parquet") for node in scalars)),
        {name: node.files(f"{name}.parquet") for name, node in read.items()},
        setting_of(chain),
        study=f"{chain.home}/{STUDY_FILE}",
        out="",
    )
    reads = [(node, [f"{name}.parquet"]) for name, node in read.items()]
    reads += [(node, [f"{SCALARS}.parquet"]) for node in scalars]
    reads += [(node, [logits]) for node in chain.students.values()]
    files = [*(f"{table}.parquet" for table in STATISTICS_TABLES), "report.md", "report.json", "numbers.json"]
    return chain.add("statistics", "", job, f"{chain.home}/statistics", files, reads)


def drawn(chain: Gathered) -> dict[str, extensions.Figure]:
    """Return the figures that this study has all for: tables, metrics, and those who must be in it."""
    study = chain.study
    there = {
        "students": bool(study.variants), "teacher": study.teacher is not None,
        "variants": len(study.variants) > 1, "networks": len(study.networks) > 1, "probes": bool(study.probes),
        # What is about the logit of a label, or how often it is the largest.
        "labels": any(map(study.sorts, study.networks)) or study.student is not None,
    }  # fmt: skip
    measured = {metric for nodes in chain.measured.values() for metric in nodes} | set(study.measure.pairs)
    tables = {*chain.tables, *SUMMARY_TABLES, *STATISTICS_TABLES}
    return {
        name: figure
        for name, figure in extensions.figures(known_tables()).items()
        if measured.issuperset(figure.metrics) and tables.issuperset(figure.tables) and all(map(there.get, figure.asks))
    }


def known_tables() -> tuple[str, ...]:
    """Return the names of all tables that figures may be drawn from."""
    own = dict.fromkeys(table for metric in extensions.metrics().values() for table in metric.tables)
    every = (*SHARED_TABLES, *own, *extensions.pair_metrics(), "map", *SUMMARY_TABLES, *STATISTICS_TABLES)
    return tuple(table for table in dict.fromkeys(every) if table != SCALARS)


def _figures(chain: Gathered) -> dict[str, Node]:
    """Add the figures; return them by name."""
    found = {}
    owners = _owners(chain)
    for name, figure in drawn(chain).items():
        reads = [(owners[table], [f"{table}.parquet"]) for table in figure.tables]
        folder, files = f"{chain.home}/figures", [f"{name}.{ending}" for ending in figure.formats]
        tables: tuple[From, ...] = tuple(node.files(*names) for node, names in reads)
        paths = tuple(f"{folder}/{file}" for file in files)
        shown = chain.classes if "saliency" in figure.tables else ()
        job = FiguresJob(name, names_of(chain), tables, chain.study.figures, shown, files=paths)
        found[name] = chain.add(
            *("figures", name, job, folder, files, reads, [f"figures.{name}"]), record_name=f".{name}{record.NAME}"
        )
    return found


def _owners(chain: Gathered) -> dict[str, Node]:
    """Return every table of the study with the node that writes it, in the order of the page."""
    owners = dict.fromkeys(SUMMARY_TABLES, chain.summary) | dict.fromkeys(STATISTICS_TABLES, chain.statistics)
    return owners | chain.tables


def _page(chain: Gathered) -> Node:
    """Add the page of the whole study."""
    owners = _owners(chain)
    tables = {name: node.files(f"{name}.parquet") for name, node in owners.items()}
    figures = {name: node.files(f"{name}.png") for name, node in chain.figures.items() if _is_printed(node)}
    reads = [(node, [f"{name}.parquet"]) for name, node in owners.items()]
    reads += [(node, [f"{name}.png"]) for name, node in chain.figures.items() if name in figures]
    reads.append((chain.statistics, ["report.json"]))
    behind = _all_behind([node for node, _ in reads])
    records: dict[str, tuple[str, ...]] = {}
    runs = set(chain.runs.values())
    for node in behind:
        # A student's record is that of its run.
        if node not in runs:
            records[node.stage] = (*records.get(node.stage, ()), node.order.record)
    edges = {(need.stage, node.stage): None for node in behind for need in node.needs if need.stage != node.stage}
    job = PageJob(
        *(names_of(chain), tables, figures, chain.statistics.files("report.json"), chain.study.figures),
        *(_by_content(ASSETS), tuple(edges)),
        classes=chain.classes if "saliency" in owners else (),
        study=f"{chain.home}/{STUDY_FILE}",
        records=records,
        out="",
    )
    return chain.add("page", "", job, chain.home, ["index.html"], reads, record_name=f".index{record.NAME}")


def _is_printed(node: Node) -> bool:
    """Whether a figure is no animation."""
    return node.order.writes[-1].endswith(".png")


def _all_behind(nodes: list[Node]) -> list[Node]:
    """Return nodes and all that they rest on, each once, each behind those that it reads from."""
    found: dict[Node, None] = {}

    def add(node: Node) -> None:
        if node not in found:
            for need in node.needs:
                add(need)
            found[node] = None

    for node in nodes:
        add(node)
    return list(found)


def _paper(chain: Gathered) -> Node:
    """Add the parts of a paper."""
    read = dict.fromkeys(STATISTICS_TABLES, chain.statistics)
    read |= dict.fromkeys(("runs", "summary", "cost"), chain.summary)
    read |= {"depth": chain.tables["depth"]} if "depth" in chain.tables else {}
    drawn_here = {
        name: (figure, chain.figures[name]) for name, figure in drawn(chain).items() if "pdf" in figure.formats
    }
    content = hashlib.sha256(SOURCES.read_bytes()).hexdigest()
    job = PaperJob(
        names_of(chain),
        {name: node.files(f"{name}.parquet") for name, node in read.items()},
        {name: Drawn(figure.caption, node.files(f"{name}.pdf")) for name, (figure, node) in drawn_here.items()},
        From(content, files=(str(SOURCES),)),
        study=f"{chain.home}/{STUDY_FILE}",
        out="",
    )
    names = ["main.tex", "numbers.tex", "methods.tex", "checklist.tex", "references.bib"]
    names += [f"tables/{name}.tex" for name in PAPER_TABLES]
    names += [f"figures/{name}.{ending}" for name in drawn_here for ending in ("tex", "pdf")]
    reads = [(node, [f"{name}.parquet"]) for name, node in read.items()]
    reads += [(node, [f"{name}.pdf"]) for name, (_, node) in drawn_here.items()]
    return chain.add("paper", "", job, f"{chain.home}/paper", names, reads)
