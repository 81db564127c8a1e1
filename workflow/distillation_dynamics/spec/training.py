"""How a network is trained: recipe and terms of the loss."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from .base import later
from .keys import Count, Fraction, Key, Natural, NotNegative, Positive

OptimizerName = Literal["adam", "adamw", "lamb", "lion", "muon", "nadamw", "radam", "sgd"]
Area = Annotated[float, Key(gt=0, le=1)]
Factor = Annotated[float, Key(ge=0, le=1e6)]
Jitter = Annotated[float, Key(ge=0, le=100)]
STEP = "when the rate moves; epoch: after each epoch as published, so that epochs 0 and 1 share a rate"
CLIP = "largest norm of the gradient, of the network and of what the objective trains, each by itself"
ERASED = "what an erased part holds: 0, one random colour, or one for each pixel"
REPEATS = "views of an image among the next images of an epoch, which shows that many times fewer images; DeiT: 3"
# Default target of a term.
TEACHER = "teacher"
# Inputs that a term needs to move through its pairs by a gate on CKA.
GATE_TAKES = ("student_features", "teacher_features")
# Updates over which the weight of a term with a given share is calibrated; then it is fixed.
CALIBRATION_UPDATES = 100
MIXUP = "mixup: how evenly two images are mixed, alpha of a Beta distribution; 0: no mixup; DeiT: 0.8"
CUTMIX = "cutmix: how large a part of an image another one fills, alpha of a Beta distribution; 0: no cutmix; DeiT: 1"
MIX_MODE = "drawn once for a batch, for each pair of its images (both get a part of the other), or for each image"
DECAY = "part of the average that an update leaves; timm: 0.9998. Of n updates it is mostly the last 1 / (1 - decay)"
WARMUP = "decay is at most 1 - (1 + t)^(-2/3) after t updates, so that a short training does not average its beginning"
EMA = "measure an average of the weights over the updates (timm's ModelEmaV3); left out: the weights as trained"
VIEWS = "draw only this many views of an image and reuse them; left out: a new one each epoch"


@dataclass(frozen=True)
class Optimizer:
    """A timm optimiser."""

    name: Annotated[OptimizerName, Key("Optimiser, by its name in timm.")]
    learning_rate: Annotated[
        Positive, Key("Peak learning rate for one batch; it is not scaled with the batch size.", le=1000)
    ]
    weight_decay: Annotated[
        NotNegative, Key("Weight decay of weight matrices; biases and norm scales have none.", le=100)
    ] = 0.05
    eps: Annotated[float, Key("Epsilon in the denominator of adaptive optimisers; rarely changed.", gt=0, le=1)] = 1e-8


@dataclass(frozen=True)
class Schedule:
    """Learning rate over training; `step` says when it changes."""

    name: Annotated[Literal["cosine", "constant"], Key("Course of the learning rate after the warm-up.")]
    warmup_epochs: Annotated[Natural, Key("Epochs of linear warm-up to the peak rate; 0 for none.")] = 0
    warmup_learning_rate: Annotated[NotNegative, Key("Learning rate at the start of the warm-up.", le=1000)] = 0.0
    minimum_learning_rate: Annotated[NotNegative, Key("Learning rate at the end of a cosine schedule.", le=1000)] = 0.0
    step: Annotated[Literal["update", "epoch"], Key(STEP)] = "update"


@dataclass(frozen=True)
class Augmentation:
    """Arguments of `timm.data.create_transform`, and how often an image is augmented.

    `views`: number of views in total (None: new ones in each epoch). `repeats`: number of views per epoch.
    """

    random_erasing: Annotated[Fraction, Key("Probability that a random rectangle of an image is erased.")] = 0.0
    erasing_mode: Annotated[Literal["const", "rand", "pixel"], Key(ERASED)] = "pixel"
    crop_scale: Annotated[
        tuple[Area, Area], Key("Smallest and largest area of a random crop, as shares of the image.")
    ] = (
        0.08,
        1.0,
    )
    horizontal_flip: Annotated[
        Fraction, Key("Probability of a horizontal flip; set 0 where direction matters, as for digits.")
    ] = 0.5
    color_jitter: Annotated[Jitter, Key("Strength of random brightness, contrast and saturation; 0 for none.")] = 0.0
    auto_augment: Annotated[
        str | None, Key("RandAugment or AutoAugment policy as timm writes it, such as rand-m9-mstd0.5-inc1.")
    ] = None
    views: Annotated[Count | None, Key(VIEWS)] = None
    repeats: Annotated[Count, Key(REPEATS)] = later(default=1)


@dataclass(frozen=True)
class Mixing:
    """Arguments of `timm.data.Mixup`, which mixes each image of a batch and its label with another one."""

    mixup: Annotated[NotNegative, Key(MIXUP, le=1000)] = 0.0
    cutmix: Annotated[NotNegative, Key(CUTMIX, le=1000)] = 0.0
    probability: Annotated[float, Key("Probability that images are mixed at all.", gt=0, le=1)] = 1.0
    switch_probability: Annotated[Fraction, Key("Probability of CutMix rather than mixup, when both are on.")] = 0.5
    mode: Annotated[Literal["batch", "pair", "elem"], Key(MIX_MODE)] = "batch"


@dataclass(frozen=True)
class Average:
    """An exponential moving average of the weights and buffers of a network over its updates (timm's ModelEmaV3).

    It starts from the weights after the first update. Parameters of objectives are not averaged.
    """

    decay: Annotated[float, Key(DECAY, gt=0, lt=1)]
    warmup: Annotated[bool, Key(WARMUP)] = False


def views_of(augmentation: Augmentation | None) -> int | None:
    """Return the number of different views of an image in a training; None if each epoch draws a new one."""
    return 1 if augmentation is None else augmentation.views


@dataclass(frozen=True)
class Recipe:
    """How a model is trained."""

    epochs: Annotated[int, Key("Passes over the training images; time grows in proportion.", ge=1, le=100_000)]
    batch_size: Annotated[int, Key("Images per update, over all GPUs; adjust the learning rate with it.", ge=2)]
    optimizer: Annotated[Optimizer, Key("The timm optimiser.")]
    schedule: Annotated[Schedule, Key("The learning rate over training.")]
    precision: Annotated[
        Literal["float32", "bfloat16"],
        Key("Precision of the trained network; bfloat16 (autocast) is faster on GPUs. Losses use float32."),
    ] = "float32"
    validate_every: Annotated[Count, Key("Epochs between validations; the last epoch is always validated.")] = 1
    train_images: Annotated[
        Count | None, Key("Size of a fixed, class-balanced subset of the training images; default: all.")
    ] = None
    clip_gradient_norm: Annotated[float | None, Key(CLIP, ge=1e-6, le=1e6)] = None
    clip_jointly: Annotated[bool, Key("Clips network and objective by their joint norm instead of separately.")] = False
    augmentation: Annotated[Augmentation | None, Key("Augmentation by timm.data.create_transform; default: none.")] = (
        None
    )
    mixing: Annotated[Mixing | None, Key("Mixing of images and labels by timm.data.Mixup; default: none.")] = later(
        default=None
    )
    ema: Annotated[Average | None, Key(EMA)] = later(default=None)

    @property
    def views(self) -> int | None:
        """Number of different views of an image in a training; None if each epoch draws new ones or mixes images."""
        return None if self.mixing is not None else views_of(self.augmentation)


@dataclass(frozen=True)
class Course:
    """Factor of a term's weight over training, as a function of the share of all updates.

    `linear`, `cosine`: the factor is `values[0]` until `between[0]`, then goes to `values[1]` at `between[1]` and stays
    there. `constant`: it is 1. From `off_after` on it is 0.
    """

    shape: Annotated[
        Literal["constant", "linear", "cosine"],
        Key("Shape of the factor that multiplies the term's weight during training."),
    ] = "constant"
    values: Annotated[tuple[Factor, Factor], Key("Factor of the weight before and after the change.")] = (
        1.0,
        1.0,
    )
    between: Annotated[tuple[Fraction, Fraction], Key("Start and end of the change, as shares of the training.")] = (
        0.0,
        1.0,
    )
    off_after: Annotated[
        float | None, Key("Share of the training after which the term is off; default: never.", gt=0, lt=1)
    ] = None

    def factor(self, progress: float) -> float:
        """Return the factor of the weight after a share of the training."""
        if self.off_after is not None and progress >= self.off_after:
            return 0.0
        if self.shape == "constant":
            return 1.0
        first, last = self.between
        part = min(1.0, max(0.0, (progress - first) / (last - first)))
        if self.shape == "cosine":
            part = (1 - math.cos(math.pi * part)) / 2
        return self.values[0] + part * (self.values[1] - self.values[0])


@dataclass(frozen=True)
class Moves:
    """How a term aligns its pairs one after another, in the given order.

    `epoch`: each pair gets an equal part of the training. `cka`: the next pair follows an epoch in which the linear CKA
    of the two blocks' mean tokens, averaged over updates, is at least `gate`; the last pair stays.
    """

    by: Annotated[
        Literal["epoch", "cka"],
        Key("When the next pair is aligned: after equal parts of the epochs, or once CKA passes the gate."),
    ]
    gate: Annotated[
        float | None,
        Key("Linear CKA, averaged over an epoch, at which `moves.by: cka` goes on to the next pair.", gt=0, lt=1),
    ] = None


@dataclass(frozen=True)
class TermSpec:
    """One term of a loss: its name in the variant, its objective, options and (student, teacher) pairs of blocks.

    `takes`: parameters of the objective's `forward`. Exactly one of `weight`, `share` (of the loss) and
    `gradient_share` (of the gradient norms over the student's blocks) is given. `teacher`: number of the run's teacher,
    None if the term needs none. `target`: what replaces the teacher.
    """

    name: str
    objective: str
    takes: tuple[str, ...]
    options: dict[str, Any]
    weight: float | None = None
    share: float | None = None
    gradient_share: float | None = None
    course: Course | None = None
    pairs: tuple[tuple[int, int], ...] = ()
    moves: Moves | None = None
    reduction: str = "mean"
    target: str = TEACHER
    teacher: int | None = None
