"""The names of a network's parameters."""

#: Those that are sparse in a sparse network; the last two belong to a bidirectional one.
SPARSE_PARAMETERS = ("E", "W_x", "W_h", "W_x_reverse", "W_h_reverse")
#: The steps in which a text is read, from its start or from its end, and the parameters of the LSTM that reads it so.
DIRECTIONS = {1: ("W_x", "W_h", "b"), -1: ("W_x_reverse", "W_h_reverse", "b_reverse")}

#: The parameters of the LSTMs of a language model, which lie on one another.
LAYERS = (("W_x", "W_h", "b"), ("W_x_2", "W_h_2", "b_2"))
#: What may be sparse, and then evolves, in this order; the last three belong to a language model.
EVOLVING = (*SPARSE_PARAMETERS, "W_x_2", "W_h_2", "W_out")


def layers_of(parameters):
    """The :data:`LAYERS` of a language model with these parameters.

    >>> layers_of({"E": None, "W_x": None, "W_h": None})
    (('W_x', 'W_h', 'b'),)
    """
    return tuple(names for names in LAYERS if names[0] in parameters)


def first_of(name):
    """The parameter of the first LSTM that corresponds to one of the second: "W_x" for "W_x_reverse" and "W_x_2"."""
    return name.removesuffix("_reverse").removesuffix("_2")


def directions_of(parameters):
    """The :data:`DIRECTIONS` in which a network with these parameters reads.

    >>> list(directions_of({"E": None, "W_x": None, "W_h": None}))
    [1]
    """
    return {step: names for step, names in DIRECTIONS.items() if names[0] in parameters}
