"""Downloads of data files, with a checksum and, on a terminal, a progress bar."""

import sys

from numpy_setlstm.datasets.reviews import DatasetError


def fetch(url, sha256, path):
    """Download one file with a SHA-256 checksum (hex digits) to a path; an incomplete download leaves no file."""
    try:
        import pooch  # needed for downloads only
    except ImportError:
        raise DatasetError(
            "downloading needs the package pooch: pip install '.[datasets]' in the project's folder"
        ) from None
    try:
        show = sys.stderr.isatty()
        pooch.retrieve(url, f"sha256:{sha256}", fname=path.name, path=path.parent, progressbar=show)
    except (OSError, ValueError) as error:  # the network and the disk; the checksum
        reason = " ".join(str(error).split())
        raise DatasetError(f"could not download {url} ({reason}): try again, or put the file at {path}") from error
