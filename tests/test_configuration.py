"""Configuration files and `--config` are read as they are written, or refused in a sentence with file and line."""

import subprocess
import sys

import pytest
import yaml

from distillation_dynamics.errors import StudyError
from distillation_dynamics.study import configuration
from helpers import copy_project


def write(tmp_path, content):
    path = tmp_path / "study.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_the_studies_that_come_with_the_project_are_read_as_by_any_reader_of_yaml(root):
    paths = [root / "config.yaml", *(root / "studies").glob("*.yaml")]
    assert len(paths) > 3
    for path in paths:
        assert configuration.read(path) == yaml.safe_load(path.read_text())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2e-3", 0.002),
        ("1.0e30", 1e30),
        ("1e5", 1e5),
        ("-.5", -0.5),
        ("30_000", 30000),
        ("+4", 4),
        ("true", True),
        ("~", None),
        ("", None),
        # Text that YAML 1.1 misreads.
        ("1:30", "1:30"),
        ("no", "no"),
        ("010", "010"),
        ("0x10", "0x10"),
        ("1.2.3", "1.2.3"),
        ('"2e-3"', "2e-3"),
        ('"2026-11-24"', "2026-11-24"),
    ],
)
def test_a_number_is_what_a_person_takes_for_one(tmp_path, text, value):
    read = configuration.read(write(tmp_path, f"key: {text}"))["key"]
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("variants:\n  two:\n    spectral: 1\n    spectral: 2\n", "line 4: variants.two.spectral is given twice, .* 3"),
        ("variants: {two: {spectral: 1, spectral: 2}}", "line 1: variants.two.spectral is given twice"),
        ("variants:\n  none: {a: 1}\n  soft: {a: 1}\n  none: {a: 2}\n", "line 4: variants.none is given twice, .* 2"),
        ("a: [{b: 1, b: 1}]", "a.0.b is given twice"),
        ('{"a": 1, "a": 2}', "a is given twice"),
        ("x: &x {a: 1}\ny: {<<: *x, <<: *x}", "y.<< is given twice"),
        ("variants:\n  1: {}", "line 2: the key 1 is not text; write it in quotes"),
        ("? [a, b]\n: 1", "line 1: the key that is a list or a mapping is not text"),
        ("a: 1\nname: 2026-11-24", 'line 2: name: 2026-11-24 is a date in YAML; write it in quotes: "2026-11-24"'),
        ("name: 2026-13-45", "is a date in YAML"),
        ("", "line 1: the file holds nothing"),
        ("# nothing yet\n", "holds nothing"),
        ("- a\n- b", "holds a list"),
        ("hello", "holds a single value"),
        ("name: x\nseeds: [0\ndata: {", "line 3, column 5: not valid YAML .*; fix it there or just before"),
        ("name: x\n\tseeds: [0]", "line 2, column 1: not valid YAML"),
        ("a: 1\n---\nb: 1", "line 2, column 1: not valid YAML .*another document"),
        ("a: *nowhere", "line 1, column 4: not valid YAML"),
        ("a: !!python/name:os.system", "line 1, column 4: not valid YAML"),
        ("a: !!float x", "not valid YAML"),
        ("a: 1\nb: 2\0", "line 2: the character 0x0 is not valid"),
        ("[" * 3000, "not valid YAML"),
        (b"a: 1\nname: caf\xe9\n", r"line 2: not text in UTF-8 \(byte 0xe9\); save the file as UTF-8"),
        ("name: x".encode("utf-16"), "line 1: not text in UTF-8"),
        (bytes(range(256)), "line 2: not text in UTF-8|character 0x0 is not valid"),
    ],
)
def test_what_cannot_be_read_or_may_mean_two_things_is_named_with_file_and_line(tmp_path, content, sentence):
    with pytest.raises(StudyError, match=rf"study\.yaml.*{sentence}"):
        configuration.read(write(tmp_path, content))


def test_a_file_that_is_none_is_named(tmp_path):
    with pytest.raises(StudyError, match=r"nowhere\.yaml: no such file or directory; a configuration is a file"):
        configuration.read(tmp_path / "nowhere.yaml")
    with pytest.raises(StudyError, match="is a directory; a configuration is a file"):
        configuration.read(tmp_path)


def test_a_key_may_be_given_over_what_is_merged_in(tmp_path):
    text = "one: &one {a: 1, b: {c: 2}}\ntwo: {<<: *one, a: 3}\nthree: {<<: [*one, {d: 4}]}\nfour: *one"
    read = configuration.read(write(tmp_path, text))
    assert read["two"] == {"a": 3, "b": {"c": 2}} and read["three"] == {"a": 1, "b": {"c": 2}, "d": 4}
    assert read["four"] == read["one"]


def test_later_files_and_overrides_win_key_by_key(tmp_path):
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("name: first\nseeds: [0]\nmeasure: {images: 20, dtype: float32}")
    second.write_text("name: second\nmeasure: {images: 40}")
    overrides = ["seeds=[0,1]", "name=2e3x", "statistics={baseline: soft}", "state_minutes=2e-1"]
    assert configuration.merged([first, second], overrides) == {
        "name": "2e3x",
        "seeds": [0, 1],
        "measure": {"images": 40, "dtype": "float32"},
        "statistics": {"baseline": "soft"},
        "state_minutes": 0.2,
    }


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("seeds", "--config seeds: write key=value"),
        ("measure.images=1", "--config measure.images=1: write key=value with a key at the top of a study"),
        ("seeds=[0,", "--config seeds, line 1, column 4: not valid YAML"),
        ("statistics={baseline: a, baseline: b}", "--config statistics, line 1: baseline is given twice"),
        ("name=2026-11-24", "--config name, line 1: .*2026-11-24 is a date in YAML; write it in quotes"),
    ],
)
def test_a_wrong_override_is_named(override, sentence):
    with pytest.raises(StudyError, match=sentence):
        configuration.merged([], [override])


@pytest.mark.parametrize("option", ["--configfile", "--configfiles"])
def test_the_files_of_a_command_are_found_among_its_options(tmp_path, option):
    good, bad = tmp_path / "good.yaml", write(tmp_path, "a: 1\na: 2")
    good.write_text("name: good")
    command = ["-n", "--cores", "2", "figures", option, str(good)]
    configuration.check_command([*command, "--config", "name=x"])
    with pytest.raises(SystemExit, match=r"the study cannot run:\n.*study\.yaml, line 2: a is given twice"):
        configuration.check_command([*command, str(bad), "-j", "2"])


def test_snakemake_itself_never_gets_to_a_file_that_it_would_not_name(tmp_path):
    """Through the profile, which is read first; without it the Snakefile still reads more strictly than Snakemake."""
    copy_project(tmp_path)
    for content, options, sentence in (
        (b"name: caf\xe9", [], "study.yaml, line 1: not text in UTF-8 (byte 0xe9); save the file as UTF-8"),
        (b"name: a\nname: b", ["--workflow-profile", "none"], "study.yaml, line 2: name is given twice"),
    ):
        write(tmp_path, content)
        command = [sys.executable, "-m", "snakemake", "-n", "--cores", "1", *options, "--configfile", "study.yaml"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
        said = done.stdout + done.stderr
        assert done.returncode == 1 and f"the study cannot run:\n{sentence}" in said
        assert "Traceback" not in said and "File " not in said
