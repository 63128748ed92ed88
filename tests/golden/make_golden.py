"""Make the golden files: what PyTorch computes, stored, so that the tests can compare without PyTorch.

This script alone needs PyTorch, in an environment of its own. From the top of the project::

    python3 -m venv ../torch-venv && ../torch-venv/bin/pip install torch==2.13.0 numpy
    ../torch-venv/bin/python tests/golden/make_golden.py

On one machine it writes the same bytes each time. Other processors or versions may round the last digits otherwise.
Each file says in ``torch_version`` what made it.

All numbers are float64. Weights, masks and gradients are in PyTorch's layout and under PyTorch's names, so that the
same files test the converters. Names with a slash belong together; ``golden_files.load_golden`` makes a dict of each
group:

``weights/...``
    Two biases, both of them not 0.
``masks/...``
    1 where a connection is, 0 elsewhere; only in the files of sparse layers. One connection's weight is exactly 0.
``gradients/...``
    Multiplied by the masks.
``steps/OPTIMIZER/...``
    The weights after each of five updates, stacked; ``losses`` has the loss before each.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

FOLDER = Path(__file__).parent
N_STEPS = 5
OPTIMIZERS = {
    "adam": {"rule": "Adam", "learning_rate": 0.01},
    "adam_short_memory": {"rule": "Adam", "learning_rate": 0.003, "beta1": 0.8, "beta2": 0.95, "adam_eps": 1e-3},
    "adam_large_eps": {"rule": "Adam", "learning_rate": 0.5, "beta1": 0.5, "beta2": 0.9, "adam_eps": 1.0},
    "sgd": {"rule": "SGD", "learning_rate": 0.1, "momentum": 0.9},
    "sgd_half": {"rule": "SGD", "learning_rate": 0.3, "momentum": 0.5},
    "sgd_without_momentum": {"rule": "SGD", "learning_rate": 0.2, "momentum": 0.0},
}


# PyTorch's side


def run_lstm(lstm, x, words, h0, c0):
    """States of an LSTM that sees the words only: h (N, T, H) after each position, c (N, H) after the last.

    PyTorch has no padding before or in between, so each text's words are moved to the front and packed, which is its
    way of running texts of different lengths. A position has the state after the words up to there.
    """
    N = len(x)
    lengths = words.sum(1)
    front = torch.zeros(N, int(lengths.max()), x.shape[2], dtype=x.dtype)
    front[torch.arange(front.shape[1]) < lengths[:, None]] = x[words]
    some = torch.nonzero(lengths)[:, 0]  # texts of padding only cannot be packed
    packed = pack_padded_sequence(front[some], lengths[some], batch_first=True, enforce_sorted=False)
    packed, (_, c_some) = lstm(packed, (h0[None, some], c0[None, some]))
    h_some, _ = pad_packed_sequence(packed, batch_first=True)
    h_front = torch.zeros(N, front.shape[1], h0.shape[1], dtype=x.dtype).index_put((some,), h_some)
    states = torch.cat([h0[:, None], h_front], 1)  # (N, 1 + L, H)
    h = states[torch.arange(N)[:, None], words.cumsum(1)]
    return h, c0.index_put((some,), c_some[0])


def run_lstm_cell(lstm, x, words, h, c):
    """Do the same by another way, as a check: nn.LSTMCell, step by step, where padding keeps the state."""
    cell = nn.LSTMCell(lstm.input_size, lstm.hidden_size, lstm.bias, dtype=torch.float64)
    cell.load_state_dict({name.removesuffix("_l0"): weight for name, weight in lstm.state_dict().items()})
    outputs = []
    for t in range(x.shape[1]):
        h_t, c_t = cell(x[:, t], (h, c))
        word = words[:, t, None]
        h, c = torch.where(word, h_t, h), torch.where(word, c_t, c)
        outputs.append(h)
    return torch.stack(outputs, 1), c


def run_network(network, tokens):
    """Logits of embedding, LSTM and readout, with the states and vectors on the way."""
    words = tokens != 0
    x = network["embedding"](tokens)
    zeros = torch.zeros(len(tokens), network["lstm"].hidden_size, dtype=x.dtype)
    h, _ = run_lstm(network["lstm"], x, words, zeros, zeros)
    return network["readout"](h[:, -1]), h, x


def optimizer_of(parameters, rule, learning_rate, momentum=0.0, beta1=0.9, beta2=0.999, adam_eps=1e-8):
    """Translate our names of the hyperparameters."""
    if rule == "SGD":
        return torch.optim.SGD(parameters, lr=learning_rate, momentum=momentum)
    return torch.optim.Adam(parameters, lr=learning_rate, betas=(beta1, beta2), eps=adam_eps)


# Inputs and weights


def word_mask(rng, N, T, padding):
    """Where there are words, (N, T) bool."""
    lengths = rng.permutation(np.resize(np.arange(T, 0, -2), N))
    position = np.arange(T)
    if padding == "none":
        return np.ones((N, T), bool)
    if padding == "after":
        return position < lengths[:, None]
    if padding == "before":
        return position >= T - lengths[:, None]
    words = rng.random((N, T)) < 0.6
    words[0] = False  # a text of padding only
    words[1] = position % 2 == 0
    return words


def draw_weights(module, rng, density):
    """Fill a module with weights from N(0, 1/2), and draw the masks of its matrices, but for the readout's."""
    masks = {}
    for name, weight in module.named_parameters():
        values = rng.normal(0, np.sqrt(0.5), tuple(weight.shape))
        if density is not None and weight.ndim == 2 and not name.startswith("readout"):
            mask = rng.random(values.shape) < density
            if name.startswith("embedding"):
                mask[0] = False  # the padding word has no connection
            values[~mask] = 0
            values[tuple(np.argwhere(mask)[0])] = 0  # a connection whose weight is 0
            masks[name] = torch.from_numpy(mask.astype(np.float64))
        weight.data = torch.from_numpy(values)
    return masks


def lstm_case(seed, N, T, D, H, padding, density=None, bias=True):
    """Build an LSTM with a loss that reads every state: the sum of dh * h."""
    rng = np.random.default_rng(seed)
    lstm = nn.LSTM(D, H, batch_first=True, bias=bias, dtype=torch.float64)
    masks = draw_weights(lstm, rng, density)
    x, h0, c0 = (torch.from_numpy(rng.normal(size=shape)).requires_grad_() for shape in [(N, T, D), (N, H), (N, H)])
    words = torch.from_numpy(word_mask(rng, N, T, padding))
    dh = torch.from_numpy(rng.normal(size=(N, T, H)))
    h, c = run_lstm(lstm, x, words, h0, c0)
    for ours, theirs in zip((h, c), run_lstm_cell(lstm, x, words, h0, c0), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)
    (dh * h).sum().backward()
    return {
        **{"x": x, "words": words, "h0": h0, "c0": c0, "h": h, "c_last": c, "dh": dh},
        **{"dx": x.grad, "dh0": h0.grad, "dc0": c0.grad},
        **weights_and_gradients(lstm, masks),
    }


def embedding_case(seed, V, D, density=None):
    """Look words up that occur more than once in a text, and in several texts."""
    rng = np.random.default_rng(seed)
    embedding = nn.Embedding(V, D, dtype=torch.float64)
    masks = draw_weights(embedding, rng, density)
    tokens = torch.tensor([[3, 3, 0, 6, 3], [6, 6, 1, 2, 2], [5, 5, 5, 5, 5]])
    dx = torch.from_numpy(rng.normal(size=(3, 5, D)))
    x = embedding(tokens)
    (dx * x).sum().backward()
    return {"tokens": tokens, "x": x, "dx": dx, **weights_and_gradients(embedding, masks)}


def network_case(seed, N, T, V, D, H, C, padding, density=None, optimizers=None):
    """Build the whole network; then five updates with each optimizer, each on all texts but one."""
    rng = np.random.default_rng(seed)
    network = nn.ModuleDict(
        {
            "embedding": nn.Embedding(V, D, dtype=torch.float64),
            "lstm": nn.LSTM(D, H, batch_first=True, dtype=torch.float64),
            "readout": nn.Linear(H, C, dtype=torch.float64),
        }
    )
    masks = draw_weights(network, rng, density)
    network["lstm"].bias_hh_l0.requires_grad_(False)  # two trained biases would move twice as far as one
    words = word_mask(rng, N, T, padding)
    tokens = torch.from_numpy(np.where(words, rng.integers(1, V, (N, T)), 0))
    labels = torch.from_numpy(rng.integers(0, C, N))
    logits, h, x = run_network(network, tokens)
    loss = nn.functional.cross_entropy(logits, labels)
    loss.backward()
    arrays = {
        **{"tokens": tokens, "labels": labels, "x": x, "h": h, "logits": logits, "loss": loss},
        "probabilities": torch.softmax(logits, 1),
        **weights_and_gradients(network, masks),
        "optimizers": np.array(json.dumps(optimizers or {})),
    }
    initial = {name: weight.clone() for name, weight in network.state_dict().items()}
    for label, settings in (optimizers or {}).items():
        network.load_state_dict(initial)
        steps = train(network, tokens, labels, masks, settings)
        arrays |= {f"steps/{label}/{name}": array for name, array in steps.items()}
    return arrays


def bidirectional_case(seed, N, T, V, D, H, C, padding, density=None):
    """Build a network that reads from both ends, with a loss in which each text has a weight."""
    rng = np.random.default_rng(seed)
    network = nn.ModuleDict(
        {
            "embedding": nn.Embedding(V, D, dtype=torch.float64),
            "lstm": nn.LSTM(D, H, batch_first=True, bidirectional=True, dtype=torch.float64),
            "readout": nn.Linear(2 * H, C, dtype=torch.float64),
        }
    )
    masks = draw_weights(network, rng, density)
    words = torch.from_numpy(word_mask(rng, N, T, padding))
    tokens = torch.where(words, torch.from_numpy(rng.integers(1, V, (N, T))), 0)
    labels, text_weights = torch.from_numpy(rng.integers(0, C, N)), torch.from_numpy(rng.uniform(0.2, 3, N))
    lengths = words.sum(1)
    front = torch.zeros(N, int(lengths.max()), D, dtype=torch.float64)
    front[torch.arange(front.shape[1]) < lengths[:, None]] = network["embedding"](tokens)[words]
    _, (h, _) = network["lstm"](pack_padded_sequence(front, lengths, batch_first=True, enforce_sorted=False))
    logits = network["readout"](torch.cat([h[0], h[1]], 1))  # the last states of both directions
    loss = (text_weights * nn.functional.cross_entropy(logits, labels, reduction="none")).mean()
    loss.backward()
    arrays = {"tokens": tokens, "labels": labels, "text_weights": text_weights, "logits": logits, "loss": loss}
    return {**arrays, **weights_and_gradients(network, masks)}


def train(network, tokens, labels, masks, settings):
    """Make five updates of a network whose masked weights stay 0: the losses, and the weights after each."""
    trained = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
    optimizer = optimizer_of(trained.values(), **settings)
    losses, weights = [], {name: [] for name in trained}
    for k in range(N_STEPS):
        others = torch.arange(len(tokens)) != k  # so that the words of each minibatch differ
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(run_network(network, tokens[others])[0], labels[others])
        loss.backward()
        for name, mask in masks.items():
            trained[name].grad *= mask
        optimizer.step()
        for name, mask in masks.items():
            assert (trained[name].detach()[mask == 0] == 0).all(), f"{name}: a masked weight has moved"
        losses.append(loss.detach())
        for name, weight in trained.items():
            weights[name].append(weight.detach().clone())
    return {"losses": torch.stack(losses), **{name: torch.stack(history) for name, history in weights.items()}}


def language_case(seed, N, T, V, D, H, n_layers, density=None):
    """A language model: the loss of every step, gradients, and five updates that carry the state, by Adam."""
    rng = np.random.default_rng(seed)
    network = nn.ModuleDict(
        {
            "embedding": nn.Embedding(V, D, dtype=torch.float64),
            "lstm": nn.LSTM(D, H, n_layers, batch_first=True, dtype=torch.float64),
            "readout": nn.Linear(H, V, dtype=torch.float64),
        }
    )
    masks = draw_weights(network, rng, density)
    for name, weight in network.named_parameters():
        weight.requires_grad = "bias_hh" not in name
    words = torch.from_numpy(rng.integers(1, V, (N, N_STEPS * T + 1)))
    state = tuple(torch.from_numpy(rng.normal(size=(n_layers, N, H)) * 0.5).requires_grad_() for _ in range(2))
    losses, *_ = language_losses(network, words[:, : T + 1], state)
    losses.mean().backward()
    arrays = {"words": words, "h0": state[0], "c0": state[1], "losses": losses}
    arrays |= {"dh0": state[0].grad, "dc0": state[1].grad, "settings": np.array(json.dumps(OPTIMIZERS["adam"]))}
    arrays |= weights_and_gradients(network, masks)
    trained = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
    optimizer, after = optimizer_of(trained.values(), **OPTIMIZERS["adam"]), {name: [] for name in trained}
    of_steps, state = [], tuple(part.detach() for part in state)
    for k in range(N_STEPS):
        optimizer.zero_grad()
        losses, state = language_losses(network, words[:, k * T : (k + 1) * T + 1], state)
        losses.mean().backward()
        state = tuple(part.detach() for part in state)  # carried, and cut
        for name, mask in masks.items():
            trained[name].grad *= mask
        optimizer.step()
        of_steps.append(losses.detach())
        for name, weight in trained.items():
            after[name].append(weight.detach().clone())
    arrays |= {f"steps/adam/{name}": torch.stack(history) for name, history in after.items()}
    return arrays | {"steps/adam/losses": torch.stack(of_steps), "h_last": state[0], "c_last": state[1]}


def language_losses(network, words, state):
    """Cross-entropy of each step, (N, T), and the state after the last."""
    h, state = network["lstm"](network["embedding"](words[:, :-1]), state)
    return nn.functional.cross_entropy(network["readout"](h).transpose(1, 2), words[:, 1:], reduction="none"), state


def cross_entropy_case():
    """Ordinary logits; equal ones; differences at which a softmax without care overflows."""
    rows = [[0.3, -1.2, 2.1, 0.0], [5.0, 5.0, 5.0, 5.0], [-700.0, 800.0, 100.0, 0.0], [1e4, 1e4 - 1, -1e4, 3.0]]
    logits = torch.tensor([*rows, [-3.5, -2.0, -2.5, -40.0]], dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([2, 0, 2, 1, 1])
    loss = nn.functional.cross_entropy(logits, labels)
    loss.backward()
    probabilities = torch.softmax(logits, 1)
    return {"logits": logits, "labels": labels, "loss": loss, "probabilities": probabilities, "dlogits": logits.grad}


def optimizer_case(seed):
    """Update one array with gradients that do not depend on it: of many sizes, always 0, 0 at times."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=9)
    gradients = rng.normal(size=(N_STEPS, 9)) * [1e-9, 1e-4, 1, 1, 1e3, 0, 1, 1, 1]
    gradients[1:, 6] = 0
    gradients[:3, 7] = 0
    arrays = {"weights": weights, "gradients": gradients, "optimizers": np.array(json.dumps(OPTIMIZERS))}
    for label, settings in OPTIMIZERS.items():
        weight = nn.Parameter(torch.from_numpy(weights.copy()))
        optimizer = optimizer_of([weight], **settings)
        history = []
        for gradient in gradients:
            weight.grad = torch.from_numpy(gradient.copy())
            optimizer.step()
            history.append(weight.detach().clone())
        arrays[f"steps/{label}"] = torch.stack(history)
    return arrays


def weights_and_gradients(module, masks):
    """Weights, masks and masked gradients, copied, by PyTorch's names within their groups."""
    arrays = {f"masks/{name}": mask for name, mask in masks.items()}
    for name, weight in module.named_parameters():
        arrays[f"weights/{name}"] = weight.detach().clone()
        if weight.grad is not None:
            arrays[f"gradients/{name}"] = weight.grad * masks.get(name, 1)
    return arrays


CASES = {
    "lstm_dense": lambda: lstm_case(1, N=3, T=5, D=4, H=6, padding="none"),
    "lstm_dense_without_bias": lambda: lstm_case(2, N=5, T=4, D=3, H=2, padding="after", bias=False),
    "lstm_dense_one_of_each": lambda: lstm_case(3, N=1, T=4, D=1, H=1, padding="none"),
    "lstm_dense_padding_after": lambda: lstm_case(4, N=5, T=7, D=3, H=4, padding="after"),
    "lstm_dense_padding_before": lambda: lstm_case(5, N=5, T=7, D=6, H=3, padding="before"),
    "lstm_dense_padding_between": lambda: lstm_case(6, N=3, T=9, D=2, H=5, padding="between"),
    "lstm_sparse": lambda: lstm_case(7, N=3, T=5, D=7, H=9, padding="none", density=0.3),
    "lstm_sparse_padding_after": lambda: lstm_case(8, N=7, T=5, D=9, H=3, padding="after", density=0.2),
    "lstm_sparse_padding_before": lambda: lstm_case(9, N=5, T=7, D=3, H=9, padding="before", density=0.2),
    "lstm_sparse_padding_between": lambda: lstm_case(10, N=3, T=9, D=5, H=7, padding="between", density=0.1),
    "embedding_dense": lambda: embedding_case(11, V=7, D=4),
    "embedding_sparse": lambda: embedding_case(12, V=7, D=4, density=0.4),
    "network_dense": lambda: network_case(13, N=7, T=9, V=11, D=3, H=5, C=4, padding="before", optimizers=OPTIMIZERS),
    "network_dense_padding_after": lambda: network_case(14, N=5, T=7, V=13, D=3, H=4, C=2, padding="after"),
    "network_sparse": lambda: network_case(
        15, N=7, T=9, V=13, D=5, H=6, C=3, padding="before", density=0.3, optimizers=OPTIMIZERS
    ),
    "network_sparse_padding_after": lambda: network_case(
        16, N=5, T=7, V=11, D=7, H=3, C=4, padding="after", density=0.3
    ),
    "network_sparse_padding_between": lambda: network_case(
        17, N=3, T=9, V=9, D=5, H=7, C=2, padding="between", density=0.2
    ),
    "bidirectional_dense": lambda: bidirectional_case(19, N=4, T=6, V=8, D=2, H=3, C=2, padding="before"),
    "bidirectional_sparse": lambda: bidirectional_case(20, N=5, T=5, V=8, D=4, H=5, C=3, padding="after", density=0.3),
    "language_dense": lambda: language_case(21, N=3, T=5, V=7, D=4, H=6, n_layers=2),
    "language_sparse": lambda: language_case(22, N=4, T=6, V=9, D=5, H=7, n_layers=2, density=0.4),
    "language_one_layer": lambda: language_case(23, N=3, T=4, V=8, D=6, H=5, n_layers=1, density=0.5),
    "cross_entropy": cross_entropy_case,
    "optimizers": lambda: optimizer_case(18),
}


def main():
    """Write one file per case, of those that are named, or of all."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for name in sys.argv[1:] or CASES:
        make = CASES[name]
        arrays = {key: array.detach().numpy() if torch.is_tensor(array) else array for key, array in make().items()}
        path = FOLDER / f"{name}.npz"
        np.savez_compressed(path, torch_version=np.array(str(torch.__version__)), **arrays)
        print(f"{path.name:40} {path.stat().st_size:7,} bytes")


if __name__ == "__main__":
    main()
