"""`State`: one immutable version of everything, as a handle (store, snapshot).

Taking one is O(1); it reads its own version for as long as it lives and shares with all other
versions what did not change.
"""

cimport cython
from theus._core.freeze cimport thaw
from theus._core.node cimport u64
from theus._core.ring cimport Ring
from theus._core.signal cimport checked_topic, payload_of
from theus._core.store cimport Snap, Store
from theus._core.view cimport view_of

import collections
import weakref

from theus._core.view import FrozenDict
from theus.errors import ImmutableError, VersionTooOldError

UPDATERS = []

MetaLogEntry = collections.namedtuple(
    "MetaLogEntry", ("sequence", "timestamp", "key", "message"), module="theus.structures"
)
MetaLogEntry.__doc__ = """One event of the meta log. Immutable.

`sequence` is its number in the log, from 1 (a gap means that entries were replaced), `timestamp`
seconds since the epoch, `key` what it is about and `message` what happened.
"""


def set_updater(updater):
    """Called once by the module of transactions: `updater(store, data, heavy, signal)` commits."""
    UPDATERS[:] = [updater]


@cython.final
cdef class State:
    """One version of the state.

    Parameters
    ----------
    data:
        Mapping of areas ("domain", "global", ...) to their content; copied in.
    heavy:
        Mapping of key to object, held by reference.
    signal:
        Mapping of topic to payload: the latched signals of this version.
    version:
        Its number.
    meta_capacity:
        How many meta entries the log keeps; the log is shared by all versions made from this one.

    Immutable; usable from any thread. A `State` pins its version: values changed since are kept
    as long as it lives.
    """

    def __init__(self, data=None, heavy=None, signal=None, version=1, meta_capacity=1000):
        cdef Store store = Store(data, version=version)
        store.meta = Ring(meta_capacity)
        if heavy:
            (<dict>store.heavy.cur).update(heavy)
        store.latched = {
            checked_topic(topic): payload_of(payload) for topic, payload in dict(signal or {}).items()
        }
        store.latched_at = store.ver
        self.store = store
        self.snap = store.share()
        self.latched = store.latched

    @staticmethod
    cdef State over(Store store, Snap snap, dict latched):
        cdef State state = State.__new__(State)
        state.store = store
        state.snap = snap
        state.latched = latched
        return state

    cdef Store private_copy(self):
        """A store of its own with the content of this version. O(size)."""
        cdef Store store = Store(thaw(self.store.root, self.snap.ver), version=self.snap.ver)
        store.meta = self.store.meta
        store.hub = self.store.hub
        (<dict>store.heavy.cur).update(thaw(self.store.heavy, self.snap.ver))
        return store

    def update(self, data=None, heavy=None, signal=None):
        """A new `State` with changes (rules of `Transaction.update`); this one stays as it is.

        O(size): a state outside of an engine gets a store of its own. Inside an engine, change
        state through processes and transactions, which cost only what they change.
        """
        cdef Store store = self.private_copy()
        UPDATERS[0](store, data, heavy, signal)
        return newest(store)

    @property
    def data(self):
        """All areas, read-only (`FrozenDict`)."""
        return view_of(self.store.root, self.snap, self.snap.ver)

    @property
    def heavy(self):
        """The heavy zone, read-only: objects by reference.

        Raises VersionTooOldError for a version of the history whose objects have gone.
        """
        if self.store.heavy.floor > self.snap.ver:
            raise VersionTooOldError(
                f"the heavy zone of version {self.snap.ver} is not kept: the history has the data only. "
                f"Hold a State of a version (`engine.state`) to keep its arrays.",
                snapshot=self.snap.ver, current=self.store.ver,
            )
        return view_of(self.store.heavy, self.snap, self.snap.ver)

    @property
    def domain(self):
        """The area `domain`, read-only; None where there is none."""
        return self.data.get("domain")

    @property
    def domain_ctx(self):
        """The same as `domain`."""
        return self.data.get("domain")

    @property
    def global_(self):
        """The area `global`, read-only; None where there is none."""
        return self.data.get("global")

    @property
    def global_ctx(self):
        """The same as `global_`."""
        return self.data.get("global")

    @property
    def version(self):
        """Number of this version; grows by one per commit."""
        return self.snap.ver

    @property
    def signal(self):
        """The signal hub."""
        return self.store.hub

    @property
    def signals(self):
        """The signals of the commit that made this version, by topic; read-only (`FrozenDict`).

        The next commit replaces them, with its own or with none.
        """
        if self.signals_view is None:
            self.signals_view = FrozenDict(self.latched)
        return self.signals_view

    @property
    def meta(self):
        """Entries of the meta log, oldest first, as a new list of `MetaLogEntry`."""
        if self.store.meta is None:
            return []
        return [MetaLogEntry(*entry) for entry in self.store.meta.entries()]

    def get_meta_logs(self):
        """The same as `meta`."""
        return self.meta

    def log_meta(self, key, message):
        """Add an entry to the meta log. Thread-safe; the log cannot be cleared."""
        if self.store.meta is None:
            self.store.meta = Ring(1000)
        self.store.meta.append(key, message)

    def restrict_view(self):
        """What a PURE process may see: the data, neither signals nor meta."""
        return RestrictedState(self)

    def to_dict(self):
        """A plain, detached copy of the data. O(size)."""
        return thaw(self.store.root, self.snap.ver)

    def __getattr__(self, name):
        if name == "global":
            return self.global_
        raise AttributeError(f"State has no attribute {name!r}; areas are in `state.data`", name=name)

    def __setattr__(self, name, value):
        raise ImmutableError(
            f"Immutable: a State cannot be changed (attribute {name!r}). Write inside a process or "
            f"`engine.transaction()`; `state.update(...)` makes a new State."
        )

    def __delattr__(self, name):
        raise ImmutableError(f"Immutable: a State cannot be changed (attribute {name!r})")

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        return _rebuild, (self.to_dict(), self.snap.ver, self.signals.to_dict())

    def __eq__(self, other):
        if type(other) is not State:
            return NotImplemented
        return self is other or (
            self.snap.ver == (<State>other).snap.ver and self.data == other.data
        )

    def __hash__(self):
        return hash(self.snap.ver)

    def __repr__(self):
        areas = ", ".join(str(key) for key in self.data)
        return f"State(version={self.snap.ver}, areas=[{areas}])"


def _rebuild(data, version, signals):
    return State(data, version=version, signal=signals)


@cython.final
cdef class RestrictedState:
    """A State without signals and meta, as a PURE process sees it."""

    cdef State state

    def __init__(self, State state not None):
        self.state = state

    @property
    def data(self):
        """All areas, read-only."""
        return self.state.data

    @property
    def domain(self):
        """The area `domain`, read-only."""
        return self.state.domain

    @property
    def global_(self):
        """The area `global`, read-only."""
        return self.state.global_

    @property
    def heavy(self):
        """The heavy zone, read-only."""
        return self.state.heavy

    @property
    def version(self):
        """Number of this version."""
        return self.state.version

    def __setattr__(self, name, value):
        raise ImmutableError(f"Immutable: a State cannot be changed (attribute {name!r})")


cdef State newest(Store store):
    """A new handle of the newest version."""
    cdef Snap snap = store.share()
    return State.over(store, snap, store.latch(snap.ver))


cdef State current_state(Store store):
    """The `State` of the newest version: the same object as long as one is alive."""
    cdef State state = None
    if store.state_ref is not None:
        state = store.state_ref()
        if state is not None and state.snap.ver == store.ver and (
            store.latched_at != store.ver or state.latched is store.latched
        ):
            return state
    state = newest(store)
    store.state_ref = weakref.ref(state)
    return state


def state_at(Store store not None, u64 version):
    """The `State` of an older version; None where it cannot be read any more. O(living snapshots)."""
    cdef Snap snap
    if version == store.ver:
        return current_state(store)
    snap = store.share_at(version)
    return None if snap is None else State.over(store, snap, store.latch(version))


def state_of(Store store not None):
    """The `State` of a store's newest version."""
    return current_state(store)
