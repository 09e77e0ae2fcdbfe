"""Run tests or cells in processes that have the frameworks imported.

A process that starts afresh takes most of its time to import them.
"""

import gc
import json
import multiprocessing
import os
import sys

LONGEST = 600  # seconds
METHODS = multiprocessing.get_all_start_methods()
SERVER = multiprocessing.get_context(
    "forkserver" if "forkserver" in METHODS else "spawn")
# Nothing of the package itself, and so no MXNet, which it changes; PyTorch's
# optimizers import torch._dynamo
SERVER.set_forkserver_preload(
    ["pytest", "IPython", "matplotlib.pyplot", "torch", "torch._dynamo",
     "transformers", "flax", "optax"])


def run_tests(folder, arguments, out, environment):
    """pytest's exit status and what it printed.

    Args:
        folder: where there is a copy of the package and of the tests.
        arguments: those of pytest.
        out: a file for what is printed.
        environment: a dict, set beside what this process has; the folders
            of its PYTHONPATH are looked into first.

    Raises:
        TimeoutError: after ten minutes.
    """
    status = _call(_pytest, folder, out, environment, arguments)
    return status, out.read_text("utf-8")


def run_cells(folder, sources, out, environment):
    """The error of each cell, its type's name and words, or None.

    Args:
        folder: where they are run.
        sources: the code of cells, run one after another as in a notebook.
        out, environment: as in `run_tests`.
    """
    status = _call(_cells, folder, out, environment, sources)
    assert status == 0, out.read_text("utf-8")
    return json.loads(out.read_text("utf-8").splitlines()[-1])


def _call(function, folder, out, environment, argument):
    process = SERVER.Process(target=_prepared, args=(
        function, str(folder), str(out), environment, argument))
    process.start()
    process.join(LONGEST)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"not done in {LONGEST} s; see {out}")
    return process.exitcode


def _prepared(function, folder, out, environment, argument):
    gc.freeze()  # what the server has imported is not looked through
    with open(out, "w", encoding="utf-8") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.chdir(folder)
    os.environ |= environment
    sys.path[:0] = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.exit(function(argument))


def _pytest(arguments):
    import pytest
    return pytest.main(arguments)


def _cells(sources):
    from IPython.core.interactiveshell import InteractiveShell
    shell = InteractiveShell.instance()
    results = [shell.run_cell(source) for source in sources]
    errors = [r.error_before_exec or r.error_in_exec for r in results]
    print("\n" + json.dumps([error and [type(error).__name__, str(error)]
                             for error in errors]), flush=True)
