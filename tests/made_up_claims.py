"""Made-up tables for the claims, and the row of one claim, whose sentence may have no more than 25 words."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pandas as pd

from distillation_dynamics import extensions
from distillation_dynamics.questions import claims
from distillation_dynamics.questions.claims import _finding
from distillation_dynamics.spec.base import From
from distillation_dynamics.spec.tables import Arm, Setting, Trained
from distillation_dynamics.statistics.evidence import Evidence
from losses import term as term_of
from made_up import names

SOFT = (term_of("cross_entropy", 0.1), term_of("soft", 0.9))


def term(place, objective="spectral", weight=0.2, **more):
    """Soft distillation and one aligned pair, of students of 4 and a teacher of 8 blocks."""
    return (*SOFT, term_of(objective, weight, pairs=[(0, 0)] if place == "first" else [(3, 7)], **more))


TERMS = {
    "soft": SOFT,
    "first": term("first"),
    "last": term("last"),
    "last_low": term("last", weight=0.02),
    "p_last": term("last", "projector"),
    "last_zero": term("last", target="zero"),
    "last_permuted": term("last", target="permuted"),
    "both": (*SOFT, term_of("spectral", 0.2, pairs=[(0, 0), (3, 7)])),
}
NETWORKS = ("cait", "vit", "resnet")


def who_of(terms):
    """A study of three networks whose one student has these variants."""
    return replace(names(NETWORKS, tuple(terms), teacher="cait"), baselines={"student": "soft"})


def setting_of(terms, epochs=5):
    """Students of four blocks, taught by a network of eight."""
    arms = {name: Trained("vit", "cait", (4, 8), epochs, own) for name, own in terms.items()}
    return Setting(arms, 10, From("key", files=()))


WHO, SETTING = who_of(TERMS), setting_of(TERMS)


def of_students(*students):
    """Who is in a study of several students, and what they are: each has soft and all else of TERMS."""
    own = {f"{student}_{name}": (student, terms) for student in students for name, terms in TERMS.items()}
    arms = {name: Arm(name.removeprefix(f"{s}_"), s, "cait") for name, (s, _) in own.items()}
    who = replace(WHO, arms=arms, baselines={student: f"{student}_soft" for student in students})
    return who, setting_of({name: terms for name, (_, terms) in own.items()})


def alone(*networks):
    """A study of these networks and no students."""
    return names(networks, teacher=None)


def rows_of(tables, who=WHO, setting=SETTING):
    """The rows of all claims, by letter; that on convolutions has none."""
    found = claims.tables(Evidence(tables, who, setting))["claims"]
    for row in found.to_dict("records"):
        checked(row)
    return found.set_index("letter")


def checked(row):
    """A row whose verdict is one of four words, and whose sentence is one and short."""
    assert row["verdict"] in _finding.VERDICTS and row["sentence"].endswith(".")
    assert len(row["sentence"].split()) <= _finding.MOST_WORDS, row["sentence"]
    return row


def look(letter, tables, who=WHO, setting=SETTING):
    """What is found of one claim."""
    (name,) = (name for name, claim in extensions.claims().items() if claim.letter == letter)
    module = import_module(f"distillation_dynamics.questions.claims.{name}")
    return checked(module.look(Evidence(tables, who, setting))._asdict())


def differences(seeds=20, **given):
    """Rows of differences.parquet: variant -> (mean, standard deviation) over seeds in points, both exact."""
    rows = []
    for number, (name, (mean, deviation)) in enumerate(given.items()):
        values = np.random.default_rng(number).permutation(np.linspace(-1, 1, seeds)) if seeds > 1 else np.zeros(1)
        if seeds > 1:
            values = (values - values.mean()) / values.std(ddof=1)
        rows += [{"variant": name, "seed": seed, "difference": mean + deviation * v} for seed, v in enumerate(values)]
    return pd.DataFrame(rows, columns=["variant", "seed", "difference"])


def doses(**shares):
    """Rows of effects.parquet."""
    return pd.DataFrame({"variant": list(shares), "share_first": list(shares.values())})


def gradients(**shares):
    """Rows of doses.parquet."""
    rows = [{"variant": name, "pairs": "0-0", "epoch": 1, "gradient_share": share} for name, share in shares.items()]
    return pd.DataFrame(rows)


def attention(**kinds):
    """Rows of depth.parquet that say which networks have attention."""
    return pd.DataFrame([{"network": name, "attention_entropy": 1.0 if has else np.nan} for name, has in kinds.items()])
