"""Objectives on logits against literal forms of their publications in float64, on awkward logits, and their zeros."""

import numpy as np
import pytest
import torch

from distillation_dynamics.extensions import objectives
from distillation_dynamics.objective import Objective
from losses import size_of, with_defaults

NAMES = ("dkd", "dist", "lskd", "nkd", "wttm")
LABELS = torch.tensor([3, 0, 4, 1, 1, 2])


def logits(seed, images=6, classes=5, scale=3.0):
    return scale * torch.randn(images, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def loss_of(name, **options):
    size = size_of(1)
    return Objective((with_defaults(name, 1.0, **options),), size, [size]).terms[name]


def value(name, student, teacher, labels=LABELS, **options):
    given = {"student_logits": student, "teacher_logits": teacher, "labels": labels}
    return loss_of(name, **options)(**{key: given[key] for key in objectives()[name].takes})


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def kl(p, q):
    return sum(a * np.log(a / b) for a, b in zip(p, q, strict=True))


def pearson(x, y):
    return np.corrcoef(x, y)[0, 1]


def literal_dkd(s, t, labels, alpha, beta, temperature):
    total = 0.0
    for ours, theirs, y in zip(s / temperature, t / temperature, labels, strict=True):
        p, q = softmax(theirs), softmax(ours)
        rest_p, rest_q = (np.delete(x, y) / np.delete(x, y).sum() for x in (p, q))
        total += alpha * kl([p[y], 1 - p[y]], [q[y], 1 - q[y]]) + beta * kl(rest_p, rest_q)
    return temperature**2 * total / len(s)


def literal_nkd(s, t, labels, gamma, temperature):
    total = 0.0
    for ours, theirs, y in zip(s, t, labels, strict=True):
        total -= softmax(theirs)[y] * np.log(softmax(ours)[y])
        rest_p, rest_q = (softmax(np.delete(x, y) / temperature) for x in (theirs, ours))
        total -= gamma * temperature**2 * sum(rest_p * np.log(rest_q))
    return total / len(s)


def literal_dist(s, t, labels, beta, gamma, temperature):
    ours, theirs = (np.array([softmax(x) for x in of / temperature]) for of in (s, t))
    within_image = np.mean([pearson(a, b) for a, b in zip(ours, theirs, strict=True)])
    within_class = np.mean([pearson(a, b) for a, b in zip(ours.T, theirs.T, strict=True)])
    return temperature**2 * (beta * (1 - within_image) + gamma * (1 - within_class))


def literal_lskd(s, t, labels, temperature):
    z = [[(x - x.mean()) / (x.std(ddof=1) + 1e-7) / temperature for x in of] for of in (s, t)]
    return temperature**2 * np.mean([kl(softmax(b), softmax(a)) for a, b in zip(*z, strict=True)])


def literal_wttm(s, t, labels, power):
    total = 0.0
    for ours, theirs in zip(s, t, strict=True):
        raised = softmax(theirs) ** power
        total += raised.sum() * kl(raised / raised.sum(), softmax(ours))
    return total / len(s)


@pytest.mark.parametrize(
    ("name", "literal", "options"),
    [
        ("dkd", literal_dkd, {"alpha": 1.0, "beta": 8.0, "temperature": 4.0}),
        ("dkd", literal_dkd, {"alpha": 0.3, "beta": 0.5, "temperature": 1.0}),
        ("nkd", literal_nkd, {"gamma": 1.5, "temperature": 1.0}),
        ("nkd", literal_nkd, {"gamma": 0.7, "temperature": 3.0}),
        ("dist", literal_dist, {"beta": 1.0, "gamma": 0.4, "temperature": 1.0}),
        ("dist", literal_dist, {"beta": 0.3, "gamma": 1.0, "temperature": 4.0}),
        ("lskd", literal_lskd, {"temperature": 2.0}),
        ("wttm", literal_wttm, {"power": 0.2}),
        ("wttm", literal_wttm, {"power": 1.0}),
    ],
)
def test_a_loss_equals_its_published_form(name, literal, options):
    student, teacher = logits(0), logits(1)
    expected = literal(student.numpy(), teacher.numpy(), LABELS.numpy(), **options)
    assert value(name, student, teacher, **options).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_its_gradient_is_that_of_central_differences(name):
    student, teacher = logits(2).requires_grad_(), logits(3)
    assert torch.autograd.gradcheck(lambda given: value(name, given, teacher), student)


@pytest.mark.parametrize("name", ["dkd", "dist", "lskd"])
def test_it_is_zero_for_a_student_that_says_what_its_teacher_says(name):
    assert value(name, logits(4), logits(4)).item() == pytest.approx(0, abs=1e-7)


def test_what_each_of_them_leaves_out_costs_nothing():
    teacher = logits(5)
    scaled = 0.2 * teacher + torch.arange(6)[:, None]
    assert value("lskd", scaled, teacher).item() == pytest.approx(0, abs=1e-6), "size and offset of an image's logits"
    # Probabilities nearer to equal ones by the same share in each class.
    nearer = (0.7 * teacher.softmax(dim=1) + 0.3 / 5).log()
    assert value("dist", nearer, teacher).item() == pytest.approx(0, abs=1e-9), "scale and offset of probabilities"


def test_soft_distillation_is_a_case_of_them():
    student, teacher, label = logits(6, images=1), logits(7, images=1), torch.tensor([2])
    soft = value("soft", student, teacher, label, temperature=1.0).item()
    unsure = 1 - teacher.softmax(dim=1)[0, 2].item()
    assert value("dkd", student, teacher, label, alpha=1.0, beta=unsure).item() == pytest.approx(soft, rel=1e-9)
    assert value("wttm", student, teacher, label, power=1.0).item() == pytest.approx(soft, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", ["two classes", "one image", "all alike", "very large"])
def test_awkward_logits_give_finite_losses_and_gradients_in_float32(name, case):
    images, classes = {"two classes": (6, 2), "one image": (1, 5)}.get(case, (6, 5))
    student, teacher = (logits(seed, images, classes).float() for seed in (8, 9))
    if case == "all alike":
        student, teacher = torch.zeros_like(student), torch.ones_like(teacher)
    if case == "very large":
        student, teacher = 1e4 * student, 1e4 * teacher
    student.requires_grad_()
    loss = value(name, student, teacher, LABELS[:images] % classes)
    loss.backward()
    assert loss.isfinite() and student.grad.isfinite().all()
