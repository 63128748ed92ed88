"""What all tests need."""

import signal

# A shell that starts tests in the background makes them ignore Ctrl-C, and their subprocesses too; the tests that press
# it need the handler that a terminal's Python has.
signal.signal(signal.SIGINT, signal.default_int_handler)

collect_ignore = ["golden/make_golden.py"]  # a script, and the only file that imports PyTorch
