"""Files that are written whole or not at all, locked against a second writer, and read within limits."""

import contextlib
import errno
import math
import os
import re
import secrets
import socket
import stat
import time
import zipfile
from pathlib import Path

import numpy as np

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

MAX_BYTES = 2**32  # of arrays in a file, unless the caller allows more
MAX_EXPANSION = 16  # a file inflates to this many times its size at most, unless the caller allows more
SMALL = 2**24  # bytes that any file may inflate to
CHUNK = 2**20
PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 4)  # seconds between attempts, on Windows, to replace a file in use
OLD = 3600  # seconds after which a half-written file is a leftover on Windows
_BYTE_THAT_IS_LOCKED = 2**30  # on Windows a locked byte cannot be read, so it is one behind the text
_NPY_MAGIC = {b"\x93NUMPY\x01\x00": 2, b"\x93NUMPY\x02\x00": 4}  # and the bytes of the header's length
_NPY_HEADER = re.compile(
    r"\{'descr': '([<|][biufU][1-9]\d{0,8})', 'fortran_order': False, "
    r"'shape': \(((?:\d{1,18}, ?)*(?:\d{1,18})?)\), \} *\n"
)
_MAX_NPY_HEADER = 1000


class UnreadableError(ValueError):
    """An archive of arrays is damaged, too large or not one; the message continues a sentence that begins with it."""


# Writing


def make_folder(path):
    """Make a folder and those above it, if missing; return it as a Path.

    ValueError if the name is empty, NotADirectoryError if it is that of a file.
    """
    if not os.fspath(path):
        raise ValueError(
            "the name of the output folder is empty; expected a folder, such as runs/first (or . for here)"
        )
    if os.path.exists(path) and not os.path.isdir(path):
        raise NotADirectoryError(f"{path} is a file; expected a folder to write into: choose another name")
    Path(path).mkdir(parents=True, exist_ok=True)
    return Path(path)


@contextlib.contextmanager
def replacing(path):
    """Open a file for writing bytes that replaces `path` when it is complete; if anything fails, nothing changes.

    The new file has the permissions of the old one; of a symbolic link, the target is replaced. What killed processes
    left over of earlier attempts is removed.
    """
    target = _target_of(path)
    part = None
    try:
        _remove_leftovers(target)
        file, part = _create_part(target)
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if fcntl:  # as long as it is locked, nobody takes it for a leftover
                _move(part, target)
        if not fcntl:  # Windows moves no file that is open
            _move(part, target)
        part = None
    except OSError as error:
        if error.errno is None or error.filename not in (None, part, str(target)):
            raise
        raise OSError(error.errno, f"{error.strerror}; it was not written", str(path)) from error
    finally:
        if part is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part)


def _move(part, target):
    if target.exists():
        os.chmod(part, stat.S_IMODE(target.stat().st_mode))
    for pause in () if fcntl else PAUSES:
        try:
            return os.replace(part, target)
        except PermissionError:  # Windows replaces no file that somebody is reading
            time.sleep(pause)
    os.replace(part, target)


def _target_of(path):
    """The regular file that writing to `path` replaces, which may not exist yet."""
    if not os.fspath(path):
        raise ValueError("the name of the file to write is empty; expected a path, such as model.npz")
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"there is no folder {Path(path).parent} to write {Path(path).name} into: make it first"
        )
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder; expected the name of a file in it", str(path))
    if target.is_symlink() or (target.exists() and not target.is_file()):
        raise OSError(errno.EINVAL, "it is a device, a pipe or a circle of links; expected a regular file", str(path))
    return target


def _create_part(target):
    """A new file beside `target`, locked as long as it is open, but for Windows, and its name."""
    mode = stat.S_IMODE(target.stat().st_mode) & 0o666 if target.exists() else 0o666  # the umask applies
    while True:
        part = f"{target}.{secrets.token_hex(4)}.part"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        file = os.fdopen(os.open(part, flags, mode | stat.S_IWUSR), "wb")
        if fcntl:
            with contextlib.suppress(OSError):  # some file systems have no locks; then nothing is removed there either
                _try_lock(file.fileno())
        if os.path.exists(part):
            return file, part
        file.close()  # another process took it for a leftover, before it was locked


def _remove_leftovers(target):
    """Remove the parts that no process is writing any more."""
    ours = re.compile(re.escape(target.name) + r"\.\w{8}\.part")
    for name in os.listdir(target.parent):
        if ours.fullmatch(name):
            with contextlib.suppress(OSError), open(target.parent / name, "rb+") as file:  # somebody is writing it
                if fcntl:
                    _try_lock(file.fileno())
                elif time.time() - os.fstat(file.fileno()).st_mtime < OLD:
                    continue  # it may be complete, and about to be moved
                else:
                    file.close()  # Windows removes no file that is open
                os.unlink(target.parent / name)


# Locks


@contextlib.contextmanager
def locked(path):
    """Keep all other processes that ask for it from `path`: a file, or a folder and all that is in it.

    BlockingIOError names the process that has it. The operating system takes the lock from a process that dies.
    """
    lock = Path(f"{os.path.realpath(path)}.lock")
    with _acquire(lock, path) as file:  # at the latest when this object is gone, the lock is free
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # the folder may be gone, and another lock be in its place
                if fcntl and _is_at(lock, file):
                    os.unlink(lock)  # before it is free, so that nobody can have locked it meanwhile
                if not fcntl:
                    _lock_byte(file.fileno(), msvcrt.LK_UNLCK)  # Windows lets a closed file wait for that
    if not fcntl:
        with contextlib.suppress(OSError):  # somebody else has it by now
            os.unlink(lock)


def _acquire(lock, path):
    while True:
        file = open(lock, "r+b", buffering=0, opener=lambda name, flags: os.open(name, flags | os.O_CREAT, 0o666))
        try:
            _try_lock(file.fileno())
        except OSError as error:
            with file:
                holder = file.read(200).decode(errors="replace").partition("\n")[0].strip() or "another process"
            if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
                raise BlockingIOError(
                    f"{path} is being written by {holder}: wait until it ends, or choose another output"
                ) from None
            raise OSError(error.errno, f"{error.strerror}; it cannot be locked", str(lock)) from error
        if _is_at(lock, file):
            with contextlib.suppress(OSError):  # who has it is good to know, but on a full disk unknown
                os.truncate(file.fileno(), 0) if fcntl else None
                file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
            return file
        file.close()  # its owner has just removed it


def _is_at(path, file):
    """Whether a path still leads to an open file."""
    return os.path.exists(path) and os.path.samestat(os.stat(path), os.fstat(file.fileno()))


def _try_lock(descriptor):
    if fcntl:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        _lock_byte(descriptor, msvcrt.LK_NBLCK)


def _lock_byte(descriptor, mode):
    os.lseek(descriptor, _BYTE_THAT_IS_LOCKED, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, mode, 1)
    finally:
        os.lseek(descriptor, 0, os.SEEK_SET)


# Reading


def read_npz(path, max_bytes=None):
    """The arrays of an ``.npz`` file by name; UnreadableError if it is damaged, too large or holds Python objects.

    Sizes are compared with `max_bytes`, and with each other, before memory is taken. By default a file may inflate to
    16 times its size, which those that this package writes never do, and to 4 GiB.
    """
    if max_bytes is not None and (isinstance(max_bytes, bool) or not max_bytes > 0):
        raise ValueError(f"max_bytes is {max_bytes!r}; expected a number above 0, such as 2**33")
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path} is a folder; expected a file, such as model.npz in it")
    if os.path.exists(path) and not os.path.isfile(path):
        raise UnreadableError("is a device or a pipe; expected a regular file")
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if stream.read(2) != b"PK":
            raise UnreadableError("is not an .npz archive, or holds pickled objects, which are never loaded")
        limit = min(MAX_BYTES, max(SMALL, MAX_EXPANSION * size)) if max_bytes is None else max_bytes
        try:
            with zipfile.ZipFile(stream) as archive:
                _check_members(archive.infolist(), limit)
                return {member.filename[:-4]: _read_member(archive, member) for member in archive.infolist()}
        except UnreadableError:
            raise
        except MemoryError:
            raise UnreadableError("needs more memory than is free") from None
        except Exception as error:  # whatever zipfile and zlib make of damaged bytes
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                raise OSError(error.errno, error.strerror, str(path)) from error
            what = str(error) or type(error).__name__
            raise UnreadableError(f"is no complete .npz archive, it may be cut short or altered ({what})") from None


def _check_members(members, limit):
    names = [member.filename for member in members]
    total = sum(member.file_size for member in members)
    if total > limit:
        raise UnreadableError(
            f"has arrays of {total:,} bytes, more than the limit of {limit:,.0f}: if you trust the file, load it with "
            f"max_bytes={total}"
        )
    for name, member in zip(names, members, strict=True):
        if not name.endswith(".npy") or names.count(name) > 1:
            raise UnreadableError(f"has the member {name!r}, which is not an array, or is there twice")
        if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UnreadableError(f"has the member {name!r}, which is encrypted or compressed by an unusual method")


def _read_member(archive, member):
    name = member.filename[:-4]
    with archive.open(member) as stream:
        magic = stream.read(8)
        if magic not in _NPY_MAGIC:
            raise UnreadableError(f"has an array {name!r} without the header of an .npy file")
        width = _NPY_MAGIC[magic]
        length = int.from_bytes(stream.read(width), "little")
        if length > _MAX_NPY_HEADER:
            raise UnreadableError(f"has an array {name!r} with a header of {length:,} bytes; the limit is 1,000")
        dtype, shape = _parse_header(name, stream.read(length).decode("latin1"))
        nbytes = math.prod(shape) * dtype.itemsize
        if 8 + width + length + nbytes != member.file_size:
            raise UnreadableError(
                f"declares {name!r} as {shape} of {dtype}, {nbytes:,} bytes, but has {member.file_size:,} for it"
            )
        array = np.empty(shape, dtype)
        bytes_of = memoryview(array.reshape(-1).view(np.uint8))
        for first in range(0, nbytes, CHUNK):
            part = stream.read(min(CHUNK, nbytes - first))
            bytes_of[first : first + CHUNK] = part  # ValueError if there are too few
        stream.read(1)  # at the end the checksum is compared
    if dtype.kind == "b" and array.view(np.uint8).max(initial=0) > 1:
        raise UnreadableError(f"has an array {name!r} of bool with other bytes than 0 and 1")
    return array


def _parse_header(name, header):
    """Data type and shape from the header of an ``.npy`` file, which is never evaluated as Python."""
    match = _NPY_HEADER.fullmatch(header)
    if not match:
        if "'|O'" in header or "'O'" in header:
            raise UnreadableError(f"has an array {name!r} of pickled objects, which are never loaded")
        raise UnreadableError(
            f"has an array {name!r} that is not of plain numbers or text in C order: {header.strip()[:60]!r}"
        )
    shape = tuple(int(size) for size in match[2].replace(" ", "").split(",") if size)
    try:
        return np.dtype(match[1]), shape
    except TypeError as error:
        raise UnreadableError(f"has an array {name!r} of no known type: {error}") from None
