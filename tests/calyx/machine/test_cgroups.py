"""What a container may use: trees of files as kernels, Docker and systemd make them."""

import pytest

from calyx.machine import hardware
from calyx.machine.cgroups import cpu_quota, memory_left

SLICE = "/system.slice/calyx.service"
DOCKER = "4:memory:/docker/ab12\n3:cpu,cpuacct:/docker/ab12\n1:name=systemd:/docker/ab12\n"


def machine(root, groups, files):
    """A tree below `root`: /proc/self/cgroup, and files below /sys/fs/cgroup."""
    places = {"proc/self/cgroup": groups}
    places |= {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in places.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2.0),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 0.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {}, None),
        # The least of a unit's and of the slice that it is in.
        (
            f"0::{SLICE}\n",
            {f"{SLICE[1:]}/cpu.max": "max 100000\n", "system.slice/cpu.max": "150000 100000\n"},
            1.5,
        ),
        # Inside a container of version 1 the path is the host's, and its files are at the top.
        (
            DOCKER,
            {"cpu,cpuacct/cpu.cfs_quota_us": "300000", "cpu,cpuacct/cpu.cfs_period_us": "1e5"},
            None,
        ),
        (DOCKER, {"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3.0),
        (DOCKER, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ("0::/../..\n", {"cpu.max": "100000 100000\n"}, 1.0),
        ("nonsense", {"cpu.max": "0 0\n"}, None),
    ],
)
def test_the_quota_is_the_least_of_the_groups(tmp_path, groups, files, quota):
    assert cpu_quota(machine(tmp_path, groups, files)) == quota


@pytest.mark.parametrize(
    ("affinity", "quota", "cores"),
    [(8, None, 8), (8, 2.0, 2), (8, 0.5, 1), (8, 1.5, 2), (1, 4.0, 1), (3, 64.0, 3)],
)
def test_cores_are_bounded_by_affinity_and_quota(monkeypatch, affinity, quota, cores):
    monkeypatch.setattr(
        hardware.os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False
    )
    monkeypatch.setattr(hardware, "cpu_quota", lambda: quota)
    assert hardware.cores() == cores


def test_memory_that_is_left_is_the_limit_less_what_cannot_be_given_back(tmp_path):
    two = machine(
        tmp_path / "2",
        "0::/\n",
        {
            "memory.max": "1000",
            "memory.current": "700",
            "memory.stat": "anon 500\ninactive_file 200\n",
        },
    )
    assert memory_left(two) == 500
    one = {"memory/memory.limit_in_bytes": "1000", "memory/memory.usage_in_bytes": "1100"}
    assert memory_left(machine(tmp_path / "1", DOCKER, one)) == 0
    free = one | {"memory/memory.limit_in_bytes": str(2**63 - 4096)}
    assert memory_left(machine(tmp_path / "0", DOCKER, free)) is None
