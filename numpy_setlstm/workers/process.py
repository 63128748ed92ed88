"""A worker: a process that does what its parent asks, and ends with it."""

import os
import signal
import threading
import time
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle

import numpy as np

from numpy_setlstm.workers.jobs import TrainingJob
from numpy_setlstm.workers.memory import find_in_memory

IDLE = 120.0  # seconds without a request after which a worker ends, unless its job is to train
WATCH = 0.5  # seconds from one look at the parent to the next


def main(parent):
    """Answer the requests of the process number `parent` that come through a connection, the standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    connection, job = Connection(0), None
    try:
        while connection.poll(None if isinstance(job, TrainingJob) else IDLE):
            name, *arguments = connection.recv()
            if name == "load":
                memory = recv_handle(connection)
                error, job = attempt(find_in_memory, memory, *arguments)
                os.close(memory)
                connection.send((error, None))
            elif name == "forget":
                job = None
            else:
                connection.send(answer(job, name, *arguments))
    except (EOFError, OSError):  # the parent has ended
        pass


def answer(job, name, errors, share):
    """What :func:`attempt` gives for a method of the job; `errors` is how NumPy treats overflows and the like."""
    with np.errstate(**errors):
        return attempt(getattr(job, name), share)


def attempt(function, *arguments):
    """None and what a function gives, or an error, which the parent raises, and None."""
    try:
        return None, function(*arguments)
    except Exception as error:  # noqa: BLE001
        return error, None


def _end_with(parent):
    """Where another child of the parent has its end of the connection too, that does not close with the parent."""
    while os.getppid() == parent:
        time.sleep(WATCH)
    os._exit(1)
