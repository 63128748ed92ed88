"""Alter a model file in many ways, load each copy in a child process, and count what happens.

``python tests/attack_model_files.py --files 1853 --seed 0`` prints a table. It exits with 1 unless every file is
refused by CheckpointError in one line, or loads with its contents unchanged, without more than 64 MiB or a hang.

Half of the files keep the digest of the original; the others have a fresh one, as if somebody had edited the model on
purpose. Nobody can tell that from other training, if all is in order: so what is altered with a fresh digest is always
something that contradicts the rest of the file, or its range, and never a valid weight, word, score or setting.
"""

import argparse
import copy
import io
import json
import queue
import subprocess
import sys
import tempfile
import threading
import tracemalloc
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np

SECONDS = 30  # until a file counts as a hang
MEGABYTES = 64
OUTCOMES = ("refused", "unchanged", "loaded altered", "foreign exception", "more than one line", "memory", "hang")
BAD = OUTCOMES[2:]
FORTY_CHARACTERS = "a hundred words will not fit into a count"


# Files


def make_model(path):
    """Save a small model with SET steps and a best epoch."""
    from numpy_setlstm import SetLSTMClassifier

    rng = np.random.default_rng(0)
    words = "plot actor scene music camera ending script joke hero villain".split()
    labels = np.arange(40) % 2
    texts = [" ".join([*rng.choice(words, 3), ("bad", "good")[label], *rng.choice(words, 2)]) for label in labels]
    sizes = {"embedding_dim": 6, "hidden_size": 5, "parameter_share": 0.4, "max_length": 6}
    SetLSTMClassifier(**sizes, n_epochs=3, batch_size=16, averaging=0.9, random_state=0).fit(texts, labels).save(path)


def read(path):
    """Header and arrays of a file."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return json.loads(arrays.pop("header").tobytes()), arrays


def write(path, header, arrays, *, compression=zipfile.ZIP_STORED, damage=None):
    """Write a file with a fresh digest; `damage` maps the name of an array to a function of its member's bytes."""
    from numpy_setlstm.checkpoint import _digest

    header = header if isinstance(header, bytes) else header | {"digest": ""}
    if isinstance(header, dict):
        try:
            header["digest"] = _digest(json.dumps(header, sort_keys=True), arrays)
        except (TypeError, ValueError):  # of objects and the like, which have no digest
            header["digest"] = "0" * 64
        header = json.dumps(header, sort_keys=True).encode()
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, array in {"header": np.frombuffer(header, np.uint8), **arrays}.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=True)
            archive.writestr(name + ".npy", (damage or {}).get(name, bytes)(member.getvalue()))


# Alterations without a fresh digest: of bytes. Each is a function of the generator and the whole file.


def flip_bytes(rng, whole):
    """Some bytes get other values."""
    altered = bytearray(whole)
    for place in rng.integers(len(whole), size=rng.integers(1, 9)):
        altered[place] ^= int(rng.integers(1, 256))
    return bytes(altered)


def flip_in_directory(rng, whole):
    """Some bytes of the archive's table of contents get other values."""
    first = whole.index(b"PK\x01\x02")
    return whole[:first] + flip_bytes(rng, whole[first:])


def cut(rng, whole):
    """The end is missing."""
    return whole[: int(rng.integers(len(whole)))]


def cut_out(rng, whole):
    """Something in the middle is missing."""
    first, last = np.sort(rng.integers(len(whole), size=2))
    return whole[:first] + whole[last:]


def insert(rng, whole):
    """There are more bytes than there should be."""
    place = int(rng.integers(len(whole)))
    return whole[:place] + rng.bytes(int(rng.integers(1, 100))) + whole[place:]


def repeat(rng, whole):
    """A piece is overwritten by another one."""
    first, second = (int(place) for place in rng.integers(len(whole), size=2))
    size = int(rng.integers(1, 500))
    return whole[:second] + whole[first : first + size] + whole[second + size :]


# Alterations with a fresh digest. Each is a function of the generator, header and arrays, which it may change, that
# returns options of `write`; or None, if there is nothing to alter in this way.


JUNK = ("bogus", [], [1, 2], {"a": 1}, -7, float("nan"), FORTY_CHARACTERS, [[[]]], -1e400, 2**200)


def choose(rng, options):
    """One of some options, of any kind."""
    return list(options)[int(rng.integers(len(options)))]


def array_of_model(rng, arrays, kinds="biufU", *, empty=True):
    """The name of some array of some kind, or None."""
    names = [name for name, array in arrays.items() if array.dtype.kind in kinds and (array.size or empty)]
    return choose(rng, names) if names else None


def drop_array(rng, header, arrays):
    """An array is missing."""
    del arrays[choose(rng, arrays)]
    return {}


def add_array(rng, header, arrays):
    """There is an array that no model has."""
    arrays[choose(rng, ("more", "network/W_z/values", "best/E/more", "optimizer/E/n", "set_steps/9/E/grown"))] = (
        np.zeros(3)
    )
    return {}


def rename_array(rng, header, arrays):
    """An array has another name."""
    name = choose(rng, arrays)
    arrays[name + choose(rng, ("x", "/", " ", "é"))] = arrays.pop(name)
    return {}


def change_dtype(rng, header, arrays):
    """An array has another type: wider, narrower, complex, text, dates."""
    name = array_of_model(rng, arrays, "iuf")
    if name == "classes":
        return None
    array = arrays[name]
    kinds = [kind for kind in ("f2", "f8", "c8", "c16", "i1", "i8", "u4", "?", "U4", "M8[s]", "S4", "O", ">f4", ">i4")]
    dtype = choose(rng, [kind for kind in kinds if np.dtype(kind) != array.dtype])
    arrays[name] = array.astype(np.dtype(dtype)) if dtype != "M8[s]" else array.astype("i8").astype(dtype)
    return {}


def change_shape(rng, header, arrays):
    """An array has another shape: longer, shorter, of more dimensions or none."""
    name = array_of_model(rng, arrays)
    array = arrays[name]
    shapes = [array[None], array.reshape(-1, 1), array.ravel()[:0], array[..., None, None]]
    if array.ndim:
        shapes += [np.concatenate([array, array[:1]]), array[:-1], np.concatenate([array, array])]
    shapes = [other for other in shapes if other.shape != array.shape]
    arrays[name] = choose_array(rng, shapes)
    return {}


def choose_array(rng, arrays):
    """One of some arrays of different shapes."""
    return arrays[int(rng.integers(len(arrays)))]


def not_finite(rng, header, arrays):
    """A number is NaN or infinite."""
    name = array_of_model(rng, arrays, "f", empty=False)
    arrays[name] = arrays[name].copy()
    arrays[name].flat[rng.integers(arrays[name].size)] = choose(rng, (np.nan, np.inf, -np.inf))
    return {}


def wrong_index(rng, header, arrays):
    """An index, an age or a position is out of range or out of order."""
    name = choose(
        rng, [key for key in arrays if key.endswith(("rows", "cols", "age", "grown", "pruned", "cells", "order"))]
    )
    array = arrays[name] = arrays[name].copy()
    if not array.size:
        return None
    array.flat[rng.integers(array.size)] = choose(rng, (-1, -(2**31), 2**31 - 1 if not name.endswith("age") else -5))
    return {}


def shuffle_indices(rng, header, arrays):
    """Connections are in another order, or twice."""
    name = choose(rng, [key for key in arrays if key.endswith(("rows", "cols", "grown", "pruned"))])
    array = arrays[name]
    altered = array[::-1] if rng.random() < 0.5 else np.full_like(array, array[:1].max(initial=0))
    if np.array_equal(altered, array):
        return None
    arrays[name] = altered
    return {}


def other_connections(rng, header, arrays):
    """A network has connections that SET did not lead to."""
    name = choose(
        rng, [key for key in arrays if key.startswith(("network", "best", "initial")) and key.endswith("cols")]
    )
    rows, cols = arrays[name.replace("cols", "rows")], arrays[name].copy()
    matrix = name.split("/")[1]
    n_cols = header["initial_shapes"][matrix][1]
    last = np.flatnonzero(np.append(np.diff(rows) > 0, True) & (cols < n_cols - 1))  # may move to the right
    if not len(last):
        return None
    cols[choose(rng, last)] += 1
    arrays[name] = cols
    return {}


def wrong_classes(rng, header, arrays):
    """Labels are missing, extra, double, unsorted, or none."""
    classes = arrays["classes"]
    arrays["classes"] = choose_array(
        rng,
        [classes[:1], classes[:0], np.arange(3), np.array([1, 1]), classes[::-1].copy(), np.array([0.0, np.nan])]
        + [np.array([0, 1j]), classes.reshape(1, -1), np.array(["b", "a"]), np.array(7), np.array([b"a", b"b"])],
    )
    return {}


def paths_of(document, path=()):
    """All places in a JSON document, as tuples of keys."""
    if path:
        yield path
    if isinstance(document, dict | list):
        for key in document if isinstance(document, dict) else range(len(document)):
            yield from paths_of(document[key], (*path, key))


def at(document, path):
    """What is at a place."""
    for key in path:
        document = document[key]
    return document


def is_free(path):
    """Whether a place may hold anything, or all that it says is code that the caller gives."""
    return path[0] in ("notes", "digest") or path[:2] in (("parameters", "lstm"), ("parameters", "random_state"))


def choose_path(rng, header):
    """A place whose contents matter, chosen so that fields with few entries are altered as often as the vocabulary."""
    first = choose(rng, [key for key in header if not is_free((key,))])
    return choose(rng, [path for path in paths_of({first: header[first]}) if not is_free(path)])


def junk_field(rng, header, arrays):
    """A field of the header has a value that it can never have."""
    path = choose_path(rng, header)
    found, junk = at(header, path), choose(rng, JUNK)
    if isinstance(junk, str) and path[0] in ("vocabulary", "own_lstm") and len(path) > 1:
        junk = 5  # other words and names are valid ones
    if isinstance(junk, str) and path == ("own_tokenizer",):
        return None  # any name may be that of a tokenizer
    if json.dumps(junk) == json.dumps(found) or (path == ("first_weights",) and junk == []):
        return None
    at(header, path[:-1])[path[-1]] = junk
    return {}


def other_field(rng, header, arrays):
    """A field of the header contradicts others."""
    epoch, words = header["epoch"], header["vocabulary"]
    changes = {
        ("epoch",): (epoch + 1, epoch - 1, 0),
        ("batch",): (1, 1000),
        ("best_epoch",): (epoch, -1, 1000),
        ("has_best",): (False,),
        ("vocabulary",): (words[:-1], [*words, "another"], [*words[:-1], words[2]], words[::-1]),
        ("set_steps",): (header["set_steps"][:-1], header["set_steps"][::-1] + [{}]),
        ("fingerprint",): ("", "0" * 63, "Z" * 64),
        ("format_version",): (1, 0, 7, 3.0, True, "3"),
        ("own_lstm",): (["forward", "backward"], ["forward"]),
        ("parameters", "kernel"): ("bogus", None),
        ("parameters", "connectivity"): ("static", "dense"),
        ("parameters", "embedding_dim"): (7, 2**40),
        ("parameters", "hidden_size"): (6, 2**40),
        ("parameters", "dtype"): ("float64", "float16"),
        ("parameters", "optimizer"): ("sgd",),
        ("parameters", "dropout"): (0.25,),
        ("parameters", "zeta"): (1.5, None, True),
        ("parameters", "bidirectional"): (True, None, 0, 1, "no"),
        ("parameters", "averaging"): (0.0, 1.0, None, "no", "snt-asgd"),
        ("parameters", "averaging_interval"): (0, None, 5.5),
        ("parameters", "keep_gate_counts"): (None, 2, "yes"),
        ("parameters", "pooling"): ("mean", None),
        ("n_averaged",): (0, -1, 10**6, 1.0, None),
        ("best", "pooling"): ("max", None),
        ("parameters", "class_weight"): ("equal", [["a", 0]], [[["a"], 1]], [1, 2], {"a": 1}, 3, [["a", float("nan")]]),
        ("parameters", "warm_start"): (2, None, "yes"),
        ("notes",): ({"partial": 1}, {"partial": False}, 3),
        ("optimizer", "kind"): ("sgd", "Adam"),
        ("network", "dropout"): (0.25, 1.0),
        ("network", "names"): (["E"], [*header["network"]["names"], "E"]),
        ("network", "shapes", "E"): ([2**28, 8], [5, 5], [2**62, 2**62]),
        ("best", "shapes", "W_h"): ([2**28, 8], [5, 5]),
        ("initial_shapes", "W_x"): ([2**28, 8], [5, 5]),
        ("history", "train_loss"): ([], header["history"]["train_loss"] * 2, 3, "bogus"),
        ("history", "gate_counts"): (header["history"]["gate_counts"][::-1] + [{}], [{}] * epoch),
        ("streams", "dropout", "bit_generator"): ("MT19937", "SFC64"),
        ("streams", "dropout", "state", "state"): (-1, 2**128, 1.0, None),
    }
    path = choose(rng, changes)
    value = changes[path][int(rng.integers(len(changes[path])))]
    if json.dumps(value) == json.dumps(at(header, path)):
        return None
    at(header, path[:-1])[path[-1]] = value
    return {}


def drop_field(rng, header, arrays):
    """A field of the header is missing, or an entry of a list."""
    path = choose_path(rng, header)
    if path[0] == "first_weights":
        return None
    del at(header, path[:-1])[path[-1]]
    return {}


def add_field(rng, header, arrays):
    """There is a field that no header has."""
    tables = [(), *(path for path in paths_of(header) if isinstance(at(header, path), dict) and not is_free(path))]
    at(header, choose(rng, [path for path in tables if path != ("sums",)]))["more"] = 1
    return {}


def header_not_json(rng, header, arrays):
    """The header is damaged, or is something else."""
    text = json.dumps(header)
    place = int(rng.integers(len(text)))
    texts = [text[:place], text[:place] + "{" + text[place:], "[" * 10**5, '{"a":' * 10**5, "[]", "3", "", "9" * 5000]
    return {"header": choose(rng, [text.encode() for text in texts] + [b"\xff\xfe", b'{"format_version": 1e999}'])}


def damaged_npy(rng, header, arrays):
    """The header of a member is no header of an .npy file, though its checksum is right."""
    name = choose(rng, arrays)

    def flip(member):
        altered = bytearray(member)
        for place in rng.integers(70, size=rng.integers(1, 4)):  # within the part that is not padding
            altered[place] = int(rng.choice([byte for byte in b"'(){}[],: 0aM\x00\xff\n" if byte != altered[place]]))
        return bytes(altered)

    def declare(member):
        """More, or deeper, than there is."""
        texts = (f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({2**28}, 8), }}", "(" * 900, "[" * 5000)
        texts += (
            "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 3), }",
            "{'descr': '<M8', 'fortran_order': F",
            "1e9" * 99,
        )
        text = choose(rng, texts).encode()
        return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + member[128:]

    def endless(member):
        return b"\x93NUMPY\x02\x00" + (2**30).to_bytes(4, "little") + member[10:]

    return {"damage": {name: (flip, declare, endless)[int(rng.integers(3))]}}


def unusual_archive(rng, header, arrays):
    """Compressed by an unusual method, so that members inflate to much, or with members that are no arrays."""
    kind = int(rng.integers(4))
    if kind == 0:
        return {"compression": choose(rng, (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2))}
    if kind == 1:
        arrays["network/E/values"] = np.zeros(30_000_000, np.float32)
        return {"compression": zipfile.ZIP_DEFLATED}
    if kind == 2:
        return {"damage": {choose(rng, arrays): lambda member: member + bytes(2**20)}}
    return {"damage": {choose(rng, arrays): lambda member: choose(rng, (b"", b"hello", member[:-1], member[:20]))}}


OF_BYTES = (flip_bytes, flip_in_directory, cut, cut_out, insert, repeat)
FRESH = (
    drop_array,
    add_array,
    rename_array,
    change_dtype,
    change_shape,
    not_finite,
    wrong_index,
    shuffle_indices,
    other_connections,
    wrong_classes,
    junk_field,
    junk_field,
    junk_field,
    other_field,
    other_field,
    drop_field,
    add_field,
    header_not_json,
    damaged_npy,
    unusual_archive,
)


def alter(original, path, rng, fresh):
    """Write an altered copy of a model; return how it was altered."""
    if not fresh:
        kind = choose(rng, OF_BYTES)
        Path(path).write_bytes(kind(rng, Path(original).read_bytes()))
        return kind.__name__
    header, arrays = read(original)
    while True:
        kind = choose(rng, FRESH)
        altered, some = copy.deepcopy(header), dict(arrays)
        try:
            options = kind(rng, altered, some)
        except (OverflowError, ValueError):  # a number that does not fit into the array
            continue
        if options is None:
            continue
        write(path, options.pop("header", altered), some, **options)
        return kind.__name__ + " (fresh digest)"


# The child: loads what it is told to, and says what happened


def contents_of(clf):
    """All that a model holds, so that two are equal only if nothing differs."""
    from numpy_setlstm.checkpoint import pack_state

    header, arrays = pack_state(clf.training_state_)
    words = None if clf.vocabulary_ is None else clf.vocabulary_.words
    told = json.dumps([header, clf.get_params(), words, clf._fingerprint, clf.best_epoch_], sort_keys=True, default=str)
    arrays |= {"classes": clf.classes_}
    return told, {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in arrays.items()}


def child(original):
    """Load the files whose names come in, one per line; answer with a line of JSON each."""
    from numpy_setlstm import SetLSTMClassifier
    from numpy_setlstm.checkpoint import CheckpointError

    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))  # spares the machine; what is taken is counted below
    except ImportError:
        pass
    expected = contents_of(SetLSTMClassifier.load(original))
    tracemalloc.start()
    for line in sys.stdin:
        tracemalloc.clear_traces()
        tracemalloc.reset_peak()
        message = ""
        try:
            clf = SetLSTMClassifier.load(line.strip())
            outcome = "unchanged" if contents_of(clf) == expected else "loaded altered"
        except CheckpointError as error:
            message = str(error)
            outcome = "refused" if "\n" not in message else "more than one line"
        except BaseException as error:
            outcome, message = "foreign exception", f"{type(error).__name__}: {error}"
        peak = tracemalloc.get_traced_memory()[1]
        if peak > MEGABYTES * 2**20:
            outcome, message = "memory", f"{peak / 2**20:.0f} MiB: {message}"
        print(json.dumps([outcome, message]), flush=True)


class Child:
    """A process that loads files."""

    def __init__(self, original):
        command = [sys.executable, __file__, "--child", str(original)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answers = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stdout:
            self.answers.put(line)
        self.answers.put("")

    def ask(self, path):
        """Outcome and message for a file; None for the outcome if the process hangs or has died."""
        try:
            self.process.stdin.write(f"{path}\n")
            self.process.stdin.flush()
            answer = self.answers.get(timeout=SECONDS)
        except (queue.Empty, BrokenPipeError):
            return "hang", f"no answer within {SECONDS} s"
        return json.loads(answer) if answer else ("foreign exception", "the process died")

    def stop(self):
        """End the process."""
        self.process.kill()
        self.process.communicate()


def attack(n_files, seed, folder, keep=None):
    """Alter and load `n_files` files; return the counts by kind of alteration and outcome, and all bad cases."""
    rng = np.random.default_rng(seed)
    original, altered = Path(folder) / "original.npz", Path(folder) / "altered.npz"
    make_model(original)
    counts, bad = {}, []
    loader = Child(original)
    try:
        for k in range(n_files):
            kind = alter(original, altered, rng, fresh=k % 2 == 1)
            outcome, message = loader.ask(altered)
            counts.setdefault(kind, Counter())[outcome] += 1
            if outcome in BAD:
                bad.append((k, kind, outcome, message))
                if keep:
                    (Path(keep) / f"{k}.npz").write_bytes(altered.read_bytes())
            if outcome in ("hang", "foreign exception"):
                loader.stop()
                loader = Child(original)
    finally:
        loader.stop()
    return counts, bad


def format_counts(counts):
    """The table."""
    rows = [("alteration", "files", *OUTCOMES)]
    total = sum(counts.values(), Counter())
    for kind, outcomes in [*sorted(counts.items()), ("all", total)]:
        rows.append((kind, str(sum(outcomes.values())), *(str(outcomes[name]) for name in OUTCOMES)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        lines.append("  ".join(cells))
    return "\n".join(lines)


def main():
    """Parse the command line and attack."""
    parser = argparse.ArgumentParser(description="Load altered model files, and count what happens.")
    parser.add_argument("--files", type=int, default=1853)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", metavar="DIR", help="keep the files that are not handled well")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(options.child)
    if options.keep:
        Path(options.keep).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        counts, bad = attack(options.files, options.seed, folder, options.keep)
    print(format_counts(counts))
    for k, kind, outcome, message in bad[:40]:
        print(f"file {k}, {kind}: {outcome}: {message[:200]}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    sys.exit(main())
