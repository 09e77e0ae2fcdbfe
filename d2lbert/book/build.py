"""Build the notebooks: run those that have to be, several at a time."""

import asyncio
import os
import time
from contextlib import suppress
from itertools import chain
from pathlib import Path

from nbformat import NotebookNode

from d2lbert.book.check import notebook_problems
from d2lbert.book.config import Book, BookError, Target, load_book
from d2lbert.book.notebook import read_notebook, with_outputs_of, write
from d2lbert.book.plan import Job, make_plan
from d2lbert.book.record import Record
from d2lbert.book.source import find_targets, make
from d2lbert.book.start import FILE as START, start_notebook
from d2lbert.book.times import Times


def build(root: str | Path = ".", chapters: list[str] | None = None,
          backends: list[str] | None = None, jobs: int = 2,
          force: bool = False, dry_run: bool = False) -> None:
    """Write notebooks/<backend>/<number>-<chapter>.ipynb, executed.

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
    targets = find_targets(book, chapters, backends)
    plan = make_plan(book, targets, record, force)
    to_run = [job for job in plan if job.why]
    for job in to_run:
        print(f"{job.target.name}: {job.why}", flush=True)
    if dry_run:
        print(f"{len(to_run)} would be run")
        return
    for target in set(find_targets(book)) - set(targets):
        record.learn(target)
    record.save()
    carried = sum(_replace(book, job.target, job.notebook)
                  for job in plan if not job.why)
    problems = asyncio.run(_run(book, record, to_run, jobs))
    current = len(plan) - len(to_run) - carried
    print(f"{problems.count([])} built, {carried} carried over (prose only), "
          f"{current} current")
    if any(problems):
        raise BookError(*chain.from_iterable(problems))
    write(start_notebook(book), book.root / "notebooks" / START)


def _replace(book: Book, target: Target, notebook: NotebookNode) -> bool:
    """Write a notebook; one with a number of before goes. False: no news."""
    before = book.present(target)
    is_new = write(notebook, book.path(target))
    if before != book.path(target):
        before.unlink()
    return is_new


async def _run(book: Book, record: Record, to_run: list[Job],
               jobs: int) -> list[list[str]]:
    """Run notebooks; the problems of each."""
    threads = max(1, (os.cpu_count() or 1) // max(1, min(jobs, len(to_run))))
    gate, times = asyncio.Semaphore(jobs), Times(book)
    news = set[str]()  # chapters that take longer now, or less long

    async def run_one(job: Job) -> list[str]:
        async with gate:
            start = time.perf_counter()
            problems = await _make(book, record, job, threads)
            seconds = time.perf_counter() - start
            if not problems and times.note(job.target, seconds):
                news.add(job.target.chapter)
            return problems

    problems = await asyncio.gather(*map(run_one, to_run))
    if news:
        times.save()
        _say_times(book, [target for target in find_targets(book)
                          if target.chapter in news])
    return problems


def _say_times(book: Book, targets: list[Target]) -> None:
    """Let notebooks say how long their chapter takes now."""
    for target in targets:
        with suppress(BookError):  # one that is not built, or fails
            present = read_notebook(book.path(target))
            expected = make(book, target)
            if not notebook_problems(present, expected):
                write(with_outputs_of(expected, present), book.path(target))


async def _make(book: Book, record: Record, job: Job,
                threads: int) -> list[str]:
    """Execute and write a notebook; return what went wrong."""
    # Takes a second to import, and most builds only change prose.
    from d2lbert.book.execute import execute
    start, path = time.perf_counter(), book.path(job.target)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        made = await execute(job.notebook, book, path.parent, threads)
        _replace(book, job.target, made)
        record.note(job.target, read_notebook(path), job.files)
        problems, outcome = [], ""
    except BookError as error:
        problems, outcome = list(error.args), "failed after "
    seconds = time.perf_counter() - start
    print(f"{job.target.name} … {outcome}{seconds:.0f} s", flush=True)
    return [f"{job.target.name}: {problem}" for problem in problems]
