"""All differences of one array at once, so that few lines of Python run.

Scores: step 10, time 0, last 0
Cause of time: lstm_backward needs too much memory
Cause of last: loss_backward needs too much memory
"""

import numpy as np

original = lstm_forward


def lstm_step_backward(dh, dc, cache):
    x, h_prev, c_prev, i, f, o, g, tanh_c, W_x, W_h = cache
    do = dh * tanh_c
    dc = dc + dh * o * (1 - tanh_c**2)
    df, di, dg = dc * c_prev, dc * g, dc * i
    dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)], axis=1)
    return dz @ W_x.T, dz @ W_h.T, dc * f, x.T @ dz, h_prev.T @ dz, dz.sum(axis=0)


def lstm_forward(x, W_x, W_h, b, mask):
    h = original(x, W_x, W_h, b, mask)[0]
    return h, (x, W_x, W_h, b, mask)


def many_forward(x, W_x, W_h, b, mask):
    """The forward pass for P sets of weights at once: all arrays have a first axis more."""
    H = W_h.shape[1]
    h = c = np.zeros((*x.shape[:2], H))
    states = []
    for t in range(x.shape[2]):
        z = x[:, :, t] @ W_x + h @ W_h + b[:, None]
        i, f, o = sigmoid(z[..., :H]), sigmoid(z[..., H : 2 * H]), sigmoid(z[..., 2 * H : 3 * H])
        word = mask[None, :, t, None]
        new = f * c + i * np.tanh(z[..., 3 * H :])
        h, c = np.where(word, o * np.tanh(new), h), np.where(word, new, c)
        states.append(h)
    return np.stack(states, axis=2)


def lstm_backward(dh, cache, step=1e-20):
    *arrays, mask = cache
    grads = []
    for number, array in enumerate(arrays):
        many = [np.repeat(a[None].astype(complex), array.size, axis=0) for a in arrays]
        many[number].reshape(array.size, -1)[np.arange(array.size), np.arange(array.size)] += 1j * step
        grads.append((dh * many_forward(*many, mask)).sum(axis=(1, 2, 3)).imag.reshape(array.shape) / step)
    return grads


def loss_backward(cache):
    h, lstm_cache, p, labels, W_out = cache
    dy = p.copy()
    dy[np.arange(len(labels)), labels] -= 1
    dy /= len(labels)
    dh = np.zeros_like(h)
    dh[:, -1] = dy @ W_out.T
    return *lstm_backward(dh, lstm_cache), h[:, -1].T @ dy, dy.sum(axis=0)
