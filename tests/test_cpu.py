"""The kind of CPU that results are recorded with."""

import platform

import pytest

from distillation_dynamics.jobs import cpu

X86 = "processor\t: {n}\nmodel name\t: AMD  EPYC\nflags\t\t: fpu sse2 {flags}\n\n"
ARM = "processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd sve\n"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (X86.format(n=0, flags="avx avx2") + X86.format(n=1, flags="avx avx2"), "AMD EPYC with AVX2"),
        (X86.format(n=0, flags="avx2 avx512f avx512_bf16"), "AMD EPYC with AVX-512"),
        (X86.format(n=0, flags="avx"), "AMD EPYC"),
        (ARM, "aarch64"),
    ],
)
def test_a_cpu_is_its_name_with_its_vector_instructions(tmp_path, monkeypatch, said, name):
    (tmp_path / "cpuinfo").write_text(said)
    monkeypatch.setattr(cpu, "FILE", tmp_path / "cpuinfo")
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert cpu.name.__wrapped__() == name


def test_a_machine_without_either_source_is_named_by_its_kind(tmp_path, monkeypatch):
    monkeypatch.setattr(cpu, "FILE", tmp_path / "cpuinfo")
    monkeypatch.setattr(cpu, "COMMAND", (str(tmp_path / "sysctl"),))
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    assert cpu.name.__wrapped__() == "arm"
