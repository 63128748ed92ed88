"""An animation as a GIF, and as an HTML page that needs no network."""

import base64
import io
import re
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from matplotlib.animation import PillowWriter
from matplotlib.image import imread

from numpy_setlstm.files import replacing

HOLD_SECONDS = 2  # for which a GIF shows its last frame
PALETTE_SIZE = 64  # colors of the frames in a page: enough for these pictures, and few enough to keep the page small
EMBEDDED_PNG = re.compile(r"(?<=data:image/png;base64,)[A-Za-z0-9+/=\\\n]+")  # as to_jshtml writes it, over many lines
FITS = "<style>.animation, .animation img, input.anim-slider {max-width: 100%; box-sizing: border-box}</style>"
BUTTON_SIGNS = {  # for the icons of to_jshtml, whose font is on the web
    "minus": "−",
    "fast-backward": "|◀◀",
    "step-backward": "|◀",
    "play fa-flip-horizontal": "◀",
    "pause": "❚❚",
    "play": "▶",
    "step-forward": "▶|",
    "fast-forward": "▶▶|",
    "plus": "+",
}


def save_animation(animation, path, fps=2):
    """Save an animation as a GIF; the file appears only when it is complete.

    Parameters
    ----------
    animation : matplotlib.animation.FuncAnimation
    path : str or os.PathLike
        Must end in .gif; an existing file is replaced.
    fps : float, default 2
        Frames per second; the last frame is shown for two seconds.

    Raises
    ------
    ValueError
        If the path does not end in .gif or `fps` is not positive.

    Examples
    --------
    >>> import tempfile
    >>> from numpy_setlstm.plotting import animate_evolution
    >>> from numpy_setlstm.topology import erdos_renyi, set_step
    >>> W = erdos_renyi((16, 64), np.random.default_rng(0), density=0.1)
    >>> new, step = set_step(W, 0.3, np.random.default_rng(1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_animation(animate_evolution(W.topology, [step]), Path(folder) / "evolution.gif")
    ...     [path.name for path in Path(folder).iterdir()]
    ['evolution.gif']
    """
    path = Path(path)
    if path.suffix.lower() != ".gif" or not fps > 0:
        raise ValueError(f"path is {str(path)!r} and fps is {fps}; expected a name ending in .gif and a number above 0")
    writer = _HoldingWriter(fps=fps)
    animation.save(path, writer=writer, dpi="figure")
    with replacing(path) as file:
        file.write(writer.contents.getvalue())


class _HoldingWriter(PillowWriter):
    """Makes a GIF that holds its last frame, in memory."""

    def setup(self, *arguments, **options):
        super().setup(*arguments, **options)
        self.contents = io.BytesIO()
        self.contents.name = self.outfile  # whose ending tells Pillow the format

    def grab_frame(self, **savefig_kwargs):
        super().grab_frame(**savefig_kwargs)
        self.savefig_kwargs = savefig_kwargs

    def finish(self):
        if sys.exc_info()[0] is not None:  # matplotlib calls this whatever happens; nobody wants half a film
            return
        for _ in range(round(HOLD_SECONDS * self.fps) - 1):  # Pillow merges equal frames, and adds their durations
            super().grab_frame(**self.savefig_kwargs)
        self.outfile = self.contents
        super().finish()


def animation_page(animation, fps=2):
    """Return an animation as HTML with controls, for a notebook: matplotlib's own page at a third of its size.

    ``to_jshtml`` stores every frame in full color. Here all frames share a palette, which is enough for the few flat
    colors of these pictures. The icons of its buttons need a font from the web; here they are ordinary characters, so
    the page works without a network.

    Parameters
    ----------
    animation : matplotlib.animation.FuncAnimation
    fps : float, default 2
        Initial frames per second.

    Returns
    -------
    str
        For ``IPython.display.HTML``. It plays once and stops at the last frame.

    Raises
    ------
    ValueError
        If `fps` is not positive.

    Examples
    --------
    >>> from numpy_setlstm.plotting import animate_evolution
    >>> from numpy_setlstm.topology import erdos_renyi, set_step
    >>> W = erdos_renyi((16, 64), np.random.default_rng(0), density=0.1)
    >>> new, step = set_step(W, 0.3, np.random.default_rng(1))
    >>> "https://" in animation_page(animate_evolution(W.topology, [step]))
    False
    """
    if not fps > 0:
        raise ValueError(f"fps is {fps}; expected a number above 0")
    page = animation.to_jshtml(fps=fps, default_mode="once")
    page = re.sub(r"<link[^>]*font-awesome[^>]*>", "", page)
    page = FITS + page
    page = re.sub(r'<i class="fa fa-([^"]+)"></i>', lambda icon: BUTTON_SIGNS[icon[1]], page)
    pictures = [base64.b64decode(data.replace("\\\n", "")) for data in EMBEDDED_PNG.findall(page)]
    frames = [(255 * imread(io.BytesIO(picture))[..., :3]).round().astype(np.uint8) for picture in pictures]
    palette, indexed = _with_one_palette(frames)
    smaller = iter(indexed)
    return EMBEDDED_PNG.sub(lambda match: base64.b64encode(_indexed_png(next(smaller), palette)).decode(), page)


def _with_one_palette(frames):
    """Return the palette (n, 3) of the most frequent colors of RGB frames, and the frames as indices into it, uint8."""
    packed = [frame.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32) for frame in frames]
    found = [np.unique(colors, return_counts=True) for colors in packed]  # frame by frame, to save memory
    shades, which = np.unique(np.concatenate([colors for colors, _ in found]), return_inverse=True)
    counts = np.bincount(which, np.concatenate([numbers for _, numbers in found]))
    levels = np.stack([shades >> 16, shades >> 8 & 255, shades & 255], axis=-1).astype(int)  # (n_shades, 3)
    palette = levels[np.argsort(-counts, kind="stable")[:PALETTE_SIZE]]
    nearest = ((levels[:, None] - palette) ** 2).sum(axis=-1).argmin(axis=-1).astype(np.uint8)
    return palette.astype(np.uint8), [nearest[np.searchsorted(shades, colors)] for colors in packed]


def _indexed_png(indices, palette):
    """Return a PNG of palette indices, uint8 of shape (height, width); matplotlib writes full color only."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = indices.shape
    header = struct.pack(">2I5B", width, height, 8, 3, 0, 0, 0)  # 8 bits per pixel; 3: indices into a palette
    rows = np.pad(indices, ((0, 0), (1, 0)))  # each row starts with 0: not filtered
    chunks = {b"IHDR": header, b"PLTE": palette.tobytes(), b"IDAT": zlib.compress(rows.tobytes(), 9), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in chunks.items())
