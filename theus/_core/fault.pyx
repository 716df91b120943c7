"""Known bugs that tests can plant, to prove that the tests would catch them.

One number per process, zero in normal use. Nothing in the package sets it.
"""

cdef extern from *:
    """
    static int theus_planted_fault = 0;
    """
    int theus_planted_fault

FAULTS = (
    None, "no-read-validation", "no-ancestor-check", "install-outside-lock", "stamp-not-moved",
    "fence-not-released",
)


cdef int planted() noexcept:
    return theus_planted_fault


def set_fault(name):
    """Plant a bug by name; None removes it. ValueError for an unknown name."""
    if name not in FAULTS:
        raise ValueError(f"unknown fault {name!r}; known are {', '.join(map(str, FAULTS))}")
    global theus_planted_fault
    theus_planted_fault = FAULTS.index(name)


def get_fault():
    """The bug that is planted now, or None."""
    return FAULTS[theus_planted_fault]
