"""Terms of losses and tables of accuracies, made up for the tests of what variants do."""

from dataclasses import fields

import pandas as pd

from distillation_dynamics import extensions
from distillation_dynamics.spec.network import BlockSize, NetworkSize
from distillation_dynamics.spec.tables import Names
from distillation_dynamics.spec.teacher_outputs import NO_BLOCK
from distillation_dynamics.spec.training import TermSpec
from frames import frame
from made_up import arms

FIRST, LAST = ((0, 0),), ((3, 5),)
LOGITS = ("logits", NO_BLOCK)


# Fields of a term that are no options of its objective.
OWN = {field.name for field in fields(TermSpec)} - {"options", "takes", "objective"}


def term(objective, weight=None, **given):
    """A term as a study makes it, of the first teacher if it takes anything of one; `given`: its fields and options."""
    known = extensions.objectives()[objective]
    own = {key: value for key, value in given.items() if key in OWN}
    options = {key: value for key, value in given.items() if key not in OWN}
    own = {"name": objective, "teacher": 0 if known.taught else None} | own
    if "pairs" in own:
        own["pairs"] = tuple(map(tuple, own["pairs"]))
    return TermSpec(objective=objective, takes=known.takes, options=options, weight=weight, **own)


def with_defaults(objective, weight=None, **given):
    """A term with the defaults of its objective."""
    defaults = {name: option.default for name, option in extensions.objectives()[objective].options.items()}
    return term(objective, weight, **defaults | given)


def cross_entropy(weight=0.1, label_smoothing=0.1):
    return term("cross_entropy", weight, label_smoothing=label_smoothing)


def soft(weight=0.9, temperature=1):
    return term("soft", weight, temperature=temperature)


def hard(weight=0.9):
    return term("hard", weight)


def aligning(pairs, objective="spectral", weight=0.2, share=None, **given):
    """A term that aligns pairs of blocks."""
    return term(objective, weight if share is None else None, pairs=pairs, share=share, **given)


def size_of(channels, blocks=1, side=4, classes=5, **more):
    """The sizes of a network of equal blocks."""
    return NetworkSize(classes, channels, (BlockSize(channels, side, side, **more),) * blocks)


SOFT = (cross_entropy(), soft())


def with_pairs(pairs, **more):
    """The terms of a variant that adds one term with pairs to soft."""
    return (*SOFT, aligning(pairs, **more))


def runs_of(**top1):
    """A table of runs: variant -> accuracies of seeds 0, 1, ... (None: no run)."""
    rows = [{"network": "cait", "seed": None, "test_top1": 90.0}]
    for variant, values in top1.items():
        rows += [
            {"network": variant, "seed": seed, "test_top1": value}
            for seed, value in enumerate(values)
            if value is not None
        ]
    return frame(rows)


def curves_of(accuracy):
    """Training curves: variant -> for each seed the validation top-1 of epochs 1, 2, ... (NaN: not measured)."""
    rows = [{"network": "cait", "seed": None, "epoch": 99, "validation_top1": 90.0}]
    for variant, seeds in accuracy.items():
        for seed, values in enumerate(seeds):
            for epoch, value in enumerate(values, start=1):
                rows.append({"network": variant, "seed": seed, "epoch": epoch, "validation_top1": value})
    return frame(rows)


def who(runs, baseline="soft", teacher="cait"):
    """Everyone in a table of runs but the network cait is a variant."""
    students = tuple(name for name in dict.fromkeys(runs["network"]) if name != "cait")
    return Names(("cait",), {}, teacher, arms(*students, teacher=teacher), {"student": baseline})


def shares_of(**shares):
    """A table of terms: variant -> (share in epoch 1, share in epoch 2) of its spectral term, of two seeds."""
    rows = []
    for variant, values in shares.items():
        for seed in (0, 1):
            for epoch, share in enumerate(values, start=1):
                row = {"network": variant, "seed": seed, "epoch": epoch, "value": 1.0, "weight": 0.2}
                rows.append(row | {"term": "spectral", "share": share + 0.01 * (2 * seed - 1)})
    return pd.DataFrame(rows, columns=["network", "seed", "epoch", "term", "value", "weight", "share"])
