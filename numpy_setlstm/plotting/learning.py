"""Loss and accuracy over the epochs."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from numpy_setlstm.plotting.style import ink, line_colors


def plot_learning_curves(histories, axes=None):
    """Draw loss and accuracy over the epochs, for several networks.

    A SET step between two epochs makes the validation loss jump, usually up, because it prunes weights that were in
    use. The jump is drawn as a vertical line with a triangle at its end, where the next epoch's training starts.

    Parameters
    ----------
    histories : dict of str to dict of str to list
        From a label, such as "dense", "static" or "set", to the `history` of a
        :class:`~numpy_setlstm.training.TrainingState`.
    axes : sequence of two matplotlib.axes.Axes, optional
        For loss and accuracy.

    Returns
    -------
    ndarray of shape (2,) of matplotlib.axes.Axes

    Examples
    --------
    >>> history = dict(train_loss=[0.7, 0.5], train_accuracy=[0.5, 0.8], validation_loss=[0.7, 0.6])
    >>> history |= dict(validation_accuracy=[0.5, 0.7], validation_loss_evolved=[0.75])
    >>> loss_ax, accuracy_ax = plot_learning_curves({"set": history})
    >>> loss_ax.get_xlabel()
    'epoch'
    """
    if axes is None:
        axes = Figure(figsize=(9, 3.6), layout="constrained").subplots(1, 2)
    loss_ax, accuracy_ax = axes
    for color, (label, history) in zip(line_colors(loss_ax, histories), histories.items(), strict=True):
        train, validation = {"color": color, "ls": ":", "lw": 1.4}, {"color": color, "lw": 2, "label": label}
        epochs = np.arange(1, len(history["train_loss"]) + 1)
        loss_ax.plot(epochs, history["train_loss"], **train)
        accuracy_ax.plot(epochs, history["train_accuracy"], **train)
        x, y, jumps = _with_jumps(history)
        loss_ax.plot(x, y, **validation)
        loss_ax.plot(*jumps, color=color, ls="none", marker="^", ms=5)
        accuracy_ax.plot(epochs, np.array(history["validation_accuracy"], float), **validation)
    loss_ax.set(xlabel="epoch", ylabel="cross-entropy (nats)", title="Loss")
    accuracy_ax.set(xlabel="epoch", ylabel="texts classified correctly", title="Accuracy")
    accuracy_ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    for ax in axes:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    evolved = any(history.get("validation_loss_evolved") for history in histories.values())
    loss_ax.legend(handles=_curve_keys(loss_ax, evolved))
    accuracy_ax.legend()
    return np.asarray(axes)


def _curve_keys(ax, evolved):
    """Return the legend handles of the line styles, in the color of the text."""
    keys = [
        Line2D([], [], color=ink(ax), lw=2, label="validation"),
        Line2D([], [], color=ink(ax), lw=1.4, ls=":", label="training"),
        Line2D([], [], color=ink(ax), ls="none", marker="^", ms=5, label="after a SET step"),
    ]
    return keys if evolved else keys[:2]


def _with_jumps(history):
    """Return the points x, y of the validation curve, with the loss after each SET step, and the latter alone."""
    losses, after = history["validation_loss"], history.get("validation_loss_evolved", [])
    places = history.get("evolved_at", [[k + 1, 0] for k in range(len(after))])
    jumps = [(epoch, loss) for (epoch, _), loss in zip(places, after, strict=True) if loss is not None]
    points = sorted([*enumerate(losses, start=1), *jumps], key=lambda point: point[0])  # stable: the jump comes second
    x, y = np.array(points, float).reshape(-1, 2).T  # None becomes NaN: not drawn
    return x, y, np.array(jumps, float).reshape(-1, 2).T
