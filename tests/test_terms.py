"""Settings of a term besides its objective: course, target, moving pairs, shares; and its gradients are logged."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from distillation_dynamics.errors import StudyError
from distillation_dynamics.metrics.pairs.cka import unbiased_cka
from distillation_dynamics.objective import Objective, When
from distillation_dynamics.objectives import _calibration
from distillation_dynamics.similarity import cka
from distillation_dynamics.spec.teacher_outputs import ITSELF
from distillation_dynamics.spec.training import CALIBRATION_UPDATES, Course, Moves
from distillation_dynamics.stages import cohorts
from distillation_dynamics.training.gradients import compared
from helpers import changed, load, run_job, smoke_config, tiny_study
from losses import LOGITS, cross_entropy, size_of, soft, term

STUDENT, TEACHER = size_of(6, 3), size_of(10, 4)
LABELS = torch.arange(8) % 5
# Ten epochs of ten updates, after those in which weights are found.
LATE = 10 * CALIBRATION_UPDATES


def said(seed=0, size=STUDENT):
    generator = torch.Generator().manual_seed(seed)
    blocks = {("features", n): torch.randn(8, b.channels, 4, 4, generator=generator) for n, b in enumerate(size.blocks)}
    return {LOGITS: torch.randn(8, 5, generator=generator), **blocks}


def everyone(*teachers):
    return {ITSELF: said(), **{number: said(number + 1, TEACHER) for number in range(max(1, len(teachers)))}}


def when(progress, epochs=10):
    return When(round(progress * LATE), LATE // epochs, epochs)


def parts(objective, at, given=None):
    values = objective.values(given or everyone(), LABELS, LABELS, at)
    return objective.weighed(values, at)


@pytest.mark.parametrize(
    ("course", "factors"),
    [
        (Course("linear", (0.0, 1.0), (0.25, 0.75)), {0: 0, 0.25: 0, 0.5: 0.5, 0.6: 0.7, 0.75: 1, 0.99: 1}),
        (Course("cosine", (2.0, 1.0), (0.0, 0.5)), {0: 2, 0.25: 1.5, 0.5: 1, 0.9: 1}),
        (Course("cosine", (0.0, 1.0), (0.0, 1.0)), {0.25: (1 - math.cos(math.pi / 4)) / 2}),
        (Course(off_after=0.5), {0: 1, 0.49: 1, 0.5: 0, 0.99: 0}),
        (Course("linear", (1.0, 3.0), (0.0, 1.0), 0.9), {0.5: 2, 0.89: 2.78, 0.9: 0}),
    ],
)
def test_a_course_goes_as_it_is_written(course, factors):
    assert [course.factor(share) for share in factors] == pytest.approx(list(factors.values()))


def test_a_course_multiplies_the_weight_and_a_term_that_weighs_nothing_is_not_computed_nor_asked_for():
    course = Course("linear", (0.0, 1.0), (0.2, 0.6), 0.8)
    made = Objective(
        (cross_entropy(0.1, 0.0), term("spectral", 0.2, pairs=[(0, 1)], course=course)), STUDENT, [TEACHER]
    )
    for share, weight in ((0.1, 0), (0.4, 0.1), (0.7, 0.2), (0.9, 0)):
        at = when(share)
        found, asked = parts(made, at), made.asks(at)
        assert found["weights"].tolist() == pytest.approx([0.1, weight])
        assert math.isnan(found["spectral"]) == (weight == 0)
        expected = 0.1 * found["cross_entropy"] + (weight * found["spectral"] if weight else 0)
        assert found["loss"].item() == pytest.approx(float(expected))
        features = {ITSELF: [LOGITS, ("features", 0)], 0: [("features", 1)]}
        assert asked == (features if weight else {ITSELF: [LOGITS]})


def test_a_term_of_no_weight_is_left_out_of_its_variant():
    config = changed(study_config(), "variants.plain.more", {"objective": "spectral", "pairs": "last", "weight": 0})
    assert load(config).variants["plain"].terms == load(study_config()).variants["plain"].terms


def test_one_objective_stands_several_times_by_names_of_its_own():
    pair = [(0, 0)], [(2, 3)]
    named = [term("spectral", 1.0, name=name, pairs=where) for name, where in zip(("early", "late"), pair, strict=True)]
    both = parts(Objective(tuple(named), STUDENT, [TEACHER]), when(0.5))
    for name, where in zip(("early", "late"), pair, strict=True):
        alone = parts(Objective((term("spectral", 1.0, pairs=where),), STUDENT, [TEACHER]), when(0.5))
        assert torch.equal(both[name], alone["spectral"])


def value(spec, given, teachers=(TEACHER,), seed=3):
    return parts(Objective((spec,), STUDENT, teachers, seed), when(0.5), given)[spec.name]


def test_each_target_stands_in_the_place_of_what_the_teacher_says():
    given = everyone()
    theirs = given[0]["features", 1]

    def held_against(features):
        return value(term("spectral", 1.0, pairs=[(0, 1)]), {ITSELF: given[ITSELF], 0: {("features", 1): features}})

    order = torch.randperm(10, generator=torch.Generator().manual_seed(3))
    expected = {
        "zero": torch.zeros_like(theirs),
        "shuffled": torch.stack([theirs[(image - 4) % 8] for image in range(8)]),
        "permuted": torch.stack([theirs[:, channel] for channel in order], dim=1),
    }
    for target, features in expected.items():
        found = value(term("spectral", 1.0, pairs=[(0, 1)], target=target), given)
        torch.testing.assert_close(found, held_against(features))
        assert not torch.allclose(found, held_against(theirs))


def test_a_permuted_teacher_is_a_placebo_where_an_objective_looks_at_no_single_channel():
    """Up to which weights of a projection meet which channel: with as many permuted rows of it the loss is the same."""
    given = everyone()
    plain = Objective((term("projector", 1.0, pairs=[(0, 1)], frozen=False),), STUDENT, [TEACHER], 3)
    other = Objective((term("projector", 1.0, pairs=[(0, 1)], frozen=False, target="permuted"),), STUDENT, [TEACHER], 3)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(3))
    mine, theirs = (one.terms["projector"].projections[0] for one in (plain, other))
    with torch.no_grad():
        theirs.weight.copy_(mine.weight[order])
        theirs.bias.copy_(mine.bias[order])
    ours, placebo = (parts(one, when(0.5), given)["loss"] for one in (plain, other))
    torch.testing.assert_close(ours, placebo)


def test_reversed_and_untrained_are_other_blocks_and_another_network():
    spectral = {"objective": "spectral", "weight": 0.2, "pairs": [[0, 0], [1, 1]]}
    config = changed(study_config(), "variants.plain.back", spectral | {"target": "reversed"})
    config = changed(config, "variants.plain.fresh", spectral | {"target": "untrained"})
    study = load(config)
    arm = study.variants["plain"]
    terms, last = {one.name: one for one in arm.terms}, len(study.model_info[study.teacher].shapes) - 1
    assert terms["back"].pairs == ((0, last), (1, last - 1)) and terms["fresh"].pairs == ((0, 0), (1, 1))
    assert [arm.sources[terms[name].teacher].weights for name in ("back", "fresh")] == ["trained", "untrained"]
    assert {source.network for source in arm.sources} == {study.teacher}


def test_pairs_move_on_by_epoch_each_for_an_equal_part():
    moving = term("spectral", 1.0, pairs=[(0, 0), (1, 1), (2, 3)], moves=Moves("epoch"))
    made = Objective((moving,), STUDENT, [TEACHER])
    numbers = [made.pairs(moving, When(step, 10, 7))[0] for step in range(70)]
    assert numbers == sorted(numbers) and [numbers.count(n) for n in range(3)] == [30, 20, 20]
    late = When(69, 10, 7)
    assert made.asks(late) == {ITSELF: [("features", 2)], 0: [("features", 3)]}
    alone = Objective((term("spectral", 1.0, pairs=[(2, 3)]),), STUDENT, [TEACHER])
    assert torch.equal(parts(made, late)["loss"], parts(alone, late)["loss"])


def test_pairs_move_on_after_an_epoch_in_which_their_blocks_were_alike_enough():
    moving = term("spectral", 1.0, pairs=[(0, 0), (1, 1), (2, 3)], moves=Moves("cka", 0.9))
    made = Objective((moving,), STUDENT, [TEACHER])
    alike, unlike = everyone(), everyone()
    for block in (0, 1):
        alike[0]["features", block] = torch.cat([alike[ITSELF]["features", block], torch.zeros(8, 4, 4, 4)], dim=1)
    seen = []
    for epoch, given in enumerate((unlike, alike, alike, unlike, unlike)):
        for step in range(2):
            parts(made, When(2 * epoch + step, 2, 5), given)
        state = {name: value.clone() for name, value in made.state_dict().items()}
        made.end_epoch()
        seen += made.pairs(moving, When(0, 2, 5))
        again = Objective((moving,), STUDENT, [TEACHER])
        again.load_state_dict(state)
        again.begin()
        again.end_epoch()
        assert again.at == made.at, "a state that was saved goes on alike"
    assert seen == [0, 1, 2, 2, 2]


@pytest.mark.parametrize("images", [3, 4, 9])
def test_cka_of_a_batch_is_the_metric_and_has_a_gradient(images):
    generator = torch.Generator().manual_seed(images)
    ours = torch.randn(images, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    theirs = (
        ours.detach() @ torch.randn(6, 4, generator=generator, dtype=torch.float64) + torch.randn(images, 4).double()
    )
    found = cka(ours, theirs)
    assert found.item() == pytest.approx(unbiased_cka(ours.detach(), theirs) if images > 3 else 0)
    found.backward()
    assert torch.isfinite(ours.grad).all()
    assert cka(torch.ones(6, 3), torch.randn(6, 3)).item() == 0


def test_a_share_of_the_gradients_is_held_and_fixed_then(monkeypatch):
    monkeypatch.setattr(_calibration, "CALIBRATION_UPDATES", 3)
    specs = (cross_entropy(0.5, 0.0), soft(2.0), term("spectral", pairs=[(0, 0)], gradient_share=0.2))
    made, sums, fixed = Objective(specs, STUDENT, [TEACHER]), np.zeros(3), []
    for step in range(5):
        at = When(step, 100, 1)
        values = made.values(everyone(), LABELS, LABELS, at)
        norms = np.array([1.0, 0.2, 0.05]) * (1 + step)
        found = made.weighed(values, at, torch.tensor(norms, dtype=torch.float32) if made.calibrates(at) else None)
        weights = found["weights"].numpy()
        if step < 3:
            sums += norms
            assert weights[2] * norms[2] / (weights @ norms) == pytest.approx(0.2)
        else:
            fixed.append(weights[2])
            assert weights[2] * sums[2] / (weights @ sums) == pytest.approx(0.2)
    assert fixed[0] == fixed[1]


def test_gradients_are_compared_by_block_as_a_loop_does():
    generator = torch.Generator().manual_seed(0)
    blocks = [
        [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((3, 2), (2,))] for _ in range(2)
    ]
    parameters = [p for block in blocks for p in block]
    terms = [[torch.randn(p.shape, generator=generator) for p in parameters] for _ in range(3)]
    terms[2] = [None, None, *terms[2][2:]]
    found = compared(terms, [1.0, 0.5, 0.0], blocks)
    for number, gradients in enumerate(terms):
        for block in range(2):
            own, aim = (
                np.concatenate([(np.zeros(p.shape) if g is None else g.numpy()).ravel() for g, p in rows])
                for rows in (
                    list(zip(gradients, parameters, strict=True))[2 * block : 2 * block + 2],
                    [(terms[0][n] + 0.5 * terms[1][n], parameters[n]) for n in (2 * block, 2 * block + 1)],
                )
            )
            norm, cosine = found[number, block].tolist()
            assert norm == pytest.approx(np.linalg.norm(own), rel=1e-5)
            if norm:
                assert cosine == pytest.approx(own @ aim / norm / np.linalg.norm(aim), rel=1e-4)
            else:
                assert math.isnan(cosine)


def test_the_gradients_of_terms_are_logged_so_many_times_and_change_nothing(tmp_path):
    variants = {
        "soft": {
            "cross_entropy": {"weight": 0.1},
            "soft": {"weight": 0.9},
            "spectral": {"weight": 0.2, "pairs": "last", "course": {"off_after": 0.5}},
        }
    }
    bits = {}
    for logs in (0, 4):
        folder = tmp_path / str(logs)
        folder.mkdir()
        result = tiny_study(folder, **{"student.gradient_logs": logs, "student.recipe.epochs": 2, "variants": variants})
        torch.manual_seed(9)
        weights = folder / "teacher.safetensors"
        network = cohorts.build(result.model(result.teacher), result.view(result.teacher))
        cohorts.save_weights(weights, network)
        cohorts.main([run_job(result, folder, "soft", folder / "run", weights)])
        bits[logs] = (folder / "run/checkpoints/epoch002.safetensors").read_bytes()
        table = pd.read_parquet(folder / "run/term_gradients.parquet")
        assert len(table) == logs * 3 * len(result.model_info["student"].shapes)
    assert bits[0] == bits[4]
    updates = table["step"].drop_duplicates().tolist()
    assert updates[0] == 0 and len(updates) == 4 and np.ptp(np.diff(updates)) <= 1
    norms = table.set_index(["term", "epoch", "block"])["norm"].sort_index()
    assert (
        (norms["cross_entropy"] > 0).all() and norms["spectral", 2].isna().all() and norms["spectral", 1].notna().all()
    )
    cosines = table.set_index("term")["cosine"]
    assert cosines["cross_entropy"].dropna().to_numpy() == pytest.approx(1, abs=1e-5)
    assert cosines["soft"].between(-1, 1).all()
    terms = pd.read_parquet(folder / "run/terms.parquet").set_index(["term", "epoch"])
    assert terms["weight"]["spectral"].tolist() == [pytest.approx(0.2), 0] and math.isnan(terms["value"]["spectral", 2])
    assert terms["share"]["spectral", 2] == 0


def study_config():
    """The smallest study, with soft distillation as a variant."""
    plain = {"cross_entropy": {"weight": 0.1}, "soft": {"weight": 0.9}}
    return changed(smoke_config(), "variants", {"plain": plain})


LAST = {"objective": "spectral", "weight": 0.2, "pairs": "last"}
WRONG = [
    ({"objective": "spectrl"}, r"late\.objective: 'spectrl' is not valid; did you mean spectral\?"),
    (
        {"course": {"shape": "linear", "between": [0.6, 0.2]}},
        r"course\.between: the course ends at 0\.2 before it begins",
    ),
    ({"course": {"shape": "cosine", "values": [0, 0]}}, r"course\.values: both are 0"),
    ({"course": {"values": [0, 1]}}, r"course\.values: has no effect in a constant course"),
    ({"course": {"shape": "linear", "between": [0.5, 0.9], "off_after": 0.4}}, r"course\.off_after: is 0\.4, before"),
    ({"course": {"off_after": 1.5}}, r"course\.off_after: 1\.5 is not less than 1"),
    ({"target": "zeros"}, r"late\.target: 'zeros' is not valid; did you mean zero\?"),
    ({"objective": "soft", "pairs": None, "target": "reversed"}, "target: reversed stands in the place of features"),
    ({"objective": "soft", "pairs": None, "target": "permuted"}, "target: permuted stands in the place of pooled"),
    ({"objective": "cross_entropy", "pairs": None, "target": "zero"}, "takes nothing of a teacher, in whose place"),
    ({"moves": {"by": "epoch"}}, "moves: there is one pair to go through"),
    ({"pairs": "last2", "moves": {"by": "cka"}}, r"moves\.gate: must be given by cka"),
    ({"pairs": "last2", "moves": {"by": "epoch", "gate": 0.5}}, r"moves\.gate: has no effect with by: epoch"),
    ({"weight": {"share": 0.5, "gradient_share": 0.5}}, "a weight is a number, a share or a gradient_share"),
    ({"weight": {}}, "a weight is a number, a share or a gradient_share"),
    ({"weight": {"gradient_share": 1.0}}, r"late\.weight\.gradient_share: 1\.0 is not less than 1"),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_a_term_that_cannot_be_is_refused_in_a_sentence(given, message):
    late = {key: value for key, value in (LAST | given).items() if value is not None}
    with pytest.raises(StudyError, match=message):
        load(changed(study_config(), "variants.plain.late", late))


def test_shares_that_are_all_there_is_are_refused():
    late = {"objective": "spectral", "pairs": "last"}
    config = changed(study_config(), "variants.plain.late", late | {"weight": {"share": 0.6}})
    both = changed(config, "variants.plain.early", late | {"weight": {"share": 0.4}})
    with pytest.raises(StudyError, match=r"variants\.plain: the shares sum to 1, and must sum to less than 1"):
        load(both)
    mixed = changed(config, "variants.plain.early", late | {"weight": {"gradient_share": 0.1}})
    with pytest.raises(StudyError, match=r"variants\.plain: a weight is a number.* all shares of one kind"):
        load(mixed)


def test_a_training_in_which_nothing_weighs_anything_for_a_while_is_refused():
    late = {"shape": "linear", "values": [0, 1], "between": [0.5, 0.8]}
    early = {"course": {"off_after": 0.4}}
    plain = {"cross_entropy": {"weight": 1} | early, "soft": {"weight": 1, "course": late}}
    with pytest.raises(StudyError, match=r"variants\.plain: after 0\.4 of the training no term weighs anything"):
        load(changed(study_config(), "variants.plain", plain))
    plain["cross_entropy"] = {"weight": 1, "course": {"off_after": 0.6}}
    assert len(load(changed(study_config(), "variants.plain", plain)).variants["plain"].terms) == 2
    fading = {"soft": {"weight": 1, "course": {"shape": "linear", "values": [1, 0]}}}
    assert load(changed(study_config(), "variants.plain", fading)).variants["plain"].terms
    with pytest.raises(StudyError, match=r"variants\.plain: after 0 of the training no term weighs anything"):
        load(changed(study_config(), "variants.plain", {"soft": {"weight": 1, "course": late}}))


def test_a_name_that_is_no_objective_says_so():
    with pytest.raises(StudyError, match=r"variants\.plain\.sft: is not the name of an objective; did you mean soft\?"):
        load(changed(study_config(), "variants.plain.sft", {"weight": 1}))
