"""Every term against a literal reference in float64, and what trains and what does not."""

import numpy as np
import pytest
import torch

from distillation_dynamics.objective import Objective, When
from distillation_dynamics.spec.teacher_outputs import ITSELF
from distillation_dynamics.spec.training import CALIBRATION_UPDATES
from losses import LOGITS, size_of
from losses import term as losses_term

STUDENT, TEACHER = size_of(6, 3), size_of(10, 5)
LABELS = torch.arange(8) % 5


def outputs(channels, blocks, seed, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    features = {("features", b): torch.randn(8, channels, 4, 4, generator=generator).to(dtype) for b in blocks}
    return {LOGITS: torch.randn(8, 5, generator=generator).to(dtype), **features}


def term(name, pairs=(), reduction="mean", weight=1.0, **options):
    return losses_term(name, weight, pairs=pairs, reduction=reduction, **options)


def made(*specs):
    return Objective(specs, STUDENT, [TEACHER])


def parts_of(objective, student, teacher, labels=LABELS, update=0):
    when = When(update, 1000, 1)
    return objective.weighed(objective.values({ITSELF: student, 0: teacher}, labels, labels, when), when)


def value(spec, student=None, teacher=None):
    given = student or outputs(6, range(3), 0), teacher or outputs(10, range(5), 1)
    return parts_of(made(spec), *given)[spec.name].item()


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_the_mean_negative_log_probability(smoothing):
    logits = outputs(6, range(3), 0)[LOGITS].double().numpy()
    target = np.full((8, 5), smoothing / 5) + (1 - smoothing) * np.eye(5)[np.arange(8) % 5]
    expected = -(target * np.log(softmax(logits))).sum(axis=1).mean()
    assert value(term("cross_entropy", label_smoothing=smoothing)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("tau", [1.0, 4.0])
def test_soft_is_the_batch_mean_of_kl_from_teacher_to_student_times_tau_squared(tau):
    s, t = (softmax(outputs(1, [], seed)[LOGITS].double().numpy() / tau) for seed in (0, 1))
    student, teacher = outputs(1, [], 0), outputs(1, [], 1)
    expected = tau**2 * (t * np.log(t / s)).sum(axis=1).mean()
    assert value(term("soft", temperature=tau), student, teacher) == pytest.approx(expected, rel=1e-5)


def test_soft_is_zero_for_a_student_that_equals_its_teacher():
    same = outputs(6, [], 3)
    assert value(term("soft", temperature=2.0), same, same) == pytest.approx(0, abs=1e-7)


def test_hard_is_cross_entropy_with_the_teachers_prediction():
    s, t = outputs(1, [], 0), outputs(1, [], 1)
    expected = -np.log(softmax(s[LOGITS].double().numpy()))[np.arange(8), t[LOGITS].argmax(dim=1)].mean()
    assert value(term("hard"), s, t) == pytest.approx(expected, rel=1e-6)


def literal_spectral(student, teacher):
    """Real and imaginary parts of numpy's half spectrum; the teacher pooled bin by bin as adaptive pooling defines."""
    student, teacher = student.double().numpy(), teacher.double().numpy()
    count, total = student.shape[1], teacher.shape[1]
    pooled = np.stack(
        [teacher[:, i * total // count : -(-(i + 1) * total // count)].mean(axis=1) for i in range(count)], axis=1
    )
    spectra = [np.fft.rfft2(x, norm="ortho") for x in (student, pooled)]
    parts = [np.stack([x.real, x.imag]) for x in spectra]
    return np.mean((parts[0] - parts[1]) ** 2), student - pooled


@pytest.mark.parametrize("pairs", [[(0, 0)], [(2, 4)], [(0, 0), (2, 4)]])
def test_spectral_equals_its_literal_definition_and_averages_pairs(pairs):
    s, t = outputs(6, range(3), 0), outputs(10, range(5), 1)
    expected = np.mean([literal_spectral(s["features", i], t["features", j])[0] for i, j in pairs])
    assert value(term("spectral", pairs), s, t) == pytest.approx(expected, rel=1e-5)
    assert value(term("spectral", pairs, "sum"), s, t) == pytest.approx(expected * len(pairs), rel=1e-5)


def test_spectral_is_a_weighted_spatial_error_by_parseval():
    s, t = outputs(6, range(3), 0), outputs(10, range(5), 1)
    d = literal_spectral(s["features", 0], t["features", 0])[1]
    batch, channels, height, width = d.shape
    inner = (d.sum(axis=3) ** 2).sum() / width + ((d * (-1.0) ** np.arange(width)).sum(axis=3) ** 2).sum() / width
    expected = 0.5 * ((d**2).sum() + inner) / (batch * channels * height * (width // 2 + 1) * 2)
    assert value(term("spectral", [(0, 0)]), s, t) == pytest.approx(expected, rel=1e-5)


def test_projector_equals_its_literal_definition():
    spec = term("projector", [(1, 2)], frozen=False)
    objective = made(spec)
    s, t = outputs(6, range(3), 0), outputs(10, range(5), 1)
    linear = objective.terms["projector"].projections[0]
    weight, bias = linear.weight.detach().double().numpy(), linear.bias.detach().double().numpy()

    def normalised(x):
        return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)

    ours, theirs = (
        x.double().numpy().transpose(0, 2, 3, 1).reshape(-1, x.shape[1]) for x in (s["features", 1], t["features", 2])
    )
    expected = np.mean((normalised(ours @ weight.T + bias) - normalised(theirs)) ** 2)
    assert parts_of(objective, s, t)["projector"].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("frozen", [False, True])
def test_the_projector_moves_unless_it_is_frozen(frozen):
    objective = made(term("projector", [(0, 0)], frozen=frozen))
    trainable = [p for p in objective.parameters() if p.requires_grad]
    assert bool(trainable) is not frozen
    student = outputs(6, range(3), 0)
    student["features", 0].requires_grad_()
    parts_of(objective, student, outputs(10, range(5), 1))["loss"].backward()
    assert student["features", 0].grad.abs().sum() > 0
    assert all((p.grad is None) is frozen for p in objective.parameters())


def test_the_loss_is_the_weighted_sum_of_its_parts_in_float32():
    specs = (
        term("cross_entropy", weight=0.1, label_smoothing=0.1),
        term("soft", weight=0.9, temperature=1.0),
        term("spectral", [(0, 0)], weight=0.2),
    )
    half = torch.bfloat16
    parts = parts_of(made(*specs), outputs(6, range(3), 0, half), outputs(10, range(5), 1, half))
    assert list(parts) == ["loss", "cross_entropy", "soft", "spectral", "weights"]
    assert {part.dtype for part in parts.values()} == {torch.float32}
    expected = 0.1 * parts["cross_entropy"] + 0.9 * parts["soft"] + 0.2 * parts["spectral"]
    assert parts["loss"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_share_of_the_loss_is_held_in_each_of_the_first_updates_and_its_weight_is_fixed_then():
    specs = (
        term("cross_entropy", weight=0.1, label_smoothing=0.1),
        term("soft", weight=0.9, temperature=1.0),
        term("spectral", [(0, 0)], weight=None, share=0.08),
        term("projector", [(2, 4)], weight=None, share=0.5, frozen=True),
    )
    objective = made(*specs)
    names = [spec.name for spec in specs]
    sums, seen = np.zeros(4), []
    for update in range(CALIBRATION_UPDATES + 5):
        answer = outputs(6, range(3), update), outputs(10, range(5), 1000 + update)
        parts = parts_of(objective, *answer, update=update)
        values = np.array([parts[name].item() for name in names], dtype=np.float64)
        weights, loss = parts["weights"].numpy(), parts["loss"].item()
        np.testing.assert_allclose(weights[:2], [0.1, 0.9], rtol=1e-6)
        assert loss == pytest.approx(float(weights @ values), rel=1e-5)
        if update < CALIBRATION_UPDATES:
            np.testing.assert_allclose(weights[2:] * values[2:] / loss, [0.08, 0.5], rtol=1e-4)
            sums += values
        else:
            given = 0.1 * sums[0] + 0.9 * sums[1]
            np.testing.assert_allclose(weights[2:], [0.08, 0.5] * (given / 0.42 / sums[2:]), rtol=1e-4)
            seen.append(weights[2:])
    assert len(np.unique(np.array(seen), axis=0)) == 1


def test_a_share_goes_on_from_the_state_of_its_objective():
    specs = (term("cross_entropy", label_smoothing=0.0), term("spectral", [(0, 0)], weight=None, share=0.2))

    def weights(objective, updates):
        return [parts_of(objective, outputs(6, [0], u), outputs(10, [0], 99 + u), update=u)["weights"] for u in updates]

    whole, first, second = (made(*specs) for _ in range(3))
    expected = weights(whole, range(CALIBRATION_UPDATES + 2))
    weights(first, range(40))
    second.load_state_dict(first.state_dict())
    for ours, theirs in zip(weights(second, range(40, CALIBRATION_UPDATES + 2)), expected[40:], strict=True):
        assert torch.equal(ours, theirs)


def test_no_gradient_flows_through_a_weight():
    specs = (term("cross_entropy", label_smoothing=0.0), term("spectral", [(0, 0)], weight=None, share=0.2))
    student, teacher = outputs(6, [0], 0), outputs(10, [0], 1)
    features = student["features", 0].requires_grad_()
    parts = parts_of(made(*specs), student, teacher)
    weight = parts["weights"][1].item()
    (found,) = torch.autograd.grad(parts["loss"], features)
    again = parts_of(made(term("spectral", [(0, 0)], weight=weight)), student, teacher)
    torch.testing.assert_close(found, torch.autograd.grad(again["loss"], features)[0])
