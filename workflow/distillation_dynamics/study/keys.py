"""Every key of a study's configuration with type, default, bounds and meaning. Imports no torch.

Each class is a part of the configuration; parts that jobs receive unchanged are declared in `spec`. pydantic reads a
configuration as `Configuration`, and `make options` writes docs/configuration.md from it. A missing key without a
default is None. The terms of variants and some names come from files of the library.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from ..spec.data import COLUMNS, Columns
from ..spec.faults import SHA256
from ..spec.images import WHITE, Validation
from ..spec.keys import Count, Key, Natural, NotNegative, Percent, Seed, Text
from ..spec.measure import Method, Settings, SharedSettings
from ..spec.networks import Control, Head
from ..spec.training import Recipe
from .compute import ComputeOptions
from .models import Named
from .names import OneOf
from .terms import Terms

# Valid names of networks, variants, image sets and the study; faults.NAME describes them in words.
Name = Annotated[str, Key(pattern="^[A-Za-z0-9]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9_-])?$")]
Paths = Text | Annotated[tuple[Text, ...], Key(min_length=1)]
Sha256 = Annotated[str, Key(pattern=SHA256)]
Means = Annotated[tuple[Annotated[float, Key(ge=-1e4, le=1e4)], ...], Key(min_length=1, max_length=3)]
Deviations = Annotated[tuple[Annotated[float, Key(ge=1e-4, le=1e4)], ...], Key(min_length=1, max_length=3)]
Level = Annotated[int, Key(ge=-100, le=100)]
Origin = Literal["pretrain", "timm", "checkpoint"]
Palette = Literal["bright", "colorblind", "dark", "deep", "muted", "pastel"]

SOURCE = "Reader of the images: Parquet files as Hugging Face ships them, or a folder or .tar of pictures."
TRAIN = "Training images, needed only to train: a path, and for Parquet also a pattern (train-*.parquet) or a list."
TEST = "Test images: a path, and for Parquet also a pattern (test-*.parquet) or a list, read in order."
CLASSES = "Number of classes; default: the images have no labels."
READ_COLUMNS = "Which columns of Parquet files are read."
GROUPS = "Regular expression on image names: images whose matches (or first groups) are equal are one photograph."
LEVEL = "Folder level that names the class: 1 is the top folder, 2 the next, -1 the folder that holds the image."
BROKEN = "Number of unreadable images that may be skipped; with more, the run stops and names them."
BACKGROUND = "Colour behind transparent parts of pictures, a name or #rrggbb."
SPREAD = "Number of validation images {}, balanced over classes; default: {}, or all if there are fewer."
TRUST = "Identifies images by size and modification time instead of content, which is faster for very large sets."
COMPARED = (
    "Pairs of networks to compare: all, or a list of pairs [a, b]; default: all of up to 8 networks, of more each with "
    "the teacher (or first network), with its neighbours in the list and with the same network of another seed."
)
FIRST_SEED = "Metrics computed only for students of the first seed, to save time; they get no interval over seeds."
VIEW = "Preprocessing of images for the student, and for networks without a view of their own."
CROP = "Side of the central crop over the side of the resized image, at evaluation; default: 1."
ORIGIN = (
    "Where the weights come from: pretrain trains here on data.train, timm loads a release, checkpoint reads a file."
)
WEIGHTS = "Weights: hf-hub:owner/name@revision or local-dir:folder for timm, a .safetensors file for checkpoint."
TOP1 = "Expected top-1 accuracy [%] on validation (or test) images; the run stops if the network misses it."
CONTROL = "Control network: fresh weights, fresh weights with LayerScale 1, or its own weights permuted within tensors."
PUBLISHED = "Number of first images of data.test also measured, as in the published code; default: 32, 0 for none."
GRADIENT_LOGS = "Times per training that norm and direction of each term's gradient are logged by block; 0 for never."
BASELINE = "Variant that all others of the same student are compared with; default: the one with the fewest terms."
FAMILIES = (
    "Planned comparisons of variants by family, each family one joint test: [a, b] tests a - b, and [a, b, c, d] tests "
    "(a - b) - (c - d)."
)
STUDENTS = "Several students by name; a variant without `student` trains all of them, each with its own baseline."
VERSIONS = "Whether results computed with another version of torch or timm only give a warning, or are computed again."
COMPUTE = "Resources that each stage asks of the machine or SLURM; changing them (but `teacher`) reruns nothing."
STATES = "Minutes between saved states, from which a stopped training resumes; changing it reruns nothing."


METRICS, PAIR_METRICS = OneOf("metrics"), OneOf("pair_metrics")
Reader = Annotated[str, OneOf("readers")]
Metrics = tuple[Annotated[str, METRICS], ...]
NetworkPairs = Annotated[tuple[Annotated[tuple[Text, ...], Key(min_length=2, max_length=2)], ...], Key(min_length=1)]
PairMetrics = tuple[Annotated[str, PAIR_METRICS], ...]


@dataclass(frozen=True)
class ProbeData:
    """A further image set."""

    source: Annotated[Reader, Key(SOURCE)]
    test: Annotated[Paths, Key(TEST)]
    classes: Annotated[Count | None, Key(CLASSES)] = None
    groups: Annotated[Text | None, Key(GROUPS)] = None
    columns: Annotated[Columns, Key(READ_COLUMNS)] = COLUMNS
    label_depth: Annotated[Level, Key(LEVEL)] = 1
    background: Annotated[Text, Key(BACKGROUND)] = WHITE
    broken_images: Annotated[Natural, Key(BROKEN)] = 0
    images: Annotated[Count | None, Key("Number of its images that are measured, spread evenly; default: all.")] = None


@dataclass(frozen=True)
class StudyData:
    """The images of a study."""

    source: Annotated[Reader, Key(SOURCE)]
    test: Annotated[Paths, Key(TEST)]
    train: Annotated[Paths | None, Key(TRAIN)] = None
    classes: Annotated[Count | None, Key(CLASSES)] = None
    groups: Annotated[Text | None, Key(GROUPS)] = None
    columns: Annotated[Columns, Key(READ_COLUMNS)] = COLUMNS
    label_depth: Annotated[Level, Key(LEVEL)] = 1
    background: Annotated[Text, Key(BACKGROUND)] = WHITE
    broken_images: Annotated[Natural, Key(BROKEN)] = 0
    trust_times: Annotated[bool, Key(TRUST)] = False
    validation: Annotated[
        Validation | None,
        Key("Images held out for every choice; default: none, and networks are measured on the test images."),
    ] = None


@dataclass(frozen=True)
class GivenView:
    """Given parts of the preprocessing; the rest follows from the weights or the study."""

    channels: Annotated[Literal[1, 3] | None, Key("Colour channels of the network's input: 1 for grey, 3 for RGB.")] = (
        None
    )
    image_size: Annotated[
        int | None, Key("Side of the square input image in pixels, a multiple of the patch size.", ge=4, le=10_000)
    ] = None
    mean: Annotated[Means | None, Key("Mean of each channel, subtracted from values between 0 and 1.")] = None
    std: Annotated[Deviations | None, Key("Standard deviation of each channel, by which it is divided.")] = None
    crop_fraction: Annotated[float | None, Key(CROP, ge=0.1, le=1)] = None
    interpolation: Annotated[
        Literal["bilinear", "bicubic"] | None, Key("Interpolation when images are resized; default: bicubic.")
    ] = None
    crop_mode: Annotated[
        Literal["center", "squash", "border"] | None,
        Key("How timm makes an image square: crop, squash, or pad; default: center."),
    ] = None


@dataclass(frozen=True)
class Network:
    """A network and where its weights come from."""

    source: Annotated[Origin, Key(ORIGIN)]
    model: Annotated[Named, Key("The timm model.")]
    recipe: Annotated[Recipe | None, Key("How the network is trained, for source pretrain.")] = None
    label_smoothing: Annotated[
        float, Key("Share of the target spread over all classes when the network is trained.", ge=0, lt=1)
    ] = 0.0
    seed: Annotated[Seed, Key("Seed of initial weights, order of images and control.")] = 0
    weights: Annotated[Text | None, Key(WEIGHTS)] = None
    sha256: Annotated[Sha256 | None, Key("SHA-256 of the weights file, which the run verifies.")] = None
    head: Annotated[
        Head | None, Key("A head for a network without one, so that it can teach logits; default: none.")
    ] = None
    view: Annotated[
        GivenView, Key("Preprocessing of its images; default: timm's for released weights, the study's otherwise.")
    ] = GivenView()
    control: Annotated[Control, Key(CONTROL)] = "untrained"
    without: Annotated[Metrics, Key("Metrics not computed for this network, to save time.", unique=True)] = ()
    expected_top1: Annotated[Percent | None, Key(TOP1)] = None
    tolerance: Annotated[Percent, Key("Largest accepted difference from expected_top1, in percentage points.")] = 1.0


@dataclass(frozen=True)
class Student:
    """A student, its recipe and the epochs whose weights are kept."""

    model: Annotated[Named, Key("The timm model.")]
    recipe: Annotated[Recipe, Key("How the student is trained.")]
    checkpoint_every: Annotated[
        Count, Key("Epochs between measured checkpoints; the untrained and the final one are always kept.")
    ] = 1_000_000
    gradient_logs: Annotated[Natural, Key(GRADIENT_LOGS)] = 20

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """Epochs whose weights are kept: 0 (untrained), every `checkpoint_every`, the last."""
        return tuple(sorted({*range(0, self.recipe.epochs, self.checkpoint_every), self.recipe.epochs}))


@dataclass(frozen=True)
class MeasureOptions(SharedSettings):
    """What is measured of every network."""

    images: Annotated[Count | None, Key(SPREAD.format("measured", 320))] = None
    published_images: Annotated[Natural | None, Key(PUBLISHED)] = None
    metrics: Annotated[
        Metrics, Key("Metrics to compute, files of metrics/; default: all.", min_length=1, unique=True)
    ] = field(default_factory=METRICS.names)
    first_seed_only: Annotated[Metrics, Key(FIRST_SEED, unique=True)] = ()


@dataclass(frozen=True)
class SaliencyOptions:
    """Saliency maps."""

    images: Annotated[Count | None, Key(SPREAD.format("with saliency maps", 4))] = None
    methods: Annotated[tuple[Method, ...], Key("Attribution methods of the maps.", min_length=1, unique=True)] = (
        Settings.methods
    )


@dataclass(frozen=True)
class CompareOptions:
    """Comparison of pairs of networks."""

    images: Annotated[Count | None, Key(SPREAD.format("compared", "1,000"))] = None
    tokens: Annotated[Count, Key("Random tokens per image that enter token CKA; time grows with it.")] = Settings.tokens
    metrics: Annotated[
        PairMetrics, Key("Pair metrics to compute, files of metrics/pairs/; default: all.", unique=True)
    ] = field(default_factory=PAIR_METRICS.names)
    first_seed_only: Annotated[PairMetrics, Key(FIRST_SEED, unique=True)] = ()
    pairs: Annotated[Literal["all"] | NetworkPairs | None, Key(COMPARED)] = None


@dataclass(frozen=True)
class StatisticsOptions:
    """What is tested."""

    baseline: Annotated[str | None, Key(BASELINE)] = None
    families: Annotated[dict[str, tuple[tuple[str, ...], ...]], Key(FAMILIES)] = field(default_factory=dict)


@dataclass(frozen=True)
class FigureOptions:
    """How figures look."""

    palette: Annotated[Palette, Key("Seaborn palette of the figures.")] = "colorblind"
    dpi: Annotated[int, Key("Resolution of PNG figures in dots per inch.", ge=50, le=1200)] = 200


Variants = dict[Name, Annotated[dict[str, Any], Terms()]]


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A study as it is written."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (as pydantic reads it)

    name: Annotated[Name, Key("Name of the study, and of the folder of its results under results/.")]
    package_versions: Annotated[Literal["warn", "rerun"], Key(VERSIONS)] = "warn"
    seeds: Annotated[
        tuple[Seed, ...],
        Key(
            "Random seeds; every variant is trained once per seed, and intervals are over seeds.",
            min_length=1,
            unique=True,
        ),
    ] = (0,)
    data: Annotated[
        StudyData, Key("Images of the study; train and validation are needed only if something is trained.")
    ]
    probes: Annotated[dict[Name, ProbeData], Key("Further image sets on which every network is measured.")] = field(
        default_factory=dict
    )
    view: Annotated[GivenView, Key(VIEW)] = GivenView()
    networks: Annotated[dict[Name, Network], Key("Networks that are measured, by name.")] = field(default_factory=dict)
    teacher: Annotated[str | None, Key("Network that teaches the students, by name; a variant may name another.")] = (
        None
    )
    student: Annotated[Student | None, Key("The network that learns from the teacher.")] = None
    students: Annotated[dict[Name, Student] | None, Key(STUDENTS, min_length=1)] = None
    variants: Annotated[
        Variants | None, Key("Losses to compare, by name; each is a sum of terms, weight x objective.", min_length=1)
    ] = None
    measure: Annotated[MeasureOptions, Key("What is measured of every network at all its checkpoints.")] = field(
        default_factory=MeasureOptions
    )
    saliency: Annotated[
        SaliencyOptions, Key("Saliency maps: how much each pixel matters to the network's prediction.")
    ] = SaliencyOptions()
    compare: Annotated[
        CompareOptions, Key("Comparison of students with their teacher, and of networks with each other.")
    ] = field(default_factory=CompareOptions)
    statistics: Annotated[StatisticsOptions, Key("What is tested.")] = StatisticsOptions()
    figures: Annotated[FigureOptions, Key("Look of the figures; changing it redraws them.")] = FigureOptions()
    state_minutes: Annotated[NotNegative, Key(STATES)] = 10.0
    compute: Annotated[ComputeOptions, Key(COMPUTE)] = field(default_factory=ComputeOptions)
