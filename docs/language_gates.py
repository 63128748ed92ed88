"""Draw how many connections each gate of a language model has while it learns, beside evolutions without training.

The network is the first of those that docs/language_runs.py trains with the redistribution of Selfish-RNN: its recipe,
seed 0, 5 % density. The null model replaces as many connections in each SET step as the network did, anywhere. It needs
the folder NUMPY_SETLSTM_DATA and some two minutes of one core. From the top of the repository::

    python docs/language_gates.py
"""

import os
from pathlib import Path

import numpy as np
from language_runs import N_EPOCHS, TRIAL_DENSITY, make_model, read_records, recipes
from matplotlib.figure import Figure

from numpy_setlstm.lab.experiment.page import fill_blocks
from numpy_setlstm.lab.files import write_picture
from numpy_setlstm.lab.formatting import markdown_table
from numpy_setlstm.lab.writing import read_text
from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.measures import gates_of, group_counts, matched_null
from numpy_setlstm.plotting import plot_gate_counts

HERE = Path(__file__).parent
PICTURE, PAGE = HERE / "language" / "gates.png", HERE / "language.md"
KIND, N_NULLS = "set-magnitude", 200


def train():
    """Return the trained model."""
    text = read_text(Path(os.environ["NUMPY_SETLSTM_DATA"]) / "shakespeare" / "input.txt")
    text = text[: round(0.95 * len(text))]
    spec = {"kind": KIND, "seed": 0, "density": TRIAL_DENSITY, "n_epochs": N_EPOCHS}
    model = make_model(spec | {"recipe": recipes(read_records())[KIND]}, len(set(text)) + 2)
    return model.set_params(progress=True).fit(text)


def draw(model):
    """Draw both matrices; return a line of the table per matrix and gate."""
    figure, rng, lines = Figure((13, 4.2), layout="constrained"), np.random.default_rng(0), []
    for ax, name in zip(figure.subplots(1, 2), ("W_x", "W_h"), strict=True):
        start = model.training_state_.initial_topologies[name]
        steps = [step[name] for step in model.history_["set_steps"]]
        nulls = [matched_null(start, steps, rng) for _ in range(N_NULLS)]
        plot_gate_counts(start, steps, nulls, ax).set_title(f"{name}: connections of each gate", loc="left")
        group_of = gates_of(start.shape)
        counts = group_counts(start, steps, group_of, len(GATES))
        last = [group_counts(start, null, group_of, len(GATES))[-1] for null in nulls]
        low, high = np.percentile(last, (2.5, 97.5), axis=0)
        for k, gate in enumerate(GATES):
            lines.append([name, gate, f"{counts[0, k]:,}", f"{counts[-1, k]:,}", f"{low[k]:,.0f} to {high[k]:,.0f}"])
    write_picture(PICTURE, figure)
    return markdown_table(["matrix", "gate", "first", "last", "last, without training"], lines)


if __name__ == "__main__":
    table = draw(train())
    fill_blocks(PAGE, "gates", lambda name: {"counts": table}[name])
