"""The names of a network's parameters."""

#: Those that are sparse in a sparse network; the last two belong to a bidirectional one.
SPARSE_PARAMETERS = ("E", "W_x", "W_h", "W_x_reverse", "W_h_reverse")
#: The steps in which a text is read, from its start or from its end, and the parameters of the LSTM that reads it so.
DIRECTIONS = {1: ("W_x", "W_h", "b"), -1: ("W_x_reverse", "W_h_reverse", "b_reverse")}


def directions_of(parameters):
    """The :data:`DIRECTIONS` in which a network with these parameters reads.

    >>> list(directions_of({"E": None, "W_x": None, "W_h": None}))
    [1]
    """
    return {step: names for step, names in DIRECTIONS.items() if names[0] in parameters}
