"""The package from outside: lazy, silent, without a resource tracker."""

from __future__ import annotations

import pytest

import theus.heavy
from tests.support.isolated import run_isolated


def test_every_public_name_resolves():
    for name in theus.heavy.__all__:
        assert getattr(theus.heavy, name).__name__ in (name, "HeavyZoneAllocator")
        assert name in dir(theus.heavy)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="nothing_like_it"):
        theus.heavy.nothing_like_it


def test_importing_it_loads_nothing_heavy_and_says_nothing():
    done = run_isolated(
        """
        import sys
        import theus.heavy
        print(sorted({"numpy", "multiprocessing", "asyncio", "yaml"} & set(sys.modules)))
        theus.heavy.scan_zombies
        print("numpy" in sys.modules)
        theus.heavy.ShmArray
        print("numpy" in sys.modules)
        """
    )
    assert done.stdout.split() == ["[]", "False", "True"]
    assert done.stderr == ""


def test_it_starts_no_process_and_no_tracker(tmp_path):
    done = run_isolated(
        """
        import os, sys
        from multiprocessing import resource_tracker
        from pathlib import Path
        from theus.heavy import HeavyZoneAllocator, MemoryRegistry, attach_array
        with HeavyZoneAllocator(registry=MemoryRegistry(directory=sys.argv[1])) as zone:
            zone.put("x", [1.0, 2.0])
            attach_array(zone.descriptor("x"), readonly=False)
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
            print(children == "", resource_tracker._resource_tracker._fd)
        """,
        arguments=[str(tmp_path / "registry")],
    )
    assert done.stdout.split() == ["True", "None"]
    assert done.stderr == ""


def test_spawned_workers_leave_no_warning(tmp_path):
    done = run_isolated(
        """
        import multiprocessing, sys
        from theus.heavy import HeavyZoneAllocator, MemoryRegistry

        def total(array):
            return float(array.sum())

        if __name__ == "__main__":
            with HeavyZoneAllocator(registry=MemoryRegistry(directory=sys.argv[1])) as zone:
                array = zone.put("x", range(1000))
                with multiprocessing.get_context("spawn").Pool(2) as pool:
                    print(pool.map(total, [array, array[:10], array[::-1], array * 2]))
        """,
        arguments=[str(tmp_path / "registry")],
    )
    assert done.stdout.strip() == "[499500.0, 45.0, 499500.0, 999000.0]"
    assert done.stderr == ""
