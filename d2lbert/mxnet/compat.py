"""MXNet 1.9.1 on today's NumPy, and on all cores.

MXNet was last released in 2022 and asks NumPy for names that NumPy 1.24 and
2.0 took away (apache/mxnet #21165); on those it does not import. Here MXNet's
own modules, and no others, are given a NumPy that still has the names, and
not what they import without need. The NumPy that everybody else imports is
not touched.
"""

import builtins
import importlib
import os
import signal
import sys
import types
import warnings
from contextlib import contextmanager

import numpy

NO_MXNET = (
    "d2lbert.mxnet needs MXNet 1.9.1 and what it needs: pip install "
    "'d2lbert[mxnet]', then pip install --no-deps mxnet==1.9.1. It has wheels "
    "only for Linux (x86-64, Arm) and Intel Macs; the PyTorch and JAX "
    "backends work without it.")

# What the names stood for. MXNet asks for them at import, for bool later too.
REMOVED = {
    "bool": bool, "Inf": numpy.inf, "PINF": numpy.inf, "NINF": -numpy.inf,
    "NaN": numpy.nan, "NAN": numpy.nan, "PZERO": 0.0, "NZERO": -0.0,
    "alltrue": numpy.all, "sometrue": numpy.any, "product": numpy.prod,
    "round_": numpy.round, "msort": lambda a: numpy.sort(a, axis=0),
    "in1d": lambda a, b, **options: numpy.isin(numpy.ravel(a), b, **options),
    "trapz": getattr(numpy, "trapezoid", None) or numpy.trapz,
    "compat": types.SimpleNamespace(basestring=str),  # for np.pad
}
# Financial functions, which are a package of their own since NumPy 1.20
ELSEWHERE = ("mirr", "npv", "pmt", "ppmt", "pv", "rate")


class EarlierNumPy(types.ModuleType):
    """NumPy together with the names it had when MXNet was written."""

    def __init__(self):
        super().__init__("numpy", numpy.__doc__)
        self.__dict__.update(REMOVED)
        self.__dict__.update((name, _moved(name)) for name in ELSEWHERE)

    def __getattr__(self, name):
        return getattr(numpy, name)


def _moved(name):
    def function(*args, **kwargs):
        raise RuntimeError(f"NumPy no longer has {name}: it is now in the "
                           "package numpy-financial")
    return function


class LaterStats(types.ModuleType):
    """`scipy.stats`, imported when something of it is asked for.

    MXNet has it for a quantization and a test, and its import takes a quarter
    of MXNet's.
    """

    def __getattr__(self, name):
        return getattr(importlib.import_module("scipy.stats"), name)


@contextmanager
def _other_imports_for(package):
    """Inside, `import numpy` in modules of package gives `EarlierNumPy`.

    `scipy.stats` waits until it is needed, and scikit-learn, which is only
    asked for a base class and imports `scipy.stats`, is not there.
    """
    plain_import, earlier = builtins.__import__, EarlierNumPy()
    later = types.SimpleNamespace(stats=LaterStats("scipy.stats"))

    def import_(name, globals=None, locals=None, fromlist=(), level=0):
        importer = (globals or {}).get("__name__", "")
        if importer.split(".")[0] != package:
            return plain_import(name, globals, locals, fromlist, level)
        if name == "sklearn.base":
            raise ImportError("MXNet works without scikit-learn")
        if name == "scipy.stats" or (
                name == "scipy" and "stats" in (fromlist or ())):
            return later
        module = plain_import(name, globals, locals, fromlist, level)
        return earlier if module is numpy else module

    builtins.__import__ = import_
    try:
        yield
    finally:
        builtins.__import__ = plain_import


@contextmanager
def all_cores():
    """Inside, libraries that are loaded take every core we may run on.

    MXNet takes half of them otherwise, assuming that each core counts twice
    as two hardware threads; where that is not so, a matrix product takes
    twice as long. Whoever sets OMP_NUM_THREADS is left their choice, and so
    is PyTorch if it is loaded later.
    """
    if "OMP_NUM_THREADS" in os.environ:
        yield
        return
    os.environ["OMP_NUM_THREADS"] = str(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1)
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]


def import_mxnet():
    """Import MXNet with NumPy's earlier names, unless it is there already.

    In a scheduler or server of several workers the import does its work, and
    ends the process when the workers have ended; after a Ctrl-C, too, which
    is for them.

    Raises:
        ImportError: if there is no MXNet here; says where there is one.
    """
    if sys.modules.get("mxnet"):
        return
    # Left over if a plain `import mxnet` failed half-way
    for name in [n for n in sys.modules if n.startswith("mxnet.")]:
        del sys.modules[name]
    if os.environ.get("DMLC_ROLE") in ("scheduler", "server"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    quiet = warnings.catch_warnings()
    try:
        with _other_imports_for("mxnet"), all_cores(), quiet:
            warnings.simplefilter("ignore")  # about distutils
            import mxnet  # noqa: F401
    except (ImportError, OSError) as error:  # OSError: its library is not here
        raise ImportError(NO_MXNET) from error
