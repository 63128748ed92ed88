"""SET-LSTM writes: the sparse network of one_file.py learns which character comes next.

There, a readout answers once, after the last word. Here it answers at every step: how probable is
each character as the next one? The loss is the mean of -log p of the character that did come. So
every state h gets a gradient from its own answer, and one from the steps after it.

A text is too long to be read in one go. It is cut into N streams, which are read side by side,
T characters at a time. The LSTM begins each piece with the state in which it left the one before:
it remembers. But the gradient stops there: backpropagation through time is truncated to T steps.

To write, let the network read a few characters, draw one by the probabilities of its answer, let it
read that one too, and so on.

Read one_file.py first. `python -m numpy_setlstm.one_file_writes` trains on made-up reviews, and
writes after every epoch, within a minute; with the name of a file, it learns from that text.
Sizes: N streams of T characters; D numbers per character, H hidden units, V different characters.
Papers: Mikolov et al. 2010 (language models that remember), Graves 2013 (characters).
"""

import sys
from pathlib import Path

import numpy as np

from numpy_setlstm.one_file import (
    adam_update,
    carry,
    cross_entropy,
    embedding_backward,
    embedding_forward,
    init_network,
    lstm_backward,
    lstm_forward,
    make_reviews,
    set_step,
    weights_of,
)

LONGEST = 50_000  # characters of a file: about as many as it learns from in a minute


def init_language_model(V, D, H, rng, er_epsilon=None):
    """Parameters like those of a classifier with V classes; V is small, so here E is dense."""
    parameters = init_network(V, D, H, V, rng, er_epsilon)
    return parameters | {"E": rng.normal(size=(V, D))}


def cut_into_streams(ids, N):
    """N streams (N, L + 1) of a text's ids; each begins with the last id of the one before."""
    L = (len(ids) - 1) // N
    return np.stack([ids[n * L : (n + 1) * L + 1] for n in range(N)])


def language_forward(parameters, tokens, before=None):
    """Logits (N * T, V) of what comes after each of tokens (N, T), and the state after the last."""
    E, W_x, W_h, b, W_out, b_out = parameters.values()
    x, embedding_cache = embedding_forward(tokens, E)  # (N, T, D)
    no_padding = np.ones(tokens.shape, bool)
    h, lstm_cache = lstm_forward(x, W_x, W_h, b, no_padding, before)  # (N, T, H)
    _, c_prev, i, f, _, g, _ = lstm_cache[-1][-1]  # of the last step
    after = h[:, -1], f * c_prev + i * g  # h and c, (N, H) each
    rows = h.reshape(-1, h.shape[2])  # (N * T, H): the readout knows no time
    return rows @ W_out + b_out, after, (embedding_cache, lstm_cache, h, rows, W_out)


def loss_and_gradients(parameters, tokens, before=None):
    """Loss of predicting tokens[:, 1:], gradients by name, and the state to begin the next with."""
    logits, after, cache = language_forward(parameters, tokens[:, :-1], before)
    embedding_cache, lstm_cache, h, rows, W_out = cache
    loss, dlogits = cross_entropy(logits, tokens[:, 1:].ravel())  # the mean over N * T places
    dh = (dlogits @ W_out.T).reshape(h.shape)  # logits = rows @ W_out + b_out, at every step
    dx, dW_x, dW_h, db = lstm_backward(dh, lstm_cache)  # what goes back into `before` is dropped
    gradients = {"E": embedding_backward(dx, embedding_cache), "W_x": dW_x, "W_h": dW_h, "b": db}
    return loss, gradients | {"W_out": rows.T @ dlogits, "b_out": dlogits.sum(axis=0)}, after


def train(parameters, streams, rng, *, n_epochs, zeta, n_steps=25, learning_rate=0.01):
    """Train the parameters in place; yield the loss after every epoch. SET steps are in between."""
    zeros = {name: np.zeros_like(weights_of(W)) for name, W in parameters.items()}
    state = {name: [zero, zero, zero.astype(int)] for name, zero in zeros.items()}  # m, v, age
    for epoch in range(n_epochs):
        if zeta > 0 and epoch > 0:
            for name in ("W_x", "W_h"):
                parameters[name], pruned = set_step(parameters[name], zeta, rng)
                state[name] = [carry(array, pruned) for array in state[name]]
        before, total, n_targets = None, 0.0, streams[:, 1:].size
        for first in range(0, streams.shape[1] - 1, n_steps):
            tokens = streams[:, first : first + n_steps + 1]  # (N, T + 1), at the end fewer
            loss, gradients, before = loss_and_gradients(parameters, tokens, before)
            total += loss * tokens[:, 1:].size
            for name, dW in gradients.items():
                change, *state[name] = adam_update(dW, *state[name], learning_rate=learning_rate)
                weights_of(parameters[name])[...] += change
        yield total / n_targets


def write(parameters, ids, length, rng, *, temperature=1.0):
    """Ids of `length` characters after `ids`; each is drawn with p = softmax(y / temperature)."""
    tokens, state, written = np.array([ids]), None, []
    for _ in range(length):
        logits, state, _ = language_forward(parameters, tokens, state)
        y = logits[-1] / temperature  # (V,): below 1, what is probable becomes more so
        p = np.exp(y - y.max())
        written.append(int(rng.choice(len(p), p=p / p.sum())))
        tokens = np.array([written[-1:]])  # (1, 1): what was written is read next
    return written


def main(file=None, *, n_epochs=10, D=16, H=64, N=20, er_epsilon=3, zeta=0.3, seed=0):
    """Learn from a text, and write after every epoch."""
    rng = np.random.default_rng(seed)
    reviews = " ".join(f"{review}." for review in make_reviews(1000, rng)[0])
    text = Path(file).read_text(encoding="utf8")[:LONGEST] if file else reviews
    characters = sorted(set(text))
    ids = np.array([characters.index(character) for character in text])
    parameters = init_language_model(len(characters), D, H, rng, er_epsilon)
    size = sum(weights_of(W).size for W in parameters.values())
    cells = sum(np.prod(W.shape) for W in parameters.values())
    share = np.bincount(ids) / len(ids)
    print(f"{len(text):,} characters, {len(share)} different ones, such as:\n{text[:160]!r}\n")
    print(f"{size:,} parameters, {size / cells:.1%} of a dense network's")
    print(f"{-share @ np.log2(share):.2f} bits per character, knowing only how frequent each is")
    losses = train(parameters, cut_into_streams(ids, N), rng, n_epochs=n_epochs, zeta=zeta)
    for epoch, loss in enumerate(losses, start=1):
        written = write(parameters, ids[:1], 160, rng, temperature=0.7)
        print(f"\nepoch {epoch}: {loss / np.log(2):.2f} bits per character, while it learns them")
        print(repr("".join(characters[k] for k in written)))


if __name__ == "__main__":
    main(*sys.argv[1:])
