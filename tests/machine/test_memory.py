"""How much memory a process may use, by what the system says of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tickwire.machine import memory

if sys.platform == "win32":
    pytest.skip("there are no control groups on Windows", allow_module_level=True)

MACHINE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def system(root: Path, cgroup: str, **limits: str) -> Path:
    """A system whose control groups say that; the names of files have `__` for `/`."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in limits.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        file = "memory.limit_in_bytes" if name.startswith("memory") else "memory.max"
        path.mkdir(exist_ok=True)
        (path / file).write_text(f"{text}\n")
    return root


def test_the_least_of_a_group_and_those_above_it(tmp_path: Path) -> None:
    found = system(tmp_path, "0::/a/b\n", a__b="max", a="40000000")
    assert memory(found) == 40_000_000


def test_of_the_older_kind_of_groups(tmp_path: Path) -> None:
    limits = {"memory__a": "30000000", "memory": "9223372036854771712"}
    assert memory(system(tmp_path, "5:cpu,memory:/a\n1:name=systemd:/x\n", **limits)) == 30_000_000


def test_a_group_that_is_not_seen_from_a_container(tmp_path: Path) -> None:
    found = system(tmp_path, "0::/docker/123\n")
    (found / "sys/fs/cgroup").mkdir(parents=True)
    (found / "sys/fs/cgroup/memory.max").write_text("20000000\n")
    assert memory(found) == 20_000_000


@pytest.mark.parametrize("text", ["", "nonsense", "0::/a\nx", "::\n"])
def test_where_nothing_is_said_it_is_the_machine(tmp_path: Path, text: str) -> None:
    assert memory(system(tmp_path, text, a="max")) <= MACHINE
    assert memory(tmp_path / "nothing") <= MACHINE


def test_a_limit_of_the_address_space(tmp_path: Path) -> None:
    told = "import resource; resource.setrlimit(resource.RLIMIT_AS, (3 * 10**9, resource.RLIM_INFINITY));"
    ask = "from tickwire.machine.memory import memory; print(memory())"
    done = subprocess.run([sys.executable, "-c", told + ask], check=True, capture_output=True, text=True)
    assert int(done.stdout) <= 3 * 10**9
