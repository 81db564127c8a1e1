"""All jobs of a study, each with its key and its place under `results/`: what rules, plan and tests read.

Keys chain: what a job reads counts by the key of the job that writes it, so that all keys are known before anything
runs, and a change anywhere changes the keys of all that follows from it.
"""

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from .. import extensions
from ..errors import StudyError
from ..spec.base import From
from ..spec.comparison import ComparisonJob
from ..spec.features import FeaturesJob
from ..spec.machine import Machine
from ..spec.measured import Checkpoints
from ..spec.saliency import SaliencyJob
from ..spec.students import RunJob
from ..spec.tables import FiguresJob, MetricsJob, Run, StatisticsJob, SummaryJob
from ..spec.teacher import TeacherJob, WeightsJob
from ..spec.teacher_outputs import Asked, TeacherOutputsJob
from ..spec.training import Recipe
from ..study import Study
from ..weights import LOCAL, OTHER_WEIGHTS, check_safetensors, local_weights
from . import record
from .hashes import IMAGES, Hashes
from .order import Order, code_of, key_of

SHARED = "shared"
TEACHER_STATES = {"teacher": "trained", "teacher_untrained": "untrained"}
FEATURE_TABLES = ("depth", "spectrum", "scalars")
SALIENCY_TABLES = ("saliency", "gradient_maps")
COMPARISON_TABLES = ("cka", "mismatch", "agreement")
# Per-image scalars stay with their models: of ImageNet they are gigabytes.
TABLES = ("depth", "spectrum", *SALIENCY_TABLES, *COMPARISON_TABLES)
SUMMARY_TABLES = ("runs", "epochs", "summary", "cost")
STATISTICS_TABLES = ("shape", "minimum", "differences", "variants", "mcnemar", "trajectory", "alignment")
RUN_FILES = ("logits_validation.npy", "logits_test.npy", "steps.parquet", "epochs.parquet", "result.json", "cost.json")
GATHERED = ("logits_validation.npy", "logits_test.npy", "epochs.parquet", "result.json", "cost.json")
# Stages that measure a network, and that one process carries out for several networks.
MEASURING = ("features", "saliency", "comparison")
# Stages that gather what all networks left; one process carries out what is due of them.
GATHERING = ("metrics", "summary", "statistics", "figures")
# Rules whose jobs are groups -> the stages of their members.
GROUPED = {"cohorts": ("students",), "measure": MEASURING, "tables": GATHERING}


@dataclass(eq=False)
class Node:
    """One job of a study: its order, the jobs whose files it reads, and the folder of its files."""

    order: Order
    folder: str
    scope: str
    needs: list["Node"] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The key of the job."""
        return self.order.key

    @property
    def stage(self) -> str:
        """The stage of the job."""
        return self.order.stage

    @property
    def stamp(self) -> str:
        """The file by which Snakemake knows that the job is done: named after the key, it holds nothing."""
        return self._hidden(".stamps")

    @property
    def file(self) -> str:
        """The file with the order."""
        return self._hidden(".orders") + ".json"

    def _hidden(self, folder: str) -> str:
        return os.path.normpath(f"results/{folder}/{self.scope}/{self.stage}/{self.order.name}/{self.key}")

    def path(self, name: str) -> str:
        """The path of one of its files."""
        return f"{self.folder}/{name}"

    def files(self, *names: str) -> From:
        """Some of its files, as what another job reads."""
        return From(self.key, files=tuple(self.path(name) for name in names))

    def __str__(self) -> str:
        return str(self.order)


@dataclass(frozen=True)
class Content:
    """What is in the files that come from outside, as hashes: images by source, and the teacher's weights.

    `missing` says what is not there yet: a plan can be made without it, a run cannot. `counts` are the numbers of
    images by source; None for a .tar, and for what is missing.
    """

    images: dict[str, str]
    weights: str | None = None
    missing: str | None = None
    counts: dict[str, int | None] = field(default_factory=dict)

    @classmethod
    def read(cls, study: Study, hashes: Hashes) -> "Content":
        """Return what is there now; raise StudyError naming the key of what cannot be read."""
        data, missing = study.data, None
        images, counts = {}, dict(data.rows or {})
        for key in ("train", "test"):
            paths = getattr(data, key)
            if not os.path.exists(paths[0]):
                missing = missing or (
                    f"data.{key}: the folder {paths[0]} does not exist; give a folder with one subfolder a class, or a "
                    ".tar"
                )
                images[key] = "missing"
            elif os.path.isdir(paths[0]):
                images[key], counts[key] = hashes.of_folder(paths[0], data.trust_times)
                if not counts[key]:
                    raise StudyError(
                        f"data.{key}: the folder {paths[0]} holds no images ({', '.join(sorted(IMAGES))}); give a "
                        "folder with one subfolder a class, or files with data.source: parquet"
                    )
            else:
                images[key] = hashes.of_files(paths, data.trust_times)
        if missing is None:
            _warn_of(images, counts)
        return cls(images, _weights_of(study, hashes), missing, counts)


def _warn_of(images: dict[str, str], counts: dict[str, int | None]) -> None:
    """Say what is most likely not meant: a test on the training images, or with more images than the training."""
    if images["train"] == images["test"]:
        print("warning: data.train and data.test are the same images: such a test tells nothing", file=sys.stderr)
    elif (test := counts.get("test")) and (train := counts.get("train")) and test > train:
        print(f"warning: data.test has {test} images, data.train {train}: are they swapped?", file=sys.stderr)


def _weights_of(study: Study, hashes: Hashes) -> str | None:
    """Return the hash of weights that lie on this machine; raise StudyError where no network can have them."""
    teacher = study.teacher
    if teacher.source == "checkpoint":
        path = teacher.weights
    elif teacher.source == "timm" and teacher.weights.startswith(LOCAL):
        path = local_weights(teacher.weights)
    else:
        return None
    check_safetensors(path, OTHER_WEIGHTS)
    return hashes.of(path)


class Chain:
    """The jobs of a study. `nodes` lists all of them, each behind those that it reads from."""

    def __init__(self, study: Study, content: Content, results: str = "results"):
        self.study, self.content, self.results = study, content, results
        self.home = f"{results}/{study.name}"
        self.nodes: list[Node] = []
        self.variants, self.seeds = list(study.variants), study.seeds
        self.data = self._data()
        self.images = study.data.images(self.data.key, self.data.folder)
        self.weights = self._weights() if study.teacher.source == "timm" else None
        self.teacher = self._teacher()
        self.outputs = self._teacher_outputs() if self._stored_blocks() is not None else None
        pairs = [(variant, seed) for seed in self.seeds for variant in self.variants]
        self.runs = {pair: self._run(*pair) for pair in pairs}
        self.students = {pair: self._student(*pair) for pair in pairs}
        networks = ["teacher", *(student_name(*pair) for pair in pairs)]
        self.by_network = dict(zip(networks[1:], pairs, strict=True))
        self.features: dict[str, Node] = {}
        for network in networks:
            # The teacher comes first: its range is everybody's.
            self.features[network] = self._features(network)
        self.saliency = {network: self._saliency(network) for network in networks}
        self.comparison = {network: self._comparison(network) for network in networks[1:]}
        self.metrics = {table: self._metrics(table) for table in TABLES}
        self.summary = self._summary()
        self.statistics = self._statistics()
        self.figures = {name: self._figure(name, figure) for name, figure in self.drawn().items()}

    def training_images(self, recipe: Recipe) -> int | None:
        """Return how many images a recipe trains on; None where that is not known before they are split."""
        count = self.content.counts.get("train")
        if recipe.train_images is not None or count is None:
            return recipe.train_images
        return self.study.data.left_to_train(count)

    @property
    def asked(self) -> list[Node]:
        """What a study is asked for: all but the runs, which students ask for while they are not in the store."""
        runs = set(self.runs.values())
        return [node for node in self.nodes if node not in runs]

    def _add(
        self,
        stage: str,
        name: str,
        job: Any,
        folder: Callable[[str], str] | str,
        writes: Iterable[str],
        reads: Iterable[tuple[Node, Iterable[str]]] = (),
        by_name: Iterable[str] = (),
        record_name: str = record.NAME,
        scope: str | None = None,
    ) -> Node:
        code = code_of(stage, *by_name)
        key = key_of(stage, job, code)
        folder = folder if isinstance(folder, str) else folder(key)
        job = replace(job, out=folder) if hasattr(job, "out") else job
        reads = [(node, list(names)) for node, names in reads]
        order = Order(
            *(stage, name, key, job, code),
            {node.path(file): node.order.record for node, names in reads for file in names},
            tuple(f"{folder}/{file}" for file in writes),
            f"{folder}/{record_name}",
        )
        node = Node(order, folder, scope or self.study.name, [node for node, _ in reads])
        self.nodes.append(node)
        return node

    def _shared(self, stage: str) -> Callable[[str], str]:
        return lambda key: f"{self.results}/{SHARED}/{stage}/{key}"

    def _machine(self, stage: str) -> Machine:
        compute = self.study.compute[stage]
        return Machine(compute["threads"], self.study.state_minutes, compute.get("images_at_a_time"))

    @property
    def _data_files(self) -> tuple[Node, list[str]]:
        return self.data, self.data.order.job.files

    def _data(self) -> Node:
        job = self.study.data.job(self.content.images)
        return self._add("data", "", job, self._shared("data"), job.files, scope=SHARED)

    def _weights(self) -> Node:
        teacher = self.study.teacher
        job = WeightsJob(teacher.weights, self.content.weights, teacher.sha256, out="")
        names = ["model.safetensors", "source.json"]
        return self._add("teacher_weights", "", job, self._shared("teacher_weights"), names, scope=SHARED)

    def _teacher(self) -> Node:
        teacher = self.study.teacher
        reads = [self._data_files]
        # The key of weights is what they are; that of the job that fetches them also counts what is expected of them.
        weights = {
            "pretrain": lambda: None,
            "timm": lambda: replace(
                self.weights.files("model.safetensors"), key=self.content.weights or teacher.weights
            ),
            "checkpoint": lambda: From(self.content.weights, files=(teacher.weights,)),
        }[teacher.source]()
        if self.weights is not None:
            reads.append((self.weights, ["model.safetensors"]))
        trained = teacher.source == "pretrain"
        job = TeacherJob(
            *(self.images, teacher.model, teacher.seed, teacher.recipe),
            *(teacher.label_smoothing if trained else None, weights),
            **{"sha256": teacher.sha256, "expected_top1": teacher.expected_top1, "tolerance": teacher.tolerance},
            **{"machine": self._machine("teacher"), "out": ""},
        )
        names = ["teacher.safetensors", "untrained.safetensors", *RUN_FILES]
        by_name = ["objectives.cross_entropy"] if trained else []
        return self._add("teacher", "", job, self._shared("teacher"), names, reads, by_name, scope=SHARED)

    def _stored_blocks(self) -> list[int] | None:
        """The blocks whose outputs are stored; None where students ask the teacher itself, or nothing."""
        asking = [variant for variant in self.variants if self.study.needs_teacher(variant)]
        return self.study.teacher_blocks(*asking) if asking and self.study.caches_teacher else None

    def _teacher_outputs(self) -> Node:
        study, recipe = self.study, self.study.student.recipe
        job = TeacherOutputsJob(
            *(self.images, study.teacher.model, self.teacher.files("teacher.safetensors")),
            *(recipe.train_images, recipe.augmentation),
            **{"blocks": tuple(self._stored_blocks()), "machine": self._machine("teacher_outputs"), "out": ""},
        )
        names = ["logits.npy", *(f"block{block:02d}.npy" for block in job.blocks)]
        reads = [self._data_files, (self.teacher, ["teacher.safetensors"])]
        return self._add("teacher_outputs", "", job, self._shared("teacher_outputs"), names, reads, scope=SHARED)

    def _run(self, variant: str, seed: int) -> Node:
        study, student = self.study, self.study.student
        asked, reads = None, [self._data_files]
        if study.needs_teacher(variant):
            weights = self.teacher.files("teacher.safetensors")
            outputs = self.outputs.folder if self.outputs else None
            asked = Asked(
                *(study.teacher.model, study.teacher_facts.shapes, weights, self.outputs is not None), outputs=outputs
            )
            # The stored outputs are checked against the teacher before they are used; they are made by its code, which
            # counts, and by nothing else that is not in this key.
            reads.append((self.teacher, ["teacher.safetensors"]))
        job = RunJob(
            *(self.images, student.model, student.recipe, study.variants[variant], seed, student.checkpoints),
            *(study.student_facts.shapes, asked),
            **{"study": study.name, "label": f"{variant} seed {seed}", "machine": self._machine("students"), "out": ""},
        )
        names = [*checkpoint_files(student.checkpoints), "objective.safetensors", *RUN_FILES]
        by_name = [f"objectives.{term.name}" for term in job.terms]
        node = self._add(
            "students", f"{variant}/seed{seed}", job, self._shared("runs"), names, reads, by_name, scope=SHARED
        )
        if asked and self.outputs:
            node.needs.append(self.outputs)
        return node

    def _student(self, variant: str, seed: int) -> Node:
        """The run of a variant and seed, linked into the study: the same key, other paths."""
        run, folder = self.runs[variant, seed], f"{self.home}/students/{variant}/seed{seed}"
        order = run.order
        writes = tuple(f"{folder}/{os.path.relpath(path, run.folder)}" for path in order.writes)
        order = replace(
            order, name=f"{variant}/seed{seed}", writes=writes, record=f"{folder}/{record.NAME}",
            job=replace(order.job, out=folder),
        )  # fmt: skip
        node = Node(order, folder, self.study.name, [run])
        self.nodes.append(node)
        return node

    def _network(self, network: str) -> tuple[Checkpoints, list[str], tuple[Node, list[str]]]:
        """What is measured of a network, the folder of each checkpoint, and the files with its weights."""
        study = self.study
        if network == "teacher":
            node, names = self.teacher, ["teacher.safetensors", "untrained.safetensors"]
            trained = study.teacher.recipe.epochs if study.teacher.source == "pretrain" else -1
            labels, epochs, seed, model = tuple(TEACHER_STATES), (trained, 0), -1, study.teacher.model
            folders = list(TEACHER_STATES.values())
        else:
            variant, seed = self.by_network[network]
            node, epochs, model = self.students[variant, seed], study.student.checkpoints, study.student.model
            names, labels = checkpoint_files(epochs), (variant,) * len(epochs)
            folders = [f"epoch{epoch:03d}" for epoch in epochs]
        return Checkpoints(model, labels, seed, epochs, node.files(*names)), folders, (node, names)

    def _features(self, network: str) -> Node:
        study, (checkpoints, folders, weights) = self.study, self._network(network)
        is_teacher = network == "teacher"
        shapes = (study.teacher_facts if is_teacher else study.student_facts).shapes
        has_range = "entropy" in study.features.metrics
        fixed, reads = None, [self._data_files, weights]
        if has_range and not is_teacher:
            fixed = self.features["teacher"].files("range.json")
            reads.append((self.features["teacher"], ["range.json"]))
        job = FeaturesJob(
            *(self.images, checkpoints, tuple(folders), study.features, fixed),
            **{"machine": self._machine("features"), "out": ""},
        )
        dumps = [*(f"block{block:02d}.npy" for block in range(len(shapes))), "meta.json", "sums.safetensors"]
        names = [f"{folder}/{name}" for folder in folders for name in dumps]
        names += [f"{table}.parquet" for table in FEATURE_TABLES]
        names += ["range.json"] if has_range and is_teacher else []
        by_name = [f"metrics.{metric}" for metric in study.features.metrics]
        return self._add("features", network, job, f"{self.home}/features/{network}", names, reads, by_name)

    def _saliency(self, network: str) -> Node:
        checkpoints, _, weights = self._network(network)
        settings, machine = self.study.saliency, self._machine("saliency")
        job = SaliencyJob(self.images, checkpoints, settings, machine=machine, out="")
        names, reads = [f"{table}.parquet" for table in SALIENCY_TABLES], [self._data_files, weights]
        return self._add("saliency", network, job, f"{self.home}/saliency/{network}", names, reads)

    def _comparison(self, network: str) -> Node:
        checkpoints, _, weights = self._network(network)
        teacher = self.teacher.files("teacher.safetensors")
        job = ComparisonJob(
            *(self.images, checkpoints, self.study.teacher.model, teacher, self.study.comparison),
            **{"machine": self._machine("comparison"), "out": ""},
        )
        names = [f"{table}.parquet" for table in COMPARISON_TABLES]
        reads = [self._data_files, weights, (self.teacher, ["teacher.safetensors"])]
        folder = f"{self.home}/comparison/{network.removeprefix('students/')}"
        return self._add("comparison", network, job, folder, names, reads)

    def _metrics(self, table: str) -> Node:
        owners = dict.fromkeys(COMPARISON_TABLES, self.comparison) | dict.fromkeys(SALIENCY_TABLES, self.saliency)
        stage = owners.get(table, self.features)
        file = f"{table}.parquet"
        job = MetricsJob(table, tuple(node.files(file) for node in stage.values()), out="")
        reads = [(node, [file]) for node in stage.values()]
        return self._add(
            *("metrics", table, job, f"{self.home}/metrics", [file], reads), record_name=f".{table}{record.NAME}"
        )

    def _summary(self) -> Node:
        runs = [("teacher", -1, self.teacher), *((*pair, node) for pair, node in self.students.items())]
        job = SummaryJob(
            tuple(Run(variant, seed, node.files(*GATHERED), folder=node.folder) for variant, seed, node in runs), out=""
        )
        names = [*(f"{table}.parquet" for table in SUMMARY_TABLES), "summary.md", "cost.md"]
        reads = [(node, GATHERED) for *_, node in runs]
        return self._add("summary", "", job, f"{self.home}/summary", names, reads)

    def _statistics(self) -> Node:
        study, file = self.study, "logits_test.npy"
        pairs = {v: tuple(sorted({p for term in terms for p in term.pairs})) for v, terms in study.variants.items()}
        tables = {
            "runs": (self.summary, "runs.parquet"), "epochs": (self.summary, "epochs.parquet"),
            "cka": (self.metrics["cka"], "cka.parquet"), "mismatch": (self.metrics["mismatch"], "mismatch.parquet"),
            "splits": (self.data, "splits.parquet"),
        }  # fmt: skip
        students = tuple(Run(*pair, node.files(file), folder=node.folder) for pair, node in self.students.items())
        job = StatisticsJob(
            *(study.baseline, pairs, students),
            tuple(node.files("scalars.parquet") for node in self.features.values()),
            **{name: node.files(file) for name, (node, file) in tables.items()},
            out="",
        )
        reads = [(node, [name]) for node, name in tables.values()]
        reads += [(node, ["scalars.parquet"]) for node in self.features.values()]
        reads += [(node, [file]) for node in self.students.values()]
        names = [*(f"{table}.parquet" for table in STATISTICS_TABLES), "report.md"]
        return self._add("statistics", "", job, f"{self.home}/statistics", names, reads)

    def drawn(self) -> dict[str, extensions.Figure]:
        """The figures whose metrics this study measures; comparisons of variants need two of them."""
        measured, several = set(self.study.features.metrics), len(self.variants) > 1
        return {
            name: figure
            for name, figure in extensions.figures((*TABLES, *SUMMARY_TABLES, *STATISTICS_TABLES)).items()
            if measured.issuperset(figure.metrics) and (several or "variants" not in figure.tables)
        }

    def _figure(self, name: str, figure: extensions.Figure) -> Node:
        owners = dict.fromkeys(STATISTICS_TABLES, self.statistics) | dict.fromkeys(SUMMARY_TABLES, self.summary)
        owners |= self.metrics
        reads = [(owners[table], [f"{table}.parquet"]) for table in figure.tables]
        options = self.study.figures | {"variants": self.variants, "baseline": self.study.baseline}
        folder, names = f"{self.home}/figures", [f"{name}.{ending}" for ending in figure.formats]
        job = FiguresJob(
            name, tuple(node.files(*files) for node, files in reads), options,
            files=tuple(f"{folder}/{file}" for file in names),
        )  # fmt: skip
        return self._add(
            *("figures", name, job, folder, names, reads, [f"figures.{name}"]), record_name=f".{name}{record.NAME}"
        )


def student_name(variant: str, seed: int) -> str:
    """Return the name of a student among the networks of a study."""
    return f"students/{variant}/seed{seed}"


def checkpoint_files(epochs: Iterable[int]) -> list[str]:
    """Return the files of a run with the weights of these epochs."""
    return [f"checkpoints/epoch{epoch:03d}.safetensors" for epoch in epochs]
