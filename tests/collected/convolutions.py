"""Convolutions and pooling: loops, im2col, strides, padding, transposed, dilated; (N, C, H, W) and (N, H, W, C).

Sources: V. Dumoulin, F. Visin (2016), "A guide to convolution arithmetic for deep learning", relations 6 and 14;
K. Chellapilla et al. (2006), "High Performance Convolutional Neural Networks for Document Processing" (im2col).
"""

import numpy as np

from .base import draw, layer, of_functions, of_object

COURSE = "course exercise: functions, loops, a dict of settings"


def conv_forward_naive(x, w, b, conv_param):
    s, p = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    H_out, W_out = 1 + (H + 2 * p - HH) // s, 1 + (W + 2 * p - WW) // s
    x_pad = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), mode="constant")
    out = np.zeros((N, F, H_out, W_out))
    for n in range(N):
        for f in range(F):
            for i in range(H_out):
                for j in range(W_out):
                    window = x_pad[n, :, i * s : i * s + HH, j * s : j * s + WW]
                    out[n, f, i, j] = np.sum(window * w[f]) + b[f]
    return out, (x, w, b, conv_param)


def conv_backward_naive(dout, cache):
    x, w, b, conv_param = cache
    s, p = conv_param["stride"], conv_param["pad"]
    N, F, H_out, W_out = dout.shape
    _, _, HH, WW = w.shape
    x_pad = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), mode="constant")
    dx_pad, dw, db = np.zeros_like(x_pad), np.zeros_like(w), np.zeros_like(b)
    for n in range(N):
        for f in range(F):
            db[f] += dout[n, f].sum()
            for i in range(H_out):
                for j in range(W_out):
                    rows, cols = slice(i * s, i * s + HH), slice(j * s, j * s + WW)
                    dw[f] += x_pad[n, :, rows, cols] * dout[n, f, i, j]
                    dx_pad[n, :, rows, cols] += w[f] * dout[n, f, i, j]
    dx = dx_pad[:, :, p:-p, p:-p]
    return dx, dw, db


@layer("convolution by loops", COURSE + "; stride 2, padding 1", conv_forward_naive, conv_backward_naive)
def conv_naive(rng):
    x, w, b = draw(rng, (2, 2, 5, 4), (3, 2, 3, 2), (3,))
    return of_functions(conv_forward_naive, conv_backward_naive, x=x, w=w, b=b, settings={"stride": 2, "pad": 1})


def max_pool_forward_naive(x, pool_param):
    HH, WW, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    N, C, H, W = x.shape
    H_out, W_out = 1 + (H - HH) // s, 1 + (W - WW) // s
    out = np.zeros((N, C, H_out, W_out))
    for i in range(H_out):
        for j in range(W_out):
            out[:, :, i, j] = x[:, :, i * s : i * s + HH, j * s : j * s + WW].max(axis=(2, 3))
    return out, (x, pool_param)


def max_pool_backward_naive(dout, cache):
    x, pool_param = cache
    HH, WW, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    N, C, H_out, W_out = dout.shape
    dx = np.zeros_like(x)
    for i in range(H_out):
        for j in range(W_out):
            window = x[:, :, i * s : i * s + HH, j * s : j * s + WW]
            mask = window == window.max(axis=(2, 3), keepdims=True)
            dx[:, :, i * s : i * s + HH, j * s : j * s + WW] += mask * dout[:, :, i, j][:, :, None, None]
    return dx


@layer("max pooling by loops", COURSE + "; overlapping windows", max_pool_forward_naive, max_pool_backward_naive)
def max_pool(rng):
    settings = {"pool_height": 3, "pool_width": 2, "stride": 1}
    return of_functions(
        max_pool_forward_naive, max_pool_backward_naive, x=draw(rng, (2, 2, 5, 4))[0], settings=settings
    )


def im2col(images, height, width, stride=1, pad=0):
    N, C, H, W = images.shape
    out_h, out_w = (H + 2 * pad - height) // stride + 1, (W + 2 * pad - width) // stride + 1
    padded = np.pad(images, [(0, 0), (0, 0), (pad, pad), (pad, pad)], "constant")
    col = np.empty((N, out_h, out_w, C, height, width), dtype=images.dtype)
    for y in range(height):
        for x in range(width):
            piece = padded[:, :, y : y + stride * out_h : stride, x : x + stride * out_w : stride]
            col[:, :, :, :, y, x] = piece.transpose(0, 2, 3, 1)
    return col.reshape(N * out_h * out_w, -1)


def col2im(col, shape, height, width, stride=1, pad=0):
    N, C, H, W = shape
    out_h, out_w = (H + 2 * pad - height) // stride + 1, (W + 2 * pad - width) // stride + 1
    col = col.reshape(N, out_h, out_w, C, height, width)
    padded = np.zeros((N, C, H + 2 * pad + stride - 1, W + 2 * pad + stride - 1))
    for y in range(height):
        for x in range(width):
            piece = col[:, :, :, :, y, x].transpose(0, 3, 1, 2)
            padded[:, :, y : y + stride * out_h : stride, x : x + stride * out_w : stride] += piece
    return padded[:, :, pad : H + pad, pad : W + pad]


class Convolution:
    """Weights as attributes W, b; gradients as attributes dW, db."""

    def __init__(self, W, b, stride=1, pad=0):
        self.W, self.b, self.stride, self.pad = W, b, stride, pad
        self.x = self.col = self.col_W = None
        self.dW = self.db = None

    def forward(self, x):
        FN, C, FH, FW = self.W.shape
        N, C, H, W = x.shape
        out_h = 1 + (H + 2 * self.pad - FH) // self.stride
        out_w = 1 + (W + 2 * self.pad - FW) // self.stride
        col = im2col(x, FH, FW, self.stride, self.pad)
        col_W = self.W.reshape(FN, -1).T
        out = np.dot(col, col_W) + self.b
        self.x, self.col, self.col_W = x, col, col_W
        return out.reshape(N, out_h, out_w, -1).transpose(0, 3, 1, 2)

    def backward(self, dout):
        FN, C, FH, FW = self.W.shape
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        self.db = np.sum(dout, axis=0)
        self.dW = np.dot(self.col.T, dout)
        self.dW = self.dW.transpose(1, 0).reshape(FN, C, FH, FW)
        dcol = np.dot(dout, self.col_W.T)
        return col2im(dcol, self.x.shape, FH, FW, self.stride, self.pad)


@layer("convolution by im2col", "object; attributes W, b and dW, db", Convolution, im2col, col2im)
def conv_im2col(rng):
    x, W, b = draw(rng, (2, 2, 5, 4), (3, 2, 2, 3), (3,))
    conv = Convolution(W, b, stride=2, pad=1)
    return of_object(conv, dict(W=W, b=b), lambda: [conv.dW, conv.db], x=x)


class Pooling:
    """Max pooling by im2col and argmax."""

    def __init__(self, pool_h, pool_w, stride=2, pad=0):
        self.pool_h, self.pool_w, self.stride, self.pad = pool_h, pool_w, stride, pad

    def forward(self, x):
        N, C, H, W = x.shape
        out_h, out_w = 1 + (H - self.pool_h) // self.stride, 1 + (W - self.pool_w) // self.stride
        col = im2col(x, self.pool_h, self.pool_w, self.stride, self.pad)
        col = col.reshape(-1, self.pool_h * self.pool_w)
        self.x = x
        self.arg_max = np.argmax(col, axis=1)
        return np.max(col, axis=1).reshape(N, out_h, out_w, C).transpose(0, 3, 1, 2)

    def backward(self, dout):
        dout = dout.transpose(0, 2, 3, 1)
        size = self.pool_h * self.pool_w
        dmax = np.zeros((dout.size, size))
        dmax[np.arange(self.arg_max.size), self.arg_max.flatten()] = dout.flatten()
        dmax = dmax.reshape(dout.shape + (size,))
        dcol = dmax.reshape(dmax.shape[0] * dmax.shape[1] * dmax.shape[2], -1)
        return col2im(dcol, self.x.shape, self.pool_h, self.pool_w, self.stride, self.pad)


@layer("max pooling by argmax", "object; no weights", Pooling, im2col, col2im)
def pooling(rng):
    return of_object(Pooling(2, 2, stride=2), x=draw(rng, (2, 3, 4, 6))[0])


class Conv1D:
    """Dilated, (N, L, C); parameters drawn in the first forward pass; dicts; lists of batches."""

    def __init__(self, out_ch, kernel_width, stride=1, dilation=1):
        self.out_ch, self.kernel_width, self.stride, self.dilation = out_ch, kernel_width, stride, dilation
        self.parameters = {"W": None, "b": None}
        self.gradients = {}
        self.derived_variables = {"Z": [], "out_rows": []}
        self.is_initialized = False
        self.X = []

    def _init_params(self):
        rng = np.random.default_rng(5)
        W = rng.normal(size=(self.kernel_width, self.in_ch, self.out_ch))
        self.parameters = {"W": W, "b": rng.normal(size=(1, 1, self.out_ch))}
        self.gradients = {"W": np.zeros_like(W), "b": np.zeros((1, 1, self.out_ch))}
        self.is_initialized = True

    def _taps(self, length):
        out = (length - (self.kernel_width - 1) * self.dilation - 1) // self.stride + 1
        return [slice(k * self.dilation, k * self.dilation + (out - 1) * self.stride + 1, self.stride)
                for k in range(self.kernel_width)]  # fmt: skip

    def forward(self, X, retain_derived=True):
        if not self.is_initialized:
            self.in_ch = X.shape[2]
            self._init_params()
        W, b = self.parameters["W"], self.parameters["b"]
        Y = b + sum(X[:, tap] @ W[k] for k, tap in enumerate(self._taps(X.shape[1])))
        if retain_derived:
            self.X.append(X)
            self.derived_variables["Z"].append(Y)
        return Y

    def backward(self, dLdy, retain_grads=True):
        assert self.X, "forward first"
        if not isinstance(dLdy, list):
            dLdy = [dLdy]
        dX = []
        for dy, X in zip(dLdy, self.X, strict=True):
            dx, dw, db = self._bwd(dy, X)
            dX.append(dx)
            if retain_grads:
                self.gradients["W"] += dw
                self.gradients["b"] += db
        return dX[0] if len(self.X) == 1 else dX

    def _bwd(self, dy, X):
        W = self.parameters["W"]
        dX, dW = np.zeros_like(X), np.zeros_like(W)
        for k, tap in enumerate(self._taps(X.shape[1])):
            dX[:, tap] += dy @ W[k].T
            dW[k] = np.tensordot(X[:, tap], dy, axes=([0, 1], [0, 1]))
        return dX, dW, dy.sum(axis=(0, 1), keepdims=True)


@layer(
    "dilated convolution of a sequence",
    "object; parameters, gradients; weights drawn in the first forward pass",
    Conv1D,
)
def conv1d(rng):
    (X,) = draw(rng, (2, 8, 3))
    conv = Conv1D(2, 3, stride=2, dilation=2)
    conv.forward(X, retain_derived=False)
    case = of_object(
        conv, conv.parameters, lambda: [conv.gradients["W"], conv.gradients["b"]], before=conv.X.clear, X=X
    )
    fresh = Conv1D(2, 3, stride=2, dilation=2)
    return type(case)(
        case.arrays, case.forward, case.backward, lambda check, **options: check(fresh, inputs=(X,), **options)
    )


def empty(shape, dtype=np.float32):
    return np.empty(shape, dtype=dtype)


class ConvNHWC:
    """(N, H, W, C); params, grads are dicts; buffers in single precision."""

    def __init__(self, w, b, stride=(1, 1)):
        self.params, self.grads, self.stride = {"w": w, "b": b}, {}, stride
        self.ctx = {}

    def forward(self, inputs):
        kh, kw, _, _ = self.params["w"].shape
        sh, sw = self.stride
        n, h, w, _ = inputs.shape
        out = np.zeros((n, (h - kh) // sh + 1, (w - kw) // sw + 1, self.params["b"].size), dtype=np.float32)
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                patch = inputs[:, i * sh : i * sh + kh, j * sw : j * sw + kw]
                out[:, i, j] = np.tensordot(patch, self.params["w"], axes=3)
        self.ctx = {"X": inputs}
        return out + self.params["b"]

    def backward(self, grad):
        X, W = self.ctx["X"], self.params["w"]
        kh, kw, _, _ = W.shape
        sh, sw = self.stride
        d_W = np.zeros(W.shape, dtype=np.float32)
        d_in = np.zeros(X.shape, dtype=np.float32)
        for i in range(grad.shape[1]):
            for j in range(grad.shape[2]):
                rows, cols = slice(i * sh, i * sh + kh), slice(j * sw, j * sw + kw)
                d_W += np.tensordot(X[:, rows, cols], grad[:, i, j], axes=((0,), (0,)))
                d_in[:, rows, cols] += np.tensordot(grad[:, i, j], W, axes=((1,), (3,)))
        self.grads["w"] = d_W
        self.grads["b"] = np.sum(grad, axis=(0, 1, 2))
        return d_in


@layer("convolution, channels last", "object; params, grads are dicts; buffers of float32", ConvNHWC)
def conv_nhwc(rng):
    x, w, b = draw(rng, (2, 5, 4, 2), (3, 2, 2, 3), (3,))
    conv = ConvNHWC(w, b, stride=(2, 1))
    return of_object(conv, dict(w=w, b=b), lambda: [conv.grads["w"], conv.grads["b"]], inputs=x)


class MaxPoolNHWC:
    def __init__(self, size):
        self.params, self.grads, self.size, self.ctx = {}, {}, size, {}

    def forward(self, inputs):
        k = self.size
        n, h, w, c = inputs.shape
        out = empty((n, h // k, w // k, c))
        argmax = np.empty(out.shape, dtype=int)
        for i in range(h // k):
            for j in range(w // k):
                patch = inputs[:, i * k : (i + 1) * k, j * k : (j + 1) * k].reshape(n, -1, c)
                argmax[:, i, j] = patch.argmax(axis=1)
                out[:, i, j] = patch.max(axis=1)
        self.ctx = {"argmax": argmax, "X_shape": inputs.shape}
        return out

    def backward(self, grad):
        k, argmax = self.size, self.ctx["argmax"]
        d_in = np.zeros(self.ctx["X_shape"], dtype=np.float32)
        for n, i, j, c in np.ndindex(argmax.shape):
            row, col = np.unravel_index(argmax[n, i, j, c], (k, k))
            d_in[n, i * k + row, j * k + col, c] = grad[n, i, j, c]
        return d_in


@layer("max pooling, channels last", "object; params, grads empty dicts; np.empty of float32", MaxPoolNHWC, empty)
def max_pool_nhwc(rng):
    return of_object(MaxPoolNHWC(2), inputs=draw(rng, (2, 4, 6, 2))[0])


class TransposedConv:
    """Each input number adds its multiple of the kernel to the output; the cache is popped."""

    def __init__(self, weight, bias, stride=2, padding=1):
        self.weight, self.bias, self.stride, self.padding = weight, bias, stride, padding
        self.grads = {}
        self.cache = []

    def windows(self, shape):
        s, (kh, kw) = self.stride, self.weight.shape[2:]
        for i, j in np.ndindex(shape):
            yield i, j, slice(i * s, i * s + kh), slice(j * s, j * s + kw)

    def forward(self, x):
        N, C, H, W = x.shape
        kh, kw = self.weight.shape[2:]
        full = np.zeros((N, self.bias.size, (H - 1) * self.stride + kh, (W - 1) * self.stride + kw), dtype=x.dtype)
        for i, j, rows, cols in self.windows((H, W)):
            full[:, :, rows, cols] += np.einsum("nc,cdhw->ndhw", x[:, :, i, j], self.weight)
        self.cache.append((x, full.shape))
        p = self.padding
        return full[:, :, p:-p, p:-p] + self.bias[:, None, None]

    def backward(self, dout):
        x, shape = self.cache.pop()
        p = self.padding
        dfull, dx, dweight = np.zeros(shape), np.zeros(x.shape), np.zeros(self.weight.shape)
        dfull[:, :, p:-p, p:-p] = dout
        for i, j, rows, cols in self.windows(x.shape[2:]):
            dx[:, :, i, j] = np.einsum("ndhw,cdhw->nc", dfull[:, :, rows, cols], self.weight)
            dweight += np.einsum("nc,ndhw->cdhw", x[:, :, i, j], dfull[:, :, rows, cols])
        self.grads = {"weight": dweight, "bias": dout.sum(axis=(0, 2, 3))}
        return dx


@layer(
    "transposed convolution", "object; a popped cache; attributes, gradients in a dict made by backward", TransposedConv
)
def transposed_conv(rng):
    x, weight, bias = draw(rng, (2, 3, 2, 3), (3, 2, 3, 3), (2,))
    conv = TransposedConv(weight, bias)
    return of_object(conv, dict(weight=weight, bias=bias), lambda: [conv.grads["weight"], conv.grads["bias"]], x=x)
