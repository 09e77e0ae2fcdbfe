"""Run tests on a copy of the package, with the frameworks imported before.

A process that starts afresh takes most of its time to import them.
"""

import multiprocessing
import os
import sys

import pytest

METHODS = multiprocessing.get_all_start_methods()
SERVER = multiprocessing.get_context(
    "forkserver" if "forkserver" in METHODS else "spawn")
# Nothing of the package itself, and so no MXNet, which it changes
SERVER.set_forkserver_preload(
    ["pytest", "matplotlib.pyplot", "torch", "transformers", "flax", "optax"])


def run_tests(folder, arguments, out, backends):
    """pytest's exit status and what it printed.

    Args:
        folder: where the copy is, of the package and the tests.
        arguments: those of pytest.
        out: a file for what it prints.
        backends: those whose tests are asked for.
    """
    process = SERVER.Process(
        target=_pytest, args=(str(folder), arguments, str(out), backends))
    process.start()
    process.join()
    return process.exitcode, out.read_text("utf-8")


def _pytest(folder, arguments, out, backends):
    with open(out, "w", encoding="utf-8") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.chdir(folder)
    os.environ |= {"PYTHONPATH": folder,
                   "D2LBERT_TEST_BACKENDS": " ".join(backends)}
    sys.path.insert(0, folder)
    sys.exit(pytest.main(arguments))
