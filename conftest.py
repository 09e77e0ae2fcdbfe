"""Settings for every test and every notebook that pytest runs."""

import os

# Figures once at the end of a cell, no progress bars: what was committed.
os.environ["D2LBERT_BUILD"] = "1"
# Workers share the cores: threads that wait for each other's core crawl.
workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
cores = len(os.sched_getaffinity(0)) if hasattr(
    os, "sched_getaffinity") else os.cpu_count()
os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // workers)))
