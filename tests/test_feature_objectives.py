"""Objectives on features against literal loops over their published definitions in float64, and on awkward input."""

from dataclasses import replace

import pytest
import torch

from distillation_dynamics.errors import StudyError
from distillation_dynamics.objective import Pair
from distillation_dynamics.objectives import rkd
from distillation_dynamics.targets._prepared import prepared
from literal_features import (
    literal_at,
    literal_cka,
    literal_cosine,
    literal_generation,
    literal_gram,
    literal_gram_of_images,
    literal_gram_of_random,
    literal_mgd,
    literal_mimicry,
    literal_mse,
    literal_rkd,
    literal_vkd,
)
from terms import STUDENT, TEACHER, both, features, made

NAMES = ("at", "cka", "cosine", "gram", "mgd", "mse", "projector", "rkd", "spectral", "vitkd", "vkd")
# Those that take the number of the pair, for which they train something.
TRAINING = ("cosine", "mgd", "mse", "projector", "vitkd", "vkd")
WITH_CHANCE = ("mgd", "vitkd")
KINDS = [
    *[(name, {}) for name in NAMES],
    *[("gram", {"over": over, "sampled": 7}) for over in ("images", "random")],
    ("mgd", {"over": "channels"}),
    ("vitkd", {"generated": 0}),
    *[(name, {"projector": kind}) for name in ("mse", "cosine") for kind in ("frozen", "orthogonal")],
]


def value(term, student, teacher, pair=0, seed=0):
    """The value of a term; what it draws at random is drawn from a seed."""
    torch.manual_seed(seed)
    given = {"pair": pair} if type(term).__module__.rpartition(".")[2] in TRAINING else {}
    return term(**given, student_features=student, teacher_features=teacher)


@pytest.mark.parametrize(
    ("name", "literal", "options"),
    [
        ("mse", literal_mse, {"projector": "trained"}),
        ("mse", literal_mse, {"projector": "frozen"}),
        ("mse", literal_mse, {"projector": "orthogonal"}),
        ("cosine", literal_cosine, {}),
        ("vkd", literal_vkd, {}),
        ("at", literal_at, {}),
        ("at", lambda *given: literal_at(*given, power=1.0), {"power": 1.0}),
        ("gram", literal_gram, {}),
        ("gram", literal_gram_of_images, {"over": "images"}),
        ("gram", literal_gram_of_random, {"over": "random", "sampled": 7}),
        ("rkd", literal_rkd, {}),
        ("rkd", lambda *given: literal_rkd(*given, 1.0, 0.0), {"distance": 1.0, "angle": 0.0}),
        ("cka", literal_cka, {}),
        ("mgd", literal_mgd, {}),
        ("mgd", lambda *given: literal_mgd(*given, masked=0.2, alpha=0.3), {"masked": 0.2, "alpha": 0.3}),
        ("mgd", lambda *given: literal_mgd(*given, over="channels"), {"over": "channels"}),
        ("vitkd", literal_mimicry, {"generated": 0}),
        ("vitkd", literal_generation, {}),
        ("vitkd", lambda *given: literal_generation(*given, masked=0.3, beta=0.1), {"masked": 0.3, "beta": 0.1}),
    ],
)
def test_a_loss_equals_its_published_form(name, literal, options):
    term, (student, teacher) = made(name, **options), both()
    expected = literal(term, student.numpy(), teacher.numpy())
    assert value(term, student, teacher).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("name", "options"), KINDS)
def test_its_gradient_is_that_of_central_differences(name, options):
    term, (student, teacher) = made(name, **options), both(seed=10)
    assert torch.autograd.gradcheck(lambda given: value(term, given, teacher), student.requires_grad_())


@pytest.mark.parametrize("name", ["at", "cka", "gram", "rkd"])
def test_a_loss_of_relations_is_zero_for_the_same_relations_and_needs_no_equal_widths(name):
    same = features(20)
    turned = torch.einsum("dc,bchw->bdhw", torch.linalg.qr(features(21, images=2).flatten()[:36].view(6, 6))[0], same)
    wider = torch.cat([turned, torch.zeros(5, 4, 3, 4, dtype=torch.float64)], dim=1)
    assert value(made(name), wider if name == "at" else turned, same).item() == pytest.approx(0, abs=1e-9)
    assert value(made(name), 3 * wider, same).item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("name", "options"), KINDS)
@pytest.mark.parametrize(
    "case", ["one image", "one place", "all alike", "zeros", "very large", "outliers", "equal widths"]
)
def test_awkward_features_give_finite_losses_and_gradients_in_float32(name, options, case):
    pair = STUDENT, TEACHER
    if case == "one place":
        pair = tuple(replace(size, rows=1, columns=1) for size in pair)
    if case == "equal widths":
        pair = STUDENT, replace(STUDENT, channels=6)
    student, teacher = (of.float() for of in both(1 if case == "one image" else 5, 30, pair))
    if case == "all alike":
        student, teacher = torch.ones_like(student), torch.full_like(teacher, 2)
    if case == "zeros":
        student, teacher = torch.zeros_like(student), torch.zeros_like(teacher)
    if case == "very large":
        student, teacher = 1e4 * student, 1e4 * teacher
    if case == "outliers":
        student[0, 0, 0, 0], teacher[1, :, 1, 1] = -65504.0, 65504.0
    loss = value(made(name, pair, **options).float(), student.requires_grad_(), teacher)
    loss.backward()
    assert loss.isfinite() and student.grad.isfinite().all()


@pytest.mark.parametrize(("name", "options"), KINDS)
def test_what_is_not_a_number_is_not_hidden(name, options):
    for which in (0, 1):
        given = both(seed=40)
        given[which][2] = torch.nan
        assert value(made(name, **options), *given).isnan()


@pytest.mark.parametrize("name", TRAINING)
def test_what_is_trained_beside_the_student_has_gradients_and_is_one_for_each_pair(name):
    term = made(name, *[(STUDENT, TEACHER)] * 3)
    student, teacher = both(seed=50)
    values = [value(term, student, teacher, pair).item() for pair in range(3)]
    assert len(set(values)) == 3
    for pair in range(3):
        value(term, student, teacher, pair).backward()
    assert len(list(term.parameters())) > 2
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in term.parameters())


@pytest.mark.parametrize("name", ["mse", "cosine"])
def test_a_frozen_map_stays_and_an_orthogonal_one_stays_orthogonal(name):
    student, teacher = both(seed=60)
    frozen = made(name, projector="frozen")
    value(frozen, student.requires_grad_(), teacher).backward()
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    assert student.grad.abs().sum() > 0
    for pair in ((STUDENT, TEACHER), (TEACHER, STUDENT), (STUDENT, STUDENT)):
        term, given = made(name, pair, projector="orthogonal"), both(seed=61, pair=pair)
        optimizer, first = (
            torch.optim.AdamW(term.parameters(), 0.1, weight_decay=0.1),
            term.projections[0].weight.detach().clone(),
        )
        for _ in range(3):
            optimizer.zero_grad()
            value(term, *given).backward()
            optimizer.step()
        weight = term.projections[0].weight.detach()
        product = weight.mT @ weight if len(weight) > weight.shape[1] else weight @ weight.mT
        torch.testing.assert_close(product, torch.eye(len(product), dtype=torch.float64), atol=1e-6, rtol=0)
        assert (weight - first).abs().max() > 1e-3 and term.projections[0].bias is None


@pytest.mark.parametrize(("name", "options"), [*[(name, {}) for name in WITH_CHANCE], ("gram", {"over": "random"})])
def test_what_is_drawn_comes_from_torchs_generator_and_differs_from_update_to_update(name, options):
    term, (student, teacher) = made(name, **options | {"sampled": 5} if name == "gram" else options), both(seed=70)
    torch.manual_seed(3)
    given = {} if name == "gram" else {"pair": 0}
    first, second = (term(**given, student_features=student, teacher_features=teacher).item() for _ in range(2))
    assert value(term, student, teacher, seed=3).item() == first != second


def test_of_more_patches_than_there_are_all_are_compared():
    student, teacher = both(seed=80)
    many = made("gram", over="random", sampled=1000)
    assert value(many, student, teacher).item() == pytest.approx(value(many, student, teacher, seed=9).item())


def test_angles_are_the_same_in_parts(monkeypatch):
    term, (student, teacher) = made("rkd"), both(seed=90)
    whole = value(term, student.requires_grad_(), teacher)
    (gradient,) = torch.autograd.grad(whole, student)
    monkeypatch.setattr(rkd, "PART", 2 * 5 * 15)
    parts = value(term, student, teacher)
    assert parts.item() == pytest.approx(whole.item(), rel=1e-12)
    torch.testing.assert_close(torch.autograd.grad(parts, student)[0], gradient)


def test_vitkd_mimics_the_first_pairs_and_generates_the_last_ones():
    term, (student, teacher) = made("vitkd", *[(STUDENT, TEACHER)] * 3, generated=2), both(seed=100)
    assert len(term.generators) == len(term.mask_tokens) == 2
    fixed = [value(term, student, teacher, pair, 1) == value(term, student, teacher, pair, 2) for pair in range(3)]
    assert fixed == [True, False, False]
    with pytest.raises(StudyError, match="vitkd: generated is 2, but there are 1 pairs"):
        made("vitkd", generated=2)


@pytest.mark.parametrize("limit", [1.0, 2.5])
def test_robust_replaces_patches_of_large_norm_by_the_mean_of_the_others(limit):
    block = features(110)
    block[0, :, 1, 2] *= 100
    block[3, :, 0, 0] *= 30
    expected, found = block.clone(), prepared(block, "features", {"robust": limit})
    for image in range(5):
        norms = {(r, c): block[image, :, r, c].norm().item() for r in range(3) for c in range(4)}
        lower_median = sorted(norms.values())[5]
        far = [place for place, norm in norms.items() if norm > limit * lower_median]
        others = torch.stack([block[image, :, r, c] for r, c in norms if (r, c) not in far])
        for r, c in far:
            expected[image, :, r, c] = others.mean(dim=0)
    torch.testing.assert_close(found, expected)
    assert not torch.equal(found, block)


def test_a_normalised_target_is_a_layer_norm_of_each_token_after_outliers_are_replaced():
    block, options = features(120), {"normalise_target": True, "robust": 3.0}
    block[1, :, 2, 2] *= 50
    found = prepared(block, "features", options)
    torch.testing.assert_close(found.mean(dim=1), torch.zeros(5, 3, 4, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(
        found.var(dim=1, unbiased=False), torch.ones(5, 3, 4, dtype=torch.float64), rtol=1e-3, atol=0
    )
    calm = prepared(block, "features", {"robust": 3.0})
    expected = torch.nn.functional.layer_norm(calm.movedim(1, -1), [6]).movedim(-1, 1)
    torch.testing.assert_close(found, expected)
    classes = torch.randn(4, 2, 6, dtype=torch.float64)
    normalised = prepared(classes, "classes", options)
    torch.testing.assert_close(normalised, torch.nn.functional.layer_norm(classes, [6]))
    for kind, values in (("logits", classes[:, 0]), ("attention", features(121))):
        assert torch.equal(prepared(values, kind, options), values)


def test_without_these_options_a_target_is_what_the_teacher_says():
    block = features(130)
    assert prepared(block, "features", {"normalise_target": False}) is block
    block[2, 0, 0, 0] = torch.nan
    assert prepared(block, "features", {"robust": 2.0}).isnan().any()


def test_pairs_of_other_sizes_have_maps_of_their_sizes():
    pairs = [Pair(STUDENT, TEACHER), Pair(replace(STUDENT, channels=3), replace(TEACHER, channels=7))]
    for name in TRAINING:
        term = made(name, *pairs)
        assert value(term, *both(pair=pairs[1]), pair=1).isfinite()
