r"""The same network with ``scipy.sparse``, as a competent user of SciPy would write it.

Arrays of the recurrence are feature-major, (H, N), as SciPy multiplies compressed rows from the left, ``A @ x``, and is
fast when each row of x is contiguous. The weights are stored twice, as :math:`W^T` for the forward pass and as
:math:`W` for the backward pass. The input projection and its gradients are computed once per distinct word of the
minibatch. SciPy has no product that computes a gradient at the connections only. It is either picked from a dense
product by BLAS, or computed from gathered rows, whichever is faster at the given density. Adam updates the values only.
"""

import numpy as np
from scipy import sparse

from numpy_setlstm.lab.benchmark.costs import nbytes_within
from numpy_setlstm.lab.benchmark.work import draw_network

GATHER_BELOW_DENSITY = 0.008  # per position, 1.2 ns for a gathered connection and 0.01 ns for a cell by BLAS
GATHER_CHUNK = 2**20  # numbers that are gathered at a time


class SparseWeight:
    """The values of a SparseMatrix (n_in, n_out), and both compressed forms of them."""

    def __init__(self, W):
        self.rows, self.cols, self.values = W.rows, W.cols, W.values
        self.csr = sparse.csr_array((W.values, (W.rows, W.cols)), shape=W.shape)
        self.csr.data = self.values  # the same array that Adam changes
        self.order = np.lexsort((W.rows, W.cols))
        transposed = (W.values[self.order], (W.cols[self.order], W.rows[self.order]))
        self.csr_T = sparse.csr_array(transposed, shape=W.shape[::-1])

    def refresh(self):
        """Copy the changed values to the transposed form."""
        np.take(self.values, self.order, out=self.csr_T.data)

    def gradient(self, x, dy):
        """``x.T @ dy`` at the connections, for x (M, n_in) and dy (M, n_out)."""
        n_in, n_out = self.csr.shape
        if len(self.values) >= GATHER_BELOW_DENSITY * n_in * n_out:
            return (x.T @ dy)[self.rows, self.cols]
        x, dy = np.ascontiguousarray(x.T), np.ascontiguousarray(dy.T)
        gradient, chunk = np.empty_like(self.values), max(1, GATHER_CHUNK // x.shape[1])
        for first in range(0, len(gradient), chunk):
            part = slice(first, first + chunk)
            gradient[part] = np.einsum("km,km->k", x[self.rows[part]], dy[self.cols[part]])
        return gradient


class ScipySparse:
    """Embedding, LSTM and readout; SciPy's sparse products use one thread only."""

    PARTS = [
        ("numpy_setlstm.lab.benchmark.peers.scipy_sparse:ScipySparse.project_words", "input projection"),
        ("numpy_setlstm.lab.benchmark.peers.scipy_sparse:ScipySparse.recur", "recurrence forward"),
        ("numpy_setlstm.lab.benchmark.peers.scipy_sparse:ScipySparse.recur_back", "recurrence backward"),
        ("numpy_setlstm.lab.benchmark.peers.scipy_sparse:ScipySparse.gradients", "gradients"),
        ("numpy_setlstm.lab.benchmark.peers.scipy_sparse:Adam.update", "optimizer"),
    ]
    FORMS = {}
    EVOLVES = False

    def __init__(self, work, threads, form=None):
        parameters = draw_network(work).parameters
        self.E, self.W_x, self.W_h = (SparseWeight(parameters.pop(name)) for name in ("E", "W_x", "W_h"))
        # Connection k has the value k: rows of this matrix locate the connections of words.
        numbers = np.arange(len(self.E.values))
        self.E_positions = sparse.csr_array((numbers, self.E.csr.indices, self.E.csr.indptr), shape=self.E.csr.shape)
        self.b, self.W_out, self.b_out = (parameters[name] for name in ("b", "W_out", "b_out"))
        self.weights = [self.E.values, self.W_x.values, self.W_h.values, self.b, self.W_out, self.b_out]
        self.adam = Adam(self.weights, work.learning_rate)
        self.buffers = {}

    def train_step(self, tokens, labels):
        """One update; the loss before it."""
        words, places = np.unique(tokens.T, return_inverse=True)  # time-major
        places = places.reshape(tokens.T.shape)  # (T, N)
        x_words, z_words = self.project_words(words)
        h = self.recur(z_words, places)  # (H, N)
        logits = h.T @ self.W_out + self.b_out  # (N, C)
        log_p = logits - logits.max(axis=1, keepdims=True)
        log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
        N = len(labels)
        dlogits = np.exp(log_p)
        dlogits[np.arange(N), labels] -= 1
        dlogits /= N
        self.recur_back(self.W_out @ dlogits.T)
        readout = [h @ dlogits, dlogits.sum(axis=0)]
        gradients = self.gradients(words, places, x_words)
        self.adam.update(self.weights, gradients + readout)
        self.W_x.refresh()
        self.W_h.refresh()
        return float(-log_p[np.arange(N), labels].mean())

    def predict(self, tokens):
        """Probabilities, ndarray of shape (N, C)."""
        words, places = np.unique(tokens.T, return_inverse=True)
        _, z_words = self.project_words(words)
        h = self.recur(z_words, places.reshape(tokens.T.shape), keep=False)
        p = np.exp(h.T @ self.W_out + self.b_out)
        return p / p.sum(axis=1, keepdims=True)

    def project_words(self, words):
        """Vectors and gate inputs of the distinct words: (U, D) and (4H, U)."""
        x_words = self.E.csr[words].toarray()  # (U, D)
        z_words = self.W_x.csr_T @ np.ascontiguousarray(x_words.T)  # (4H, U)
        z_words += self.b[:, None]
        return x_words, z_words

    def recur(self, z_words, places, keep=True):
        """Run the LSTM; returns the last h (H, N). With `keep`, the buffers hold what the backward pass needs."""
        T, N = places.shape
        H = len(self.b) // 4
        kept = self._kept(T, H, N) if keep else self._empty(1, H, N)
        h, c = np.zeros((H, N), z_words.dtype), np.zeros((H, N), z_words.dtype)
        for t in range(T):
            k = t if keep else 0
            kept["h_before"][k] = h.T
            kept["c_before"][k] = c
            z = kept["gates"][k]  # (4H, N)
            np.take(z_words, places[t], axis=1, out=z, mode="clip")
            z += self.W_h.csr_T @ h
            z[: 3 * H] *= 0.5  # sigmoid(z) = (1 + tanh(z / 2)) / 2: one tanh for all four gates
            np.tanh(z, out=z)
            z[: 3 * H] += 1
            z[: 3 * H] *= 0.5
            i, f, o, g = z.reshape(4, H, N)
            c *= f
            c += i * g
            np.tanh(c, out=kept["tanh_c"][k])
            h = o * kept["tanh_c"][k]
        return h

    def recur_back(self, dh):
        """Compute the gradients of the gate inputs in all steps, in the buffers, from that of the last h (H, N)."""
        H, N = dh.shape
        dz_t = np.empty((4, H, N), dh.dtype)
        dc = np.zeros_like(dh)
        kept = self.buffers
        for t in reversed(range(len(kept["gates"]))):
            i, f, o, g = kept["gates"][t].reshape(4, H, N)
            tanh_c = kept["tanh_c"][t]
            dc += dh * o * (1 - tanh_c * tanh_c)
            dz_t[0] = dc * g * i * (1 - i)
            dz_t[1] = dc * kept["c_before"][t] * f * (1 - f)
            dz_t[2] = dh * tanh_c * o * (1 - o)
            dz_t[3] = dc * i * (1 - g * g)
            dc *= f
            all_gates = dz_t.reshape(4 * H, N)
            kept["dz"][t] = all_gates.T
            dh = self.W_h.csr @ all_gates

    def _kept(self, T, H, N):
        """The buffers, reused for minibatches of the same size, as fresh memory costs time."""
        if "gates" not in self.buffers or self.buffers["gates"].shape != (T, 4 * H, N):
            self.buffers = self._empty(T, H, N) | {"dz": np.empty((T, N, 4 * H), self.b.dtype)}
        return self.buffers

    def _empty(self, T, H, N):
        shapes = {"h_before": (T, N, H), "gates": (T, 4 * H, N), "c_before": (T, H, N), "tanh_c": (T, H, N)}
        return {name: np.empty(shape, self.b.dtype) for name, shape in shapes.items()}

    def gradients(self, words, places, x_words):
        """Gradients of the values of E, W_x and W_h, and of b."""
        T, N, H = self.buffers["h_before"].shape
        h_before = self.buffers["h_before"].reshape(T * N, H)
        dz = self.buffers["dz"].reshape(T * N, 4 * H)
        # One row per word, with ones at its positions: a product with it sums over them.
        of_word = sparse.csr_array((np.ones(T * N, dz.dtype), (places.ravel(), np.arange(T * N))))  # (U, TN)
        dz_words = of_word @ dz  # (U, 4H)
        dx_words = self.W_x.csr @ np.ascontiguousarray(dz_words.T)  # (D, U)
        of_words = self.E_positions[words]
        dE = np.zeros_like(self.E.values)
        row_of = np.repeat(np.arange(len(words)), np.diff(of_words.indptr))
        dE[of_words.data] = dx_words[of_words.indices, row_of]
        dW_x = self.W_x.gradient(x_words, dz_words)
        dW_h = self.W_h.gradient(h_before, dz)
        return [dE, dW_x, dW_h, dz_words.sum(axis=0)]

    def held_bytes(self):
        """Bytes of the values, of everything else that the matrices hold, and of Adam's state."""
        weights = sum(array.nbytes for array in self.weights)
        held = nbytes_within([self.E, self.W_x, self.W_h, self.E_positions, self.weights])
        return {
            "parameters": weights,
            "indices": held - weights,
            "optimizer": nbytes_within([self.adam.means, self.adam.squares]),
        }


class Adam:
    """Adam for a list of arrays, which it changes in place."""

    def __init__(self, weights, learning_rate):
        self.learning_rate, self.step = learning_rate, 0
        self.means, self.squares = ([np.zeros_like(w) for w in weights] for _ in range(2))

    def update(self, weights, gradients):
        """One step."""
        self.step += 1
        mean_factor, square_factor = 1 / (1 - 0.9**self.step), 1 / (1 - 0.999**self.step)
        for w, g, m, v in zip(weights, gradients, self.means, self.squares, strict=True):
            m *= 0.9
            m += 0.1 * g
            v *= 0.999
            v += 0.001 * (g * g)
            root = np.sqrt(v * square_factor)
            root += 1e-8
            w -= self.learning_rate * mean_factor * m / root
