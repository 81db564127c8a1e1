"""Objectives on class tokens, attention and values against literal loops in float64, and on awkward input."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from distillation_dynamics.errors import StudyError
from distillation_dynamics.spec.network import BlockSize
from helpers import changed, load, smoke_config
from terms import STUDENT, TEACHER, made


def random(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tokens_of(size):
    return size.classes + size.registers + size.rows * size.columns


def maps(seed, size, images=3, scale=2.0):
    count = tokens_of(size)
    return (scale * random(seed, images, size.heads, count, count)).softmax(dim=-1)


def block(channels=6, classes=1, registers=0, heads=2):
    return BlockSize(channels, 3, 4, classes, registers, heads, channels)


def kept(size, classes, registers):
    """Numbers of the tokens that stay of a block, written out."""
    prefix = [*range(classes), *(size.classes + number for number in range(registers))]
    return prefix + [size.classes + size.registers + place for place in range(12)]


# Student, teacher, and how many class tokens and registers both have.
CASES = {
    "equal": (block(), block(10), 1, 0),
    "teacher of patches alone": (block(), block(10, classes=0), 0, 0),
    "student of patches alone": (block(classes=0), block(10), 0, 0),
    "a distillation token": (block(classes=2), block(10), 1, 0),
    "registers": (block(registers=1), block(10, classes=2, registers=4), 1, 1),
    "patches alone": (block(classes=0), block(10, classes=0), 0, 0),
}
HEADS = [(2, 2), (2, 4), (6, 3), (4, 6), (1, 5)]


def grouped(attention, fewest):
    size = attention.shape[1] // fewest
    return np.stack(
        [attention[:, first : first + size].mean(axis=1) for first in range(0, fewest * size, size)], axis=1
    )


def literal_attention(ours, theirs, pair, classes, registers):
    counts = ours.shape[1], theirs.shape[1]
    fewest = min(counts) if max(counts) % min(counts) == 0 else 1
    ours, theirs = (grouped(of.numpy(), fewest) for of in (ours, theirs))
    found = []
    for image in range(len(ours)):
        for head in range(fewest):
            for query in zip(*(kept(size, classes, registers) for size in pair), strict=True):
                rows = []
                for of, size, place in zip((ours, theirs), pair, query, strict=True):
                    row = of[image, head, place, kept(size, classes, registers)]
                    rows.append(row / sum(row))
                found.append(sum(a * math.log(a / b) for b, a in zip(*rows, strict=True)))
    return np.mean(found)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("mask_prefix", [False, True])
def test_attention_is_the_divergence_of_rows_of_matched_heads_over_tokens_both_have(case, heads, mask_prefix):
    *pair, classes, registers = CASES[case]
    pair = [replace(size, heads=count) for size, count in zip(pair, heads, strict=True)]
    if mask_prefix:
        classes, registers = 0, 0
    term, given = made("attention", pair, mask_prefix=mask_prefix), [maps(n, size) for n, size in enumerate(pair)]
    expected = literal_attention(*given, pair, classes, registers)
    assert term(0, *given).item() == pytest.approx(expected, rel=1e-9)


def literal_relation(values, heads, tokens):
    """[B, heads, N, N], value by value."""
    images, width = len(values), values.shape[2] // heads
    found = np.empty((images, heads, len(tokens), len(tokens)))
    for image in range(images):
        for head in range(heads):
            own = [values[image, token, head * width : (head + 1) * width].numpy() for token in tokens]
            for row, a in enumerate(own):
                weights = np.exp([sum(a * b) / math.sqrt(width) for b in own])
                found[image, head, row] = weights / sum(weights)
    return found


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("heads", "given", "used"), [((3, 6), None, 3), ((4, 6), None, 2), ((6, 6), 4, 4), ((1, 6), None, 1)]
)
def test_value_relation_is_the_divergence_of_scaled_products_of_values(case, heads, given, used):
    *pair, classes, registers = CASES[case]
    pair = [replace(s, heads=n, values=c) for s, n, c in zip(pair, heads, (12, 24), strict=True)]
    options = {} if given is None else {"heads": given}
    values = [random(n, 3, tokens_of(size), size.values) for n, size in enumerate(pair)]
    tokens = [kept(size, classes, registers) for size in pair]
    b, a = (literal_relation(of, used, places) for of, places in zip(values, tokens, strict=True))
    expected = np.mean(np.sum(a * np.log(a / b), axis=-1))
    assert made("value_relation", pair, **options)(0, *values).item() == pytest.approx(expected, rel=1e-9)


def test_relation_heads_that_do_not_divide_a_width_are_refused():
    with pytest.raises(
        StudyError, match="value_relation: 4 heads do not divide the widths 6 and 10; give heads that do"
    ):
        made("value_relation", heads=4)


@pytest.mark.parametrize(("own", "taught"), [(1, 1), (2, 1), (1, 2), (2, 2)])
@pytest.mark.parametrize("kind", ["trained", "frozen", "orthogonal"])
def test_class_token_is_the_mean_squared_error_of_mapped_class_tokens(own, taught, kind):
    term = made("class_token", (block(classes=own), block(10, classes=taught)), projector=kind)
    student, teacher = random(0, 4, own, 6), random(1, 4, taught, 10)
    layer, both = term.projections[0], min(own, taught)
    bias = 0 if layer.bias is None else layer.bias.detach().numpy()
    errors = []
    for image in range(4):
        for token in range(both):
            projected = layer.weight.detach().numpy() @ student[image, token].numpy() + bias
            errors.extend((projected - teacher[image, token].numpy()) ** 2)
    loss = term(0, student.requires_grad_(), teacher)
    assert loss.item() == pytest.approx(np.mean(errors), rel=1e-9)
    loss.backward()
    assert student.grad[:, :both].abs().sum() > 0
    assert all((parameter.grad is None) == (kind == "frozen") for parameter in term.parameters())


def test_class_tokens_of_equal_width_are_compared_as_they_are():
    term = made("class_token", (block(), block()))
    student, teacher = random(0, 4, 1, 6), random(1, 4, 1, 6)
    assert not list(term.parameters())
    assert term(0, student, teacher).item() == pytest.approx(np.mean((student - teacher).numpy() ** 2), rel=1e-12)


@pytest.mark.parametrize("name", ["attention", "value_relation"])
def test_a_student_that_does_what_its_teacher_does_costs_nothing_and_gradients_are_those_of_differences(name):
    size = block()
    make = maps if name == "attention" else lambda seed, size: random(seed, 3, tokens_of(size), size.channels)
    term, (student, teacher) = made(name, (size, size)), (make(seed, size) for seed in (0, 1))
    assert term(0, teacher, teacher).item() == pytest.approx(0, abs=1e-12)
    assert torch.autograd.gradcheck(lambda given: term(0, given, teacher), student.requires_grad_())


@pytest.mark.parametrize("case", ["one image", "one token", "equal weights", "one key alone", "very sharp"])
@pytest.mark.parametrize("mask_prefix", [False, True])
def test_awkward_attention_gives_finite_losses_and_gradients_in_float32(case, mask_prefix):
    size = BlockSize(6, 1, 1, 1, 0, 2, 6) if case == "one token" else block()
    logits = [random(n, 1 if case == "one image" else 3, 2, tokens_of(size), tokens_of(size)).float() for n in (0, 1)]
    if case == "equal weights":
        logits = [torch.zeros_like(of) for of in logits]
    if case == "one key alone":
        logits[1][..., 0] += 1e4
        logits[0][..., 1] += 1e4
    if case == "very sharp":
        logits = [1e3 * of for of in logits]
    ours = logits[0].requires_grad_()
    loss = made("attention", (size, size), mask_prefix=mask_prefix).float()(0, ours.softmax(-1), logits[1].softmax(-1))
    loss.backward()
    assert loss.isfinite() and ours.grad.isfinite().all()


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
@pytest.mark.parametrize("name", ["class_token", "value_relation"])
def test_awkward_tokens_give_finite_losses_and_gradients_in_float32(name, scale):
    counts = (1, 1) if name == "class_token" else (13, 13)
    student = (scale * random(0, 1, counts[0], 6)).float().requires_grad_()
    loss = made(name, (STUDENT, TEACHER)).float()(0, student, (scale * random(1, 1, counts[1], 10)).float())
    loss.backward()
    assert loss.isfinite() and student.grad.isfinite().all()


@pytest.mark.parametrize("name", ["attention", "class_token", "value_relation"])
def test_what_is_not_a_number_is_not_hidden(name):
    shapes = {"attention": [(3, 2, 13, 13), (3, 4, 13, 13)], "class_token": [(3, 1, 6), (3, 1, 10)]}
    for which in (0, 1):
        given = [random(n, *shape).abs() for n, shape in enumerate(shapes.get(name, [(3, 13, 6), (3, 13, 10)]))]
        given[which][1] = torch.nan
        assert made(name)(0, *given).isnan()


@pytest.mark.parametrize(
    ("teacher", "objective", "said"),
    [
        ("cait", "class_token", "teacher block 2 has no class token, as class_token asks; choose another"),
        ("resnet", "attention", "teacher block 3 has no attention map of all its tokens, as attention asks"),
        (
            "resnet",
            "value_relation",
            "teacher block 3 has no values of an attention layer over all its tokens",
        ),
    ],
)
def test_blocks_that_lack_what_an_objective_takes_are_refused_before_anything_runs(teacher, objective, said):
    variants = {"mine": {"cross_entropy": {"weight": 1}, objective: {"weight": 1, "pairs": "last"}}}
    config = changed(changed(smoke_config(), "variants", variants), "teacher", teacher)
    with pytest.raises(StudyError) as refused:
        load(config)
    assert f"variants.mine.{objective}.pairs: {said}" in str(refused.value)


@pytest.mark.parametrize("objective", ["attention", "value_relation"])
def test_a_teacher_of_patches_alone_teaches_by_its_attention_layers(objective):
    variants = {"mine": {"cross_entropy": {"weight": 1}, objective: {"weight": 1, "pairs": "last"}}}
    study = load(changed(smoke_config(), "variants", variants))
    assert {term.objective for term in study.variants["mine"].terms} == {"cross_entropy", objective}
