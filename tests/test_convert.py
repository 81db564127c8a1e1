"""Weights in pickles become safetensors: which of a checkpoint's tensors are taken, and what is not unpickled."""

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from distillation_dynamics import convert
from distillation_dynamics.errors import StudyError

WEIGHTS = {"blocks.0.weight": torch.arange(6.0).reshape(2, 3), "blocks.0.bias": torch.ones(2).half()}
OTHERS = {name: value + 1 for name, value in WEIGHTS.items()}
OPTIMISER = {"state": {0: {"exp_avg": torch.ones(3), "step": torch.ones(())}}, "param_groups": [{"params": [0]}]}
MORE = {"optimizer": OPTIMISER, "epoch": 3, "args": argparse.Namespace(lr=0.1), "best": np.float64(0.5), "none": None}
LARGE = {f"text.{name}": torch.ones(1) for name in "abcd"}


class Evil:
    """What runs code where it is unpickled."""

    def __reduce__(self):
        return (Path.write_text, (Path("evil"), "ran"))


def saved(path, found):
    torch.save(found, path)
    return path


def same(path, state):
    given = load_file(path)
    assert given.keys() == state.keys()
    for name, value in state.items():
        assert given[name].dtype == value.dtype and torch.equal(given[name], value)


@pytest.mark.parametrize("more", [{}, MORE])
@pytest.mark.parametrize(
    ("wrap", "key", "others"),
    [
        (lambda state, _: {"state_dict": state}, "state_dict", []),
        (lambda state, _: {"model": state}, "model", []),
        (lambda state, _: {"model_state_dict": state}, "model_state_dict", []),
        (lambda state, _: {"teacher": state}, "teacher", []),
        (lambda state, _: {"what nobody calls it": {"deeper": state}}, "what nobody calls it.deeper", []),
        (lambda state, other: {"student": other, "teacher": state}, "teacher", ["student"]),
        (lambda state, other: {"teacher": state, "student": other}, "teacher", ["student"]),
        (lambda state, other: {"model": other, "model_ema": state}, "model_ema", ["model"]),
        (lambda state, other: {"state_dict": other, "state_dict_ema": state}, "state_dict_ema", ["state_dict"]),
        (lambda state, other: {"encoder": other, "target_encoder": state}, "target_encoder", ["encoder"]),
        (lambda state, other: {"first": state, "second": other}, "first", ["second"]),
        (lambda state, _: {"teacher": state, "dino_loss": {"center": torch.ones(1)}}, "teacher", []),
    ],
)
def test_the_weights_of_a_checkpoint_are_found_and_the_choice_is_said(tmp_path, capsys, more, wrap, key, others):
    path = saved(tmp_path / "it.pth", wrap(WEIGHTS, OTHERS) | more)
    assert convert.main([str(path)]) is None
    same(tmp_path / "it.safetensors", WEIGHTS)
    said = capsys.readouterr().out
    assert said.startswith(f"{tmp_path / 'it.safetensors'}: 2 tensors under {key} of {path}")
    assert others == ([said.partition(", not ")[2].partition(" (--key")[0]] if "--key" in said else [])


def test_a_plain_state_dict_is_taken_whole_and_the_largest_of_unlike_ones(tmp_path):
    convert.main([str(saved(tmp_path / "it.pth", WEIGHTS)), str(tmp_path / "out.safetensors")])
    same(tmp_path / "out.safetensors", WEIGHTS)
    convert.main([str(saved(tmp_path / "it.pth", {"few": WEIGHTS, "many": LARGE | OTHERS}))])
    same(tmp_path / "it.safetensors", LARGE | OTHERS)


def test_another_key_takes_another_network_and_a_wrong_one_names_them(tmp_path):
    path = saved(tmp_path / "it.pth", {"student": OTHERS, "teacher": {"backbone": WEIGHTS}})
    assert convert.main([str(path), "--key", "student"]) is None
    same(tmp_path / "it.safetensors", OTHERS)
    said = convert.main([str(path), "--key", "teacher"])
    assert (
        said
        == f"error: {path}: holds no tensors under teacher; did you mean teacher.backbone? allowed: student, "
        + ("teacher.backbone")
    )


def test_tied_and_strided_tensors_and_parameters_are_written_as_they_are(tmp_path):
    tied = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))
    state = {"a": tied, "b": tied, "c": torch.arange(6.0).reshape(2, 3).T, "d": torch.ones(4)[::2]}
    convert.main([str(saved(tmp_path / "it.pth", state))])
    same(tmp_path / "it.safetensors", {name: value.detach() for name, value in state.items()})


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"model": WEIGHTS, "evil": Evil()}, r"is not a file of torch\.save, or holds more than weights \(it holds "),
        (torch.nn.Linear(2, 2), r"holds torch\.nn\.modules\.linear\.Linear, which could run code\); ask for a safet"),
        ({"epoch": 3}, r"holds no named tensors; give a state dict"),
        ([torch.ones(2)], r"holds no named tensors"),
        ({0: torch.ones(2)}, r"holds no named tensors"),
    ],
)
def test_what_holds_more_or_no_weights_is_refused_in_a_sentence_and_nothing_runs(tmp_path, monkeypatch, found, message):
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path / "it.pth", found)
    with pytest.raises(StudyError, match=message) as error:
        convert.convert(path, tmp_path / "out.safetensors")
    assert "\n" not in str(error.value) and [file.name for file in tmp_path.iterdir()] == ["it.pth"]


@pytest.mark.parametrize("content", [b"", b"\x80", b"PK\x03\x04 and no archive", b"some text", b"\x80\x02."])
def test_what_torch_did_not_write_is_a_sentence(tmp_path, content):
    path = tmp_path / "it.pth"
    path.write_bytes(content)
    assert convert.main([str(path)]).startswith(
        f"error: {path}: is not a file of torch.save, or holds more than weights ("
    )
    assert convert.main([str(tmp_path / "none.pth")]) == f"error: {tmp_path / 'none.pth'}: cannot be read (No such " + (
        "file or directory)"
    )
