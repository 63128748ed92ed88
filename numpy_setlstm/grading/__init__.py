"""Assignments: made into student versions, checked by students, and graded by a program that cannot be talked to."""

import importlib

_NAMES = {
    "process": ("Limits", "Submission", "Wrong"),
    "comparisons": ("expect", "expect_gradients", "obvious_kind"),
    "tasks": ("Assignment", "Task", "grade_submission", "judge_here", "load_assignment"),
    "course": ("check", "grade", "release"),
}  # fmt: skip
_ROOM_OF = {name: room for room, names in _NAMES.items() for name in names}

__all__ = sorted(_ROOM_OF)


def __getattr__(name):  # a submission imports `visible`, and nothing that computes a layer
    if name in _ROOM_OF:
        return getattr(importlib.import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
