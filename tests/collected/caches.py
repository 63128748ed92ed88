"""A layer that keeps everything in dicts, and whose weights get their gradients by a method apart from backward.

Source: I. Goodfellow, Y. Bengio, A. Courville (2016), "Deep Learning", section 6.5.
"""

import numpy as np

from .base import Case, draw, layer, sigmoid


class DenseOfCaches:
    """p, g hold parameters and gradients, fc, bc what both passes computed; the gradients by a method of their own."""

    def __init__(self, W, b):
        self.d, self.fs, self.bs = {}, {}, {}
        self.p, self.g = {"W": W, "b": b}, {}
        self.fc, self.bc = {}, {}
        self.trainable = True

    def forward(self, A):
        X = self.fc["X"] = A
        Z = self.fc["Z"] = np.dot(X, self.p["W"]) + self.p["b"]
        A = self.fc["A"] = sigmoid(Z)
        return A

    def backward(self, dX):
        dA = self.bc["dA"] = dX
        dZ = self.bc["dZ"] = dA * self.fc["A"] * (1 - self.fc["A"])
        dX = self.bc["dX"] = np.dot(dZ, self.p["W"].T)
        return dX

    def compute_gradients(self):
        X, dZ = self.fc["X"], self.bc["dZ"]
        self.g["dW"] = np.dot(X.T, dZ)
        self.g["db"] = np.sum(dZ, axis=0, keepdims=True)

    def update_parameters(self, lr=0.1):
        for key in self.p:
            self.p[key] -= lr * self.g["d" + key]


COMPUTE = "class Checked(Layer): backward = lambda self, dA: (Layer.backward(self, dA), self.compute_gradients())[0]"


def of_caches(layer_class, params, **inputs):
    """Return the case of a layer with compute_gradients(), with the one line that calls it after backward."""

    class Checked(layer_class):
        def backward(self, dA):
            return (super().backward(dA), self.compute_gradients())[0]

    instance = Checked(**params)

    def undo(dA):
        return [instance.backward(dA), *(instance.g["d" + name] for name in params)]

    def check(check_layer, **options):
        return check_layer(Checked(**params), inputs=tuple(inputs.values()), **options)

    return Case(dict(inputs) | params, lambda: instance.forward(*inputs.values()), undo, check)


@layer(
    "dense, dicts of caches",
    "object; p, g, fc, bc; compute_gradients() apart from backward",
    DenseOfCaches,
    adapter=COMPUTE,
)
def dense_of_caches(rng):
    A, W, b = draw(rng, (4, 3), (3, 2), (1, 2))
    return of_caches(DenseOfCaches, dict(W=W, b=b), A=A)
