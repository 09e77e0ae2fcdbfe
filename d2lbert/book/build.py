"""Build the notebooks that are not current, several at a time."""

import asyncio
import os
import time
from itertools import chain

from d2lbert.book.check import file_problems
from d2lbert.book.config import BookError, collect, load_book
from d2lbert.book.execute import execute, write
from d2lbert.book.source import make_notebook


def build(root=".", chapters=None, backends=None, jobs=2, force=False):
    """Write notebooks/<backend>/<chapter>.ipynb, executed.

    A notebook in which `check` finds no problem is left as it is.

    Args:
        root: the folder of book.toml.
        chapters, backends: only these; by default those of book.toml.
        jobs: how many kernels run at the same time.
        force: execute current notebooks too.

    Raises:
        BookError: with the problems of all notebooks. No notebook is
            executed if a chapter is wrong; one that fails is not written.
    """
    if jobs < 1:
        raise BookError(f"jobs is {jobs}: it takes at least one kernel")
    book = load_book(root)
    pairs = book.select(chapters, backends)
    wanted = collect(lambda pair: make_notebook(book, *pair), pairs)
    tasks = [(book, *pair, notebook) for pair, notebook in zip(pairs, wanted)
             if force or _is_stale(book, pair, notebook)]
    threads = max(1, os.cpu_count() // max(1, min(jobs, len(tasks))))
    problems = asyncio.run(_run([(*t, threads) for t in tasks], jobs))
    print(f"{problems.count([])} built, {len(pairs) - len(tasks)} current")
    if any(problems):
        raise BookError(*chain.from_iterable(problems))


def _is_stale(book, pair, notebook):
    return bool(file_problems(book.notebook(*pair), notebook))


async def _run(tasks, jobs):
    gate = asyncio.Semaphore(jobs)

    async def run_one(task):
        async with gate:
            return await _make(*task)

    return await asyncio.gather(*map(run_one, tasks))


async def _make(book, chapter, backend, notebook, threads):
    """Execute and write a notebook; return what went wrong."""
    name, start = f"{backend}/{chapter}", time.perf_counter()
    path = book.notebook(chapter, backend)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        write(await execute(notebook, book, path.parent, threads), path)
        problems, outcome = [], ""
    except BookError as error:
        problems, outcome = error.args, "failed after "
    seconds = time.perf_counter() - start
    print(f"{name} … {outcome}{seconds:.0f} s", flush=True)
    return [f"{name}: {problem}" for problem in problems]
