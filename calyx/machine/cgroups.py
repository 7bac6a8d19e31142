"""What a container or a unit may use of its machine: Linux's control groups, version 1 and 2.

A machine of 64 cores with a quota of two runs 64 workers at a thirtieth of their speed each.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

_PLACE = "sys/fs/cgroup"
_UNLIMITED = 2**60  # bytes; version 1 writes a number near 2^63 where there is no limit


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Cores that this process's groups may use, the least of them; None without a quota.

    `root` is where the system's files are.
    """
    quotas = []
    for folder in _groups(root, "cpu"):
        words = _words(folder / "cpu.max") or [
            *_words(folder / "cpu.cfs_quota_us"),
            *_words(folder / "cpu.cfs_period_us"),
        ]
        with suppress(ValueError, ZeroDivisionError):  # "max" among them
            quota, period = map(int, words)
            if quota > 0:
                quotas.append(quota / period)
    return min(quotas, default=None)


def memory_left(root: Path = Path("/")) -> int | None:
    """Bytes that this process's groups may still take; None without a limit."""
    left = []
    for folder in _groups(root, "memory"):
        for limit, used, cache in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            with suppress(ValueError):
                [most], [taken] = _words(folder / limit), _words(folder / used)
                words = _words(folder / "memory.stat")
                spare = words[words.index(cache) + 1] if cache in words else 0
                if int(most) < _UNLIMITED:
                    left.append(max(0, int(most) - int(taken) + int(spare)))
    return min(left, default=None)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's groups and of those above them, as far as they can be seen here."""
    with suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, names, path = line.split(":", 2)
            if names and controller not in names.split(","):
                continue
            for base in {names, controller} if names else ("", "unified"):
                group = PurePosixPath(path.lstrip("/"))
                for part in (group, *group.parents):
                    if ".." not in part.parts:  # of a namespace above this one
                        yield root / _PLACE / base / part


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []
