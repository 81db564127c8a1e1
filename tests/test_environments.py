"""The environments say the same: what pyproject asks for, what is pinned, what conda and the container install."""

import os
import re
import shutil
import subprocess
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from conftest import ROOT

PYTHON = "3.12"


def requirements(key="dependencies"):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = project["dependencies"] if key == "dependencies" else project["optional-dependencies"][key]
    return {Requirement(text).name: Requirement(text) for text in texts}


def pins():
    """Name -> pinned version on Linux with the Python of the conda environment."""
    environment = {"python_version": PYTHON, "python_full_version": f"{PYTHON}.0", "sys_platform": "linux"}
    environment |= {"platform_machine": "x86_64"}
    lines = [Requirement(line) for line in (ROOT / "envs/requirements.txt").read_text().splitlines() if "==" in line]
    return {r.name: next(iter(r.specifier)).version for r in lines if not r.marker or r.marker.evaluate(environment)}


def test_every_dependency_has_a_lower_bound_and_a_pin_that_fits():
    pinned = pins()
    for requirement in [*requirements().values(), *requirements("test").values()]:
        assert any(specifier.operator == ">=" for specifier in requirement.specifier), requirement
        assert requirement.specifier.contains(Version(pinned[requirement.name])), requirement


def test_no_pin_holds_an_address():
    assert not re.search(r"https?:|file:| @ ", (ROOT / "envs/requirements.txt").read_text())


def test_the_conda_environment_has_the_pins_of_the_direct_dependencies():
    packages = yaml.safe_load((ROOT / "envs/environment.yaml").read_text())["dependencies"]
    assert f"python={PYTHON}" in packages
    (by_pip,) = [part["pip"] for part in packages if isinstance(part, dict)]
    assert by_pip == [f"{name}=={pins()[name]}" for name in requirements()]


def test_the_container_installs_the_pins():
    text = (ROOT / "envs/Containerfile").read_text()
    assert f"FROM python:{PYTHON}" in text and "-c envs/requirements.txt" in text


@pytest.mark.parametrize(("status", "lines"), [(0, 1), (3, 3)])
def test_setup_says_one_line_and_keeps_the_installers_output_in_a_log(tmp_path, status, lines):
    for name in ("Makefile", "pyproject.toml", "envs/requirements.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    # In place of Python: makes an environment whose own Python talks, and installs nothing.
    script = f"""#!/bin/sh
if [ "$2" = venv ]; then mkdir -p .venv/bin; cp "$0" .venv/bin/python; exit 0; fi
echo installing "$@"; case "$*" in *requirements*) exit {status};; esac; exit 1
"""
    (tmp_path / "python").write_text(script)
    (tmp_path / "python").chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "setup", f"PYTHON={tmp_path / 'python'}"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    said = done.stdout.splitlines()
    assert len(said) == (lines if status == 0 else lines + 1), done
    assert said[0].startswith("Setting up .venv: ") and (done.returncode == 0) is (status == 0)
    assert "installing -m pip install -e" in (tmp_path / ".venv/setup.log").read_text()
    if status:
        assert said[-1] == "error: setup failed; see .venv/setup.log" and "installing" in said[-2]
        assert not (tmp_path / ".venv/.ready").exists()
