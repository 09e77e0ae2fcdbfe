"""The files around the project say what the project is."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import d2lbert
from d2lbert.backends import BACKENDS
from d2lbert.book.config import load_book

ROOT = Path(__file__).parent.parent
BOOK = load_book(ROOT)


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


PYPROJECT = tomllib.loads(read("pyproject.toml"))
PROJECT = PYPROJECT["project"]
CITATION = yaml.safe_load(read("CITATION.cff"))
(REPO,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
# YAML 1.1 reads the key `on` as True
WORKFLOW = yaml.safe_load(read(".github/workflows/test.yml"))
JOB = WORKFLOW["jobs"]["test"]
CONTAINER = json.loads(read(".devcontainer/devcontainer.json"))
MOVED = re.findall(r"^ *\| `([\w.<>]+)` \| (.*) \|$", read("CHANGELOG.md"),
                   re.MULTILINE)


def make_targets():
    return re.findall(r"^([\w-]+):", read("Makefile"), re.MULTILINE)


def module_files(name):
    """Where modules of that name, one a backend or just one, would be."""
    names = [name.replace("<backend>", backend) for backend in BOOK.backends]
    return {ROOT / f"{n.replace('.', '/')}.py" for n in names}


def is_module(path):
    return path.is_file() or (path.with_suffix("") / "__init__.py").is_file()


def test_citation_is_of_this_version_and_licence():
    assert CITATION["cff-version"] == "1.2.0" and CITATION["message"]
    assert CITATION["title"].startswith(PROJECT["name"])
    assert CITATION["version"] == d2lbert.__version__
    assert [author["name"] for author in CITATION["authors"]] == [
        *BOOK.authors]
    code, prose = PROJECT["license"].split(" AND ")
    assert CITATION["license"] == code and prose in CITATION["abstract"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_has_its_places(backend):
    """Its notebooks, its extra, its floor; its framework nowhere else."""
    assert backend in BOOK.backends
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["all"]
    assert extras[backend] and backend in Requirement(everything).extras
    layers, frameworks = PYPROJECT["tool"]["importlinter"]["contracts"]
    (floor,) = [floor for floor in layers["layers"] if "torch" in floor]
    assert backend in floor.split(" | ")
    needed = {Requirement(line).name for line in PROJECT["dependencies"]}
    assert set(BACKENDS[backend].distributions) - needed <= {
        *frameworks["forbidden_modules"]}


def test_workflow_runs_make_test_and_may_only_read():
    commands = [step["run"].split() for step in JOB["steps"] if "run" in step]
    assert [command[:2] for command in commands] == [["make", "test"]]
    assert "test" in make_targets()
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert {"push", "pull_request"} <= set(WORKFLOW[True])
    assert JOB["timeout-minutes"] <= 90 and WORKFLOW["concurrency"]["group"]


def test_workflow_uses_actions_of_a_pinned_version_and_files_that_exist():
    steps = [step for step in JOB["steps"] if "uses" in step]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"])
               for step in steps)
    (python,) = [step["with"] for step in steps if "setup-python" in
                 step["uses"]]
    assert python["python-version"] == "${{ matrix.python }}"
    assert all((ROOT / name).is_file()
               for name in python["cache-dependency-path"].split())


def test_container_has_a_tested_python_and_sets_itself_up():
    image, _, tag = CONTAINER["image"].partition(":")
    assert image == "mcr.microsoft.com/devcontainers/python"
    assert tag in JOB["strategy"]["matrix"]["python"]
    make, target = CONTAINER["postCreateCommand"].split()
    assert make == "make" and target in make_targets()
    editor = CONTAINER["customizations"]["vscode"]
    assert {"ms-python.python", "ms-toolsai.jupyter"} <= set(
        editor["extensions"])
    assert editor["settings"]["python.defaultInterpreterPath"].endswith(
        "/.venv/bin/python")


@pytest.mark.parametrize("hook", REPO["hooks"], ids=lambda hook: hook["id"])
def test_hooks_call_commands_of_the_environment(hook):
    assert REPO["repo"] == "local" and hook["language"] == "system"
    path = os.pathsep.join([str(Path(sys.executable).parent),
                            os.environ.get("PATH", "")])
    program, *arguments = hook["entry"].split()
    done = subprocess.run(
        [shutil.which(program, path=path) or program, *arguments, "--help"],
        cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_hook_of_the_notebooks_looks_at_all_that_they_are_built_from():
    (hook,) = [hook for hook in REPO["hooks"] if hook["id"] == "notebooks"]
    assert not hook["pass_filenames"]
    for name in ("book.toml", "notebooks/bert.md", "notebooks/times.toml",
                 "notebooks/jax/01-bert.ipynb", "d2lbert/torch/model.py"):
        assert re.search(hook["files"], name)
    assert not re.search(hook["files"], "tests/test_book.py")


def test_dependabot_updates_what_is_pinned_once_and_not_held():
    config = yaml.safe_load(read(".github/dependabot.yml"))
    updates = {u["package-ecosystem"]: u for u in config["updates"]}
    assert config["version"] == 2
    assert updates.keys() == {"pip", "github-actions"}
    assert all(update["schedule"] == {"interval": "monthly"}
               and update["groups"] for update in updates.values())
    pins = re.sub("#.*", "", read("constraints.txt")).split("\n")
    pinned = Counter(Requirement(pin).name for pin in pins if pin.strip())
    assert {i["dependency-name"] for i in updates["pip"]["ignore"]} == {
        "graphviz", *(name for name, times in pinned.items() if times > 1)}


@pytest.mark.parametrize("name, asked", [
    ("bug", {"where", "backend", "found", "versions"}),
    ("chapter", {"where", "wrong", "source"})])
def test_issue_forms_ask_for_what_is_needed(name, asked):
    form = yaml.safe_load(read(f".github/ISSUE_TEMPLATE/{name}.yml"))
    assert form["name"] and form["description"]
    assert {field["id"] for field in form["body"]} == asked
    for field in form["body"]:
        if field["id"] == "backend":
            assert field["attributes"]["options"] == [
                backend.title for backend in BACKENDS.values()]


def test_other_issues_may_be_opened_too():
    config = yaml.safe_load(read(".github/ISSUE_TEMPLATE/config.yml"))
    assert config == {"blank_issues_enabled": True}


def test_pull_requests_are_asked_for_what_matters():
    text = read(".github/pull_request_template.md")
    for matter in ("reader", "test", "make build", "CHANGELOG.md",
                   *(backend.title for backend in BACKENDS.values())):
        assert matter in text


def test_notebooks_are_named_as_they_are():
    """In README's tables and links, and in those that `make run` prints."""
    texts = [read("README.md"), *(path.read_text("utf-8") for path in
                                  (ROOT / "d2lbert/run").glob("*.py"))]
    named = {re.sub(r"\{.*?\}", backend, name) for text in texts
             for name in re.findall(r"notebooks/\S+?/[\w-]+\.ipynb", text)
             for backend in BOOK.backends}
    there = {book.relative_to(ROOT).as_posix()
             for book in (BOOK.notebook(*pair) for pair in BOOK.select())}
    solutions = {BOOK.solutions(*pair).relative_to(ROOT).as_posix()
                 for pair in BOOK.select()}
    assert there <= named <= there | solutions


def test_built_files_are_marked_as_built():
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    files = {path: path.parent.name != "notebooks"
             for pattern in ("*.md", "*/*.ipynb", "img/*")
             for path in (ROOT / "notebooks").glob(pattern)}
    assert set(files.values()) == {True, False}
    names = "\n".join(p.relative_to(ROOT).as_posix() for p in files)
    told = subprocess.run(
        ["git", "check-attr", "--stdin", "linguist-generated", "diff"],
        cwd=ROOT, input=names, capture_output=True, text=True)
    if told.returncode:
        pytest.skip(f"not a git checkout: {told.stderr}")
    values = dict(line.rsplit(": ", 1) for line in told.stdout.splitlines())
    for path, is_built in files.items():
        name = path.relative_to(ROOT).as_posix()
        generated, diff = ("set", "unset") if is_built else (
            "unspecified", "unspecified")
        assert values[f"{name}: linguist-generated"] == generated, name
        assert values[f"{name}: diff"] == diff, name


def test_changelog_has_this_version_and_an_unreleased_part():
    titles = re.findall(r"^## (\S+)", read("CHANGELOG.md"), re.MULTILINE)
    assert titles[0] == "Unreleased" and d2lbert.__version__ in titles


def test_modules_that_moved_are_where_the_changelog_says():
    assert len(MOVED) > 30 and len(dict(MOVED)) == len(MOVED)
    for old, news in MOVED:
        new = {path for name in re.findall(r"`(.*?)`", news)
               for path in module_files(name)}
        assert new and all(map(is_module, new)), news
        # Gone, or a room of the same name
        assert not any(path.is_file() for path in module_files(old)), old


def test_pytest_works_from_any_folder(request):
    path = Path(request.config.option.nbval_sanitize_with)
    assert path == ROOT / "tests" / "sanitize.cfg" and path.is_file()
