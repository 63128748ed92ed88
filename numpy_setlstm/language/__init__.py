"""A language model: a sparse LSTM that says at every step which character or word comes next."""
