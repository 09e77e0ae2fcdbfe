"""NumPy with gradients: the toy's framework.

An operation gives a `Tensor`, which knows what it was computed from and how
a gradient gets back there. Operations take tensors, arrays and numbers.
"""

import numpy as np


class Tensor:
    """An array and the way back.

    Attributes:
        value: the array.
        ways: [(tensor, function)]: what this was computed from, and what
            makes its gradient of this one's.
        grad: the gradient, an array of the same shape, after `backward`.
    """
    __array_ufunc__ = None  # array + tensor is for the tensor to compute

    def __init__(self, value, *ways):
        self.value, self.grad = value, None
        self.ways = [way for way in ways if isinstance(way[0], Tensor)]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.value, dtype)

    def __float__(self):
        return float(self.value)

    @property
    def shape(self):
        return self.value.shape

    def __add__(self, other):
        return Tensor(self.value + value(other), (self, same), (other, same))

    def __mul__(self, other):
        a, b = self.value, value(other)
        return Tensor(a * b, (self, lambda g: g * b), (other, lambda g: g * a))

    def __truediv__(self, number):
        return self * (1 / number)

    def __matmul__(self, other):
        a, b = self.value, value(other)
        return Tensor(a @ b, (self, lambda g: g @ b.swapaxes(-1, -2)),
                      (other, lambda g: a.swapaxes(-1, -2) @ g))

    def __rmatmul__(self, other):
        return Tensor(other) @ self

    __radd__, __rmul__ = __add__, __mul__

    def __getitem__(self, index):
        return Tensor(self.value[index],
                      (self, lambda g: scatter(self.shape, index, g)))

    def reshape(self, *shape):
        return Tensor(self.value.reshape(*shape),
                      (self, lambda g: g.reshape(self.shape)))

    def swapaxes(self, i, j):
        return Tensor(self.value.swapaxes(i, j),
                      (self, lambda g: g.swapaxes(i, j)))

    def sum(self):
        return Tensor(self.value.sum(),
                      (self, lambda g: np.full_like(self.value, g)))

    def mean(self):
        return self.sum() / self.value.size

    def backward(self):
        """Set the gradient of this scalar in all that it depends on."""
        order = []
        collect(self, order, set())
        for tensor in order:
            tensor.grad = np.zeros_like(tensor.value)
        self.grad = np.ones_like(self.value)
        for tensor in reversed(order):
            for source, back in tensor.ways:
                source.grad = source.grad + fit(
                    back(tensor.grad), source.shape)


def collect(tensor, order, seen):
    """Append a tensor to a list, after all that it depends on."""
    if id(tensor) not in seen:
        seen.add(id(tensor))
        for source, _ in tensor.ways:
            collect(source, order, seen)
        order.append(tensor)


def value(x):
    """The array of a tensor; arrays and numbers as they are."""
    return x.value if isinstance(x, Tensor) else x


def same(grad):
    """The gradient of a sum is that of its terms."""
    return grad


def fit(grad, shape):
    """Sum a gradient over the axes along which its array was repeated."""
    grad = grad.sum(tuple(range(grad.ndim - len(shape))))
    repeated = tuple(i for i, size in enumerate(shape)
                     if size < grad.shape[i])
    return grad.sum(repeated, keepdims=True)


def scatter(shape, index, grad):
    """Zeros of a shape, and at an index the sums of what was taken there."""
    zeros = np.zeros(shape, grad.dtype)
    np.add.at(zeros, index, grad)
    return zeros


def relu(X):
    """The positive part."""
    return Tensor(np.maximum(value(X), 0), (X, lambda g: g * (value(X) > 0)))


def tanh(X):
    """The hyperbolic tangent."""
    Y = np.tanh(value(X))
    return Tensor(Y, (X, lambda g: g * (1 - Y * Y)))


def softmax(X):
    """Along the last axis."""
    Y = np.exp(value(X) - value(X).max(-1, keepdims=True))
    Y /= Y.sum(-1, keepdims=True)
    return Tensor(Y, (X, lambda g: softmax_grad(Y, g)))


def softmax_grad(Y, grad):
    """The gradient of the input of a softmax whose output is Y."""
    return Y * (grad - (grad * Y).sum(-1, keepdims=True))


def standardize(X, eps):
    """Mean 0 and variance 1 along the last axis."""
    Y = value(X) - value(X).mean(-1, keepdims=True)
    scale = (Y * Y).mean(-1, keepdims=True) + eps
    Y /= scale ** 0.5

    def back(g):
        return (g - g.mean(-1, keepdims=True)
                - Y * (g * Y).mean(-1, keepdims=True)) / scale ** 0.5

    return Tensor(Y, (X, back))


def cross_entropy(logits, labels):
    """-log softmax at the labels: (..., C), (...) -> (...)."""
    Y = value(logits) - value(logits).max(-1, keepdims=True)
    Y = Y - np.log(np.exp(Y).sum(-1, keepdims=True))
    at = labels[..., None]
    right = np.arange(Y.shape[-1]) == at
    return Tensor(-np.take_along_axis(Y, at, -1)[..., 0],
                  (logits, lambda g: g[..., None] * (np.exp(Y) - right)))
