"""The language model in PyTorch, dense: ``nn.Embedding``, ``nn.LSTM``, ``nn.Linear``, fused Adam, the same weights.

As in :mod:`.torch_masked`, the second of PyTorch's two biases is fixed at 0.
"""

import numpy as np
import torch
from torch import nn

from numpy_setlstm.converters import to_torch
from numpy_setlstm.lab.benchmark.language_work import FIRST, draw_language_network


class LanguageTorch(nn.Module):
    """Embedding, LSTM and readout, dense."""

    FORMS = {}
    EVOLVES = False

    def __init__(self, work, threads, form=None):
        super().__init__()
        torch.set_num_threads(threads)
        p = draw_language_network(work, sparse=False).parameters
        self.embedding = nn.Embedding(work.n_words, work.embedding_dim)
        self.lstm = nn.LSTM(work.embedding_dim, work.hidden_size, batch_first=True)
        self.readout = nn.Linear(work.hidden_size, work.n_words)
        weights = to_torch({name: p[name] for name in ("W_x", "W_h", "b")}, prefix="lstm")
        weights |= {"embedding.weight": p["E"], "readout.weight": p["W_out"].T, "readout.bias": p["b_out"]}
        self.load_state_dict({name: torch.tensor(np.ascontiguousarray(array)) for name, array in weights.items()})
        self.lstm.bias_hh_l0.requires_grad_(requires_grad=False)
        self.trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(self.trained, lr=work.learning_rate, fused=True)
        self.work, self.state = work, None

    def train_step(self, inputs, targets):
        """One update, from the state where the last one ended; the loss before it."""
        self.optimizer.zero_grad(set_to_none=True)
        h, state = self.lstm(self.embedding(torch.from_numpy(inputs)), self.state)
        loss = nn.functional.cross_entropy(self.readout(h).flatten(0, 1), torch.from_numpy(targets).flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(self.trained, self.work.max_norm)
        self.optimizer.step()
        self.state = tuple(part.detach() for part in state)
        return loss.item()

    @torch.inference_mode()
    def sample(self, length):
        """Draw so many ids, one after another."""
        k, state, drawn = torch.tensor([[FIRST]]), None, []
        for _ in range(length):
            h, state = self.lstm(self.embedding(k), state)
            k = torch.multinomial(torch.softmax(self.readout(h[:, -1]), dim=1), 1)  # (1, 1)
            drawn.append(k.item())
        return drawn
