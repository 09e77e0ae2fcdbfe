"""The book as a site, as slides and with a BERT in the page.

    parts.py      a chapter taken apart: what backends share, where they differ
    outputs.py    what came out of a cell, and the plots
    chapters.py   the page of a chapter
    modules.py    pages of the package's modules
    rosetta.py    the page that sets the three frameworks side by side
    checked.py    the table of what is checked
    front.py      the front page
    extension.py  what the pages need of Sphinx
    search.py     texts for the excerpts of search
    links.py      does every link lead somewhere?
    build.py      all of it
    static/       colours, style and scripts of the pages
"""
