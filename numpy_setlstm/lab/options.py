"""The options of the command line that are parameters of something: their names there, and how to read them."""

from numpy_setlstm.evolution import GROWTHS, ZETA_SCHEDULES
from numpy_setlstm.inputs import CONNECTIVITIES
from numpy_setlstm.lab.console import averaging, finite, growth, path, seed_number, whole
from numpy_setlstm.layers.pooling import POOLINGS
from numpy_setlstm.network import ENGINES
from numpy_setlstm.optimizers import OPTIMIZERS
from numpy_setlstm.topology import PRUNE_RULES

# Options of `benchmark` that say what work is done: name and settings, by the field of Work.
WORK_OPTIONS = {
    "n_words": ("--vocabulary", {"type": whole, "metavar": "V", "help": "words (default: 20000)"}),
    "embedding_dim": ("--embedding-dim", {"type": whole, "metavar": "D", "help": "(default: 256)"}),
    "hidden_size": ("--hidden", {"type": whole, "metavar": "H", "help": "units of the LSTM (default: 256)"}),
    "length": ("--length", {"type": whole, "metavar": "T", "help": "words per text (default: 100)"}),
    "batch_size": ("--batch", {"type": whole, "metavar": "N", "help": "texts per minibatch (default: 64)"}),
    "share": (
        "--parameter-share",
        {"type": finite, "help": "parameters as a share of the dense network's (default: 0.039)"},
    ),
    "recurrent_density": (
        "--recurrent-density",
        {"type": finite, "metavar": "SHARE", "help": "of W_h, instead of --parameter-share"},
    ),
    "seed": ("--seed", {"type": seed_number, "help": "of weights and texts (default: 0)"}),
}


# Options of `train` that are parameters of SetLSTMClassifier, by the name that they have there.
TRAIN_PARAMETERS = {
    "connectivity": {"choices": CONNECTIVITIES, "help": "evolved, static or dense"},
    "n_epochs": {"type": whole, "metavar": "N", "help": "epochs in all"},
    "patience": {"type": whole, "metavar": "N", "help": "stop after N epochs without a better one (default: never)"},
    "class_weight": {"choices": ("balanced",), "help": "give each class the same weight in all"},
    "vocabulary_size": {"type": whole, "metavar": "V", "help": "words that are known (default: 20000)"},
    "embedding_dim": {"type": whole, "metavar": "D", "help": "numbers per word vector"},
    "hidden_size": {"type": whole, "metavar": "H", "help": "units of the LSTM"},
    "word_vectors": {
        "type": path,
        "metavar": "FILE",
        "help": "pretrained vectors: text of GloVe, word2vec or fastText",
    },
    "bidirectional": {"action": "store_const", "const": True, "help": "read each text from both ends"},
    "pooling": {"choices": POOLINGS, "help": "of the states of a text's words: what the readout reads"},
    "max_length": {"type": whole, "metavar": "T", "help": "last words of a text that are read"},
    "parameter_share": {"type": finite, "help": "parameters as a share of the dense network's"},
    "er_epsilon": {"type": finite, "metavar": "EPSILON", "help": "Erdős–Rényi epsilon, instead of --parameter-share"},
    "every_word": {"action": "store_const", "const": True, "help": "begin with a connection for every word"},
    "frequency_exponent": {"type": finite, "metavar": "P", "help": "connections of a word ~ occurrences^P at first"},
    "zeta": {"type": finite, "help": "fraction of the connections that a SET step replaces"},
    "prune_rule": {"choices": PRUNE_RULES, "help": "which connections a SET step removes"},
    "keep_gate_counts": {"action": "store_const", "const": True, "help": "no connection moves from gate to gate"},
    "growth": {
        "type": growth,
        "metavar": "RULE",
        "help": f"of new connections: {', '.join(GROWTHS)}; or E=RULE,W_x=RULE",
    },
    "candidates": {"type": whole, "metavar": "K", "help": "random cells to choose from, with --growth gradient"},
    "zeta_schedule": {"choices": ZETA_SCHEDULES, "help": "whether zeta stays or falls from one SET step to the next"},
    "evolve_every": {
        "type": whole,
        "metavar": "N",
        "help": "minibatches from SET step to SET step (default: epoch)",
    },
    "evolve_from": {"type": finite, "metavar": "EPOCHS", "help": "before the first SET step"},
    "evolve_until": {"type": finite, "metavar": "EPOCHS", "help": "before the last SET step (default: all)"},
    "batch_size": {"type": whole, "metavar": "N", "help": "texts per minibatch"},
    "optimizer": {"choices": tuple(OPTIMIZERS), "help": "update rule"},
    "learning_rate": {"type": finite, "metavar": "RATE", "help": "of all but the embedding"},
    "embedding_learning_rate": {"type": finite, "metavar": "RATE", "help": "of the embedding"},
    "learning_rate_decay": {"type": finite, "metavar": "DECAY", "help": "rates / (1 + DECAY · epoch)"},
    "embedding_dropout": {"type": finite, "metavar": "P", "help": "of the word vectors"},
    "dropout": {"type": finite, "metavar": "P", "help": "of the hidden state that is read"},
    "averaging": {"type": averaging, "metavar": "DECAY", "help": "of the weights' mean that predicts; or snt-asgd"},
    "averaging_interval": {"type": whole, "metavar": "N", "help": "epochs that the loss has not fallen, for snt-asgd"},
    "engine": {"choices": ENGINES, "help": "code that runs: made for speed, or the layers as you read them"},
    "n_jobs": {
        "type": whole,
        "metavar": "N",
        "help": "processes that share the work (default: -1, all cores)",
    },
}


# Options of `gradcheck` that are sizes, by the name that they have in run_selfcheck: (option, default, help).
GRADCHECK_SIZES = {
    "n_texts": ("--texts", 5, "texts N in the minibatch"),
    "length": ("--length", 6, "steps T of each"),
    "n_words": ("--words", 9, "words V, padding included"),
    "embedding_dim": ("--embedding-dim", 3, "numbers D per word vector"),
    "hidden_size": ("--hidden-size", 4, "units H of the LSTM"),
    "n_classes": ("--classes", 3, "classes C"),
    "parameter_share": ("--parameter-share", 0.6, "parameters of the sparse network as a share of the dense one's"),
}
