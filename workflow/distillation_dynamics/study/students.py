"""The students of a configuration and the arms of its variants. Imports no torch."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import nearest
from ..spec.faults import said
from ..spec.tables import WHO, Arm
from .keys import Configuration, Student
from .study import STUDENT

# Names in the tables are also names of files.
LONGEST = 64


def students_of(config: Configuration) -> dict[str, Student]:
    """Return the students of a study by name; an unnamed one is called STUDENT."""
    if config.students is not None:
        return config.students
    return {} if config.student is None else {STUDENT: config.student}


def key_of(config: Configuration, student: str) -> str:
    """Return the configuration key of a student."""
    return STUDENT if config.students is None else f"students.{student}"


def terms_of(variant: Mapping[str, Any]) -> dict[str, Any]:
    """Return the terms of a variant as written, without its student and teacher."""
    return {name: term for name, term in variant.items() if name not in WHO}


def arms_of(config: Configuration) -> list[tuple[str, Arm]]:
    """Return the arms of a study with their names in the tables, which may repeat in an invalid study.

    A variant without `student` trains all of them; with several students, their names are part of the arms' names.
    """
    students = students_of(config)
    found = []
    for variant, given in (config.variants or {}).items():
        teacher = given.get("teacher") or config.teacher or ""
        for student in students if "student" not in given else [given["student"]]:
            alone = "student" in given or len(students) == 1
            found.append((variant if alone else f"{variant}-{student}", Arm(variant, student, teacher)))
    return found


def student_faults(config: Configuration) -> Iterator[str]:
    """Yield a sentence for each missing or unused student, teacher or baseline."""
    students, variants = students_of(config), config.variants or {}
    if config.student is not None and config.students is not None:
        yield "student, students: are both given, and student is the short form of one; put it among students"
        return
    for name in students if config.students is not None else ():
        for network in config.networks:
            if name.lower() == network.lower():
                yield f"students.{name}: is also the name of a network; rename one"
    for variant, given in variants.items():
        if "student" in given and (student := given["student"]) not in students:
            yield f"variants.{variant}.student: there is no student {said(student)}; {nearest(student, students)}"
        if "teacher" in given and (teacher := given["teacher"]) not in config.networks:
            known = nearest(teacher, config.networks)
            yield f"variants.{variant}.teacher: there is no network {said(teacher)}; {known}"
        for name, term in terms_of(given).items():
            if "teacher" in term and (teacher := term["teacher"]) not in config.networks:
                known = nearest(teacher, config.networks)
                yield f"variants.{variant}.{name}.teacher: there is no network {said(teacher)}; {known}"
    arms, baseline = arms_of(config), config.statistics.baseline
    for name in students if variants else ():
        own = [arm.variant for _, arm in arms if arm.student == name]
        if not own:
            yield f"{key_of(config, name)}: no variant trains it; remove it, or leave `student` out of one"
        elif baseline in variants and baseline not in own:
            yield (
                f"statistics.baseline: variant {baseline} does not train student {name}; leave `student` out of it, or "
                "leave the baseline out"
            )
    names = [name for name, _ in arms]
    for family, comparisons in config.statistics.families.items():
        for of in comparisons:
            key = f"statistics.families.{family}"
            if len(of) not in (2, 4) or len(set(of)) < len(of):
                yield f"{key}: {list(of)} must be two or four different variants"
            for name in of:
                if name not in names:
                    yield f"{key}: there is no variant {said(name)} in the tables; {nearest(name, names)}"
        if not comparisons or len(set(comparisons)) < len(comparisons):
            yield f"statistics.families.{family}: must hold different comparisons"
    for name, arm in arms:
        if len(name) > LONGEST:
            yield f"variants.{arm.variant}: its arm {name} has a name of more than {LONGEST} characters; shorten one"
