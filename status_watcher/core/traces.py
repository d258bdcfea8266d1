"""What may be logged of an exception: its type and where in our own code it came from.

Never its message, its notes, source lines or variables: any of them may quote what an agent wrote.
"""

import errno
from types import TracebackType
from typing import Any

_ROOT = __file__.rpartition("/core/")[0] + "/"
_MOST_FRAMES = 30
_MOST_ERRORS = 10

ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


def trace_of(error: BaseException) -> list[dict[str, Any]]:
    """The error and those that it came from or consists of, each as `exc_type` and `frames`.

    A frame reads `core/board.py:120 advance`, the innermost is the last; frames of other code are left out.
    """
    found: list[dict[str, Any]] = []
    ahead, seen = [error], set[int]()
    while ahead and len(found) < _MOST_ERRORS:
        one = ahead.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        told: dict[str, Any] = {"exc_type": type(one).__name__, "frames": _frames(one.__traceback__)}
        if isinstance(one, OSError) and one.errno is not None:
            told["errno"] = errno.errorcode.get(one.errno, str(one.errno))
        found.append(told)
        if isinstance(one, BaseExceptionGroup):
            ahead.extend(one.exceptions)
        cause = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
        if cause is not None:
            ahead.append(cause)
    return found


def trace_of_exc_info(exc_info: ExcInfo) -> list[dict[str, Any]]:
    """As structlog asks for it."""
    error = exc_info[1]
    return [] if error is None else trace_of(error)


def _frames(traceback: TracebackType | None) -> list[str]:
    frames = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename.startswith(_ROOT):
            path = code.co_filename.removeprefix(_ROOT)
            frames.append(f"{path}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return frames[-_MOST_FRAMES:]
