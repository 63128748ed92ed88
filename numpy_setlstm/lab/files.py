"""Results on disk: each file is replaced as a whole, so that an interruption leaves the old one."""

import json

from numpy_setlstm.files import replacing

DPI = 150


def write_json(path, document):
    """Write a document of plain values as JSON."""
    with replacing(path) as file:
        file.write(json.dumps(document, indent=1).encode())


def write_picture(path, figure):
    """Write a Matplotlib figure as PNG; return the path."""
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=DPI)
    return path
