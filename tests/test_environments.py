"""The environments say the same: what pyproject asks for, what is pinned, what conda and the container install."""

import re
import tomllib

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
