"""SET-LSTM in one file: a sparse network that rewires itself while it learns to read.

An LSTM reads a text word by word. It carries along a memory c and shows part of it as its state h.
At each word three gates, numbers between 0 and 1, decide how much new is written into the memory,
how much of the old is kept, and how much is shown. After the last word a readout turns the state
into an answer; here: does this review end in praise or in complaint?

A sparse network has only a few of the connections that its layers could have. Only these are
stored, and only these take part in a computation: a matrix is a list of (row, column, weight). But
which few? SET, sparse evolutionary training, lets the network find out. It starts with random
connections and trains them for an epoch. Then it prunes the weakest, grows as many new ones at
random free places, and trains again. What proves useful becomes strong and stays; what does not is
replaced. So the network is sparse from its first step to its last.

Read from top to bottom. `python one_file.py` checks all gradients, then trains dense, static and
evolved networks and compares them; it needs nothing but NumPy, and about 15 seconds.
Sizes: N reviews of T words; D numbers per word, H hidden units, V words, C classes. dA = dloss/dA.
Papers: Hochreiter and Schmidhuber 1997 (LSTM), Mocanu et al. 2018 (SET), Liu et al. 2019 (both),
Kingma and Ba 2015 (Adam: steps of about the learning rate, whatever the size of the gradient).
"""

from dataclasses import dataclass, replace

import numpy as np


@dataclass
class SparseMatrix:
    """Connection k leads from unit rows[k] to unit cols[k] and has the weight values[k]."""

    shape: tuple
    rows: np.ndarray  # (nnz,): one entry for each of nnz connections, in any order
    cols: np.ndarray  # (nnz,)
    values: np.ndarray  # (nnz,)
    __array_ufunc__ = None  # so that NumPy leaves x @ W to __rmatmul__

    def __rmatmul__(self, x):
        """Product x @ W: each connection adds its row's input times its weight to its column."""
        y = np.zeros((len(x), self.shape[1]), np.result_type(x, self.values))  # (N, n_cols)
        np.add.at(y, np.s_[:, self.cols], x[:, self.rows] * self.values)  # += would lose repeats
        return y

    @property
    def T(self):
        """The transpose: the same connections, seen from their other end."""
        return SparseMatrix(self.shape[::-1], self.cols, self.rows, self.values)


def weights_of(W):
    """The array that training changes. A dense matrix is an ndarray; all functions take either."""
    return W.values if isinstance(W, SparseMatrix) else W


def weight_gradient(x, dy, W):
    """Gradient dW of the loss, where y = x @ W: input x at the row times dy at the column."""
    if isinstance(W, SparseMatrix):
        return (x[:, W.rows] * dy[:, W.cols]).sum(axis=0)  # (nnz,): of the connections only
    return x.T @ dy  # (n_rows, n_cols)


def regrow(shape, rows, cols, count, rng):
    """Choose `count` cells without a connection; every such choice is equally likely."""
    taken = rows * shape[1] + cols  # the cells of a matrix are numbered, row by row
    drawn = np.empty(0, int)
    while len(drawn) < count:  # throw as many darts as are missing; only new cells count
        darts = rng.integers(shape[0] * shape[1], size=count - len(drawn))
        drawn = np.union1d(drawn, np.setdiff1d(darts, taken))
    return np.divmod(drawn, shape[1])  # rows and columns, (count,) each


def erdos_renyi(shape, rng, *, er_epsilon):
    """Random graph of er_epsilon * (n_rows + n_cols) connections, at most one per cell."""
    count = min(round(er_epsilon * sum(shape)), shape[0] * shape[1])
    none = np.empty(0, int)
    return SparseMatrix(shape, *regrow(shape, none, none, count, rng), rng.normal(size=count))


def prune(W, zeta):
    """Positions of the weakest: the share zeta nearest 0 of the w >= 0, likewise of the w < 0."""
    weakest = []
    for group in (np.flatnonzero(W.values >= 0), np.flatnonzero(W.values < 0)):
        order = np.argsort(np.abs(W.values[group]), kind="stable")
        weakest.append(group[order[: int(zeta * len(group) + 1e-9)]])  # 0.29 * 100 is 28.99...
    return np.sort(np.concatenate(weakest))


def carry(state, pruned):
    """Take an array with one number per connection through a SET step: survivors, then zeros."""
    return np.append(np.delete(state, pruned), np.zeros(len(pruned), state.dtype))  # (nnz,)


def set_step(W, zeta, rng):
    """Prune the weakest connections, grow as many in free cells. Returns new W, what was pruned."""
    pruned = prune(W, zeta)
    rows, cols = np.delete(W.rows, pruned), np.delete(W.cols, pruned)
    new_rows, new_cols = regrow(W.shape, rows, cols, len(pruned), rng)
    rows, cols = np.append(rows, new_rows), np.append(cols, new_cols)  # (nnz,) each
    return SparseMatrix(W.shape, rows, cols, carry(W.values, pruned)), pruned


def embedding_forward(tokens, E):
    """Word w becomes row w of E: tokens (N, T) -> x (N, T, D)."""
    one_hot = np.eye(E.shape[0])[tokens.ravel()]  # (N * T, V): with a large V, look up rows instead
    return (one_hot @ E).reshape(*tokens.shape, E.shape[1]), (one_hot, E)  # cache, for backward


def embedding_backward(dx, cache):
    """Gradient dE: a word that stands in several places gets the sum of what comes back to them."""
    one_hot, E = cache
    return weight_gradient(one_hot, dx.reshape(len(one_hot), -1), E)  # x = one_hot @ E


def sigmoid(z):
    """1 / (1 + exp(-z)), in a form that cannot overflow."""
    return 0.5 * (1 + np.tanh(0.5 * z))


def lstm_forward(x, W_x, W_h, b, mask, before=None):
    """States h (N, T, H) of inputs x (N, T, D). Padding, where mask (N, T) is False, is skipped."""
    (N, T, _), (H, _) = x.shape, W_h.shape
    h_prev, c_prev = before or [np.zeros((N, H))] * 2  # a text begins with nothing in memory
    hs, steps = [], []
    for t in range(T):
        z = x[:, t] @ W_x + h_prev @ W_h + b  # (N, 4H): gates i, f, o and candidate g side by side
        i, f, o = np.split(sigmoid(z[:, : 3 * H]), 3, axis=1)  # (N, H): i writes, f keeps, o shows
        g = np.tanh(z[:, 3 * H :])  # (N, H): what could be written
        c = f * c_prev + i * g  # (N, H)
        h = o * np.tanh(c)  # (N, H)
        steps.append((h_prev, c_prev, i, f, o, g, np.tanh(c)))
        word = mask[:, t, None]  # (N, 1)
        h_prev, c_prev = np.where(word, h, h_prev), np.where(word, c, c_prev)
        hs.append(h_prev)
    return np.stack(hs, axis=1), (x, W_x, W_h, mask, steps)


def lstm_backward(dh, cache):
    """Backpropagation through time: the same steps, last one first, from the dh of the loss."""
    x, W_x, W_h, mask, steps = cache
    dx, dW_x, dW_h, db = np.zeros_like(x), 0, 0, 0  # each step uses the same weights: sums
    dh_next = dc_next = 0  # what the later steps send back
    for t in reversed(range(len(steps))):
        h_prev, c_prev, i, f, o, g, tanh_c = steps[t]
        dh_t = dh[:, t] + dh_next  # h is used by the loss and by the next step
        do = dh_t * tanh_c  # h = o * np.tanh(c)
        dc = dh_t * o * (1 - tanh_c**2) + dc_next  # c is used by h and by the next c
        di, df, dg = dc * g, dc * c_prev, dc * i  # c = f * c_prev + i * g
        dz = [di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)]
        word = mask[:, t, None]  # (N, 1)
        dz = word * np.hstack(dz)  # (N, 4H): sigmoid' = s * (1 - s), tanh' = 1 - tanh**2
        dx[:, t] = dz @ W_x.T  # z = x @ W_x + h_prev @ W_h + b
        dW_x += weight_gradient(x[:, t], dz, W_x)
        dW_h += weight_gradient(h_prev, dz, W_h)
        db += dz.sum(axis=0)
        dh_next = np.where(word, dz @ W_h.T, dh_t)  # at padding, h and c were copied, ...
        dc_next = np.where(word, dc * f, dc_next)  # ... so their gradients pass unchanged
    return dx, dW_x, dW_h, db


def cross_entropy(logits, labels):
    """Loss, the mean of -log p[label] with p = softmax(logits), and its gradient dlogits (N, C)."""
    shifted = logits - logits.real.max(axis=1, keepdims=True)  # the same p, but exp stays small
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))  # (N, C)
    one_hot = np.eye(logits.shape[1])[labels]  # (N, C)
    return -(one_hot * log_p).sum() / len(labels), (np.exp(log_p) - one_hot) / len(labels)


def init_network(V, D, H, C, rng, er_epsilon=None):
    """Random parameters. E, W_x and W_h are dense without er_epsilon; the others always are."""
    parameters = {"E": (V, D), "W_x": (D, 4 * H), "W_h": (H, 4 * H)}
    for name, shape in parameters.items():
        W = erdos_renyi(shape, rng, er_epsilon=er_epsilon) if er_epsilon else rng.normal(size=shape)
        if name != "E":
            weights_of(W)[...] /= np.sqrt(3 * weights_of(W).size / shape[1])  # 3 * inputs per unit
        parameters[name] = W
    parameters["b"] = np.repeat([0.0, 1.0, 0.0, 0.0], H)  # (4H,): f starts near 0.7
    parameters["W_out"] = rng.normal(size=(H, C)) * np.sqrt(2 / (H + C))
    return parameters | {"b_out": np.zeros(C)}


def network_forward(parameters, tokens):
    """Logits (N, C), read from the state after the last word of tokens (N, T). Id 0 is padding."""
    E, W_x, W_h, b, W_out, b_out = parameters.values()
    x, embedding_cache = embedding_forward(tokens, E)
    h, lstm_cache = lstm_forward(x, W_x, W_h, b, tokens != 0)
    return h[:, -1] @ W_out + b_out, (embedding_cache, lstm_cache, h, W_out)


def loss_and_gradients(parameters, tokens, labels):
    """Loss of a minibatch, and the gradient of every parameter, by name."""
    logits, (embedding_cache, lstm_cache, h, W_out) = network_forward(parameters, tokens)
    loss, dlogits = cross_entropy(logits, labels)
    dh = np.zeros_like(h)  # (N, T, H)
    dh[:, -1] = dlogits @ W_out.T  # logits = h[:, -1] @ W_out + b_out
    dx, dW_x, dW_h, db = lstm_backward(dh, lstm_cache)
    gradients = {"E": embedding_backward(dx, embedding_cache), "W_x": dW_x, "W_h": dW_h, "b": db}
    return loss, gradients | {"W_out": h[:, -1].T @ dlogits, "b_out": dlogits.sum(axis=0)}


def check_gradients(parameters, tokens, labels):
    """Compare each dw with the complex step: loss(w + 1e-20j).imag = 1e-20 * dw, to all digits."""
    _, gradients = loss_and_gradients(parameters, tokens, labels)
    for name, W in parameters.items():
        numeric = np.zeros(weights_of(W).shape)
        for k in np.ndindex(numeric.shape):
            nudged = weights_of(W).astype(complex)
            nudged[k] += 1e-20j
            nudged = replace(W, values=nudged) if isinstance(W, SparseMatrix) else nudged
            logits, _ = network_forward(parameters | {name: nudged}, tokens)
            numeric[k] = cross_entropy(logits, labels)[0].imag / 1e-20
        error = np.abs(gradients[name] - numeric).max() / np.abs(numeric).max()
        size, verdict = numeric.size, "ok" if error < 1e-12 else "WRONG"
        print(f"gradient of {name:5}  {size:3} entries   worst error {error:.0e}   {verdict}")


def adam_update(gradient, m, v, age, *, learning_rate, beta1=0.9, beta2=0.999, adam_eps=1e-8):
    """One update of Adam: about learning_rate * sign(m). A grown connection begins at age 0."""
    age = age + 1
    m = beta1 * m + (1 - beta1) * gradient  # running mean of the gradient
    v = beta2 * v + (1 - beta2) * gradient**2  # and of its square
    m_hat, v_hat = m / (1 - beta1**age), v / (1 - beta2**age)  # at age 1: gradient, gradient**2
    return -learning_rate * m_hat / (np.sqrt(v_hat) + adam_eps), m, v, age


def train(parameters, tokens, labels, rng, *, n_epochs, zeta, batch_size=20, learning_rate=0.05):
    """Train the parameters in place, with a SET step between two epochs unless zeta is 0."""
    zeros = {name: np.zeros_like(weights_of(W)) for name, W in parameters.items()}
    state = {name: [zero, zero, zero.astype(int)] for name, zero in zeros.items()}  # m, v, age
    for epoch in range(n_epochs):
        if zeta > 0 and epoch > 0:
            for name in ("E", "W_x", "W_h"):
                parameters[name], pruned = set_step(parameters[name], zeta, rng)
                state[name] = [carry(array, pruned) for array in state[name]]
        order = rng.permutation(len(tokens))
        for batch in np.split(order, range(batch_size, len(order), batch_size)):
            _, gradients = loss_and_gradients(parameters, tokens[batch], labels[batch])
            for name, dW in gradients.items():
                change, *state[name] = adam_update(dW, *state[name], learning_rate=learning_rate)
                weights_of(parameters[name])[...] += change


GOOD = "good great lovely superb charming brilliant fresh delightful splendid perfect witty".split()
BAD = "bad awful boring dreadful dull terrible stale ghastly horrid poor ugly lousy dismal".split()
THINGS = "soup waiter plot ending music bed view cake dragon butler lamp piano cheese choir".split()


def make_reviews(n, rng):
    """Label 1: "complaint but praise"; 0: "praise but complaint". Only word order tells."""

    def clause(praise):  # "the soup was great" or, to the same effect, "the soup was not awful"
        negated = rng.random() < 0.2
        adjective = rng.choice(GOOD if praise != negated else BAD)  # "not" turns it round
        return f"the {rng.choice(THINGS)} was {'not ' if negated else ''}{adjective}"

    labels = rng.permutation(np.arange(n) % 2)
    return [f"{clause(1 - label)} but {clause(label)}" for label in labels], labels


def encode(texts, ids):
    """Ids of the words, (N, T): 0, padding, fills up what is shorter; 1 is any unknown word."""
    rows = [[ids.get(word, 1) for word in text.split()] for text in texts]
    T = max(len(row) for row in rows)
    return np.array([row + [0] * (T - len(row)) for row in rows])


def main(seeds=(1, 2, 3), n_reviews=800, n_epochs=12):
    """Check gradients, then compare three kinds; static and evolved start from the same network."""
    rng = np.random.default_rng(0)
    small = init_network(9, 4, 5, 3, rng, er_epsilon=1)
    check_gradients(small, rng.integers(6, size=(4, 6)), np.arange(4) % 3)  # with some padding, 0
    texts, labels = make_reviews(n_reviews, rng)
    texts_test, labels_test = make_reviews(n_reviews, rng)
    ids = {word: k for k, word in enumerate(sorted(set(" ".join(texts).split())), start=2)}
    tokens, tokens_test = encode(texts, ids), encode(texts_test, ids)
    print(f'\n{n_reviews} reviews to learn from, such as "{texts[0]}", label {labels[0]}\n')
    print(f"{'connections':40}parameters  of dense   test accuracy by seed, and mean")
    for kind, er_epsilon, zeta in (
        ("dense: all that are possible", None, 0),
        ("static: random, never changed", 0.8, 0),
        ("evolved: SET replaces 30 % each epoch", 0.8, 0.3),
    ):
        accuracies = []
        for seed in seeds:
            rng = np.random.default_rng(seed)
            parameters = init_network(len(ids) + 2, 40, 64, 2, rng, er_epsilon)
            train(parameters, tokens, labels, rng, n_epochs=n_epochs, zeta=zeta)
            logits, _ = network_forward(parameters, tokens_test)
            accuracies.append(np.mean(logits.argmax(axis=1) == labels_test))
        size = sum(weights_of(W).size for W in parameters.values())
        cells = sum(np.prod(W.shape) for W in parameters.values())
        row = "  ".join(f"{accuracy:6.1%}" for accuracy in [*accuracies, np.mean(accuracies)])
        print(f"{kind:40}{size:10,}{size / cells:10.1%}   {row}")
    print("\nConnections per word of the last network:")
    degrees = np.bincount(parameters["E"].rows, minlength=len(ids) + 2)  # their mean stays as it is
    for name, words in (("opinions", GOOD + BAD), ("things", THINGS)):
        now = degrees[encode([" ".join(words)], ids)].mean()
        print(f"{name:10}{degrees.mean():.1f} at random, {now:.1f} evolved")


if __name__ == "__main__":
    main()
