"""Build the notebooks: run those that have to be, several at a time."""

import asyncio
import os
import time
from itertools import chain
from pathlib import Path

from d2lbert.book.config import Book, BookError, load_book
from d2lbert.book.notebook import read_notebook, write
from d2lbert.book.plan import Job, make_plan
from d2lbert.book.record import Record


def build(root: str | Path = ".", chapters: list[str] | None = None,
          backends: list[str] | None = None, jobs: int = 2,
          force: bool = False, dry_run: bool = False) -> None:
    """Write notebooks/<backend>/<chapter>.ipynb, executed.

    A notebook is run if its code cells or what they reach of the package
    have changed; else it keeps its outputs and gets the chapter's prose.

    Args:
        root: the folder of book.toml.
        chapters, backends: only these; by default those of book.toml.
        jobs: how many kernels run at the same time.
        force: run all of them.
        dry_run: only say which would be run, and why.

    Raises:
        BookError: with the problems of all notebooks. No notebook is
            written if a chapter is wrong; one that fails is not written.
    """
    if jobs < 1:
        raise BookError(f"jobs is {jobs}: it takes at least one kernel")
    book = load_book(root)
    record = Record(book)
    pairs = book.select(chapters, backends)
    plan = make_plan(book, pairs, record, force)
    to_run = [job for job in plan if job.why]
    for job in to_run:
        print(f"{job.name}: {job.why}", flush=True)
    if dry_run:
        print(f"{len(to_run)} would be run")
        return
    for pair in set(book.select()) - set(pairs):
        record.learn(*pair)
    record.save()
    carried = sum(write(job.notebook, book.notebook(job.chapter, job.backend))
                  for job in plan if not job.why)
    problems = asyncio.run(_run(book, record, to_run, jobs))
    current = len(plan) - len(to_run) - carried
    print(f"{problems.count([])} built, {carried} carried over (prose only), "
          f"{current} current")
    if any(problems):
        raise BookError(*chain.from_iterable(problems))


async def _run(book: Book, record: Record, to_run: list[Job],
               jobs: int) -> list[list[str]]:
    """Run notebooks; the problems of each."""
    threads = max(1, (os.cpu_count() or 1) // max(1, min(jobs, len(to_run))))
    gate = asyncio.Semaphore(jobs)

    async def run_one(job: Job) -> list[str]:
        async with gate:
            return await _make(book, record, job, threads)

    return await asyncio.gather(*map(run_one, to_run))


async def _make(book: Book, record: Record, job: Job,
                threads: int) -> list[str]:
    """Execute and write a notebook; return what went wrong."""
    # Takes a second to import, and most builds only change prose.
    from d2lbert.book.execute import execute
    start, path = time.perf_counter(), book.notebook(job.chapter, job.backend)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        write(await execute(job.notebook, book, path.parent, threads), path)
        record.note(job.chapter, job.backend, read_notebook(path), job.files)
        problems, outcome = [], ""
    except BookError as error:
        problems, outcome = list(error.args), "failed after "
    seconds = time.perf_counter() - start
    print(f"{job.name} … {outcome}{seconds:.0f} s", flush=True)
    return [f"{job.name}: {problem}" for problem in problems]
