"""d2lbert: BERT, three times, in agreement.

`from d2lbert import torch as d2l` (or `mxnet`, or `jax`) gives the names of
*Dive into Deep Learning*. Importing this package imports no framework.
"""

__version__ = "0.1.0"


def load_ipython_extension(shell: object) -> None:
    """`%load_ext d2lbert`: make the magic `%%module` known to a notebook.

    What the same cell imports is imported faster.
    """
    from d2lbert.shown import collect_later, register
    register(shell)
    collect_later(shell)
