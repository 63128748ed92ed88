"""Pooling over a whole map, average pooling, upsampling, flattening, padding: layers without weights.

Source: I. Goodfellow, Y. Bengio, A. Courville (2016), "Deep Learning", section 9.3; M. Lin et al. (2013), "Network In
Network".
"""

import numpy as np

from .base import draw, layer, of_functions, of_object

PASSES = "forward_pass, backward_pass"


class PassLayer:
    """What layers with forward_pass and backward_pass have in common."""

    trainable = True

    def set_input_shape(self, shape):
        self.input_shape = shape

    def parameters(self):
        return 0

    def output_shape(self):
        raise NotImplementedError


class AveragePooling(PassLayer):
    def __init__(self, pool_shape=(2, 3)):
        self.pool_shape = pool_shape

    def forward_pass(self, X, training=True):
        self.layer_input = X
        n, c, h, w = X.shape
        ph, pw = self.pool_shape
        return X.reshape(n, c, h // ph, ph, w // pw, pw).mean(axis=(3, 5))

    def backward_pass(self, accum_grad):
        ph, pw = self.pool_shape
        spread = accum_grad.repeat(ph, axis=2).repeat(pw, axis=3)
        return spread / (ph * pw)


class UpSampling(PassLayer):
    def __init__(self, size=(2, 3)):
        self.size = size

    def forward_pass(self, X, training=True):
        self.prev_shape = X.shape
        return X.repeat(self.size[0], axis=2).repeat(self.size[1], axis=3)

    def backward_pass(self, accum_grad):
        n, c, h, w = self.prev_shape
        sh, sw = self.size
        return accum_grad.reshape(n, c, h, sh, w, sw).sum(axis=(3, 5))


class Flatten(PassLayer):
    def forward_pass(self, X, training=True):
        self.prev_shape = X.shape
        return X.reshape((X.shape[0], -1))

    def backward_pass(self, accum_grad):
        return accum_grad.reshape(self.prev_shape)


class ConstantPadding(PassLayer):
    def __init__(self, padding=((1, 2), (0, 1)), value=0.3):
        self.padding, self.value = padding, value

    def forward_pass(self, X, training=True):
        return np.pad(X, ((0, 0), (0, 0), *self.padding), mode="constant", constant_values=self.value)

    def backward_pass(self, accum_grad):
        (top, bottom), (left, right) = self.padding
        height, width = accum_grad.shape[2:]
        return accum_grad[:, :, top : height - bottom, left : width - right]


def enter(name, layer_class, shape):
    @layer(name, PASSES + "; a base class", PassLayer, layer_class)
    def case(rng):
        instance = globals()[layer_class.__name__]()
        return of_object(instance, forward="forward_pass", backward="backward_pass", X=draw(rng, shape)[0])


enter("average pooling", AveragePooling, (2, 3, 4, 6))
enter("upsampling", UpSampling, (2, 3, 2, 2))
enter("flatten", Flatten, (2, 3, 2, 2))
enter("padding", ConstantPadding, (2, 3, 2, 4))


class DropoutPass(PassLayer):
    """A fixed generator, made anew in each pass, so that the mask stays."""

    def __init__(self, p=0.3, seed=2):
        self.p, self.seed = p, seed
        self._mask = None

    def forward_pass(self, X, training=True):
        c = 1 - self.p
        if training:
            self._mask = np.random.default_rng(self.seed).uniform(size=X.shape) > self.p
            c = self._mask
        return X * c

    def backward_pass(self, accum_grad):
        return accum_grad * self._mask


@layer("dropout without rescaling", PASSES + "; the mask from a seed", PassLayer, DropoutPass)
def dropout_pass(rng):
    return of_object(DropoutPass(), forward="forward_pass", backward="backward_pass", X=draw(rng, (4, 6))[0])


class GlobalAveragePool:
    """A call is a forward pass."""

    def __call__(self, maps):
        self.shape = maps.shape
        return maps.mean(axis=(2, 3))

    def backward(self, dout):
        n, c, h, w = self.shape
        return np.ones(self.shape) * dout[:, :, None, None] / (h * w)


@layer("global average pooling", "object with __call__ and no forward", GlobalAveragePool)
def global_average(rng):
    pool = GlobalAveragePool()
    return of_object(pool, forward="__call__", maps=draw(rng, (2, 3, 4, 2))[0])


def global_max_forward(x):
    flat = x.reshape(*x.shape[:2], -1)
    index = flat.argmax(axis=-1)
    return np.take_along_axis(flat, index[..., None], axis=-1)[..., 0], {"index": index, "shape": x.shape}


def global_max_backward(dout, cache):
    dx = np.zeros(cache["shape"])
    flat = dx.reshape(*dx.shape[:2], -1)
    np.put_along_axis(flat, cache["index"][..., None], dout[..., None], axis=-1)
    return dx


@layer("global max pooling", "functions; the cache is a dict", global_max_forward, global_max_backward)
def global_max(rng):
    return of_functions(global_max_forward, global_max_backward, x=draw(rng, (2, 3, 4, 2))[0])


def max_over_time_forward(x, lengths):
    mask = np.arange(x.shape[1])[None, :, None] < lengths[:, None, None]
    masked = np.where(mask, x, -np.inf)
    index = masked.argmax(axis=1)
    return masked.max(axis=1), (index, x.shape)


def max_over_time_backward(dout, cache):
    index, shape = cache
    dx = np.zeros(shape)
    n, d = np.indices(index.shape)
    dx[n, index, d] += dout
    return dx


@layer(
    "max over time", "functions; padded sequences, -inf where they end", max_over_time_forward, max_over_time_backward
)
def max_over_time(rng):
    x, lengths = draw(rng, (3, 5, 2))[0], np.array([5, 2, 3])
    return of_functions(max_over_time_forward, max_over_time_backward, x=x, lengths=lengths)


class DropoutOfGlobalNumbers:
    """A new mask in each pass, from NumPy's global random numbers."""

    def __init__(self, prob=0.6):
        self.prob = prob
        self.params = []

    def forward(self, X):
        self.mask = np.random.binomial(1, self.prob, size=X.shape) / self.prob  # noqa: NPY002
        return X * self.mask

    def backward(self, dout):
        return dout * self.mask


@layer("dropout, a new mask each time", "object; np.random.binomial, without a seed", DropoutOfGlobalNumbers)
def dropout_of_global_numbers(rng):
    seed = lambda: np.random.seed(3)  # noqa: E731, NPY002
    return of_object(DropoutOfGlobalNumbers(), before=seed, X=draw(rng, (4, 6))[0])


class DropoutOfGenerator:
    """A new mask in each pass, from a generator that is an attribute; it scales in the forward pass."""

    def __init__(self, rate, rng):
        self.rate, self.rng = rate, rng

    def __call__(self, x):
        return self.forward(x)

    def forward(self, x):
        self.mask = self.rng.random(x.shape) >= self.rate
        return x * self.mask / (1 - self.rate)

    def backward(self, dout):
        return dout * self.mask / (1 - self.rate)


@layer("dropout, its own generator", "object with __call__; self.rng.random, a new mask each time", DropoutOfGenerator)
def dropout_of_generator(rng):
    drop = DropoutOfGenerator(0.4, None)

    def renew():
        drop.rng = np.random.default_rng(3)

    renew()
    return of_object(drop, before=renew, x=draw(rng, (4, 6))[0])
