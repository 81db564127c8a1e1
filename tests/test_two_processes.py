"""What processes that train one model share, simulated by two threads."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from distillation_dynamics import distributed
from distillation_dynamics.objective import Objective, When
from losses import LOGITS, size_of, with_defaults


@pytest.fixture
def both(monkeypatch):
    """Calls a function in two threads, each a process to the library, and returns what both give."""
    barrier, here, slots = threading.Barrier(2, timeout=60), threading.local(), [None, None]

    def exchanged(value):
        slots[here.rank] = value
        barrier.wait()
        found = list(slots)
        barrier.wait()
        return found

    def all_reduce(value):
        value.copy_(sum(part.clone() for part in exchanged(value.clone())))

    def all_gather(parts, value):
        for part, found in zip(parts, exchanged(value), strict=True):
            part.copy_(found)

    monkeypatch.setattr(distributed, "world", lambda: 2)
    monkeypatch.setattr(distributed, "rank", lambda: here.rank)
    monkeypatch.setattr(distributed.dist, "all_reduce", all_reduce)
    monkeypatch.setattr(distributed.dist, "all_gather", all_gather)
    monkeypatch.setattr(distributed, "all_reduce", lambda value: sum(exchanged(value)))

    def call(function):
        def begin(rank):
            here.rank = rank
            return function(rank)

        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(begin, range(2)))

    return call


def test_gradients_become_their_mean_each_in_its_shape(both):
    def averaged(rank):
        parameters = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((2, 3), (4,), (1,))]
        for number, parameter in enumerate(parameters[:2]):
            parameter.grad = torch.arange(float(parameter.numel())).view_as(parameter) * (1 + 10 * rank) + number
        distributed.average_gradients(parameters)
        return parameters

    for matrix, vector, without in both(averaged):
        assert torch.equal(matrix.grad, torch.arange(6.0).view(2, 3) * 6)
        assert torch.equal(vector.grad, torch.arange(4.0) * 6 + 1) and without.grad is None


@pytest.mark.parametrize("count", [5, 6])
def test_rows_that_were_shared_out_come_together_in_order(both, count):
    rows = torch.arange(2.0 * count).view(count, 2)
    parts = both(lambda rank: distributed.joined(rows[distributed.share(np.arange(count))], count))
    assert all(torch.equal(part, rows) for part in parts)


@pytest.mark.parametrize("name", ["dist", "projector", "cka", "gram", "rkd"])
def test_what_a_loss_takes_from_the_whole_batch_is_the_same_in_parts(both, monkeypatch, name):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 8, 5, generator=generator)
    features = torch.randn(2, 8, 6, 2, 2, generator=generator)
    options = {"dist": {"beta": 0.0}, "gram": {"over": "images"}}.get(name, {})
    torch.manual_seed(1)
    spec = with_defaults(name, 1.0, pairs=[] if name == "dist" else [(0, 0)], **options)
    objective = Objective((spec,), size_of(6, side=2), [size_of(6, side=2)])

    def value(places):
        said = {n - 1: {LOGITS: logits[n, places], ("features", 0): features[n, places]} for n in (0, 1)}
        labels = torch.zeros(len(places), dtype=torch.long)
        return objective.values(said, labels, labels, When(0, 1, 1))[name].item()

    parts = both(lambda rank: value(distributed.share(np.arange(8))))
    monkeypatch.undo()
    whole = value(np.arange(8))
    assert np.mean(parts) == pytest.approx(whole, rel=1e-4)
    assert whole != pytest.approx(value(np.arange(0, 8, 2)), rel=1e-3)
