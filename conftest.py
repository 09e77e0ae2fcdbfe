"""Settings for every test and every notebook that pytest runs."""

import gc
import os
import shutil
import tempfile

from d2lbert.backends import SETTINGS

LONGEST = "test_mutations.py", "test_workers.py"
os.environ.update(SETTINGS | os.environ)
# Figures once at the end of a cell, no progress bars: what was committed.
os.environ["D2LBERT_BUILD"] = "1"


def pytest_configure(config):
    share_what_jax_compiles(config)
    compare_without_numbers_of_the_machine(config)


def share_what_jax_compiles(config):
    """Let each process of this run find what another one has compiled.

    Compiling takes most of the time of a small model; the tests of one run
    start hundreds of processes, and the next run begins with nothing.
    """
    name = "JAX_COMPILATION_CACHE_DIR"
    if name in os.environ:  # a worker's, or somebody's choice
        return
    os.environ[name] = tempfile.mkdtemp(prefix="d2lbert-jax-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    # Who meets an entry that another is just writing compiles for itself
    os.environ.setdefault(
        "PYTHONWARNINGS", "ignore:Error reading persistent compilation cache")
    config.add_cleanup(
        lambda: shutil.rmtree(os.environ.pop(name), ignore_errors=True))


def compare_without_numbers_of_the_machine(config):
    """Give nbval the patterns of what it passes over.

    Said here and not in pyproject.toml, whose paths would be read from the
    folder in which pytest is called.
    """
    # Absent where nbval is not installed, None where nobody gave it
    if getattr(config.option, "nbval_sanitize_with", "") is None:
        config.option.nbval_sanitize_with = str(
            config.rootpath / "tests" / "sanitize.cfg")


def pytest_collection_modifyitems(items):
    """Begin with the longest files, so that no worker waits for one at the
    end.
    """
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_collection_finish():
    gc.freeze()  # tests and frameworks stay, and are not looked through


def keep_to_own_cores():
    """Give each of pytest-xdist's workers, and what it starts, its cores.

    Threads of two frameworks that wait for each other's core crawl.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if not worker or not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    own = cores[int(worker.removeprefix("gw"))::count] or cores
    os.sched_setaffinity(0, own)
    os.environ.setdefault("OMP_NUM_THREADS", str(len(own)))


keep_to_own_cores()
