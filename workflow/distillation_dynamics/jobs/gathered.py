"""Tasks that gather the results of all networks: tables, summary, statistics, report, figures, page, paper."""

from pathlib import Path

from .. import extensions
from ..data.classes import class_names
from ..spec.data import PICTURES
from ..spec.runs import LOGITS, RESULT, TERM_GRADIENTS
from ..spec.tables import (
    INDEX,
    REPORT_FILES,
    Drawn,
    FiguresJob,
    PageJob,
    PaperJob,
    ReportJob,
    Run,
    StatisticsJob,
    SummaryJob,
    TablesJob,
)
from . import record
from .graph import Graph
from .task import STUDY_FILE, Task, with_needs
from .who import by_content, names_of, setting_of

# Per-image values stay with their networks: for ImageNet they are gigabytes.
SCALARS, SHARED_TABLES = "scalars", ("depth", "spectrum")
SUMMARY_TABLES = ("runs", "epochs", "terms", "term_gradients", "summary", "cost")
FIGURE_FORMATS = ("pdf", "png")
LIBRARY = Path(__file__).parents[1]
SOURCES = LIBRARY.parents[1] / "resources/sources.bib"
# Scripts, style, templates and glossary of the page; the scripts include Vega, which draws its charts.
PAGE = LIBRARY / "page"
ASSETS = (
    *sorted(PAGE.glob("assets/*.[cj]s*")),
    *sorted(PAGE.glob("templates/*.j2")),
    LIBRARY.parents[1] / "resources/glossary.md",
)


def add(graph: Graph) -> None:
    """Add the tasks to a graph whose networks are measured."""
    graph.tables = _tables(graph)
    graph.summary = _summary(graph)
    graph.statistics = _statistics(graph)
    figures, owners, data = drawn(graph), _owners(graph), graph.study.data
    graph.report = _report(graph, owners)
    classes = class_names(data)
    graph.figures = {name: _figure(graph, name, figure, owners, classes) for name, figure in figures.items()}
    graph.page = _page(graph, figures, owners, classes)
    graph.paper = _paper(graph, figures)


def _by_table(graph: Graph) -> dict[str, list[list[Task]]]:
    """Return table -> tasks that fill it: one list per network (or pair) of tasks joined side by side."""
    found: dict[str, list[list[Task]]] = {}
    known = extensions.metrics()
    for tasks in graph.measured.values():
        for table in dict.fromkeys(table for metric in tasks for table in known[metric].tables if table != SCALARS):
            joined = [task for metric, task in tasks.items() if table in known[metric].tables]
            found.setdefault(table, []).append(joined)
    for tasks in graph.compared.values():
        for metric, task in tasks.items():
            found.setdefault(metric, []).append([task])
    return found | ({} if graph.map is None else {"map": [[graph.map]]})


def _tables(graph: Graph) -> dict[str, Task]:
    """Add the tables of all networks; return them by name."""
    found = {}
    for table, tasks in _by_table(graph).items():
        file = f"{table}.parquet"
        parts = tuple(tuple(task.files(file) for task in joined) for joined in tasks)
        said = {name: (unit, text) for name, (unit, text) in graph.content.columns.get(table, {}).items()}
        job = TablesJob(table, parts, names_of(graph).arms, said, machine=graph.machine("tables"), out="")
        reads = [(task, [file]) for joined in tasks for task in joined]
        found[table] = graph.add(
            "tables", table, job, [file], reads, folder="tables", record_name=f".{table}{record.NAME}"
        )
    return found


def _left(task: Task) -> list[str]:
    """Files of a run that the summary reads: logits and curves, if any."""
    names = [
        *(LOGITS.format(split) for split in ("validation", "test")),
        "epochs.parquet",
        "terms.parquet",
        TERM_GRADIENTS,
        *RESULT,
    ]
    written = {path.rpartition("/")[2] for path in task.writes}
    return [name for name in names if name in written]


def _summary(graph: Graph) -> Task:
    """Add the summary."""
    study = graph.study
    runs: list[tuple[str, int | None, Task, bool]]
    runs = [(name, None, task, study.sorts(name)) for name, task in graph.networks.items()]
    runs += [(*pair, task, True) for pair, task in graph.students.items()]
    job = SummaryJob(
        tuple(
            Run(network, seed, task.files(*_left(task)), measured=measured, folder=task.folder, record=task.record)
            for network, seed, task, measured in runs
        ),
        study.teacher,
        names_of(graph).arms,
        machine=graph.machine("tables"),
        out="",
    )
    names = [*(f"{table}.parquet" for table in SUMMARY_TABLES), "summary.md", "cost.md"]
    reads = [(task, _left(task)) for _, _, task, _ in runs]
    return graph.add("summary", "", job, names, reads, folder="summary")


def _statistics(graph: Graph) -> Task:
    """Add the statistics."""
    logits, setting, known = LOGITS.format("test"), setting_of(graph), extensions.metrics()
    questions = {name: one for name, one in extensions.questions(tables_of_stages()).items() if one.tables}
    owners = dict.fromkeys(SUMMARY_TABLES, graph.summary) | graph.tables
    names = set().union(*(question.reads for question in questions.values())).intersection(owners)
    read: dict[str, Task] = {name: owners[name] for name in sorted(names)} | {"splits": graph.data}
    scalars = [
        task for tasks in graph.measured.values() for metric, task in tasks.items() if SCALARS in known[metric].tables
    ]
    students = tuple(Run(*pair, task.files(logits), folder=task.folder) for pair, task in graph.students.items())
    job = StatisticsJob(
        *(names_of(graph), students, tuple(task.files(f"{SCALARS}.parquet") for task in scalars)),
        {name: task.files(f"{name}.parquet") for name, task in read.items()},
        setting,
        tuple(name for name, question in questions.items() if setting is not None or not question.requires),
        by_content(sorted(LIBRARY.glob("questions/*/words.md.j2"))),
        machine=graph.machine("tables"),
        out="",
    )
    reads = [(task, [f"{name}.parquet"]) for name, task in read.items()]
    reads += [(task, [f"{SCALARS}.parquet"]) for task in scalars]
    reads += [(task, [logits]) for task in graph.students.values()]
    files = [*(f"{table}.parquet" for table in statistics_tables()), "numbers.json"]
    # Titles and answers belong to the report.
    code = [f"questions.{name}:{part}" for name in questions for part in ("TABLES", "tables")]
    code += [f"questions.claims.{name}" for name in extensions.claims()]
    return graph.add("statistics", "", job, files, reads, code, folder="statistics")


def _report(graph: Graph, owners: dict[str, Task]) -> Task:
    """Add the report; `owners` maps tables to their tasks."""
    questions = extensions.questions()
    # Its header says what was run and what it cost.
    names = {"runs", "cost", *statistics_tables()}.union(*(question.reads for question in questions.values()))
    read = {name: owners[name] for name in sorted(names.intersection(owners))}
    job = ReportJob(
        names_of(graph),
        {name: task.files(f"{name}.parquet") for name, task in read.items()},
        by_content(sorted(LIBRARY.glob("**/*.md.j2"))),
        tuple(task.files(PICTURES) for task in graph.sets.values()),
        study=f"{graph.home}/{STUDY_FILE}",
        machine=graph.machine("tables"),
        out="",
    )
    reads = [(task, [f"{name}.parquet"]) for name, task in read.items()]
    reads += [(task, [PICTURES]) for task in graph.sets.values()]
    code = [f"questions.{name}{module}" for name in questions for module in ("", ".answer")]
    files = [*REPORT_FILES, "report.json"]
    return graph.add("report", "", job, files, reads, code, folder="statistics", record_name=f".report{record.NAME}")


def drawn(graph: Graph) -> dict[str, extensions.Figure]:
    """Return the figures this study can draw: tables, metrics and networks required."""
    lacking = left_out(graph)
    return {name: figure for name, figure in _of_those_there(graph).items() if name not in lacking}


def left_out(graph: Graph) -> dict[str, set[str]]:
    """Return the figures that lack a metric or table in this study, each with what it lacks."""
    measured = {metric for tasks in graph.measured.values() for metric in tasks} | set(graph.study.compare.metrics)
    tables = {*graph.tables, *SUMMARY_TABLES, *statistics_tables()}
    lacking = {
        name: {*figure.metrics} - measured | {*figure.tables} - tables
        for name, figure in _of_those_there(graph).items()
    }
    return {name: what for name, what in lacking.items() if what}


def _of_those_there(graph: Graph) -> dict[str, extensions.Figure]:
    """Return the figures whose required students and networks are in the study."""
    study = graph.study
    there = {
        "students": bool(study.variants), "teacher": study.teacher is not None,
        "variants": len(study.variants) > 1, "networks": len(study.networks) > 1, "probes": bool(study.probes),
        "classes": study.data.classes is not None,
        # Figures about the logit of a label, or how often it is the largest.
        "labels": any(map(study.sorts, study.networks)) or bool(study.students),
    }  # fmt: skip
    known = extensions.figures(known_tables())
    return {name: figure for name, figure in known.items() if all(map(there.get, figure.requires))}


def statistics_tables() -> tuple[str, ...]:
    """Return the names of all questions' tables."""
    return tuple(table for question in extensions.questions().values() for table in question.tables)


def known_tables() -> tuple[str, ...]:
    """Return the names of all tables that figures may use."""
    return (*tables_of_stages(), *statistics_tables())


def tables_of_stages() -> tuple[str, ...]:
    """Return the names of all tables except those of questions."""
    own = dict.fromkeys(table for metric in extensions.metrics().values() for table in metric.tables)
    every = (*SHARED_TABLES, *own, *extensions.pair_metrics(), "map", *SUMMARY_TABLES)
    return tuple(table for table in dict.fromkeys(every) if table != SCALARS)


def _figure(
    graph: Graph, name: str, figure: extensions.Figure, owners: dict[str, Task], classes: tuple[str, ...]
) -> Task:
    """Add a figure; `owners` maps tables to their tasks."""
    files = [f"{name}.{ending}" for ending in FIGURE_FORMATS]
    reads = [(owners[table], [f"{table}.parquet"]) for table in figure.tables]
    job = FiguresJob(
        *(name, names_of(graph), tuple(task.files(*read) for task, read in reads), graph.study.figures),
        classes if "saliency" in figure.tables else (),
        machine=graph.machine("tables"),
        files=tuple(f"{graph.home}/figures/{file}" for file in files),
    )
    record_name = f".{name}{record.NAME}"
    return graph.add("figures", name, job, files, reads, [f"figures.{name}"], folder="figures", record_name=record_name)


def _owners(graph: Graph) -> dict[str, Task]:
    """Return every table of the study with the task that writes it, in the page's order."""
    owners = dict.fromkeys(SUMMARY_TABLES, graph.summary) | dict.fromkeys(statistics_tables(), graph.statistics)
    return owners | graph.tables


def _page(graph: Graph, drawn: dict[str, extensions.Figure], owners: dict[str, Task], classes: tuple[str, ...]) -> Task:
    """Add the page of the study; `owners` maps tables to their tasks."""
    tables = {name: task.files(f"{name}.parquet") for name, task in owners.items()}
    figures = {name: task.files(f"{name}.png") for name, task in graph.figures.items()}
    reads = [(task, [f"{name}.parquet"]) for name, task in owners.items()]
    reads += [(task, [f"{name}.png"]) for name, task in graph.figures.items()]
    reads.append((graph.report, ["report.json"]))
    needed = with_needs(task for task, _ in reads)
    behind = [task for task in graph.tasks if task in needed]
    records: dict[str, tuple[str, ...]] = {}
    runs = set(graph.runs.values())
    for task in behind:
        # A student's record is that of its run.
        if task not in runs:
            records[task.stage] = (*records.get(task.stage, ()), task.record)
    edges = {(need.stage, task.stage): None for task in behind for need in task.needs if need.stage != task.stage}
    shows = {name: drawn[name].shows for name in figures}
    job = PageJob(
        *(names_of(graph), tables, figures, shows, graph.report.files("report.json"), graph.study.figures),
        *(by_content(ASSETS), tuple(edges)),
        classes=classes if "saliency" in owners else (),
        study=f"{graph.home}/{STUDY_FILE}",
        records=records,
        machine=graph.machine("tables"),
        out="",
    )
    code = [f"questions.{name}.panel" for name, question in extensions.questions().items() if question.panel]
    return graph.add("page", "", job, [INDEX], reads, code, folder="", record_name=f".index{record.NAME}")


def _paper(graph: Graph, figures: dict[str, extensions.Figure]) -> Task:
    """Add the parts of a paper."""
    read = dict.fromkeys(statistics_tables(), graph.statistics)
    read |= dict.fromkeys(("runs", "summary", "cost"), graph.summary)
    read |= {"depth": graph.tables["depth"]} if "depth" in graph.tables else {}
    job = PaperJob(
        names_of(graph),
        {name: task.files(f"{name}.parquet") for name, task in read.items()},
        {name: Drawn(one.caption, graph.figures[name].files(f"{name}.pdf")) for name, one in figures.items()},
        by_content([SOURCES]),
        study=f"{graph.home}/{STUDY_FILE}",
        machine=graph.machine("tables"),
        out="",
    )
    names = ["main.tex", "numbers.tex", "methods.tex", "references.bib"]
    questions = extensions.questions()
    names += [f"tables/{table}.tex" for question in questions.values() for table in question.paper or ()]
    names += [f"figures/{name}.{ending}" for name in figures for ending in ("tex", "pdf")]
    reads = [(task, [f"{name}.parquet"]) for name, task in read.items()]
    reads += [(graph.figures[name], [f"{name}.pdf"]) for name in figures]
    code = [f"questions.{name}.paper" for name, question in questions.items() if question.paper is not None]
    return graph.add("paper", "", job, names, reads, code, folder="paper")
