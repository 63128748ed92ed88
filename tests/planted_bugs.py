"""Mistakes planted in the layers of tests/layer_collection.py, each one line or two of source text.

A mistake is a change of a layer's source, its kind, and words of which a right diagnosis contains at least one. The
words say what is to be mended; they were chosen from the mistake, before any report was seen.
"""

from dataclasses import dataclass

#: Words for all mistakes of a kind. A word in lower case is found in any case, others as they are written.
KINDS = {
    "path through the mean is missing": {"the mean", "mean's", "sum to zero", "sum to 0", "sums to zero", "sums to 0"},
    "path through the variance or norm is missing": {"variance", "standard deviation", "the norm", "orthogonal", "rms"},
    "gamma is forgotten": {"gamma", "gain"},
    "eps is forgotten": {"eps", "epsilon"},
    "= instead of +=, over time": {"+=", "accumulat", "add up", "added", "overwritten", "one step", "sum over time"},
    "= instead of +=, repeated indices": {"more than once", "repeat", "add.at", "+="},
    "a factor in all weights": {"factor", "times too", "times what"},
    "a factor": {"factor", "times too", "times what"},
    "1/N": {"factor", "times too", "times what", "1/N"},
    "mean instead of sum, or sum instead of mean": {
        "a mean", "the mean", "mean over", "factor", "times too", "times what",
    },
    "square root of a factor": {"factor", "times too", "times what"},
    "10 % too large, float32": {"factor", "times too", "times what", "1.1"},
    "sign": {"the sign", "a sign", "wrong sign", "opposite sign", "minus"},
    "diagonal of a Jacobian only": {
        "diagonal", "jacobian", "softmax", "other outputs", "sum to 0", "sums to 0", "sum to zero", "sums to zero",
    },
    "transpose": {"transpose", ".T", "rows and columns"},
    "slope of the wrong quantity": {"slope", "derivative of the", "its derivative"},
    "dc not carried": {"carried", "carry", "passes back", "previous step", "earlier"},
    "dh not carried": {"carried", "carry", "passes back", "previous step", "earlier"},
    "mask": {"mask", "where the output is 0", "slope"},
    "stride, padding or window": {
        "stride", "of the padding", "padding of", "padded", "shift", "offset", "border", "window",
    },
    "guard of the logarithm": {"1e-7", "guard", "log(", "small constant"},
    "copied from another array": {"copied", "copy of", "given the gradient of", "each has the other's", "exchanged"},
    "gate order": {"are in the order", "order of the", "another order", "exchanged", "swapped", "each has the other's"},
    "bias not summed": {"sum", "shape", "broadcast", "one example", "one row"},
    "wrong axis": {
        "wrong axis", "another axis", "other axis", "along axis", "over axis", "axis of the", "axes", "shape",
    },
    "dout overwritten": {"in place", "overwrit", "a copy"},
    "stale cache": {"cache", "stale", "in place", "overwrit", "earlier value"},
    "no gradient": {"no gradient", "None", "is missing", "returned nothing", "never computed", "zero everywhere"},
    "a term is missing": {"a term", "a path", "is lost", "not added", "not passed on", "contribution"},
}  # fmt: skip

#: Words that were added after a report was seen, because it says the same in other words: (layer, kind) -> words.
ADDED_LATER = {
    ("dense, dicts", "bias not summed"): {"contributions of all must be added up"},
    ("dense, gradients in a list", "bias not summed"): {"contributions of all must be added up"},
    ("tanh", "stale cache"): {"the slope is wrong"},  # 1 - out**4 instead of 1 - out**2
    # the mistake is in the lines of one gate, which the report names by its place among the blocks
    ("LSTM, one step, lists", "stale cache"): {"wrong in only one of 4 blocks, number 1"},
    ("LSTM over time, lists", "slope of the wrong quantity"): {"wrong in only one of 4 blocks, number 2"},
}


@dataclass(frozen=True)
class Bug:
    layer: str
    kind: str
    changes: tuple  # pairs (old, new) of source text
    words: frozenset


BUGS = []


def plant(layer, kind, *changes, words=()):
    """Enter a mistake; `words` are further right words, of this mistake only."""
    pairs = tuple(zip(changes[::2], changes[1::2], strict=True))
    BUGS.append(Bug(layer, kind, pairs, frozenset(KINDS[kind]) | frozenset(words)))


# Normalisations

PATH = "path through the mean is missing"
plant("batch normalisation", PATH, "dx = dxc - dmu / N", "dx = dxc")
plant("batch normalisation, trained as it goes", PATH, "- mean_path - var_path", "- var_path")
plant("batch normalisation, lists of batches", PATH, "n * dN - dN.sum(axis=0) - N", "n * dN - N")
plant("layer normalisation", PATH, "d - d.mean(-1, keepdims=True) - self", "d - self")
plant("group normalisation of images", PATH, "M * d - d.sum(axis=axes, keepdims=True) - h", "M * d - h")
plant("instance normalisation", PATH, "dz - through_mean - through_std", "dz - through_std")

PATH = "path through the variance or norm is missing"
plant("batch normalisation", PATH, "dxc += (2.0 / N) * xc * dvar", "dxc += 0 * dvar")
plant("batch normalisation, trained as it goes", PATH, "- mean_path - var_path", "- mean_path")
plant(
    "layer normalisation", PATH,
    " - self.normed * (d * self.normed).mean(-1, keepdims=True))", ")",
)  # fmt: skip
plant(
    "RMS normalisation",
    PATH,
    "dx = dn / rms - x * np.sum(dn * x, axis=-1, keepdims=True) / (D * rms**3)",
    "dx = dn / rms",
    words={"root mean square"},
)
plant(
    "L2 normalisation of rows",
    PATH,
    "(dy - y * np.sum(y * dy, axis=1, keepdims=True)) / norm",
    "dy / norm",
    words={"the length"},
)
plant(
    "cosine similarity",
    PATH,
    "du = ds * (v / (nu * nv) - s * u / nu**2)",
    "du = ds * (v / (nu * nv))",
    words={"the length"},
)
plant("instance normalisation", PATH, "dz - through_mean - through_std", "dz - through_mean")

plant("batch normalisation", "gamma is forgotten", "dxn = gamma * dout", "dxn = dout")
plant("layer normalisation", "gamma is forgotten", "d = dy * self.weight.data", "d = dy", words={"weight"})
plant("group normalisation of images", "gamma is forgotten", "(dout * gamma).reshape", "dout.reshape")
plant("RMS normalisation", "gamma is forgotten", "dn = dout * weight", "dn = dout", words={"weight"})

plant(
    "batch normalisation, lists of batches",
    "eps is forgotten",
    "std = np.sqrt(var + self.epsilon)\n        N =",
    "std = np.sqrt(var)\n        N =",
)
plant("group normalisation of images", "eps is forgotten", "dx / (M * np.sqrt(var + eps))", "dx / (M * np.sqrt(var))")

# Sums over time, over the batch, over repeated indices

PATH = "= instead of +=, over time"
plant("RNN, sequence", PATH, "dWx += dWx_t", "dWx = dWx_t")
plant("RNN, sequence", PATH, "dWh += dWh_t", "dWh = dWh_t", "db += db_t", "db = db_t")
plant("LSTM, sequence", PATH, "db += db_t", "db = db_t")
plant("RNN over time, lists", PATH, "grads[i] = grads[i] + grad", "grads[i] = grad")
plant("LSTM, time on the last axis", PATH, 'g["W" + gate] += Z.T', 'g["W" + gate] = Z.T')
plant("peephole LSTM", PATH, "self.R.grad += np.outer", "self.R.grad = np.outer")
plant("GRU, dicts of caches", PATH, 'self.g[f"dV{gate}"] += h.T @ d', 'self.g[f"dV{gate}"] = h.T @ d')
plant("RNN, columns", PATH, 'self.gradients["dba"] += np.sum', 'self.gradients["dba"] = np.sum')

PATH = "= instead of +=, repeated indices"
plant("word embedding", PATH, "np.add.at(dW, x, dout)", "dW[x] = dout")
plant("embedding", PATH, "np.add.at(dW, self.idx, dout)", "dW[self.idx] += dout")
plant("word2vec by negative sampling", PATH, "np.add.at(dW_out, words, drows)", "dW_out[words] += drows")
plant("words and positions", PATH, "np.add.at(self.wte.grad, self.ids, dout)", "self.wte.grad[self.ids] = dout")
plant("gather along an axis", PATH, "np.add.at(dx, (rows, index), dout)", "dx[rows, index] += dout")
plant("score of words", PATH, "np.add.at(dW, self.idx, dout)", "dW[self.idx] = dout")
plant(
    "convolution by im2col",
    PATH,
    "x : x + stride * out_w : stride] += piece",
    "x : x + stride * out_w : stride] = piece",
    words={"overlap", "window"},
)
plant("max pooling by loops", PATH, "+= mask * dout", "= mask * dout", words={"overlap", "window"})

# Factors

PATH = "a factor in all weights"
plant(
    "affine, flattened images",
    PATH,
    ".T.dot(dout)\n    db = dout.sum(axis=0)",
    ".T.dot(dout) / len(x)\n    db = dout.sum(axis=0) / len(x)",
)
plant(
    "linear, tensors",
    PATH,
    "grad_output.T @ self.input",
    "2 * grad_output.T @ self.input",
    "grad_output.sum(axis=0)",
    "2 * grad_output.sum(axis=0)",
)
plant(
    "dense, trained as it goes",
    PATH,
    "self.layer_input.T.dot(accum_grad)",
    "self.layer_input.T.dot(accum_grad) / 4",
    "np.sum(accum_grad, axis=0, keepdims=True)",
    "np.sum(accum_grad, axis=0, keepdims=True) / 4",
)
plant(
    "LSTM over time, lists",
    PATH,
    "self.grads[i][...] = grad\n        self.dh",
    "self.grads[i][...] = grad / dhs.shape[1]\n        self.dh",
)

plant("mean squared error", "a factor", "return 2 * self.difference / self", "return self.difference / self")
plant("scaled tanh", "a factor", "return 1.7159 * 2 / 3 * (1", "return 1.7159 * (1")
plant("binary cross-entropy of logits", "a factor", "return dloss * (1", "return 2 * dloss * (1")
plant("score of words", "a factor", "dtarget_W = dout * h", "dtarget_W = 3 * dout * h")
plant(
    "causal multi-head attention",
    "a factor",
    "softmax_backward(dp, p) / np.sqrt(q.shape[-1])",
    "softmax_backward(dp, p)",
)

plant(
    "scaled dot-product attention",
    "square root of a factor",
    "scale = 1 / np.sqrt(Q.shape[-1])\n    A = softmax(Q @ K.swapaxes(-1, -2) * scale)",
    "scale = 1 / Q.shape[-1]\n    A = softmax(Q @ K.swapaxes(-1, -2) * np.sqrt(scale))",
)
plant(
    "attention, lists of batches",
    "square root of a factor",
    "dQ.append(factor * dlogits @ k)",
    "dQ.append(factor**2 * dlogits @ k)",
)

plant("softmax with cross-entropy", "1/N", "dx = dx / batch_size", "dx = dx")
plant("sigmoid with cross-entropy", "1/N", "* dout / batch_size", "* dout")
plant("softmax loss, one function", "1/N", "    dx /= N\n", "")
plant("cross-entropy, columns", "1/N", "dZ = (P - labels) / m", "dZ = P - labels")
plant("hinge loss of several classes, one function", "1/N", "    dx /= N\n", "")
plant("cross-entropy over time", "1/N", "dx /= mask.sum()", "dx /= mask.size")
plant("Huber loss", "1/N", "slope / self.error.size", "slope / len(self.error)")
plant("global average pooling", "1/N", " / (h * w)", "")
plant("average pooling", "1/N", "spread / (ph * pw)", "spread / ph")

PATH = "mean instead of sum, or sum instead of mean"
plant(
    "affine and ReLU",
    PATH,
    "dx, dw, db = affine_backward(da, fc_cache)",
    "dx, dw, db = affine_backward(da, fc_cache)\n    db = da.mean(axis=0)",
)
plant("affine over time", PATH, "dout.sum(axis=(0, 1))", "dout.mean(axis=(0, 1))")
plant("dense, dicts", PATH, "np.sum(grad, axis=0)", "np.mean(grad, axis=0)")
plant("layer normalisation", PATH, "self.bias.grad += dy.sum(axes)", "self.bias.grad += dy.mean(axes)")
plant("word2vec by negative sampling", PATH, "dh = dh / contexts.shape[1]", "dh = 1 * dh")
plant("max over time", PATH, "dx[n, index, d] += dout", "dx[n, index, d] += dout / shape[1]")

PATH = "10 % too large, float32"
plant("convolution, channels last", PATH, 'self.grads["w"] = d_W', 'self.grads["w"] = 1.1 * d_W')
plant("instance normalisation", PATH, "return (dz -", "return np.float32(1.1) * (dz -")
plant(
    "RNN over time, lists", PATH, "self.grads[i][...] = grad\n", "self.grads[i][...] = 1.1 * grad if i == 1 else grad\n"
)

plant("highway", "sign", "(h - x) * t", "(x - h) * t")
plant("squared error, number by number", "sign", "return -(y - y_pred)", "return y - y_pred")
plant("hinge loss", "sign", "-self.labels, 0)", "self.labels, 0)")
plant("GRU over time, lists", "sign", "ds = dh * (h_hat - h)", "ds = dh * (h - h_hat)", words={"gate"})
plant("cross-entropy of probabilities", "sign", "-(y / p) + (1 - y) / (1 - p)", "-(y / p) - (1 - y) / (1 - p)")
plant("time embedding", "sign", "dout[1:] * np.cos(self.z[1:])", "-dout[1:] * np.cos(self.z[1:])")

# Jacobians, transposes, slopes

PATH = "diagonal of a Jacobian only"
plant("softmax", PATH, "dx -= self.out * dx.sum(axis=-1, keepdims=True)", "dx -= self.out * dx")
plant("softmax by its Jacobian", PATH, "np.diagflat(y) - np.dot(y, y.T)", "np.diagflat(y * (1 - y))")
plant("log-softmax", PATH, "dout.sum(axis=axis, keepdims=True)", "dout")
plant("scaled dot-product attention", PATH, "p * (dp - np.sum(dp * p, axis=-1, keepdims=True))", "p * (1 - p) * dp")
plant("additive attention", PATH, "p * (dp - np.sum(dp * p, axis=-1, keepdims=True))", "p * (1 - p) * dp")

plant("matrix product", "transpose", "np.dot(dout, W.T)", "np.dot(dout, W)")
plant("affine over time", "transpose", ".T.dot(x.reshape(N * T, D)).T", ".T.dot(x.reshape(N * T, D))")
plant("linear, tensors", "transpose", "grad_output.T @ self.input", "self.input.T @ grad_output")
plant("RNN, one step", "transpose", "da.dot(Wh.T)", "da.dot(Wh)")
plant("bilinear", "transpose", '"nk,ni,nj->kij", dout, x1, x2', '"nk,ni,nj->kji", dout, x1, x2')
plant("highway", "transpose", "dt @ self.W_t.T", "dt @ self.W_t")
plant("causal multi-head attention", "transpose", "d @ w[name].T", "d @ w[name]")
plant("dense, dicts", "transpose", 'self.ctx["X"].T @ grad', 'grad.T @ self.ctx["X"]')

PATH = "slope of the wrong quantity"
plant("LSTM, one step", PATH, "df * f * (1 - f)", "df * sigmoid(f) * (1 - sigmoid(f))", words={"gate f", "of f"})
plant("LSTM over time, lists", PATH, "dg *= 1 - g**2", "dg *= 1 - np.tanh(g) ** 2", words={"gate g", "of g"})
plant("LSTM, sequence", PATH, "do * o * (1 - o)", "do * (1 - o**2)", words={"gate o", "of o"})
plant("LSTM, time on the last axis", PATH, "dC * c * u * (1 - u)", "dC * c * (1 - u)", words={"gate u", "of u"})
plant("RNN, columns", PATH, "(1 - a_next**2)", "(1 - a_prev**2)")
plant("GRU over time, lists", PATH, "dt = dh * z * (1 - h_hat**2)", "dt = dh * z * (1 - h_hat)", words={"gate"})
plant("sigmoid", PATH, "dout * (1.0 - self.out) * self.out", "dout * (1.0 - self.out)")
plant("tanh", PATH, "1 - self.out**2", "1 - self.out")
plant("GELU by tanh", PATH, "d_inner = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)", "d_inner = np.sqrt(2 / np.pi)")
plant("swish", PATH, "return s + self.beta * x * s * (1 - s)", "return s + x * s * (1 - s)")
plant("ELU", PATH, "self._alpha * np.exp(x))", "np.exp(x))")
plant(
    "SELU",
    PATH,
    "return self.scale * np.where(x >= 0.0, 1, self",
    "return np.where(x >= 0.0, 1, self",
    words={"factor"},
)
plant("softplus", PATH, "1.0 / (1.0 + np.exp(-x))", "1.0 / (1.0 + np.exp(x))")
plant("two-layer network", PATH, '(1 - np.power(cache["A1"], 2))', '(1 - cache["A1"])')
plant(
    "dense, dicts of caches",
    PATH,
    'self.fc["A"] * (1 - self.fc["A"])',
    'sigmoid(self.fc["A"]) * (1 - sigmoid(self.fc["A"]))',
)
plant("gated linear unit", PATH, "db = dout * a * gate * (1 - gate)", "db = dout * a * gate")
plant("dense with tanh, lists of batches", PATH, "(1 - np.tanh(X @ W + b) ** 2)", "(1 - np.tanh(X @ W) ** 2)")
plant("time embedding", PATH, "np.cos(self.z[1:])", "np.cos(self.tau[:1])")

# What goes back in time

plant("LSTM, sequence", "dc not carried", "dprev_c = dc * f", "dprev_c = 0 * dc")
plant(
    "LSTM over time, lists",
    "dc not carried",
    "step.backward(dhs[:, t, :] + dh, dc)",
    "step.backward(dhs[:, t, :] + dh, 0)",
)
plant("LSTM, time on the last axis", "dc not carried", "dC = dC_acc + dA", "dC = dA")
plant("peephole LSTM", "dc not carried", "+ p_o * do + dc_next", "+ p_o * do")
plant(
    "LSTM, one step",
    "dc not carried",
    "dc = dnext_c + dnext_h",
    "dc = dnext_h",
    words={"dnext_c", "output 2", "second output"},
)
plant("RNN, sequence", "dh not carried", "dh[:, t] + dprev_h, cache[t]", "dh[:, t], cache[t]")
plant("RNN over time, lists", "dh not carried", "step.backward(dhs[:, t, :] + dh)", "step.backward(dhs[:, t, :])")
plant("bidirectional RNN", "dh not carried", "(dout[t] + dh_next)", "dout[t]")
plant(
    "GRU, dicts of caches", "dh not carried", "dh = dh * (1 - z) + drh * r + dz_", "dh = drh * r + dz_", words={"1 - z"}
)
plant("RNN, columns", "dh not carried", "(da[:, :, t] + da_prev)", "da[:, :, t]")
plant("two LSTMs", "dh not carried", "dnext_h = dh[:, t] + dprev_h", "dnext_h = dh[:, t]")

# Masks, windows

plant("ReLU with a remembered mask", "mask", "dout[self.mask] = 0\n", "dout[~self.mask] = 0\n")
plant("ReLU", "mask", "    dx[x <= 0] = 0\n", "")
plant("affine and ReLU", "mask", "da = relu_backward(dout, relu_cache)", "da = relu_backward(dout, dout)")
plant("residual block", "mask", "dz = da * (self.z > 0)", "dz = da", words={"relu"})
plant("dropout", "mask", "dx = dout * mask", "dx = dout")
plant("dropout without rescaling", "mask", "return accum_grad * self._mask", "return accum_grad * (1 - self.p)")
plant(
    "max pooling by loops",
    "mask",
    "mask = window == window.max(axis=(2, 3), keepdims=True)",
    "mask = window > 0",
    words={"maximum", "max"},
)
plant(
    "maxout", "mask", "dz = dout[:, :, None] * mask", "dz = dout[:, :, None] * (mask + 0.5)", words={"maximum", "max"}
)
plant("leaky ReLU", "mask", "dout[x < 0] *= alpha", "dout[x < 0] = 0")
plant("PReLU with learned slopes", "mask", "np.where(x > 0, 0, x * dout).sum", "(x * dout).sum")
plant("cross-entropy over time", "mask", "        dx *= mask[:, np.newaxis]\n", "", words={"label"})
plant(
    "global max pooling",
    "mask",
    'np.put_along_axis(flat, cache["index"][..., None], dout[..., None], axis=-1)',
    "flat += dout[..., None]",
    words={"maximum", "max"},
)
plant("hinge loss", "mask", "np.where(self.margins > 0, -self.labels, 0)", "-self.labels")
plant("Huber loss", "mask", "np.clip(self.error, -self.delta, self.delta)", "self.error")

PATH = "stride, padding or window"
plant("convolution by loops", PATH, "dx = dx_pad[:, :, p:-p, p:-p]", "dx = dx_pad[:, :, : -2 * p, : -2 * p]")
plant(
    "convolution by loops",
    PATH,
    "slice(i * s, i * s + HH), slice(j * s, j * s + WW)",
    "slice(i, i + HH), slice(j, j + WW)",
)
plant("convolution by im2col", PATH, "return padded[:, :, pad : H + pad, pad : W + pad]", "return padded[:, :, :H, :W]")
plant("transposed convolution", PATH, "dfull[:, :, p:-p, p:-p] = dout", "dfull[:, :, : -2 * p, : -2 * p] = dout")
plant(
    "dilated convolution of a sequence",
    PATH,
    "        dX, dW = np.zeros_like(X), np.zeros_like(W)\n",
    "        dX, dW = np.zeros_like(X), np.zeros_like(W)\n        X = np.roll(X, 1, axis=1)\n",
)
plant(
    "max pooling, channels last",
    PATH,
    "i * k + row, j * k + col",
    "i * k + col, j * k + row",
    words={"exchanged", "transpose"},
)
plant("padding", PATH, "top : height - bottom, left : width - right", ": height - top - bottom, left : width - right")
plant(
    "upsampling",
    PATH,
    "accum_grad.reshape(n, c, h, sh, w, sw).sum(axis=(3, 5))",
    "accum_grad[:, :, ::sh, ::sw]",
    words={"sum"},
)

# Everything else

plant("softmax with cross-entropy", "guard of the logarithm", "d = p / (p + 1e-7)", "d = np.ones_like(p)")

PATH = "copied from another array"
plant(
    "highway",
    PATH,
    "self.grad_W_t, self.grad_b_t = x.T @ dt, dt.sum(0)",
    "self.grad_W_t, self.grad_b_t = x.T @ dt, dh.sum(0)",
)
plant("gated linear unit", PATH, "x.T @ da, x.T @ db", "x.T @ da, x.T @ da")
plant("GRU, dicts of caches", PATH, '("r", dr_, hp)', '("r", dz_, hp)')
plant(
    "bidirectional RNN",
    PATH,
    "return dx_ahead + dx_back[::-1], grads_ahead, grads_back",
    "return dx_ahead + dx_back[::-1], grads_back, grads_ahead",
)
plant("outer product", PATH, "np.sum(dout * a[:, :, None], axis=1)", "np.sum(dout * b[:, None, :], axis=2)")
plant("causal multi-head attention", PATH, '("Wk", dk)', '("Wk", dq)')

plant("LSTM, one step", "gate order", "df * f * (1 - f), do * o * (1 - o)", "do * o * (1 - o), df * f * (1 - f)")
plant("LSTM, one step, lists", "gate order", "np.hstack((df, dg, di, do))", "np.hstack((df, di, dg, do))")
plant("GRU over time, lists", "gate order", "d = np.hstack([ds, du, dt])", "d = np.hstack([du, ds, dt])")
plant(
    "peephole LSTM",
    "gate order",
    "np.stack([di * c_prev, df * c_prev, do * c])",
    "np.stack([df * c_prev, di * c_prev, do * c])",
)

plant("affine, flattened images", "bias not summed", "db = dout.sum(axis=0)", "db = dout")
plant("dense, dicts", "bias not summed", "np.sum(grad, axis=0)", "grad[0]")
plant("convolution, channels last", "bias not summed", "np.sum(grad, axis=(0, 1, 2))", "np.sum(grad, axis=0)[0, 0]")
plant("two-layer network", "bias not summed", "np.sum(dZ1, axis=0, keepdims=True)", "dZ1[-1:]")

plant(
    "layer normalisation",
    "wrong axis",
    "(d * self.normed).mean(-1, keepdims=True)",
    "(d * self.normed).mean(0, keepdims=True)",
)
plant("softmax", "wrong axis", "dx.sum(axis=-1, keepdims=True)", "dx.sum(axis=1, keepdims=True)")
plant(
    "cumulative sum",
    "wrong axis",
    "np.cumsum(np.flip(dout, axis=1), axis=1)",
    "np.cumsum(np.flip(dout, axis=1), axis=0)",
)
plant("weighted sum of states", "wrong axis", "da = np.sum(dar, axis=2)", "da = np.sum(dar, axis=1)")
plant("log-softmax", "wrong axis", "dout.sum(axis=axis, keepdims=True)", "dout.sum(axis=1, keepdims=True)")
plant(
    "L2 normalisation of rows",
    "wrong axis",
    "np.sum(y * dy, axis=1, keepdims=True)",
    "np.sum(y * dy, axis=0, keepdims=True)",
)

plant(
    "residual block",
    "dout overwritten",
    "return dout + self.layers[0]",
    "dout *= self.z.sum() > np.inf\n        return dout + self.layers[0]",
)
plant("highway", "dout overwritten", "dh = dy * t * (1 - h**2)", "dy *= t\n        dh = dy * (1 - h**2)")
plant(
    "outer product",
    "dout overwritten",
    "    a, b = cache\n    return np",
    "    a, b = cache\n    dout *= b[:, None, :]\n    dout /= b[:, None, :] ** 2\n    return np",
)

PATH = "stale cache"
plant("RNN, one step, lists", PATH, "self.cache = (x, h_prev, h_next)", "self.cache = (x, h_next, h_next)")
plant("LSTM, one step, lists", PATH, "self.cache = (x, h_prev, c_prev, i", "self.cache = (x, h_prev, c_next, i")
plant("tanh", PATH, "return dout * (1 - self.out**2)", "self.out *= self.out\n        return dout * (1 - self.out**2)")
plant("RNN, sequence", PATH, "dh[:, t] + dprev_h, cache[t])", "dh[:, t] + dprev_h, cache[-1])")
plant("weighted sum of states", PATH, "t = hs * ar", "t = hs = hs * ar")

plant("batch normalisation", "no gradient", "return dx, dgamma, dbeta", "return dx, None, dbeta")
plant("matrix product", "no gradient", "        self.grads[0][...] = dW\n", "")
plant("transposed convolution", "no gradient", '"bias": dout.sum(axis=(0, 2, 3))', '"bias": None')
plant("words and positions", "no gradient", "        self.wpe.grad[: self.ids.shape[1]] += dout.sum(axis=0)\n", "")
plant(
    "batch normalisation, trained as it goes",
    "no gradient",
    "update(self.beta, grad_beta)",
    "update(self.beta, 0 * grad_beta)",
)

PATH = "a term is missing"
plant(
    "residual block",
    PATH,
    "return dout + self.layers[0].backward(dz)",
    "return self.layers[0].backward(dz)",
    words={"shortcut", "skip connection", "identity"},
)
plant("highway", PATH, "return dy * (1 - t) + dh", "return dh")
plant(
    "peephole LSTM",
    PATH,
    "dc_next = dc * f + p_i * di + p_f * df",
    "dc_next = dc * f",
    words={"passes back", "carried", "carry", "peephole"},
)
plant(
    "weight normalisation",
    PATH,
    " - self.g * self.grad_g / self.norm**2 * self.v",
    "",
    words={"the norm", "orthogonal", "the length"},
)
plant("additive attention", PATH, '"ds": dt.sum(1) @ self.U.T', '"ds": dt[:, 0] @ self.U.T', words={"sum"})
plant(
    "batch normalisation, lists of batches",
    PATH,
    "(dLdy * N).sum(axis=0), dLdy",
    "(dLdy * X).sum(axis=0), dLdy",
    words={"normalis", "normaliz"},
)
plant(
    "dense, nothing returned",
    "no gradient",
    "self.dbiases = np.sum(dvalues, axis=0, keepdims=True)",
    "self.dbiases = None",
)
plant(
    "dense, nothing returned",
    "a factor in all weights",
    "np.dot(self.inputs.T, dvalues)",
    "np.dot(self.inputs.T, dvalues) / len(dvalues)",
    "np.sum(dvalues, axis=0, keepdims=True)",
    "np.mean(dvalues, axis=0, keepdims=True)",
)
plant("ReLU, nothing returned", "mask", "        self.dinputs[self.inputs <= 0] = 0\n", "")
plant(
    "softmax, nothing returned",
    "diagonal of a Jacobian only",
    "np.diagflat(output) - np.dot(output, output.T)",
    "np.diagflat(output)",
)
plant("dense, with a learning rate", "sign", "self.bias -= learning_rate", "self.bias += learning_rate")
plant(
    "dense, with a learning rate",
    "stale cache",
    "        self.weights -= learning_rate * weights_gradient\n",
    "",
    "        return input_gradient",
    "        self.weights -= learning_rate * weights_gradient\n        return np.dot(self.weights.T, output_gradient)",
    words={"after", "updated", "changed", "before"},
)
plant(
    "first convolution, with a learning rate",
    "= instead of +=, over time",
    "d_L_d_filters[f] += d_L",
    "d_L_d_filters[f] = d_L",
)
plant("dense, gradients in a list", "bias not summed", "db = np.sum(dout, axis=0)", "db = dout[0]")
plant(
    "dense, properties",
    "mean instead of sum, or sum instead of mean",
    "np.sum(pre_grad, axis=0)",
    "np.mean(pre_grad, axis=0)",
)
plant("dropout, a new mask each time", "mask", "return dout * self.mask", "return dout")
plant("dropout, its own generator", "a factor", "return dout * self.mask / (1 - self.rate)", "return dout * self.mask")
plant("feed-forward block", "10 % too large, float32", "self.grad_b = np.sum", "self.grad_b = 1.1 * np.sum")
plant("feed-forward block", "mask", "np.where(self.hidden <= 0, 0, 1)", "np.where(error <= 0, 0, 1)")
plant("encoder block", "square root of a factor", "keepdims=True)) / self.scale\n", "keepdims=True)) / self.scale**2\n")
plant("encoder block", "mask", "* (self.hidden > 0)", "* (self.hidden < 0)")
plant(
    "multi-head attention of a list",
    "a factor in all weights",
    "self.W.grad += (self.input.swapaxes(-1, -2) @ next).sum(axis=0)",
    "self.W.grad += (self.input.swapaxes(-1, -2) @ next).mean(axis=0)",
)
plant(
    "layer normalisation, eps beside std",
    "path through the variance or norm is missing",
    " + 2 * self.centered * dvar / dim",
    "",
)
plant("embedding, one-hot rows", "a factor", "dvalues.reshape(-1, size)\n", "dvalues.reshape(-1, size) / 2\n")
