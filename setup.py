"""Build of the compiled core; all metadata lives in pyproject.toml.

THEUS_BUILD selects the mode:

release   optimised, checks off (the default)
debug     no optimisation, bounds and initialisation checks on, symbols
coverage  debug plus line tracing for `coverage` with the Cython plug-in
annotate  release plus annotated HTML beside each `.pyx`
none      nothing is compiled: for an install that links to a tree built in place

Commands that only ask for metadata compile nothing either.
"""

import json
import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from Cython.Compiler import Options
from setuptools import Extension, setup

CORE = Path("theus/_core")
MODES = ("release", "debug", "coverage", "annotate", "none")
MODE = os.environ.get("THEUS_BUILD", "release")
if MODE not in MODES:
    sys.exit(f"THEUS_BUILD={MODE!r} is not a build mode; use one of {', '.join(MODES)}")
CHECKED = MODE in ("debug", "coverage")
ASKING = {"egg_info", "dist_info", "sdist", "clean", "--version", "--name"}
BUILDING = MODE != "none" and not ASKING.intersection(sys.argv)

DIRECTIVES = {
    "language_level": 3,
    "embedsignature": True,
    "embedsignature.format": "python",
    "auto_pickle": False,
    "autotestdict": False,
    "cdivision": True,
    "wraparound": False,
    "boundscheck": CHECKED,
    "initializedcheck": CHECKED,
    "linetrace": MODE == "coverage",
    "freethreading_compatible": False,
    "warn.unreachable": True,
    "warn.maybe_uninitialized": True,
}
MACROS: list[tuple[str, str]] = []
if MODE == "coverage":
    MACROS += [
        ("CYTHON_TRACE", "1"),
        ("CYTHON_TRACE_NOGIL", "1"),
        ("CYTHON_USE_SYS_MONITORING", "0"),
    ]


def compiler_flags() -> list[str]:
    if sys.platform == "win32":
        return ["/Od", "/Zi"] if CHECKED else ["/O2"]
    if CHECKED:
        return ["-O0", "-g", "-UNDEBUG"]
    return ["-O3", "-g0", "-fno-strict-aliasing"]


def main() -> None:
    if not BUILDING:
        setup()
        return
    flags = compiler_flags()
    stamp = Path("build") / f"theus-{sys.implementation.cache_tag}.json"
    settings = json.dumps([MODE, DIRECTIVES, MACROS, flags], sort_keys=True)
    force = not stamp.exists() or stamp.read_text() != settings
    jobs = 0 if sys.platform == "win32" else os.cpu_count() or 1
    Options.warning_errors = True
    extensions = cythonize(
        [
            Extension(
                f"theus._core.{source.stem}",
                [source.as_posix()],
                define_macros=MACROS,
                extra_compile_args=flags,
            )
            for source in sorted(CORE.glob("*.pyx"))
        ],
        compiler_directives=DIRECTIVES,
        annotate=MODE == "annotate",
        force=force,
        nthreads=jobs,
    )
    setup(ext_modules=extensions, options={"build_ext": {"force": force, "parallel": jobs or None}})
    if "build_ext" in sys.argv or "bdist_wheel" in sys.argv or "editable_wheel" in sys.argv:
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(settings)


if __name__ == "__main__":
    main()
