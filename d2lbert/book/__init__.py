"""The notebook builder: one MyST source a chapter, a notebook a backend.

    config.py    what book.toml says
    source.py    notebooks/<chapter>.md -> the cells of one backend
    include.py   the source of an object of the package, by its name
    stamp.py     what a notebook's outputs were made from
    run.py       execute, normalise, write
    check.py     is a notebook what its chapter would give?
    build.py     all of it: what is not current is executed again
    figures.py   the drawings in notebooks/img

`python -m d2lbert.book --help` tells how to run it.
"""
