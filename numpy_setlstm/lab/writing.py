"""The command `write`: a language model learns from text and writes some after each epoch, or a saved one writes."""

import re
from functools import partial
from pathlib import Path

import numpy as np

from numpy_setlstm.datasets import DATA_HOME_VARIABLE, DATASETS, load_dataset, load_table
from numpy_setlstm.datasets.files import kind_of
from numpy_setlstm.datasets.table import is_table
from numpy_setlstm.evolution import GROWTHS, ZETA_SCHEDULES
from numpy_setlstm.files import locked, make_folder
from numpy_setlstm.inputs import CONNECTIVITIES
from numpy_setlstm.lab.console import (
    LARGEST,
    as_text,
    averaging,
    complain,
    dataset_name,
    finite,
    growth,
    names,
    path,
    say,
    seed_number,
    whole,
)
from numpy_setlstm.lab.experiment.demo import check_model
from numpy_setlstm.lab.experiment.results import MODEL_FILE
from numpy_setlstm.language.estimator import SetLSTMLanguageModel
from numpy_setlstm.language.settings import RATE_SCHEDULES
from numpy_setlstm.language.text import UNITS
from numpy_setlstm.network import ENGINES
from numpy_setlstm.topology import PRUNE_RULES

# Options that are parameters of SetLSTMLanguageModel, by the name that they have there.
PARAMETERS = {
    "connectivity": {"choices": CONNECTIVITIES, "help": "evolved, static or dense"},
    "unit": {"choices": UNITS, "help": "what is predicted"},
    "n_epochs": {"type": whole, "metavar": "N", "help": "epochs in all"},
    "patience": {"type": whole, "metavar": "N", "help": "stop after N epochs without a better one (default: never)"},
    "embedding_dim": {"type": whole, "metavar": "D", "help": "numbers per vector"},
    "hidden_size": {"type": whole, "metavar": "H", "help": "units of each LSTM"},
    "n_layers": {"type": whole, "metavar": "N", "help": "LSTMs on one another, 1 or 2"},
    "tied": {"action": "store_const", "const": True, "help": "the embedding is the readout as well"},
    "sparse": {"type": names, "metavar": "NAMES", "help": "sparse matrices, some of E,W_x,W_h,W_out"},
    "density": {"type": finite, "help": "connections as a share of the cells of a sparse matrix"},
    "zeta": {"type": finite, "help": "fraction of the connections that a SET step replaces"},
    "prune_rule": {"choices": PRUNE_RULES, "help": "which connections a SET step removes"},
    "keep_gate_counts": {"action": "store_const", "const": True, "help": "no connection moves from gate to gate"},
    "growth": {"type": growth, "metavar": "RULE", "help": f"of new connections: {', '.join(GROWTHS)}"},
    "candidates": {"type": whole, "metavar": "K", "help": "random cells to choose from, with --growth gradient"},
    "zeta_schedule": {"choices": ZETA_SCHEDULES, "help": "whether zeta stays or falls from one SET step to the next"},
    "evolve_every": {"type": whole, "metavar": "N", "help": "minibatches from SET step to SET step (default: epoch)"},
    "evolve_until": {"type": finite, "metavar": "EPOCHS", "help": "before the last SET step (default: all)"},
    "vocabulary_size": {"type": whole, "metavar": "V", "help": "units that are known (default: all, or 20000 words)"},
    "batch_size": {"type": whole, "metavar": "N", "help": "streams per minibatch"},
    "n_steps": {"type": whole, "metavar": "T", "help": "steps of each stream per minibatch"},
    "learning_rate": {"type": finite, "metavar": "RATE", "help": "of everything"},
    "learning_rate_schedule": {"choices": RATE_SCHEDULES, "help": "whether it stays or falls to 0"},
    "learning_rate_decay": {"type": finite, "metavar": "DECAY", "help": "rate / (1 + DECAY · epoch)"},
    "dropout": {"type": finite, "metavar": "P", "help": "of the states that are read"},
    "averaging": {"type": averaging, "metavar": "DECAY", "help": "of the weights' mean that predicts; or snt-asgd"},
    "averaging_interval": {"type": whole, "metavar": "N", "help": "epochs that the loss has not fallen, for snt-asgd"},
    "validation_fraction": {"type": finite, "metavar": "SHARE", "help": "held out to choose the best epoch"},
    "engine": {"choices": ENGINES, "help": "code that runs: made for speed, or the layers as you read them"},
}
_BREAK = re.compile(r"<br\s*/?>")


def run_write(options):
    """Train and write, or write; True unless training was interrupted."""
    given = {name: getattr(options, name) for name in PARAMETERS if getattr(options, name) is not None}
    sources = [name for name in ("text", "dataset", "model") if getattr(options, name) is not None]
    if len(sources) != 1:
        raise ValueError("give one of --text FILE, --dataset NAME, or --model FILE, which was saved before")
    if options.model is None:
        return _train(options, given)
    if given or options.output or options.resume or options.limit is not None:
        raise ValueError("--model only writes: leave out --output, --resume and what belongs to training")
    say(_write(SetLSTMLanguageModel.load(options.model), options))
    return True


def _train(options, given):
    """Train on a file or a data set; True unless interrupted."""
    if options.output is None:
        raise ValueError("--output is missing: the folder for the model")
    if "sparse" in given:
        given["sparse"] = tuple(given["sparse"])
    model_path = Path(options.output) / MODEL_FILE
    if options.resume:
        model = SetLSTMLanguageModel.load(model_path).set_params(progress=True, **given)
    else:
        if model_path.exists():
            raise FileExistsError(f"{model_path} exists: continue with --resume, or choose another --output")
        model = SetLSTMLanguageModel(random_state=options.seed, progress=True, **given)
    text, labels = _read(options)
    with locked(make_folder(options.output)):
        check_model(model, model_path, options.resume)
        hooks = {"before_training": partial(_begin, options), "after_epoch": partial(_end_epoch, options)}
        model.fit(text, labels, resume=options.resume, checkpoint_path=model_path, **hooks)
    say(f"\n{model_path} has the model of epoch {model.best_epoch_ + 1}: write --model {model_path}")
    if model.training_state_.interrupted and model.training_state_.epoch < model.n_epochs:
        complain("interrupted; the same command with --resume continues")
        return False
    return True


def _begin(options, model):
    """Say what trains, and write before anything is learnt: so a bad request to write is found now."""
    share, n_units = model.n_parameters_ / model.n_dense_parameters_, len(model.vocabulary_)
    size = f"{model.n_parameters_:,} parameters, {100 * share:.3g} % of a dense network's"
    say(f"{size}; {n_units:,} {model.unit}s in the vocabulary")
    epoch = len(model.history_["train_loss"])
    say(f"\nafter {epoch} epochs:" if epoch else "\nbefore training:")
    _write_all(options, model)


def _end_epoch(options, model):
    """Say what was learnt, and write."""
    history, best = model.history_, model.best_epoch_ + 1
    epoch, loss = len(history["train_loss"]), history["validation_loss"][-1]
    judged = "" if loss is None else f", validation {_measure(loss, model.unit)}"
    seconds = f"{history['seconds'][-1]:.0f} s"
    training = _measure(history["train_loss"][-1], model.unit)
    still = "" if best == epoch else f"; epoch {best} is still the best, and writes"
    say(f"\nepoch {epoch}: training {training}{judged}, {seconds}{still}")
    _write_all(options, model)


def _write_all(options, model):
    """Write for the label that was asked for, or for each."""
    if options.label is not None or model.classes_ is None:
        return say(_write(model, options))
    for label in model.classes_.tolist():
        say(f"--- {label}\n{_write(model, options, label)}")


def _read(options):
    """The text and no labels, or texts and labels."""
    limit = LARGEST if options.limit is None else options.limit
    if limit < 1:
        raise ValueError(f"--limit is {limit}; expected a whole number of at least 1")
    if options.text is not None:
        return read_text(options.text)[:limit], None
    if is_table(options.dataset):
        reviews = load_table(options.dataset)
    else:
        reviews = load_dataset(options.dataset, options.data_home, download=options.download)
    say(f"{reviews}")
    n_texts = len(reviews.train_texts)
    some = np.sort(np.random.default_rng(0).permutation(n_texts)[:limit])  # the same ones when training is resumed
    texts = [_BREAK.sub("\n", reviews.train_texts[k]) for k in some]
    return texts, np.array(reviews.label_names)[np.asarray(reviews.train_labels)[some]]


def read_text(file):
    """The text of a file in UTF-8, with line ends as in Python."""
    if (kind := kind_of(Path(file))) != "a file":
        raise ValueError(f"{file} is {kind}; expected a file of text" if kind else f"there is no file {file}")
    try:
        text = Path(file).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise ValueError(f"{file} is not UTF-8: byte {error.start} is 0x{byte:02x}; convert it") from None
    if not text.strip():
        raise ValueError(f"{file} is empty; expected some text")
    return text.replace("\r\n", "\n")


def _write(model, options, label=None):
    rng = np.random.default_rng(options.seed)
    if label is None and options.label is not None:
        known = [] if model.classes_ is None else model.classes_.tolist()  # of which some may be numbers
        label = {str(one): one for one in known}.get(as_text(options.label), as_text(options.label))
    return model.sample(as_text(options.prompt), options.length, options.temperature, rng, label)


def _measure(loss, unit):
    return f"{loss / np.log(2):.3f} bits per character" if unit == "character" else f"perplexity {np.exp(loss):.1f}"


def add_write_options(parser):
    """Add the options of `write`."""
    add = parser.add_argument
    add("--text", type=path, metavar="FILE", help="text to learn from, in UTF-8")
    labeled = f"labeled texts to learn from: one of {', '.join(DATASETS)}, or a CSV or TSV file"
    add("--dataset", type=dataset_name, metavar="NAME", help=labeled)
    add("--model", type=path, metavar="FILE", help=f"a {MODEL_FILE} that was saved; it writes, and learns nothing")
    home = f"folder of the data sets (default: the variable {DATA_HOME_VARIABLE})"
    add("--data-home", type=path, metavar="DIR", help=home)
    add("--download", action="store_true", help="download the data set if it is missing")
    first = "learn from the first N characters of the file, or from N texts of the data set (default: all)"
    add("--limit", type=whole, metavar="N", help=first)
    add("--output", type=path, metavar="DIR", help="for the model, which is saved after each epoch")
    add("--resume", action="store_true", help="continue training the model in DIR")
    add("--prompt", default="", metavar="TEXT", help="what the text begins with")
    add("--label", metavar="LABEL", help="for which it is written, such as positive (default: in training, all)")
    add("--length", type=whole, default=200, metavar="N", help="units to write at most (default: 200)")
    add("--temperature", type=finite, default=0.8, metavar="X", help="low: the likeliest; 1: as learnt (default: 0.8)")
    add("--seed", type=seed_number, default=0, help="(default: 0)")
    defaults = SetLSTMLanguageModel().get_params()
    for name, settings in PARAMETERS.items():
        default = defaults[name]
        shown = "" if default is None or default is False else f" (default: {default})"
        if isinstance(default, tuple):
            shown = f" (default: {','.join(default)})"
        option = "--" + name.removeprefix("n_").replace("_", "-")
        add(option, dest=name, **settings | {"help": settings["help"] + shown})
