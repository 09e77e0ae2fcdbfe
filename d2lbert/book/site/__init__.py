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
    forward.py    BERT in NumPy, for what a page needs when it is built
    playground.py bert.mini in a page
    deck.py       the slides of a chapter, from its slide cells
    pulls.py      what a slide pulls in: code, outputs, plots, drawings
    markup.py     pieces of a slide as HTML, and their sizes
    slides.py     the decks as files
    mathjax.py    formulas without a network
    chromium.py   the browser that prints
    pdf.py        the book on paper
    links.py      does every link lead somewhere?
    build.py      all of it
    playground/   its page, its scripts and their style
    stage/        templates, style and script of the decks
    templates/    what the theme's sidebar has besides
    static/       colours, style and scripts of the pages
"""
