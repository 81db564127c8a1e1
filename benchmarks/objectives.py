"""What a training step costs with each objective, as a ratio to one with `soft`; writes objectives.json beside it.

    python benchmarks/objectives.py [--threads 1] [--batch 32] [--rounds 3] [--only attention soft]

A step is the library's own: the teacher's answer, the student's forward and backward pass, clipping and the optimiser,
with cross-entropy and one objective at its defaults, on the last pair of blocks. ViT-S/16 teaches DeiT-Tiny: random
weights, random images of 224 pixels, float32. Processor time of all threads; each takes its turn in every round, the
first, uncounted step of each apart, and the least time counts. `docs/objectives.md` shows the ratios. With `--only`
the others stay as they were measured in the same setting.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))
from distillation_dynamics.extensions import Objective as Declared
from distillation_dynamics.extensions import objectives
from distillation_dynamics.networks.build import build
from distillation_dynamics.networks.parts import say_alike, size_of
from distillation_dynamics.objective import Objective
from distillation_dynamics.spec.images import View
from distillation_dynamics.spec.network import Model
from distillation_dynamics.spec.training import Optimizer, Recipe, Schedule, TermSpec
from distillation_dynamics.training.member import Member

OUT = Path(__file__).with_suffix(".json")
VIEW = View(channels=3, image_size=224, mean=(0.5,) * 3, std=(0.25,) * 3)
STUDENT, TEACHER, CLASSES, LAST = "deit_tiny_patch16_224", "vit_small_patch16_224", 1000, (11, 11)
REFERENCE, LABELS = "soft", "cross_entropy"


def made(name: str) -> nn.Module:
    """Return a network with random weights, always the same."""
    torch.manual_seed(0)
    return build(Model(name, {}, "timm", CLASSES), VIEW)


def term(name: str, objective: Declared) -> TermSpec:
    """Return a term of an objective at its defaults, of weight 1."""
    options = {key: option.default for key, option in objective.options.items() if option.default is not None}
    pairs, teacher = (LAST,) if objective.by_block else (), 0 if objective.taught else None
    return TermSpec(name, name, objective.takes, options, weight=1.0, pairs=pairs, teacher=teacher)


class Step:
    """A step to be timed, with the least seconds that it has taken."""

    def __init__(self, name: str, teacher: nn.Module, recipe: Recipe):
        known = objectives()
        terms = tuple(term(one, known[one]) for one in dict.fromkeys((LABELS, name)))
        student, image = made(STUDENT), torch.zeros(1, VIEW.channels, VIEW.image_size, VIEW.image_size)
        with torch.no_grad():
            sizes = [size_of(network.eval(), image) for network in (student, teacher)]
        self.member = Member(student, Objective(terms, sizes[0], sizes[1:]), 0, [0])
        self.member.begin(recipe, 10**6, torch.device("cpu"))
        self.member.trainable.train()
        self.teacher, self.recipe, self.seconds = teacher, recipe, float("inf")

    def run(self, pixels: torch.Tensor, labels: torch.Tensor) -> None:
        """Make one step and keep its time if it is the least."""
        start = time.process_time()
        with torch.no_grad():
            said = [say_alike(self.teacher, pixels, self.member.asks().get(0, []))]
        self.member.update((pixels, labels, labels), said, self.recipe, None)
        self.seconds = min(self.seconds, time.process_time() - start)


def main() -> None:
    """Time the steps in turn, print the ratios and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("threads", 1), ("batch", 32), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--only", nargs="+", choices=sorted(objectives()))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recipe = Recipe(1, arguments.batch, Optimizer("adamw", 1e-3), Schedule("cosine"), clip_gradient_norm=1.0)
    torch.manual_seed(0)
    pixels = torch.randn(arguments.batch, VIEW.channels, VIEW.image_size, VIEW.image_size)
    labels = torch.randint(CLASSES, (arguments.batch,))
    teacher = made(TEACHER).eval().requires_grad_(False)
    names = dict.fromkeys([REFERENCE, *(arguments.only or objectives())])
    steps = {name: Step(name, teacher, recipe) for name in names}
    for step in steps.values():
        step.run(pixels, labels)
        step.seconds = float("inf")
    for _ in range(arguments.rounds):
        for step in steps.values():
            step.run(pixels, labels)
    ratios = {name: round(step.seconds / steps[REFERENCE].seconds, 3) for name, step in sorted(steps.items())}
    setting = (
        f"{TEACHER} teaches {STUDENT}, {arguments.batch} images of {VIEW.image_size} pixels, float32 on "
        f"{arguments.threads} thread{'s' * (arguments.threads > 1)} of a CPU, least of {arguments.rounds} rounds"
    )
    print(json.dumps(ratios, indent=2))
    if arguments.only is not None:
        before = json.loads(OUT.read_text(encoding="utf-8"))
        if before["setting"] != setting:
            raise SystemExit(f"{OUT} was measured in another setting ({before['setting']}); leave --only out")
        ratios = before["ratios"] | ratios
    OUT.write_text(
        json.dumps({"setting": setting, "ratios": ratios}, indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
