"""The notebook builder: one MyST source a chapter, a notebook a backend.

    config.py    what book.toml says
    source.py    notebooks/<chapter>.md -> the cells of one backend
    exercises.py who gets which cells of an exercise
    include.py   the source of an object of the package, by its name
    times.py     how long a chapter takes
    start.py     the notebook that JupyterLab opens first
    notebook.py  notebook files: read, carry outputs over, write
    check.py     is a notebook what its chapter would give?
    pictures.py  is there something to see in a picture?
    modules.py   the modules of the package, taken apart
    reach.py     what of the package a notebook reaches
    digest.py    digests that follow code and not words
    checkout.py  the package as it is, and as git has it
    record.py    what each notebook was run with
    plan.py      which have to be run, and why
    execute.py   run one
    build.py     all of it
    figures/     the drawings in notebooks/img
    site/        pages, slides, a BERT in the page

`python -m d2lbert.book --help` tells how to run it.
"""
