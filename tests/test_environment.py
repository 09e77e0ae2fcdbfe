"""One environment on every supported Python: pins, make and what is said."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
WORKFLOW = yaml.safe_load(
    (ROOT / ".github/workflows/test.yml").read_text("utf-8"))
PYTHONS = WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"]
PINS = [Requirement(line) for line in re.sub(
    "#.*", "", (ROOT / "constraints.txt").read_text("utf-8")).split("\n")
    if line.strip()]
# What stands in for Python: it answers what make asks, makes environments of
# itself, and cannot install MXNet
FAKE = """#!{python}
import pathlib, shutil, sys
sys.version_info = {version}
if sys.argv[1] == "-c":
    exec(sys.argv[2])
elif sys.argv[2] == "venv":
    programs = pathlib.Path(sys.argv[-1], "bin")
    programs.mkdir(parents=True)
    shutil.copy(__file__, programs / "python")
elif sys.argv[-1] == "mxnet":
    sys.exit("there is no such wheel")
"""

needs_make = pytest.mark.skipif(
    not shutil.which("make"), reason="make is not installed")


def name_of(requirement):
    return requirement.name.lower().replace("_", "-")


def pins_for(python):
    """The pins that hold for a version of Python such as 3.11.5."""
    python_version = ".".join(python.split(".")[:2])
    return [pin for pin in PINS if not pin.marker or pin.marker.evaluate(
        {"python_version": python_version, "python_full_version": python})]


def pinned(name, python="3.14.0"):
    """The version that a distribution is pinned to."""
    (pin,) = [pin for pin in pins_for(python) if name_of(pin) == name]
    (version,) = pin.specifier
    return version.version


def program(folder, name, text):
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def fake_pythons(folder, *versions):
    """Programs python3.x that say to be of the version; a shim that says no.
    """
    program(folder, "python3.14", "#!/bin/sh\necho not installed; exit 127\n")
    for version in versions:
        program(folder, f"python{version}", FAKE.format(
            python=sys.executable,
            version=(*map(int, version.split(".")), 0)))


def make(folder, *arguments):
    """What make says with the programs of a folder, and whether it failed."""
    done = subprocess.run(
        [shutil.which("make"), *arguments, f"VENV={folder / 'venv'}"],
        cwd=ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env={"PATH": str(folder)})
    return done.stdout, done.returncode != 0


def test_supported_pythons_are_the_same_everywhere():
    assert all(isinstance(python, str) for python in PYTHONS)  # not 3.1
    assert PYTHONS == [line.rpartition(" ")[2] for line in
                       PROJECT["classifiers"] if ":: Python :: " in line]
    allowed = SpecifierSet(PROJECT["requires-python"])
    assert [minor for minor in range(99) if f"3.{minor}.0" in allowed] == [
        int(python.partition(".")[2]) for python in PYTHONS]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert makefile.count(f"\nPYTHONS = {' '.join(PYTHONS[::-1])}\n") == 1
    said = f"{', '.join(PYTHONS[:-1])} or {PYTHONS[-1]}"
    assert f"Python {said}." in (ROOT / "README.md").read_text("utf-8")


def test_conda_takes_a_supported_python_and_the_pins():
    python, pip, packages = yaml.safe_load(
        (ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
    assert python in [f"python={version}" for version in PYTHONS]
    assert packages[pip] == ["-c constraints.txt", "-e .[all]"]


@pytest.mark.parametrize("python", [
    *(f"{python}.0" for python in PYTHONS), "3.11.5", "3.12.9"])
def test_there_is_one_pin_for_each_python(python):
    names = [name_of(pin) for pin in pins_for(python)]
    assert sorted(set(names)) == sorted(names)
    assert set(names) == {name_of(pin) for pin in PINS}
    assert Version(pinned("numpy", python)) >= Version("2")
    for line in sum(EXTRAS.values(), PROJECT["dependencies"]):
        needed = Requirement(line)
        if needed.name != PROJECT["name"]:
            assert pinned(name_of(needed), python) in needed.specifier, line


def test_mxnet_comes_last_and_alone():
    """With it among the rest pip finds no solution on NumPy 2."""
    names = {Requirement(line).name for line in sum(EXTRAS.values(), [])}
    assert "mxnet" not in names
    group = map(Requirement, PYPROJECT["dependency-groups"]["mxnet"])
    assert {f"{pin.name}{pin.specifier}" for pin in group} == {
        f"mxnet=={pinned('mxnet')}"}
    (numpy,) = PYPROJECT["tool"]["uv"]["override-dependencies"]
    assert pinned("numpy") in Requirement(numpy).specifier
    for name in ("README.md", "CHANGELOG.md", "environment.yml",
                 "pyproject.toml", "d2lbert/mxnet/compat.py"):
        text = re.sub(r"[\s#\"]+", " ", (ROOT / name).read_text("utf-8"))
        assert f"pip install --no-deps mxnet=={pinned('mxnet')}" in text, name


def test_what_mxnet_needs_is_in_its_extra():
    try:
        needs = map(Requirement, metadata.requires("mxnet") or [])
    except metadata.PackageNotFoundError:
        pytest.skip("mxnet is not installed")
    extra = {need.name: need.specifier
             for need in map(Requirement, EXTRAS["mxnet"])}
    for need in needs:
        if need.name != "numpy":
            assert extra[need.name] == need.specifier


@needs_make
@pytest.mark.parametrize("installed, asked, taken", [
    (["3.11", "3.13", "3.12"], (), "python3.13"),
    (["3.11"], (), "python3.11"),
    (["3.13", "3.12"], ["PYTHON=python3.12"], "python3.12")])
def test_make_takes_the_newest_python_that_works(
        tmp_path, installed, asked, taken):
    fake_pythons(tmp_path, *installed)
    told, failed = make(tmp_path, "-n", "setup", *asked)
    assert told.startswith(f"{taken} -m venv ") and not failed


@needs_make
@pytest.mark.parametrize("installed, asked, said", [
    (["3.10", "3.15"], (), "There is no working Python 3.11 to 3.14"),
    (["3.10"], ["PYTHON=python3.10"], "python3.10 is not a working Python"),
    ([], ["PYTHON=python3.14"], "python3.14 is not a working Python"),
    (["3.12"], ["PYTHON=/no/python"], "/no/python is not a working Python")])
def test_make_refuses_other_pythons_in_a_sentence(
        tmp_path, installed, asked, said):
    fake_pythons(tmp_path, *installed)
    told, failed = make(tmp_path, "setup", *asked)
    assert said in told and "make setup PYTHON=" in told
    assert len(told.splitlines()) == 1 and failed
    assert not (tmp_path / "venv").exists()


@needs_make
def test_setup_goes_on_without_mxnet(tmp_path):
    fake_pythons(tmp_path, "3.13")
    os.symlink(shutil.which("touch"), tmp_path / "touch")
    told, failed = make(tmp_path, "-s", "setup")
    assert "there is no such wheel" in told and not failed
    assert "PyTorch and JAX run without it" in told.splitlines()[-1]
    assert (tmp_path / "venv" / "installed").is_file()


@needs_make
@pytest.mark.parametrize("installed, tested", [
    (["3.13", "3.12"], True), (["3.11"], True), (["3.13"], False)])
def test_numpy_1_is_tested_where_it_can_be(tmp_path, installed, tested):
    fake_pythons(tmp_path, *installed)
    told, failed = make(tmp_path, "-n", "test")
    assert (".venv-numpy1/bin/python -m pytest" in told) == tested
    assert ("NumPy 1.26 is not tested" in told) != tested and not failed


@pytest.mark.parametrize("python", [None, "python3.13"])
def test_ci_tests_the_python_that_is_there(tmp_path, python):
    if not shutil.which("bash"):
        pytest.skip("bash is not installed")
    program(tmp_path, "make", "#!/bin/sh\necho make \"$@\"\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PATH", "")])
    done = subprocess.run(
        ["bash", ROOT / ".ci" / "run"], capture_output=True, text=True,
        env={"PATH": path, **({"PYTHON": python} if python else {})})
    assert done.stdout.split() == [
        "make", "test", f"PYTHON={python or 'python3'}"]
