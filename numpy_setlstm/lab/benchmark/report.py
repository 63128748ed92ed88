"""Tables, results as JSON, and the facts about the machine that numbers mean nothing without."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from numpy_setlstm.lab.benchmark.peers import OURS, PART_LABELS, PEERS
from numpy_setlstm.lab.benchmark.sweeps import crossings, exponents

QUIET_LOAD = 0.5  # processes that run besides, on average over the last minute; above it the report warns
LIBRARIES = ("numpy-setlstm", "numpy", "torch", "scipy", "threadpoolctl")


def machine_facts(threads):
    """What a reader has to know about the machine; neither its name nor any path.

    Parameters
    ----------
    threads : int
        That each peer may use.

    Returns
    -------
    dict
        Of plain values.

    Examples
    --------
    >>> machine_facts(2)["threads"]
    2
    """
    blas = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    return {
        "processor": _processor(),
        "cores": available_cores(),
        "memory_bytes": total_memory(),
        "system": platform.system(),
        "python": platform.python_version(),
        "blas": " ".join(str(blas.get(key, "")) for key in ("name", "version")).strip(),
        "threads": threads,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "libraries": {name: installed for name in LIBRARIES if (installed := _version(name))},
    }


def available_cores():
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def total_memory():
    """Bytes of memory that the machine has, or None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _processor():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def format_seconds(seconds):
    """Three digits, in the unit that fits.

    Examples
    --------
    >>> format_seconds(0.01234), format_seconds(2.5), format_seconds(3.2e-05)
    ('12.3 ms', '2.50 s', '32.0 µs')
    """
    factor, unit = next(((f, u) for f, u in ((1, "s"), (1e3, "ms")) if seconds * f >= 1), (1e6, "µs"))
    return f"{_three_digits(seconds * factor)} {unit}"


def format_bytes(n_bytes):
    """Three digits, in the unit that fits.

    Examples
    --------
    >>> format_bytes(880744), format_bytes(3 * 2**30)
    ('860 KiB', '3.00 GiB')
    """
    factor, unit = next(((f, u) for f, u in ((2**30, "GiB"), (2**20, "MiB")) if n_bytes >= f), (2**10, "KiB"))
    return f"{_three_digits(n_bytes / factor)} {unit}"


def _three_digits(number):
    return f"{number:.{0 if number >= 100 else 1 if number >= 10 else 2}f}"


def _spread_cell(spread, form):
    return f"{form(spread['median'])} ({form(spread['low'])} to {form(spread['high'])})"


def _times(number):
    return f"{number:.2f}"


def text_table(header, rows):
    """A table for the terminal: the first column to the left, the others to the right.

    Examples
    --------
    >>> print(text_table(("peer", "step"), [("sparse", "1 s"), ("dense", "12 s")]))
    peer    step
    sparse   1 s
    dense   12 s
    """
    widths = [max(len(row[k]) for row in (header, *rows)) for k in range(len(header))]
    lines = [
        [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)]
        for row in (header, *rows)
    ]
    return "\n".join("  ".join(line).rstrip() for line in lines)


def markdown_table(header, rows):
    """The same in Markdown.

    Examples
    --------
    >>> print(markdown_table(("peer", "step"), [("sparse", "1 s")]))
    | peer | step |
    |---|---|
    | sparse | 1 s |
    """
    lines = ["| " + " | ".join(row) + " |" for row in (header, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]])


def tables_of(results):
    """All tables of some results, as far as they have got.

    Parameters
    ----------
    results : dict
        From :func:`~numpy_setlstm.lab.benchmark.run.run_benchmark`.

    Returns
    -------
    list of (str, tuple of str, list of tuple of str)
        Title, header and rows of each.
    """
    tables = []
    for row in results["rows"]:
        tables += [t for t in (_peers_table(row), _parts_table(row), _limits_table(row, results)) if t[2]]
    density, sizes = results.get("density"), results.get("sizes")
    if density and density["rows"]:
        tables += [_density_table(density, kind) for kind in ("step", "product", "gradient")]
    if sizes and sizes["rows"]:
        tables.append(_sizes_table(sizes))
    return tables


def _peers_table(row):
    ahead = "sparse is ahead"
    header = ("peer", "training step", ahead, "4 minibatches predicted", ahead, "peak memory", "held")
    lines = []
    for name, peer in row["peers"].items():
        lines.append(
            (
                PEERS[name].what,
                _spread_cell(peer["train"], format_seconds) if "train" in peer else "",
                _spread_cell(peer["train_ratio"], _times) if "train_ratio" in peer else "",
                _spread_cell(peer["predict"], format_seconds) if "predict" in peer else "",
                _spread_cell(peer["predict_ratio"], _times) if "predict_ratio" in peer else "",
                format_bytes(peer["peak_bytes"]) if peer.get("peak_bytes") else "",
                format_bytes(sum(peer["held_bytes"].values())) if "held_bytes" in peer else "",
            )
        )
    return f"{row['name']}: {row['description']}", header, lines


def _parts_table(row):
    peers = {name: peer["parts"] for name, peer in row["peers"].items() if "parts" in peer}
    labels = [label for label in (*PART_LABELS, "other") if any(label in parts for parts in peers.values())]
    lines = [
        (label, *(format_seconds(parts[label]) if label in parts else "" for parts in peers.values()))
        for label in labels
    ]
    return f"{row['name']}: where a training step's time goes", ("part", *peers), lines if peers else []


def _limits_table(row, results):
    header = ("part of the sparse step", "time", "GFLOP/s", "of BLAS peak", "GB/s", "of bandwidth", "times the limit")
    lines = [
        (
            part,
            format_seconds(d["seconds"]),
            f"{d['flops_per_second'] / 1e9:.2f}",
            f"{100 * d['of_gemm']:.1f} %",
            f"{d['bytes_per_second'] / 1e9:.2f}",
            f"{100 * d['of_bandwidth']:.1f} %",
            f"{d['times_the_limit']:.1f}",
        )
        for part, d in row.get("distances", {}).items()
    ]
    return f"{row['name']}: how far from the machine's limits", header, lines


def _density_table(density, kind):
    names = list(density["rows"][0][kind])
    lines = [
        (f"{100 * row['density']:g} %", *(format_seconds(row[kind][name]) for name in names)) for row in density["rows"]
    ]
    crossed = [f"{pair} at {100 * at:.2g} %" for pair, at in crossings(density["rows"], kind).items()]
    what = {
        "step": "training step",
        "product": "one recurrent product",
        "gradient": "the way back through W_h, with its gradient",
    }
    title = f"{what[kind]} against density; {density['description']}"
    return title + (f"; crossing: {'; '.join(crossed)}" if crossed else ""), ("density", *names), lines


def _sizes_table(sizes):
    rows = sizes["rows"]
    names = [name for name in PEERS if any(name in row["peers"] for row in rows)]
    header = ("H", "connections", "dense parameters and state", *(f"{n} {q}" for n in names for q in ("step", "peak")))
    lines = []
    for row in rows:
        cells = [f"{row['hidden_size']:,}", f"{row['connections']:,}", format_bytes(row["dense_bytes"])]
        for name in names:
            peer = row["peers"].get(name, {})
            cells.append(format_seconds(peer["seconds"]) if "seconds" in peer else "")
            cells.append(format_bytes(peer["bytes"]) if peer.get("bytes") else "")
        lines.append(tuple(cells))
    fits = {quantity: exponents(rows, quantity).get(OURS) for quantity in ("seconds", "bytes")}
    told = [f"{quantity} ~ connections^{fit:.2f}" for quantity, fit in fits.items() if fit is not None]
    return f"training step against size, {sizes['description']}: sparse {', '.join(told)}", header, lines


def words_of(results):
    """What there is to say besides the tables, one line each."""
    facts = results["machine"]
    libraries = ", ".join(f"{name} {number}" for name, number in facts["libraries"].items())
    lines = [f"{facts['processor']}, {facts['cores']} cores, {facts['threads']} threads each; {libraries}"]
    if (facts["load"] or 0) > QUIET_LOAD:
        lines.append(
            f"the machine had other work when this began (load {facts['load']:.1f}): peers whose threads wait for each "
            "other suffer most from it, so the ratios flatter those that do not"
        )
    lines += [f"skipped {name}: {library} is not installed" for name, library in results["skipped"].items()]
    if results.get("limits"):
        limits = {name: number / 1e9 for name, number in results["limits"].items()}
        lines.append(
            f"machine: copying {limits['copy_bytes_per_second']:.1f} GB/s, "
            f"adding {limits['triad_bytes_per_second']:.1f} GB/s, BLAS {limits['gemm_flops_per_second']:.0f} GFLOP/s"
        )
    for row in results["rows"]:
        if "agreement" in row:
            lines.append(f"{row['name']}: largest relative difference of the losses {row['agreement']:.1e}")
        lines += [f"{row['name']}: {name} in the form {p['form']}" for name, p in row["peers"].items() if p.get("form")]
        lines += [f"{row['name']}: {p['error']}" for p in row["peers"].values() if "error" in p]
        if "last_losses" in row:
            first, last = (sum(losses) / len(losses) for losses in (row["peers"][OURS]["losses"], row["last_losses"]))
            lines.append(f"{row['name']}: the mean loss over the minibatches went from {first:.4f} to {last:.4f}")
        if "set_step" in row:
            lines.append(
                f"{row['name']}: a SET step takes {_spread_cell(row['set_step'], format_seconds)}, the training step "
                f"after it {_spread_cell(row['next_step'], format_seconds)}"
            )
        lines += _memory_words(row)
    return lines


def _memory_words(row):
    ours = row["peers"].get(OURS, {})
    if not ours.get("peak_bytes"):
        return []
    others = {name: ours["peak_bytes"] / p["peak_bytes"] for name, p in row["peers"].items() if p.get("peak_bytes")}
    peak = ", ".join(f"{ratio:.2f} of {name}'s" for name, ratio in others.items() if name != OURS)
    held = row["dense_bytes"] / sum(ours["held_bytes"].values())
    return [
        f"{row['name']}: sparse peak memory is {peak}" if peak else f"{row['name']}: no peer's memory was measured",
        f"{row['name']}: parameters and optimizer state, index arrays counted, are 1/{held:.1f} of a dense network's "
        f"(by the formula, without derived arrays, 1/{row['dense_bytes'] / row['sparse_bytes']:.1f})",
    ]


def as_text(results):
    """Everything, for the terminal."""
    tables = [f"{title}\n{text_table(header, rows)}" for title, header, rows in tables_of(results)]
    return "\n\n".join(["\n".join(words_of(results)), *tables])


def as_markdown(results, pictures=()):
    """Everything, in Markdown; `pictures` are names of files beside it."""
    words = "\n".join(f"- {line}" for line in words_of(results))
    tables = [f"## {title}\n\n{markdown_table(header, rows)}" for title, header, rows in tables_of(results)]
    return "\n\n".join(["# Benchmark", words, *tables, *(f"![{name}]({name})" for name in pictures)]) + "\n"
