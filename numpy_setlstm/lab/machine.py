"""Facts about the machine, and the memory that this process takes."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from numpy_setlstm.workers.pool import available_cores

LIBRARIES = ("numpy-setlstm", "numpy", "torch", "scipy", "threadpoolctl")


def machine_facts(threads):
    """What a measured time depends on, as plain values; neither the machine's name nor any path."""
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


def total_memory():
    """Bytes of memory in the machine; None where the system does not report it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def resident_bytes(process="self"):
    """Resident memory of this process, or another, now; the peak where the system reports only that."""
    return _status_bytes("VmRSS", process) or peak_bytes(process)


def peak_bytes(process="self"):
    """Peak resident memory of this process or of the one with this number; None where the system does not say."""
    peak = _status_bytes("VmHWM", process)  # getrusage may report that of the process that started this one
    if peak is not None or process != "self":
        return peak
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _status_bytes(field, process="self"):
    try:
        with open(f"/proc/{process}/status") as status:
            return next((1024 * int(line.split()[1]) for line in status if line.startswith(field + ":")), None)
    except OSError:
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
