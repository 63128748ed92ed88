"""The results of the benchmark as text and Markdown."""

from numpy_setlstm.lab.benchmark.peers import LANGUAGE_PEERS, OURS, PART_LABELS, PEERS
from numpy_setlstm.lab.benchmark.sweeps import crossings, exponents
from numpy_setlstm.lab.formatting import markdown_table, percent, text_table

QUIET_LOAD = 0.5  # mean number of other running processes in the last minute above which the report warns


def format_seconds(seconds):
    """Three digits and the unit that fits, as in "12.3 ms"."""
    factor, unit = next(((f, u) for f, u in ((1, "s"), (1e3, "ms")) if seconds * f >= 1), (1e6, "µs"))
    return f"{_three_digits(seconds * factor)} {unit}"


def format_bytes(n_bytes):
    """Three digits and the unit that fits, as in "860 KiB"."""
    factor, unit = next(((f, u) for f, u in ((2**30, "GiB"), (2**20, "MiB")) if n_bytes >= f), (2**10, "KiB"))
    return f"{_three_digits(n_bytes / factor)} {unit}"


def _three_digits(number):
    return f"{number:.{0 if number >= 100 else 1 if number >= 10 else 2}f}"


def _spread_cell(spread, form):
    return f"{form(spread['median'])} ({form(spread['low'])} to {form(spread['high'])})"


def _times(number):
    return f"{number:.2f}"


def tables_of(results):
    """All tables of results, even incomplete ones: list of (title, header, rows)."""
    tables = []
    for row in results["rows"]:
        tables += [t for t in (_peers_table(row), _parts_table(row), _limits_table(row)) if t[2]]
    tables += [_language_table(row) for row in results.get("language", ())]
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


def _language_table(row):
    ahead, n_tokens = "sparse is ahead", row["work"]["batch_size"] * row["work"]["n_steps"]
    header = ("peer", "training step", "tokens per second", ahead, "drawn per second", ahead, "peak memory")
    lines = []
    for name, peer in row["peers"].items():
        cells = [LANGUAGE_PEERS[name].what, _spread_cell(peer["train"], format_seconds) if "train" in peer else ""]
        for task, n in (("train", n_tokens), ("sample", row["n_drawn"])):
            ratio = f"{task}_ratio"
            cells.append(f"{n / peer[task]['median']:,.0f}" if task in peer else "")
            cells.append(_spread_cell(peer[ratio], _times) if ratio in peer else "")
        lines.append((*cells, format_bytes(peer["peak_bytes"]) if peer.get("peak_bytes") else ""))
    return f"{row['name']}: {row['description']}", header, lines


def _parts_table(row):
    peers = {name: peer["parts"] for name, peer in row["peers"].items() if "parts" in peer}
    labels = [label for label in (*PART_LABELS, "other") if any(label in parts for parts in peers.values())]
    lines = [
        (label, *(format_seconds(parts[label]) if label in parts else "" for parts in peers.values()))
        for label in labels
    ]
    return f"{row['name']}: time of the parts of a training step", ("part", *peers), lines if peers else []


def _limits_table(row):
    header = ("part of the sparse step", "time", "GFLOP/s", "of BLAS peak", "GB/s", "of bandwidth", "times the limit")
    lines = [
        (
            part,
            format_seconds(d["seconds"]),
            f"{d['flops_per_second'] / 1e9:.2f}",
            percent(d["of_gemm"]),
            f"{d['bytes_per_second'] / 1e9:.2f}",
            percent(d["of_bandwidth"]),
            f"{d['times_the_limit']:.1f}",
        )
        for part, d in row.get("distances", {}).items()
    ]
    return f"{row['name']}: distance from the machine's limits", header, lines


def _density_table(density, kind):
    names = list(density["rows"][0][kind])
    lines = [
        (f"{100 * row['density']:g} %", *(format_seconds(row[kind][name]) for name in names)) for row in density["rows"]
    ]
    crossed = [f"{pair} at {100 * at:.2g} %" for pair, at in crossings(density["rows"], kind).items()]
    what = {
        "step": "training step",
        "product": "one recurrent product",
        "gradient": "backward pass of W_h, with its gradient",
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
    shown = [f"{quantity} ~ connections^{fit:.2f}" for quantity, fit in fits.items() if fit is not None]
    return f"training step against size, {sizes['description']}: sparse {', '.join(shown)}", header, lines


def summary_lines(results):
    """What the tables do not show, list of str."""
    facts = results["machine"]
    libraries = ", ".join(f"{name} {number}" for name, number in facts["libraries"].items())
    lines = [f"{facts['processor']}, {facts['cores']} cores, {facts['threads']} threads each; {libraries}"]
    if (facts["load"] or 0) > QUIET_LOAD:
        lines.append(
            f"the machine was busy when the benchmark started (load {facts['load']:.1f}): this slows peers most whose "
            "threads wait for each other, and ratios favor the others"
        )
    lines += [skipped_line(name, library) for name, library in results["skipped"].items()]
    if results.get("limits"):
        limits = {name: number / 1e9 for name, number in results["limits"].items()}
        lines.append(
            f"machine: copying {limits['copy_bytes_per_second']:.1f} GB/s, "
            f"adding {limits['triad_bytes_per_second']:.1f} GB/s, BLAS {limits['gemm_flops_per_second']:.0f} GFLOP/s"
        )
    language = results.get("language", ())
    lines += [f"{row['name']}: largest relative difference of the losses {row['agreement']:.1e}" for row in language]
    return lines + [f"{row['name']}: {line}" for row in results["rows"] for line in _row_lines(row)]


def skipped_line(name, library):
    """The line for a peer that lacks a library."""
    return f"skipped {name}: {library} is not installed"


def _row_lines(row):
    lines = []
    if "agreement" in row:
        lines.append(f"largest relative difference of the losses {row['agreement']:.1e}")
    lines += [f"{name} in the form {peer['form']}" for name, peer in row["peers"].items() if peer.get("form")]
    lines += [peer["error"] for peer in row["peers"].values() if "error" in peer]
    if "last_losses" in row:
        first, last = (sum(losses) / len(losses) for losses in (row["peers"][OURS]["losses"], row["last_losses"]))
        lines.append(f"the mean loss over the minibatches went from {first:.4f} to {last:.4f}")
    if "set_step" in row:
        lines.append(
            f"a SET step takes {_spread_cell(row['set_step'], format_seconds)}, the training step after it "
            f"{_spread_cell(row['next_step'], format_seconds)}"
        )
    return lines + _memory_lines(row)


def _memory_lines(row):
    ours = row["peers"].get(OURS, {})
    if not ours.get("peak_bytes"):
        return []
    others = {name: ours["peak_bytes"] / p["peak_bytes"] for name, p in row["peers"].items() if p.get("peak_bytes")}
    peak = ", ".join(f"{ratio:.2f} of {name}'s" for name, ratio in others.items() if name != OURS)
    held = row["dense_bytes"] / sum(ours["held_bytes"].values())
    return [
        f"sparse peak memory is {peak}" if peak else "no peer's memory was measured",
        f"parameters and optimizer state, index arrays included, take 1/{held:.1f} of a dense network's memory "
        f"(by the formula, without derived arrays, 1/{row['dense_bytes'] / row['sparse_bytes']:.1f})",
    ]


def as_text(results):
    """Everything, for the terminal."""
    tables = [f"{title}\n{text_table(header, rows)}" for title, header, rows in tables_of(results)]
    return "\n\n".join(["\n".join(summary_lines(results)), *tables])


def as_markdown(results, pictures=()):
    """Everything, in Markdown; `pictures` are names of files in the same folder."""
    lines = "\n".join(f"- {line}" for line in summary_lines(results))
    tables = [f"## {title}\n\n{markdown_table(header, rows)}" for title, header, rows in tables_of(results)]
    return "\n\n".join(["# Benchmark", lines, *tables, *(f"![{name}]({name})" for name in pictures)]) + "\n"
