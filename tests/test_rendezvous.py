"""The port at which the processes of a training on several nodes meet."""

import os
import socket
import subprocess
import sys

import pytest

from conftest import ROOT
from distillation_dynamics.jobs import rendezvous


@pytest.mark.parametrize(
    ("handed_out", "first", "count"),
    [
        ("32768\t60999\n", 20768, 12_000),
        ("1024 40000", 40001, 12_000),
        ("10000 65535", 1024, 8976),
        ("1024 65535", 20_000, 12_000),
        ("no numbers", 20_000, 12_000),
    ],
)
def test_ports_are_none_that_the_system_hands_out_by_itself(tmp_path, monkeypatch, handed_out, first, count):
    (tmp_path / "range").write_text(handed_out)
    monkeypatch.setattr(rendezvous, "RANGE", tmp_path / "range")
    assert rendezvous.ports() == range(first, first + count)
    of_a_job = list(rendezvous.candidates(10**9))
    assert sorted(of_a_job) == list(rendezvous.ports()) and of_a_job[0] == rendezvous.ports()[10**9 % count]


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_a_port_that_is_taken_is_left_to_who_has_it(host):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow"), "SLURM_JOB_ID": "77"}
    command = [sys.executable, "-m", "distillation_dynamics.jobs.rendezvous"]

    def asked():
        name, port = subprocess.check_output(command, env=environment, text=True).strip().split(":")
        assert name == socket.gethostname() and int(port) in rendezvous.ports()
        return int(port)

    free = asked()
    with socket.create_server((host, free)):
        assert not rendezvous.is_free(free)
        assert asked() != free
