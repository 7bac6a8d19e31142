"""What went wrong in a task's own code, in its author's words: the exception, the layer, the line.

The text may hold what stands in rows: it is for the machine on which it was raised, and for a
simulation, where both are one person's; it never goes into a reply.
"""

import inspect
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from calyx.errors import printable
from calyx.tasks.task import Task

_TEXT = 300  # characters of an exception's text
_OURS = ("calyx", "client", "server", "strategies")
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})


def cause_of(error: BaseException, task: Task | type[Task] | None = None) -> str:
    """`ValueError: its text (layer 1, BatchNorm1d; fleet/task.py, line 31)`, in one line.

    The line is the last one of the task's own package, or else of code that is neither ours nor a
    library's. Where there is none, as in a model of PyTorch's layers, it is where the task's
    `model` begins. Without any the error is named as it is.
    """
    frames = list(_frames(error))
    text = " ".join(str(error).split())
    said = f"{type(error).__name__}: {printable(text, _TEXT)}" if text else type(error).__name__
    where = "; ".join(filter(None, [_layer(frames), _line(frames, task)]))
    return f"{said} ({where})" if where else said


def place_of(task: Task | type[Task], method: str) -> str:
    """`fleet/task.py, line 31`: where a task's method begins; "" where that cannot be told."""
    try:
        function = inspect.unwrap(getattr(_class(task), method))
        return _place(inspect.getfile(function), function.__code__.co_firstlineno)
    except (AttributeError, OSError, TypeError):
        return ""


def _class(task: Task | type[Task]) -> type[Any]:
    return task if isinstance(task, type) else type(task)


def _frames(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    """Frames and their lines, the outermost first."""
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next


def _line(frames: list[tuple[FrameType, int]], task: Task | type[Task] | None) -> str:
    own = "" if task is None else _package(_class(task).__module__)
    modules = [str(frame.f_globals.get("__name__", "")) for frame, _ in frames]
    of_task = [i for i, name in enumerate(modules) if own and _package(name) == own]
    # What has called us, such as a script of the user's, is not what we have called.
    ours = max((i for i, name in enumerate(modules) if name.partition(".")[0] in _OURS), default=-1)
    others = [i for i in range(ours + 1, len(frames)) if _is_foreign(frames[i][0])]
    for some_frames in (of_task, others):
        if some_frames:
            frame, line = frames[some_frames[-1]]
            return _place(frame.f_code.co_filename, line)
    in_model = any(_is_model(frame) for frame, _ in frames)
    return place_of(task, "model") if task is not None and in_model else ""


def _package(module: str) -> str:
    """What belongs together: a package, or one module of our own tasks."""
    top = module.partition(".")[0]
    return module if top in _OURS else top


def _is_foreign(frame: FrameType) -> bool:
    """Whether code that is not ours was not installed either."""
    return not frame.f_code.co_filename.startswith((*_LIBRARIES, "<"))


def _is_model(frame: FrameType) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(frame.f_locals.get("self"), torch.nn.Module)


def _layer(frames: list[tuple[FrameType, int]]) -> str:
    """The innermost layer of PyTorch's in which it happened, by its name in the model."""
    modules = [frame.f_locals["self"] for frame, _ in frames if _is_model(frame)]
    modules = [m for m in modules if "_modules" in vars(m)]  # else super().__init__() was left out
    if not modules:
        return ""
    names = {id(module): name for name, module in modules[0].named_modules()}
    known = [m for m in modules if names.get(id(m)) and type(m).__module__.startswith("torch.nn.")]
    return f"layer {names[id(known[-1])]}, {type(known[-1]).__name__}" if known else ""


def _place(file: str, line: int) -> str:
    return f"{'/'.join(Path(file).parts[-2:])}, line {line}"
