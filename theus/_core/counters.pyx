"""Running totals of one engine: attempts, how transactions ended without effect, waits.

Threads: the module runs under the GIL, and no method gives it up in the middle of an addition, so
that every event is counted exactly once however many threads count. Commits are counted by the
store, signals by the hub.
"""

cimport cython


@cython.final
cdef class Counters:
    """Counts what the parts of an engine tell it.

    Parameters
    ----------
    causes:
        (class of errors, name of the cause), the first that fits decides; the name of what fits
        none is `otherwise`.
    reasons:
        What somebody may wait for.
    """

    def __init__(self, tuple causes, tuple reasons, str otherwise not None):
        self.causes = (*causes, (BaseException, otherwise))
        self.ended = {cause: 0 for _, cause in self.causes}
        self.ended["rollback"] = 0
        self.paused = {reason: 0 for reason in reasons}
        self.seconds = {reason: 0.0 for reason in reasons}

    cpdef int abort(self, str cause) except -1:
        """A transaction ended without effect."""
        self.ended[cause] = self.ended.get(cause, 0) + 1
        return 0

    cpdef int ended_by(self, error) except -1:
        """An error ended a transaction; None: it was rolled back by hand."""
        kind = type(error)
        if error is None:
            return self.abort("rollback")
        for cls, cause in self.causes:
            if issubclass(kind, cls):
                return self.abort(cause)
        return 0

    def waited(self, str reason not None, double seconds):
        """Somebody had to wait."""
        self.paused[reason] = self.paused.get(reason, 0) + 1
        self.seconds[reason] = self.seconds.get(reason, 0.0) + seconds

    @property
    def aborts(self):
        """Transactions that ended without effect, by cause (a new dict)."""
        return dict(self.ended)

    @property
    def waits(self):
        """How often somebody waited, by reason (a new dict)."""
        return dict(self.paused)

    @property
    def wait_seconds(self):
        """How long they waited altogether, by reason (a new dict)."""
        return dict(self.seconds)
