"""The classifier in PyTorch, for docs/imdb_race.py: the same layers, dropout, clipping and Adam, masked or not."""

import numpy as np
import torch
from torch import nn

from numpy_setlstm.converters import to_torch
from numpy_setlstm.network import trim_padding
from numpy_setlstm.sparse import SparseMatrix


class TorchClassifier(nn.Module):
    """Embedding, LSTM and readout, from the weights of a Network of this package."""

    def __init__(self, network, recipe, *, masked, max_norm):
        super().__init__()
        p, self.max_norm, self.masks = network.parameters, max_norm, []
        (V, D), H, C = p["E"].shape, p["W_h"].shape[0], len(p["b_out"])
        self.embedding, self.lstm = nn.Embedding(V, D), nn.LSTM(D, H, batch_first=True)
        self.readout = nn.Linear(H, C)
        self.drop_words, self.drop = nn.Dropout(network.embedding_dropout), nn.Dropout(network.dropout)
        dense = {name: W.toarray() if isinstance(W, SparseMatrix) else W for name, W in p.items()}
        weights = to_torch({name: dense[name] for name in ("W_x", "W_h", "b")}, prefix="lstm")
        weights |= {"embedding.weight": dense["E"], "readout.weight": dense["W_out"].T, "readout.bias": dense["b_out"]}
        self.load_state_dict({name: torch.tensor(np.ascontiguousarray(array)) for name, array in weights.items()})
        self.lstm.bias_hh_l0.requires_grad_(requires_grad=False)
        if masked:
            sparse = self.embedding.weight, self.lstm.weight_ih_l0, self.lstm.weight_hh_l0
            self.masks = [(weight, weight.detach() == 0) for weight in sparse]
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        others = [parameter for parameter in trained if parameter is not self.embedding.weight]
        rates = [
            {"params": [self.embedding.weight], "lr": recipe.embedding_learning_rate},
            {"params": others, "lr": recipe.learning_rate},
        ]
        self.trained, self.optimizer = trained, torch.optim.Adam(rates, fused=True)

    def forward(self, tokens):
        """Logits of shape (N, C) for word ids of shape (N, T), padded before the words."""
        x = self.embedding(torch.from_numpy(trim_padding(tokens).astype(np.int64)))
        _, (h_last, _) = self.lstm(self.drop_words(x))
        return self.readout(self.drop(h_last[0]))

    def train_step(self, tokens, labels):
        """One update of all weights."""
        self.train()
        self.optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(self(tokens), torch.from_numpy(labels.astype(np.int64))).backward()
        nn.utils.clip_grad_norm_(self.trained, self.max_norm)
        self.optimizer.step()
        with torch.no_grad():
            for weight, mask in self.masks:
                weight.masked_fill_(mask, 0)

    @torch.inference_mode()
    def accuracy(self, tokens, labels, batch_size=256):
        """Share of the texts that are labeled right."""
        self.eval()
        right = 0
        for first in range(0, len(tokens), batch_size):
            batch = slice(first, first + batch_size)
            right += int((self(tokens[batch]).argmax(dim=1).numpy() == labels[batch]).sum())
        return right / len(tokens)
