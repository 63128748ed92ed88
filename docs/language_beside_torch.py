"""Train a dense language model of two layers here and in PyTorch: the same weights, minibatches and settings.

Both read the characters of Shakespeare, nine tenths of them, for two epochs: Adam, gradients cut at the norm 1, the
state carried from minibatch to minibatch. After each epoch the last twentieth of the text tests. The bits are written
to docs/language/beside_torch.json, and into docs/language.md. It needs PyTorch, the extra `benchmark`, the folder
NUMPY_SETLSTM_DATA, and some ten minutes. From the top of the repository::

    python docs/language_beside_torch.py
"""

import os
import sys
from pathlib import Path

import numpy as np
import torch
from language_runs import PAGE, RUNS

from numpy_setlstm.converters import to_torch
from numpy_setlstm.lab.experiment.page import fill_blocks
from numpy_setlstm.lab.files import write_json
from numpy_setlstm.lab.formatting import markdown_table
from numpy_setlstm.lab.writing import read_text
from numpy_setlstm.language.estimator import SetLSTMLanguageModel
from numpy_setlstm.language.preparation import prepare
from numpy_setlstm.language.text import encode, make_streams
from numpy_setlstm.parameters import LAYERS

RESULTS = RUNS.parent / "beside_torch.json"
SETTINGS = {"embedding_dim": 64, "hidden_size": 128, "n_layers": 2, "learning_rate": 0.003, "max_norm": 1.0}
N, T, N_EPOCHS = 32, 50, 2


class TorchModel(torch.nn.Module):
    """The same network in PyTorch, with the weights of ours."""

    def __init__(self, parameters):
        super().__init__()
        (V, D), H = parameters["E"].shape, parameters["W_h"].shape[0]
        self.embedding, self.lstm = torch.nn.Embedding(V, D), torch.nn.LSTM(D, H, 2, batch_first=True)
        self.readout = torch.nn.Linear(H, V)
        weights = {"embedding.weight": parameters["E"], "readout.bias": parameters["b_out"]}
        weights["readout.weight"] = parameters["W_out"].T
        for k, names in enumerate(LAYERS[:2]):
            layer = to_torch(dict(zip(LAYERS[0], (parameters[name] for name in names), strict=True)), prefix="lstm")
            weights |= {name.replace("_l0", f"_l{k}"): array for name, array in layer.items()}
        self.load_state_dict({name: torch.tensor(np.asarray(array)) for name, array in weights.items()})
        for name, parameter in self.named_parameters():
            parameter.requires_grad_("bias_hh" not in name)  # ours has one bias

    def loss(self, inputs, targets, state):
        """Return the mean loss, and the state after."""
        h, state = self.lstm(self.embedding(inputs), state)
        logits = self.readout(h).flatten(0, 1)
        return torch.nn.functional.cross_entropy(logits, targets.flatten().long()), tuple(s.detach() for s in state)


def cuts_of(ids, n_streams):
    """Return the minibatches of a text, list of (inputs, targets)."""
    streams = make_streams([ids], n_streams)
    return [streams.cut(k, T)[:2] for k in range(streams.count_cuts(T))]


def train_theirs(parameters, learn, test):
    """Return the bits on test text after each epoch."""
    model, bits = TorchModel(parameters), []
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, SETTINGS["learning_rate"])
    for _ in range(N_EPOCHS):
        state = None
        for inputs, targets in cuts_of(learn, N):
            loss, state = model.loss(torch.tensor(inputs), torch.tensor(targets), state)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, SETTINGS["max_norm"])
            optimizer.step()
        state, total, count = None, 0.0, 0
        with torch.no_grad():
            for inputs, targets in cuts_of(test, 1):
                loss, state = model.loss(torch.tensor(inputs), torch.tensor(targets), state)
                total, count = total + loss.item() * inputs.size, count + inputs.size
        bits.append(total / count / np.log(2))
    return bits


def train_ours(learn, test):
    """Return the first weights, the vocabulary, and the bits on test text after each epoch."""
    settings = SETTINGS | {"batch_size": N, "n_steps": T, "validation_fraction": 0, "random_state": 0}
    model, bits = SetLSTMLanguageModel("dense", n_epochs=N_EPOCHS, **settings), []
    prepared = prepare(model, learn)
    model.fit(learn, after_epoch=lambda model: bits.append(model.bits_per_character(test)))
    return prepared.state.network.parameters, prepared.vocabulary, bits


def format_bits(results):
    """Return the table: a line per epoch."""
    lines = [
        [str(epoch), f"{ours:.3f}", f"{theirs:.3f}", f"{ours - theirs:+.3f}"]
        for epoch, (ours, theirs) in enumerate(zip(results["ours"], results["torch"], strict=True), start=1)
    ]
    return markdown_table(["epochs", "here", "PyTorch", "difference"], lines)


def main():
    """Train both, and write the table."""
    text = read_text(Path(os.environ["NUMPY_SETLSTM_DATA"]) / "shakespeare" / "input.txt")
    learn, test = text[: round(0.9 * len(text))], text[round(0.95 * len(text)) :]
    parameters, vocabulary, ours = train_ours(learn, test)
    theirs = train_theirs(parameters, encode(list(learn), vocabulary), encode(list(test), vocabulary))
    results = {"ours": ours, "torch": theirs, "version": torch.__version__, "settings": SETTINGS}
    write_json(RESULTS, results)
    print(results, file=sys.stderr)
    fill_blocks(PAGE, "beside PyTorch", lambda _: format_bits(results))


if __name__ == "__main__":
    main()
