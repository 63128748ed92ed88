"""Numbers and tables as text, for the terminal and for Markdown pages."""

MISSING = "–"


def percent(share, digits=1):
    """A share as in "3.9 %"; a dash for None."""
    return MISSING if share is None else f"{100 * share:.{digits}f} %"


def markdown_table(columns, rows, n_left=1):
    """A Markdown table of strings: the first `n_left` columns aligned left, the others right."""
    rules = ["---"] * n_left + ["---:"] * (len(columns) - n_left)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (columns, rules, *rows))


def text_table(columns, rows, n_left=1):
    """The same table for the terminal."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]

    def line(cells):
        padded = [cell.ljust(width) for cell, width in zip(cells[:n_left], widths[:n_left], strict=True)]
        padded += [cell.rjust(width) for cell, width in zip(cells[n_left:], widths[n_left:], strict=True)]
        return "  ".join(padded).rstrip()

    return "\n".join(map(line, (columns, *rows)))
