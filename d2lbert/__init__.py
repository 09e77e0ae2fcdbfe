"""d2lbert: BERT, three times, in agreement.

`from d2lbert import torch as d2l` (or `mxnet`, or `jax`) gives the names of
*Dive into Deep Learning*. Importing this package imports no framework.
"""

__version__ = "0.1.0"
