"""PyTorch on the CPU, sparse as researchers do it: dense weights, and a mask re-applied after each update.

``nn.Embedding``, ``nn.LSTM``, ``nn.Linear``, ``CrossEntropyLoss`` and ``Adam``, with PyTorch's fastest options:

- all its threads or one; gradients set to None rather than to zeros; word ids without a copy;
- Adam in its three forms (one parameter after another, ``foreach``, ``fused``), sequences batch-first or time-first,
  the mask as a product with numbers or as ``masked_fill_`` with one byte per weight (a quarter of the memory): the
  fastest on this machine, at this moment, is used, and the results name it;
- oneDNN's LSTM, which PyTorch chooses by itself; prediction in ``inference_mode``.

Flushing denormal numbers to zero made no difference. Not used, as they change the numbers or the requirements, are
``SparseAdam`` (a different rule: the means of absent words do not decay), lower precision, and ``torch.compile`` (which
needs a C++ compiler).

PyTorch's LSTM adds two biases per gate. The second is fixed at 0: two trained biases would learn twice as fast, and the
numbers would differ from the other peers'. The order of its gates is i, f, g, o.
"""

import numpy as np
import torch
from torch import nn

from numpy_setlstm.lab.benchmark.work import draw_network
from numpy_setlstm.sparse import SparseMatrix


class TorchMasked(nn.Module):
    """Embedding, LSTM and readout with masked dense weights."""

    PARTS = [
        ("numpy_setlstm.lab.benchmark.peers.torch_masked:TorchMasked.loss", "forward"),
        ("numpy_setlstm.lab.benchmark.peers.torch_masked:TorchMasked.backward", "backward"),
        ("numpy_setlstm.lab.benchmark.peers.torch_masked:TorchMasked.update", "optimizer"),
        ("numpy_setlstm.lab.benchmark.peers.torch_masked:TorchMasked.apply_masks", "masks"),
    ]
    FORMS = {
        "adam": ("fused", "foreach", "single"),
        "layout": ("batch-first", "time-first"),
        "mask": ("fill", "product"),
        "threads": ("all threads", "one thread"),  # where the machine is busy, several wait for each other
    }
    EVOLVES = False

    def __init__(self, work, threads, form=None):
        super().__init__()
        self.form = {name: choices[0] for name, choices in self.FORMS.items()} | (form or {})
        torch.set_num_threads(threads if self.form["threads"] == "all threads" else 1)
        self.batch_first = self.form["layout"] == "batch-first"
        dtype = getattr(torch, work.dtype)
        # On "meta" nothing is allocated or drawn: the weights are assigned below.
        self.embedding = nn.Embedding(work.n_words, work.embedding_dim, device="meta", dtype=dtype)
        sizes = work.embedding_dim, work.hidden_size
        self.lstm = nn.LSTM(*sizes, batch_first=self.batch_first, device="meta", dtype=dtype)
        self.readout = nn.Linear(work.hidden_size, work.n_classes, device="meta", dtype=dtype)
        self.masks = {}
        self._assign(draw_network(work).parameters)
        self.lstm.flatten_parameters()
        self.cross_entropy = nn.CrossEntropyLoss()
        adam = {"fused": {"fused": True}, "foreach": {"foreach": True}, "single": {"foreach": False}}
        trained = [p for p in self.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(trained, lr=work.learning_rate, **adam[self.form["adam"]])

    def _assign(self, parameters):
        """Copy weights and connections, and free each of ours as soon as it is copied."""
        E, W_x, W_h = (parameters.pop(name) for name in ("E", "W_x", "W_h"))
        self.embedding.weight = self._masked(E)
        self.lstm.weight_ih_l0 = self._masked(_gates_in_torch_order(W_x))
        self.lstm.weight_hh_l0 = self._masked(_gates_in_torch_order(W_h))
        bias = _gates_in_torch_order(parameters["b"][None])[:, 0]
        self.lstm.bias_ih_l0 = nn.Parameter(torch.from_numpy(bias))
        self.lstm.bias_hh_l0 = nn.Parameter(torch.zeros_like(self.lstm.bias_ih_l0), requires_grad=False)
        self.readout.weight = nn.Parameter(torch.from_numpy(np.ascontiguousarray(parameters["W_out"].T)))
        self.readout.bias = nn.Parameter(torch.from_numpy(parameters["b_out"]))

    def _masked(self, W):
        weight = nn.Parameter(torch.from_numpy(W.toarray()))
        if self.form["mask"] == "fill":  # where there is no connection
            mask = np.ones(W.shape, bool)
            mask[W.rows, W.cols] = False
        else:
            mask = np.zeros(W.shape, W.dtype)
            mask[W.rows, W.cols] = 1
        self.masks[weight] = torch.from_numpy(mask)
        return weight

    def forward(self, tokens):
        """Logits of shape (N, C) for int64 word ids of shape (N, T)."""
        tokens = torch.from_numpy(tokens)
        x = self.embedding(tokens if self.batch_first else tokens.T)
        _, (h_last, _) = self.lstm(x)  # (1, N, H)
        return self.readout(h_last[0])

    def loss(self, tokens, labels):
        """Mean cross-entropy."""
        return self.cross_entropy(self(tokens), torch.from_numpy(labels))

    def backward(self, loss):
        """Gradients of everything."""
        loss.backward()

    def update(self):
        """Adam."""
        self.optimizer.step()

    @torch.no_grad()
    def apply_masks(self):
        """Set cells without a connection to 0."""
        for weight, mask in self.masks.items():
            if self.form["mask"] == "fill":
                weight.masked_fill_(mask, 0)
            else:
                weight.mul_(mask)

    def train_step(self, tokens, labels):
        """One update; the loss before it."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(tokens, labels)
        self.backward(loss)
        self.update()
        self.apply_masks()
        return loss.item()

    @torch.inference_mode()
    def predict(self, tokens):
        """Probabilities, ndarray of shape (N, C)."""
        return torch.softmax(self(tokens), dim=1).numpy()

    def held_bytes(self):
        """Bytes of parameters, masks and Adam's state."""
        state = [value for entry in self.optimizer.state.values() for value in entry.values() if value.dim() > 0]
        return {
            "parameters": sum(p.nbytes for p in self.parameters()),
            "masks": sum(mask.nbytes for mask in self.masks.values()),
            "optimizer": sum(value.nbytes for value in state),
        }


def _gates_in_torch_order(W):
    """Transpose (n, 4H) with gates i, f, o, g to (4H, n) with gates i, f, g, o."""
    H = W.shape[1] // 4
    order = np.concatenate([np.arange(2 * H), np.arange(3 * H, 4 * H), np.arange(2 * H, 3 * H)])  # i, f, g, o
    if not isinstance(W, SparseMatrix):
        return np.ascontiguousarray(W[:, order].T)
    rows = np.argsort(order)[W.cols]
    by_row = np.lexsort((W.rows, rows))
    return SparseMatrix(W.shape[::-1], rows[by_row], W.rows[by_row], W.values[by_row])
