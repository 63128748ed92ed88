#!/usr/bin/env python3
"""Make the small pictures for README's table of notebooks, from the notebooks' own pictures.

.. code-block:: sh

    python notebooks/thumbnails.py           # for all notebooks

The picture is the one in the cell with the tag "thumbnail", or else the one with the most bytes: the richest.
"""

import argparse
import base64
import io
import sys
from pathlib import Path

import nbformat
from PIL import Image

NOTEBOOKS = Path(__file__).resolve().parent
FOLDER = NOTEBOOKS.parent / "docs" / "images" / "notebooks"
SIZE = (320, 192)
MOST_BYTES = 40_000
TITLES = {
    "00_quick_start": "Quick start",
    "01_one_step_by_hand": "One LSTM step by hand",
    "02_backpropagation_through_time": "Backpropagation through time",
    "03_checking_gradients": "Checking gradients",
    "04_sparse_matrices": "Sparse matrices",
    "05_sparse_embedding": "A sparse embedding",
    "06_prune_and_regrow": "Prune and regrow",
    "07_training_on_reviews": "Training on reviews",
    "08_many_topologies": "Many good topologies",
    "09_when_sparsity_pays": "When sparsity pays",
    "10_it_learns_to_spell": "It learns to spell",
}


def choose_picture(notebook):
    """The picture that represents a notebook, a PNG as bytes; None if it shows no picture."""
    pictures = [
        ("thumbnail" in cell.metadata.get("tags", []), base64.b64decode(output.data["image/png"]))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    return max(pictures, key=lambda picture: (picture[0], len(picture[1])), default=(None, None))[1]


def make_thumbnail(png, size=SIZE, most_bytes=MOST_BYTES):
    """Shrink a picture, PNG as bytes, to fit into a size in pixels (width, height), on white.

    Colors are dropped until the thumbnail has at most `most_bytes`; ValueError if two colors are still too many.
    """
    with Image.open(io.BytesIO(png)) as opened:
        picture = opened.convert("RGBA")
    picture.thumbnail(size, Image.Resampling.LANCZOS)
    page = Image.new("RGBA", size, "white")
    page.alpha_composite(picture, ((size[0] - picture.width) // 2, (size[1] - picture.height) // 2))
    for n_colors in (256, 128, 64, 32, 16, 8, 4, 2):
        file = io.BytesIO()
        few = page.convert("RGB").quantize(n_colors, dither=Image.Dither.NONE)
        few.save(file, "png", optimize=True)
        if file.tell() <= most_bytes:
            return file.getvalue()
    raise ValueError(f"the thumbnail has {file.tell()} bytes with two colors; expected at most {most_bytes}")


def main(arguments=None, notebooks=NOTEBOOKS, folder=FOLDER):
    """Make the thumbnail of each notebook; return 0 if all have a picture, 1 if not."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args(arguments)
    folder.mkdir(parents=True, exist_ok=True)
    without = 0
    for path in sorted(notebooks.glob("*.ipynb")):
        png = choose_picture(nbformat.read(path, as_version=4))
        if png is None:
            print(f"{path.stem:<34} has no picture")
            without = 1
            continue
        thumbnail = make_thumbnail(png)
        (folder / f"{path.stem}.png").write_bytes(thumbnail)
        print(f"{path.stem:<34} {len(thumbnail) / 1000:.1f} kB")
    return without


if __name__ == "__main__":
    sys.exit(main())
