"""A dense LSTM as tutorials and courses write it in NumPy today.

One matrix per gate, one product per gate and step with the previous state and the input concatenated; the embedding's
gradient is a dense array, summed by ``np.add.at``; Adam updates every parameter. Only the precision, the sizes and the
first weights come from outside. Nothing in it is slower than usual.
"""

import numpy as np

from numpy_setlstm.lab.benchmark.work import draw_network

GATES = "ifog"


class Textbook:
    """Embedding, LSTM and readout; BLAS reads its number of threads from the environment."""

    PARTS = [
        ("numpy_setlstm.lab.benchmark.peers.textbook:Textbook.forward", "forward"),
        ("numpy_setlstm.lab.benchmark.peers.textbook:Textbook.backward", "backward"),
        ("numpy_setlstm.lab.benchmark.peers.textbook:Textbook.adam", "optimizer"),
    ]
    FORMS = {}
    EVOLVES = False

    def __init__(self, work, threads, form=None):
        given = draw_network(work).parameters
        W = np.concatenate([given["W_h"].toarray(), given["W_x"].toarray()])  # (H + D, 4H)
        self.H = work.hidden_size
        self.p = {"E": given["E"].toarray(), "W_y": given["W_out"], "b_y": given["b_out"]}
        for k, gate in enumerate(GATES):
            columns = slice(k * self.H, (k + 1) * self.H)
            self.p["W_" + gate] = np.ascontiguousarray(W[:, columns])
            self.p["b_" + gate] = given["b"][columns].copy()
        self.m = {name: np.zeros_like(value) for name, value in self.p.items()}
        self.v = {name: np.zeros_like(value) for name, value in self.p.items()}
        self.learning_rate, self.step = work.learning_rate, 0

    def train_step(self, tokens, labels):
        """One update; the loss before it."""
        probabilities, caches = self.forward(tokens)
        loss = -np.log(probabilities[np.arange(len(labels)), labels]).mean()
        self.adam(self.backward(tokens, labels, probabilities, caches))
        return float(loss)

    def predict(self, tokens):
        """Probabilities, ndarray of shape (N, C)."""
        return self.forward(tokens)[0]

    def forward(self, tokens):
        """Probabilities, and what the backward pass needs of each step."""
        p = self.p
        N, T = tokens.shape
        x = p["E"][tokens]  # (N, T, D)
        h, c = np.zeros((N, self.H), x.dtype), np.zeros((N, self.H), x.dtype)
        caches = []
        for t in range(T):
            hx = np.concatenate([h, x[:, t]], axis=1)  # (N, H + D)
            i = sigmoid(hx @ p["W_i"] + p["b_i"])
            f = sigmoid(hx @ p["W_f"] + p["b_f"])
            o = sigmoid(hx @ p["W_o"] + p["b_o"])
            g = np.tanh(hx @ p["W_g"] + p["b_g"])
            c_prev, c = c, f * c + i * g
            h = o * np.tanh(c)
            caches.append((hx, i, f, o, g, c_prev, c, h))
        scores = np.exp(h @ p["W_y"] + p["b_y"])
        return scores / scores.sum(axis=1, keepdims=True), caches

    def backward(self, tokens, labels, probabilities, caches):
        """Gradients of all parameters."""
        p, N = self.p, len(labels)
        grads = {name: np.zeros_like(value) for name, value in p.items()}
        dy = probabilities.copy()
        dy[np.arange(N), labels] -= 1
        dy /= N
        grads["W_y"] = caches[-1][-1].T @ dy
        grads["b_y"] = dy.sum(axis=0)
        dh, dc = dy @ p["W_y"].T, np.zeros((N, self.H), dy.dtype)
        dx = np.zeros((*tokens.shape, p["E"].shape[1]), dy.dtype)  # (N, T, D)
        for t in reversed(range(len(caches))):
            hx, i, f, o, g, c_prev, c, _ = caches[t]
            tanh_c = np.tanh(c)
            dc = dc + dh * o * (1 - tanh_c**2)
            dgates = {
                "i": dc * g * i * (1 - i),
                "f": dc * c_prev * f * (1 - f),
                "o": dh * tanh_c * o * (1 - o),
                "g": dc * i * (1 - g**2),
            }
            dhx = np.zeros_like(hx)
            for gate, dz in dgates.items():
                grads["W_" + gate] += hx.T @ dz
                grads["b_" + gate] += dz.sum(axis=0)
                dhx += dz @ p["W_" + gate].T
            dh, dx[:, t] = dhx[:, : self.H], dhx[:, self.H :]
            dc = dc * f
        np.add.at(grads["E"], tokens, dx)
        return grads

    def adam(self, grads, beta1=0.9, beta2=0.999, eps=1e-8):
        """One step of Adam."""
        self.step += 1
        for name, grad in grads.items():
            self.m[name] = beta1 * self.m[name] + (1 - beta1) * grad
            self.v[name] = beta2 * self.v[name] + (1 - beta2) * grad**2
            m_hat = self.m[name] / (1 - beta1**self.step)
            v_hat = self.v[name] / (1 - beta2**self.step)
            self.p[name] -= self.learning_rate * m_hat / (np.sqrt(v_hat) + eps)

    def held_bytes(self):
        """Bytes of the parameters and of Adam's state."""
        return {
            "parameters": sum(value.nbytes for value in self.p.values()),
            "optimizer": sum(value.nbytes for state in (self.m, self.v) for value in state.values()),
        }


def sigmoid(z):
    """1 / (1 + exp(-z))."""
    return 1 / (1 + np.exp(-z))
