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
# What a term holds its student against, unless it says otherwise.
TEACHER = "teacher"
# What a term must take whose pairs move on by a gate on CKA.
GATE_TAKES = ("student_features", "teacher_features")
# Updates over which a term that is given a share has just that share; then its weight is fixed.
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

    name: Annotated[OptimizerName, Key("timm's name of it")]
    learning_rate: Annotated[Positive, Key("the largest rate, of an update by one batch", le=1000)]
    weight_decay: Annotated[NotNegative, Key("of weight matrices; biases and scales have none", le=100)] = 0.05
    eps: Annotated[float, Key("added to the denominator of an update", gt=0, le=1)] = 1e-8


@dataclass(frozen=True)
class Schedule:
    """Learning rate over training; `step` says when it moves."""

    name: Annotated[Literal["cosine", "constant"], Key("how the learning rate goes on after the warm-up")]
    warmup_epochs: Annotated[Natural, Key("epochs in which the learning rate rises to its largest; 0: none")] = 0
    warmup_learning_rate: Annotated[NotNegative, Key("learning rate that the warm-up begins with", le=1000)] = 0.0
    minimum_learning_rate: Annotated[NotNegative, Key("learning rate that a cosine ends with", le=1000)] = 0.0
    step: Annotated[Literal["update", "epoch"], Key(STEP)] = "update"


@dataclass(frozen=True)
class Augmentation:
    """Arguments of `timm.data.create_transform`, and how often an image is drawn.

    `views`: so many in all (None: new ones in each epoch); `repeats`: so many in each epoch that shows the image.
    """

    random_erasing: Annotated[Fraction, Key("probability that a part of an image is erased")] = 0.0
    erasing_mode: Annotated[Literal["const", "rand", "pixel"], Key(ERASED)] = "pixel"
    crop_scale: Annotated[tuple[Area, Area], Key("least and largest area of a crop, as parts of an image")] = (
        0.08,
        1.0,
    )
    horizontal_flip: Annotated[Fraction, Key("probability that an image is mirrored")] = 0.5
    color_jitter: Annotated[Jitter, Key("how far brightness, contrast and saturation change; 0: none")] = 0.0
    auto_augment: Annotated[str | None, Key("timm's string, such as rand-m9-mstd0.5-inc1")] = None
    views: Annotated[Count | None, Key(VIEWS)] = None
    repeats: Annotated[Count, Key(REPEATS)] = later(default=1)


@dataclass(frozen=True)
class Mixing:
    """Arguments of `timm.data.Mixup`: each image of a batch is mixed with another one, and so are their labels."""

    mixup: Annotated[NotNegative, Key(MIXUP, le=1000)] = 0.0
    cutmix: Annotated[NotNegative, Key(CUTMIX, le=1000)] = 0.0
    probability: Annotated[float, Key("that images are mixed at all", gt=0, le=1)] = 1.0
    switch_probability: Annotated[Fraction, Key("of cutmix, where there is mixup too")] = 0.5
    mode: Annotated[Literal["batch", "pair", "elem"], Key(MIX_MODE)] = "batch"


@dataclass(frozen=True)
class Average:
    """An exponential moving average of the weights and buffers of a network over its updates, timm's ModelEmaV3.

    It begins with the weights after the first update. What an objective trains is not averaged.
    """

    decay: Annotated[float, Key(DECAY, gt=0, lt=1)]
    warmup: Annotated[bool, Key(WARMUP)] = False


def views_of(augmentation: Augmentation | None) -> int | None:
    """Return how many different views of an image training sees; None when each epoch draws a new one."""
    return 1 if augmentation is None else augmentation.views


@dataclass(frozen=True)
class Recipe:
    """How a model is trained."""

    epochs: Annotated[int, Key("passes over the training images", ge=1, le=100_000)]
    batch_size: Annotated[int, Key("images of an update, over all GPUs of the job", ge=2)]
    optimizer: Annotated[Optimizer, Key("a timm optimiser")]
    schedule: Annotated[Schedule, Key("the learning rate over training")]
    precision: Annotated[
        Literal["float32", "bfloat16"],
        Key("bfloat16: autocast of what is trained; losses and teachers stay in float32"),
    ] = "float32"
    validate_every: Annotated[Count, Key("epochs between validations; the last epoch is always validated")] = 1
    train_images: Annotated[Count | None, Key("images of a fixed class-balanced subset; left out: all")] = None
    clip_gradient_norm: Annotated[float | None, Key(CLIP, ge=1e-6, le=1e6)] = None
    clip_jointly: Annotated[bool, Key("clip both by the norm of both together")] = False
    augmentation: Annotated[Augmentation | None, Key("timm.data.create_transform; left out: none")] = None
    mixing: Annotated[Mixing | None, Key("timm.data.Mixup: mixup, cutmix; left out: none")] = later(default=None)
    ema: Annotated[Average | None, Key(EMA)] = later(default=None)

    @property
    def views(self) -> int | None:
        """How many different views of an image training sees; None when each epoch draws new ones, or mixes images."""
        return None if self.mixing is not None else views_of(self.augmentation)


@dataclass(frozen=True)
class Course:
    """How the weight of a term changes over training: a factor of it, by shares of all updates.

    Of `linear` and `cosine` the factor is the first of `values` up to the first of `between`, goes to the second, and
    stays there; of `constant` it is 1. From `off_after` on the term is off.
    """

    shape: Annotated[Literal["constant", "linear", "cosine"], Key("how the factor of the weight goes")] = "constant"
    values: Annotated[tuple[Factor, Factor], Key("factor of the weight at the begin and at the end")] = (
        1.0,
        1.0,
    )
    between: Annotated[tuple[Fraction, Fraction], Key("shares of the training between which it changes")] = (0.0, 1.0)
    off_after: Annotated[float | None, Key("share of the training after which the term is off", gt=0, lt=1)] = None

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
    """How a term goes through its pairs, one at a time in the order that they are given in.

    By `epoch` each has an equal part of the training. By `cka` the next one comes after an epoch in which the linear
    CKA of the two blocks' mean tokens, mean over its updates, is at least `gate`; the last one stays.
    """

    by: Annotated[Literal["epoch", "cka"], Key("when the next pair comes: equal parts of the epochs, or a gate on CKA")]
    gate: Annotated[float | None, Key("linear CKA, of an epoch, from which on the next pair comes", gt=0, lt=1)] = None


@dataclass(frozen=True)
class TermSpec:
    """One term of a loss: its name in the variant, its objective, options and (student, teacher) pairs of blocks.

    `takes` are the parameters of the objective's `forward`. Of `weight`, `share` (of the loss) and `gradient_share` (of
    the gradients' norm over the student's blocks) one is given. `teacher` is the number of one among the run's teachers
    (None: it takes nothing of one), `target` what stands in its place.
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
