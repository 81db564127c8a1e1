"""Every key that a study's configuration may have: its type, default, bounds and meaning, once. Imports no torch.

A class is a part of the configuration; those that jobs are told as they stand are declared in `spec`. pydantic reads a
configuration by `Configuration`; docs/configuration.md is written from it (`make options`). A key that is left out and
has no default is None. The terms of variants and some names are those of files of the library.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from ..spec.data import COLUMNS, Columns
from ..spec.images import WHITE, Validation
from ..spec.keys import Count, Key, Natural, NotNegative, Percent, Seed, Text
from ..spec.measure import Method, Settings, SharedSettings
from ..spec.networks import Control, Head
from ..spec.training import Recipe
from .models import Named
from .names import OneOf
from .terms import Terms

# How networks, variants, image sets and the study itself may be called; faults.NAME says it in words.
Name = Annotated[str, Key(pattern="^[A-Za-z0-9]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9_-])?$")]
Paths = Text | Annotated[tuple[Text, ...], Key(min_length=1)]
Sha256 = Annotated[str, Key(pattern="^[0-9a-f]{64}$")]
GpuModel = Annotated[str, Key(pattern="^[A-Za-z0-9_.-]+$")]
Means = Annotated[tuple[Annotated[float, Key(ge=-1e4, le=1e4)], ...], Key(min_length=1, max_length=3)]
Deviations = Annotated[tuple[Annotated[float, Key(ge=1e-4, le=1e4)], ...], Key(min_length=1, max_length=3)]
Level = Annotated[int, Key(ge=-100, le=100)]
Origin = Literal["pretrain", "timm", "checkpoint"]
Palette = Literal["bright", "colorblind", "dark", "deep", "muted", "pastel"]

SOURCE = "parquet: Hugging Face's layout; folder: folders, or a .tar, of pictures; or another file of data/sources/"
FILES = "a path; of Parquet files a path, a pattern (train-*.parquet) or a list of them, read in that order"
CLASSES = "number of classes; left out: the images have no labels"
READ_COLUMNS = "which columns of Parquet files are read"
GROUPS = "regular expression: images whose names match alike (in its first group) are one photograph's, and count once"
LEVEL = "which folder names the class: 1 that below the source, 2 the next, ...; -1 that which an image lies in, ..."
BROKEN = "at most so many images that cannot be read are left out; where there are more, they are named and refused"
BACKGROUND = "a colour (white, #ffffff): what transparent parts of pictures show"
SPREAD = "images of the validation split, spread evenly over the classes; left out: {}, or all where there are fewer"
FIRST_SEED = "those of them that are measured of the students of the first seed alone"
VIEW = "how a network sees an image; of the student, and of networks that have none of their own"
CROP = "evaluation: side of the central crop over the resized side; left out: 1"
ORIGIN = "pretrain: trained here on data.train; timm: released weights; checkpoint: weights in a file"
WEIGHTS = "timm: hf-hub:owner/name@revision or local-dir:folder; checkpoint: a .safetensors file"
TOP1 = "accuracy on the validation images (those of data.test where none are held out), percent"
CONTROL = "what it is held against: fresh weights, those with LayerScale 1, or its own permuted within each tensor"
PUBLISHED = "first images of data.test in file order, measured beside them; left out: 32, or all; 0: none"
GPUS = "GPUs of a job, over all of its nodes; of more than one each is a process of torchrun with its part of a batch"
PART = "images of a process's part of a batch; left out: all of it. Bounds memory; gradients are added up"
RUNS = "students of a seed that one job trains together; left out: as many as leave no core or GPU idle, on SLURM <= 8"
GRADIENT_LOGS = "so many times a training, norm and direction of each term's gradient are logged by block; 0: never"
BASELINE = (
    "the variant that others of the same student are held against; left out: that of fewest terms, of all students"
)
FAMILIES = (
    "planned comparisons by the name of their family, each family one joint test: [a, b] is a less b, [a, b, c, d] is "
    "(a less b) less (c less d), of variants as the tables name them"
)
STUDENTS = "several of them, by name; a variant that names none of them trains all, each with its own baseline"
STATES = "minutes between saved states of an unfinished training, from which it goes on; changing it reruns nothing"


METRICS, PAIR_METRICS = OneOf("metrics"), OneOf("pair_metrics")
Reader = Annotated[str, OneOf("readers")]
Metrics = tuple[Annotated[str, METRICS], ...]
PairMetrics = tuple[Annotated[str, PAIR_METRICS], ...]


@dataclass(frozen=True)
class ProbeData:
    """A further image set."""

    source: Annotated[Reader, Key(SOURCE)]
    test: Annotated[Paths, Key(FILES)]
    classes: Annotated[Count | None, Key(CLASSES)] = None
    groups: Annotated[Text | None, Key(GROUPS)] = None
    columns: Annotated[Columns, Key(READ_COLUMNS)] = COLUMNS
    label_depth: Annotated[Level, Key(LEVEL)] = 1
    background: Annotated[Text, Key(BACKGROUND)] = WHITE
    broken_images: Annotated[Natural, Key(BROKEN)] = 0
    images: Annotated[Count | None, Key("so many of them, spread evenly; left out: all")] = None


@dataclass(frozen=True)
class StudyData:
    """The images of a study."""

    source: Annotated[Reader, Key(SOURCE)]
    test: Annotated[Paths, Key(FILES)]
    train: Annotated[Paths | None, Key(FILES)] = None
    classes: Annotated[Count | None, Key(CLASSES)] = None
    groups: Annotated[Text | None, Key(GROUPS)] = None
    columns: Annotated[Columns, Key(READ_COLUMNS)] = COLUMNS
    label_depth: Annotated[Level, Key(LEVEL)] = 1
    background: Annotated[Text, Key(BACKGROUND)] = WHITE
    broken_images: Annotated[Natural, Key(BROKEN)] = 0
    trust_times: Annotated[bool, Key("images count by size and time of change of their files, not by content")] = False
    validation: Annotated[Validation | None, Key("which images are held out for every choice")] = None


@dataclass(frozen=True)
class GivenView:
    """How a network sees an image, as far as it is given; what is not is the weights' or the study's."""

    channels: Annotated[Literal[1, 3] | None, Key("colour channels that images are converted to")] = None
    image_size: Annotated[int | None, Key("side of the square image, pixels", ge=4, le=10_000)] = None
    mean: Annotated[Means | None, Key("subtracted from each channel, of values from 0 to 1")] = None
    std: Annotated[Deviations | None, Key("each channel is divided by it, once its mean is subtracted")] = None
    crop_fraction: Annotated[float | None, Key(CROP, ge=0.1, le=1)] = None
    interpolation: Annotated[Literal["bilinear", "bicubic"] | None, Key("of resizing; left out: bicubic")] = None
    crop_mode: Annotated[Literal["center", "squash", "border"] | None, Key("of timm; left out: center")] = None


@dataclass(frozen=True)
class Network:
    """A network and where its weights come from."""

    source: Annotated[Origin, Key(ORIGIN)]
    model: Annotated[Named, Key("a model of timm")]
    recipe: Annotated[Recipe | None, Key("how it is trained; of source pretrain")] = None
    label_smoothing: Annotated[float, Key("part of the target that is spread over all classes", ge=0, lt=1)] = 0.0
    seed: Annotated[Seed, Key("of the random numbers: initial weights, order of images, control")] = 0
    weights: Annotated[Text | None, Key(WEIGHTS)] = None
    sha256: Annotated[Sha256 | None, Key("64 hexadecimal digits in lower case, of the file of weights")] = None
    head: Annotated[Head | None, Key("of a network without one, so that it teaches logits; left out: none")] = None
    view: Annotated[GivenView, Key("left out: timm's for released weights, the study's for others")] = GivenView()
    control: Annotated[Control, Key(CONTROL)] = "untrained"
    without: Annotated[Metrics, Key("metrics that are not measured of it", unique=True)] = ()
    expected_top1: Annotated[Percent | None, Key(TOP1)] = None
    tolerance: Annotated[Percent, Key("how far its accuracy may be from expected_top1, percentage points")] = 1.0


@dataclass(frozen=True)
class Student:
    """A student, its recipe and the epochs whose weights are kept."""

    model: Annotated[Named, Key("a model of timm")]
    recipe: Annotated[Recipe, Key("how it is trained")]
    checkpoint_every: Annotated[Count, Key("epochs between saved weights; the first and last always are")] = 1_000_000
    gradient_logs: Annotated[Natural, Key(GRADIENT_LOGS)] = 20

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """Epochs whose weights are kept: 0 (untrained), every `checkpoint_every`, the last."""
        return tuple(sorted({*range(0, self.recipe.epochs, self.checkpoint_every), self.recipe.epochs}))


@dataclass(frozen=True)
class MeasureOptions(SharedSettings):
    """What is measured of every network."""

    images: Annotated[Count | None, Key(SPREAD.format(320))] = None
    published_images: Annotated[Natural | None, Key(PUBLISHED)] = None
    metrics: Annotated[Metrics, Key("files of metrics/; left out: all of them", min_length=1, unique=True)] = field(
        default_factory=METRICS.names
    )
    first_seed_only: Annotated[Metrics, Key(FIRST_SEED, unique=True)] = ()


@dataclass(frozen=True)
class SaliencyOptions:
    """Which maps of what single pixels mean to a network are made."""

    images: Annotated[Count | None, Key(SPREAD.format(4))] = None
    methods: Annotated[tuple[Method, ...], Key("of the maps", min_length=1, unique=True)] = Settings.methods


@dataclass(frozen=True)
class CompareOptions:
    """What is compared of pairs of networks."""

    images: Annotated[Count | None, Key(SPREAD.format("1,000"))] = None
    tokens: Annotated[Count, Key("random tokens of an image, rows of the CKA of tokens")] = Settings.tokens
    metrics: Annotated[PairMetrics, Key("files of metrics/pairs/; left out: all of them", unique=True)] = field(
        default_factory=PAIR_METRICS.names
    )
    first_seed_only: Annotated[PairMetrics, Key(FIRST_SEED, unique=True)] = ()


@dataclass(frozen=True)
class StatisticsOptions:
    """What is tested."""

    baseline: Annotated[str | None, Key(BASELINE)] = None
    families: Annotated[dict[str, tuple[tuple[str, ...], ...]], Key(FAMILIES)] = field(default_factory=dict)


@dataclass(frozen=True)
class FigureOptions:
    """How figures look."""

    palette: Annotated[Palette, Key("colours, of seaborn")] = "colorblind"
    dpi: Annotated[int, Key("resolution of figures that are no PDF, dots per inch", ge=50, le=1200)] = 200


@dataclass(frozen=True)
class Compute:
    """What a job of a stage asks for."""

    gpu: Annotated[int, Key("GPUs of a job", ge=0, le=1)] = 0
    gpu_model: Annotated[GpuModel | None, Key("a name as the cluster has it, such as a100; left out: any")] = None
    threads: Annotated[int, Key("cores of a job, and threads that it computes with", ge=1, le=1024)] = 1
    mem_mb: Annotated[
        int,
        Key(
            "memory of a job, MB; more is asked for where earlier jobs, or what is measured of a network, took it",
            ge=500,
        ),
    ] = 3000
    runtime: Annotated[Count, Key("time that a cluster gives a job, minutes")] = 60


@dataclass(frozen=True)
class TrainingCompute(Compute):
    """What a training asks for."""

    gpu: Annotated[Natural, Key(GPUS)] = 0
    nodes: Annotated[Count, Key("machines of a job")] = 1
    images_at_a_time: Annotated[Count | None, Key(PART)] = None


@dataclass(frozen=True)
class StudentsCompute(TrainingCompute):
    """What the trainings of students ask for."""

    runs_per_job: Annotated[Count | None, Key(RUNS)] = None


@dataclass(frozen=True)
class ComputeOptions:
    """What the jobs of each stage ask for."""

    data: Compute = Compute()
    networks: TrainingCompute = TrainingCompute()
    teacher_outputs: Compute = Compute()
    students: StudentsCompute = StudentsCompute()
    measure: Compute = Compute()
    compare: Compute = Compute()
    tables: Compute = Compute(mem_mb=1000, runtime=20)


Variants = dict[Name, Annotated[dict[str, Any], Terms()]]


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A study as it is written."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (as pydantic reads it)

    name: Annotated[Name, Key("of the study: the folder of its results under results/")]
    package_versions: Annotated[Literal["warn", "rerun"], Key("what to do about results of another torch or timm")] = (
        "warn"
    )
    seeds: Annotated[tuple[Seed, ...], Key("each trains every variant once", min_length=1, unique=True)] = (0,)
    data: Annotated[StudyData, Key("the images; those of train and validation only where something is trained")]
    probes: Annotated[dict[Name, ProbeData], Key("further image sets that every network is measured on")] = field(
        default_factory=dict
    )
    view: Annotated[GivenView, Key(VIEW)] = GivenView()
    networks: Annotated[dict[Name, Network], Key("networks that are measured, by name")] = field(default_factory=dict)
    teacher: Annotated[str | None, Key("the name of one of the networks; variants may have others")] = None
    student: Annotated[Student | None, Key("the network that learns from the teacher")] = None
    students: Annotated[dict[Name, Student] | None, Key(STUDENTS, min_length=1)] = None
    variants: Annotated[Variants | None, Key("terms of the loss, which is the sum of weight x term", min_length=1)] = (
        None
    )
    measure: Annotated[MeasureOptions, Key("what is measured of every network, at all its checkpoints")] = field(
        default_factory=MeasureOptions
    )
    saliency: Annotated[SaliencyOptions, Key("maps of what single pixels mean to a network")] = SaliencyOptions()
    compare: Annotated[CompareOptions, Key("of students with their teacher, and of all networks with each other")] = (
        field(default_factory=CompareOptions)
    )
    statistics: Annotated[StatisticsOptions, Key("what is tested")] = StatisticsOptions()
    figures: Annotated[FigureOptions, Key("how figures look; changing it draws them again")] = FigureOptions()
    state_minutes: Annotated[NotNegative, Key(STATES)] = 10.0
    compute: Annotated[ComputeOptions, Key("what jobs ask of the machine or SLURM; changing it reruns nothing")] = (
        ComputeOptions()
    )
