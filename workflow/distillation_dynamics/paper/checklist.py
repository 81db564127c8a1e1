"""A draft of the reproducibility checklists of NeurIPS and AAAI, filled in from what a study records.

In: what `study.json` holds, and the tables. Out: LaTeX. Each answer says what it rests on; what no record tells is left
to the authors by name, and what was not recorded is called so.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from ..spec.tables import Names
from ..statistics.report.header import counted, hours
from ..statistics.report.words import listed, plural
from ..statistics.thresholds import FEWEST_SEEDS
from .latex import words

YES, PARTLY, NO, NOT_APPLICABLE, AUTHORS = "yes", "partly", "no", "not applicable", "for the authors to answer"
MISSING = "Not recorded: study.json is missing."
# What no record can tell. List, item -> what the authors should look at.
LEFT_TO_AUTHORS = {
    ("NeurIPS", "Limitations are discussed"): "The report's section on what this study can show lists what it cannot.",
    ("NeurIPS", "Theory: assumptions and proofs"): "The study is of measurements; it holds no proof.",
    ("NeurIPS", "Open access to data and code"): "Whether both are published is not recorded.",
    ("NeurIPS", "Code of ethics, broader impacts, safeguards"): "Not recorded.",
    ("NeurIPS", "Crowdsourcing and human subjects"): "Not recorded; the workflow asks no person for anything.",
    ("NeurIPS", "Use of large language models"): "Not recorded.",
    (
        "AAAI",
        "How hyper-parameters were chosen, and how many were tried",
    ): "Not recorded: a study holds the final ones.",
    ("AAAI", "Images are publicly available, and cited"): "Not recorded; references.bib cites those that it knows.",
}
Tables = Mapping[str, pd.DataFrame]


class Answer(NamedTuple):
    """One item of a checklist: whose, what is asked, what is answered, and what the answer rests on."""

    whose: str
    asked: str
    answer: str
    why: str


def document(study: dict[str, Any] | None, tables: Tables, names: Names) -> str:
    """Return checklist.tex; `study` is what study.json holds, None where it is not there."""
    found = list(answers(study, tables, names))
    lines = [r"\paragraph{Reproducibility checklist (draft).} Filled in from the records of the study."]
    for whose in dict.fromkeys(one.whose for one in found):
        lines += ["", rf"\noindent {whose}:", r"\begin{itemize}"]
        lines += [
            rf"\item {words(one.asked)}: \textbf{{{words(one.answer)}}}. {words(one.why)}"
            for one in found
            if one.whose == whose
        ]
        lines.append(r"\end{itemize}")
    return "\n".join(lines) + "\n"


def answers(study: dict[str, Any] | None, tables: Tables, names: Names) -> Iterator[Answer]:
    """Yield the items, those of NeurIPS before those of AAAI."""
    variation, evidence = _variation(tables, names)
    every = [
        Answer("NeurIPS", "Claims match what was found", AUTHORS, _claims(tables)),
        Answer("NeurIPS", "Results can be reproduced", *_reproducible(study)),
        Answer("NeurIPS", "Settings and details", *_settings(study)),
        Answer("NeurIPS", "Error bars and significance", variation, evidence),
        Answer("NeurIPS", "Compute", *_compute(study, tables)),
        Answer("NeurIPS", "Licences of existing assets", PARTLY if study else NO, _assets(study)),
        Answer("NeurIPS", "New assets are documented", *_new_assets(names)),
        Answer("AAAI", "Number of runs behind each result", YES, f"{counted(tables['runs'])}; tables say n."),
        Answer("AAAI", "Seeds", *_seeds(study, tables)),
        Answer("AAAI", "Final hyper-parameters are listed", *_settings(study)),
        Answer("AAAI", "Infrastructure: hardware and software", *_infrastructure(study)),
        Answer("AAAI", "Variation and tests, not means alone", variation, evidence),
        *(Answer(*item, AUTHORS, why) for item, why in LEFT_TO_AUTHORS.items()),
    ]
    yield from sorted(every, key=lambda one: one.whose != "NeurIPS")


def _claims(tables: Tables) -> str:
    claims = tables.get("claims")
    if claims is None or claims.empty:
        return "No claim was looked at."
    counts = claims["verdict"].value_counts()
    return (
        f"Of {plural(len(claims), 'published claim')}: {listed([f'{n} {verdict}' for verdict, n in counts.items()])}."
    )


def _reproducible(study: dict[str, Any] | None) -> tuple[str, str]:
    if study is None:
        return NO, MISSING
    commit = study.get("commit")
    if commit is None:
        return (
            PARTLY,
            "Configuration, hashes of images, weights and code, and versions are recorded; the commit is not.",
        )
    clean = "" if commit["clean"] else ", with changes that are not committed (their hashes are recorded)"
    return (YES if commit["clean"] else PARTLY), (
        f"Commit {commit['hash']}{clean}; configuration with all defaults, hashes of images, weights and code, and "
        "versions are in study.json. Equal seeds give equal bytes on one kind of CPU with equal thread counts; on "
        "others numbers may differ."
    )


def _settings(study: dict[str, Any] | None) -> tuple[str, str]:
    return (NO, MISSING) if study is None else (YES, "Methods (methods.tex), and all of it in study.json.")


def _variation(tables: Tables, names: Names) -> tuple[str, str]:
    """Return whether variation is reported, and of what."""
    runs = tables["runs"]
    seeds = runs.loc[runs["seed"] >= 0, "seed"].nunique()
    if not names.variants:
        return PARTLY, "Intervals over images; networks are one run each, so that nothing tells of other trainings."
    if seeds == 1:
        return NO, "One seed: no interval of training; the binomial noise of the test images is stated."
    text = f"95 % t intervals over {seeds} seeds, of other trainings by this one teacher"
    variants = tables.get("variants")
    tested = variants is not None and (variants["joint_seeds"] >= FEWEST_SEEDS).any()
    if not tested:
        return PARTLY, f"{text}; no test of variants was made, which takes {FEWEST_SEEDS} seeds and two variants."
    return YES, f"{text}; all variants in one joint sign-flip test, with the effects that it finds with 80 % power."


def _compute(study: dict[str, Any] | None, tables: Tables) -> tuple[str, str]:
    machine = "" if study is None else f" Machine: {study['machine']['processor']}, {study['machine']['cores']} cores."
    return PARTLY, (
        f"Hours of training: {hours(tables['cost'])}.{machine} Memory, the kind of GPU, hours of measuring and those "
        "of runs that are not in the study are not recorded here."
    )


def _assets(study: dict[str, Any] | None) -> str:
    if study is None:
        return MISSING
    networks = study["configuration"]["networks"]
    weights = [network["weights"] for network in networks.values() if "weights" in network]
    released = f"Weights from elsewhere: {listed(weights)}." if weights else "No weights from elsewhere."
    return f"{released} Licences of images and weights are not recorded."


def _new_assets(names: Names) -> tuple[str, str]:
    if not names.variants:
        return NOT_APPLICABLE, "No student was trained."
    return YES, "A model card with numbers, intervals and data is written beside weights that are shared (make bundle)."


def _seeds(study: dict[str, Any] | None, tables: Tables) -> tuple[str, str]:
    runs = tables["runs"]
    seeds = sorted(set(runs.loc[runs["seed"] >= 0, "seed"]))
    own = {} if study is None else study["configuration"]["networks"]
    networks = sorted({network["seed"] for network in own.values() if "recipe" in network})
    parts = [f"students {', '.join(map(str, seeds))}"] * bool(seeds)
    parts += [f"networks that were trained here {', '.join(map(str, networks))}"] * bool(networks)
    return (YES, f"Seeds: {'; '.join(parts)}.") if parts else (NOT_APPLICABLE, "Nothing was trained here.")


def _infrastructure(study: dict[str, Any] | None) -> tuple[str, str]:
    if study is None:
        return NO, MISSING
    machine = study["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in study["versions"].items())
    system = f"{machine['system']}, {machine['processor']}, {machine['cores']} cores"
    return PARTLY, f"{system}; {versions}. Memory and the kind of GPU are not recorded."
