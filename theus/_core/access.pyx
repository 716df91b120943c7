"""How a transaction reaches the state: areas, values by path, and writes by path."""

from cpython.object cimport PyObject
from theus._core.delta cimport Op
from theus._core.footprint cimport ACTIVE, FAILED, Draft, Footprint
from theus._core.freeze cimport Rule
from theus._core.guard cimport Guard, area_guard, root_guard
from theus._core.guard_list cimport ListGuard
from theus._core.guard_keys cimport KeyedGuard, commute_all
from theus._core.guard_map cimport MapGuard
from theus._core.guard_set cimport SetGuard
from theus._core.log cimport KEY
from theus._core.node cimport LIST, RECORD, Node, Tomb, value_at
from theus._core.path cimport format_path, parse_path
from theus._core.pattern cimport EVERYTHING, READ, STRICT, Position
from theus._core.refusal cimport access_refused, raise_or_report
from theus._core.signal cimport checked_topic, payload_of
from theus._core.zone cimport is_hidden

import time

from theus.errors import PathError, WriteTimeoutError

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL

MERGED_AREAS = frozenset(("domain", "global"))


cdef class Access(Footprint):
    """What a transaction offers to read and write."""

    cdef Guard get_root(self):
        if self.root is None:
            if self.status != ACTIVE:
                self.ended()
            self.root = root_guard(self, self.store.root, self.pos, None)
            if self.domain_guard is not None:
                (<Guard>self.root).remember("domain", <Guard>self.domain_guard)
        return <Guard>self.root

    cdef Guard get_heavy(self):
        if self.heavy_root is None:
            if self.status != ACTIVE:
                self.ended()
            self.heavy_root = root_guard(self, self.store.heavy, self.pos, "heavy")
        return <Guard>self.heavy_root

    cdef object area(self, str name):
        """An area by name; None where there is none."""
        return (<MapGuard>self.get_root()).lookup(name, None)

    cdef object get_domain(self):
        """The area `domain`; its guard is kept as long as the area itself is not replaced."""
        if not self.untouched() and self.find_draft(self.store.root) is not None:
            return self.area("domain")
        if self.domain_guard is None:
            if self.root is None:
                self.domain_guard = area_guard(self, self.pos, "domain")
            if self.domain_guard is None:
                return self.area("domain")
        return self.domain_guard

    @property
    def data(self):
        """Guard over all areas of the data."""
        return self.get_root()

    @property
    def domain(self):
        """Guard over the area `domain`."""
        return self.get_domain()

    @property
    def domain_ctx(self):
        """The same as `domain`."""
        return self.domain

    @property
    def global_(self):
        """Guard over the area `global`."""
        return self.area("global")

    @property
    def global_ctx(self):
        """The same as `global_`."""
        return self.area("global")

    @property
    def heavy(self):
        """Guard over the heavy zone: objects by reference."""
        return self.get_heavy()

    @property
    def version(self):
        """Version of the snapshot."""
        return self.ver

    cdef Guard reach(self, tuple parts):
        """The guard of a container by path; PathError where there is none."""
        found = self.walk(parts)
        if not isinstance(found, Guard):
            raise PathError(
                f"{format_path(parts)!r} is a {type(found).__name__}, not a container of the state",
                path=format_path(parts),
            )
        return <Guard>found

    def walk(self, tuple parts):
        """The value at a path, read like any other; PathError where there is none."""
        value = self.get_root()
        begin = 0
        if parts and parts[0] == "heavy":
            value = self.get_heavy()
            begin = 1
        for index in range(begin, len(parts)):
            found = step(value, parts[index], self.absent)
            if found is self.absent:
                raise PathError(
                    f"there is no {format_path(parts[:index + 1])!r} in the state",
                    path=format_path(parts[:index + 1]),
                )
            value = found
        return value

    def get(self, path, default=None):
        """The value at a path, or `default` where there is none. Counts as read."""
        try:
            return self.walk(parse_path(path))
        except PathError:
            return default

    def peek(self, path, default=None):
        """The value at a path without counting as read: it never causes a conflict.

        Containers come out as plain copies. Own pending writes are seen.
        """
        cdef tuple parts = parse_path(path)
        cdef Position pos = self.pos
        cdef Guard guard = self.get_root()
        cdef Py_ssize_t begin = 0
        if parts and parts[0] == "heavy":
            guard = self.get_heavy()
            pos = pos.step("heavy")
            begin = 1
        for key in parts[begin:]:
            pos = pos.step(key)
        private = pos.flags & STRICT and is_hidden(self.store.marks, parts)
        if not self.admin and (private or not pos.flags & READ):
            action = "private" if private and pos.flags & READ else "read"
            error = access_refused(self.process, self.pure, action, parts, False, pos)
            raise_or_report(self.store.report, pos.flags, error)
        value = peek_value(self, guard.node, parts, begin)
        return default if value is self.absent else value

    def ensure(self, path):
        """Make a read of the path count, also under `isolation="snapshot"`. Returns the value."""
        cdef tuple parts = parse_path(path)
        cdef bint track = self.track
        self.track = True
        try:
            value = self.get_root() if parts[0] != "heavy" else self.get_heavy()
            for key in parts[1 if parts[0] == "heavy" else 0:]:
                if isinstance(value, Guard):
                    note_passage(self, <Guard>value, key)
                value = step(value, key, self.absent)
                if value is self.absent:
                    return None
            if isinstance(value, Guard):
                self.note((<Guard>value).node, NULL, 3)
            return value
        finally:
            self.track = track

    def resulting(self, path, default=None, *, count=False):
        """The plain value at a path as the commit would leave it; no contract applies.

        For checks that run before the commit. `count` makes it a read that can conflict.
        """
        cdef tuple parts = parse_path(path)
        cdef Position pos = self.pos
        if count:
            saved = (self.root, self.heavy_root)
            self.pos, self.root, self.heavy_root = EVERYTHING, None, None
            try:
                value = self.ensure(parts)
            finally:
                self.pos = pos
                self.root, self.heavy_root = saved
        heavy = len(parts) > 0 and parts[0] == "heavy"
        value = peek_value(self, self.store.heavy if heavy else self.store.root, parts, 1 if heavy else 0)
        return default if value is self.absent else value

    def records_on(self, tuple parts not None):
        """(depth, class) of the records that the path to a container or key leads through; unnoted."""
        cdef Position pos = self.pos
        cdef bint track = self.track
        cdef Py_ssize_t index
        cdef list found = []
        root = self.root
        self.pos, self.root, self.track = EVERYTHING, None, False
        try:
            value = self.get_root()
            for index in range(len(parts) - 1):
                value = step(value, parts[index], self.absent)
                if not isinstance(value, Guard):
                    break
                if (<Guard>value).node.kind == RECORD:
                    found.append((index + 1, (<Rule>(<Guard>value).node.rule).cls))
        finally:
            self.pos, self.root, self.track = pos, root, track
        return found

    cdef int check_time(self) except -1:
        cdef double elapsed
        if self.status != ACTIVE:
            self.ended()
        if self.limit_ms > 0:
            elapsed = (time.monotonic() - self.started) * 1000.0
            if elapsed > self.limit_ms:
                who = f"process {self.process!r}" if self.process else "the transaction"
                late = WriteTimeoutError(
                    f"{who} held its writes for {elapsed:.0f} ms, longer than the "
                    f"{self.limit_ms:.0f} ms allowed; nothing was changed. Do slow work before the "
                    f"transaction, or raise `write_timeout_ms`.",
                    elapsed_ms=elapsed, limit_ms=self.limit_ms, process=self.process,
                )
                self.abort(FAILED, late)
                raise late
        return 0

    cdef int put_path(self, tuple parts, object value) except -1:
        """Set exactly this path; missing mappings on the way are made."""
        cdef Py_ssize_t index, last = len(parts) - 1
        cdef Py_ssize_t begin = 0
        target = self.get_root()
        if parts[0] == "heavy":
            if last == 0:
                for key, item in dict(value).items():
                    (<MapGuard>self.get_heavy()).put(key, item)
                return 0
            target = self.get_heavy()
            begin = 1
        for index in range(begin, last):
            found = step(target, parts[index], self.absent)
            if found is self.absent:
                if isinstance(target, ListGuard):
                    raise PathError(
                        f"there is no {format_path(parts[:index + 1])!r} in the state",
                        path=format_path(parts[:index + 1]),
                    )
                assign(target, parts[index], {})
                found = step(target, parts[index], self.absent)
            target = found
        assign(target, parts[last], value)
        return 0

    cdef MapGuard find_below(self, object area, tuple parts):
        """The mapping in an area that holds the last key of a path, the common case of
        `put_path`: mappings all the way. None where it is another case."""
        cdef Py_ssize_t index
        if type(area) is not MapGuard:
            return None
        for index in range(1, len(parts) - 1):
            area = (<MapGuard>area).lookup(parts[index], None)
            if type(area) is not MapGuard:
                return None
        return <MapGuard>area

    def set(self, path, value):
        """Replace exactly what is at the path. Missing mappings on the way are made."""
        self.check_time()
        self.put_path(parse_path(path), value)

    def delete(self, path):
        """Remove what is at the path; PathError where there is nothing."""
        cdef tuple parts = parse_path(path)
        self.check_time()
        parent = self.walk(parts[:len(parts) - 1])
        key = parts[len(parts) - 1]
        try:
            del parent[list_index(parent, key)]
        except (KeyError, IndexError):
            raise PathError(f"there is no {format_path(parts)!r} in the state", path=format_path(parts)) from None

    def update(self, data=None, heavy=None, signal=None):
        """Queue changes.

        Parameters
        ----------
        data:
            Mapping. Fields of `domain` and `global` are merged one level deep (a field named is
            replaced whole); any other top-level key is replaced; dotted keys replace exactly
            that path.
        heavy:
            Mapping of key to object, held by reference.
        signal:
            Mapping of topic to payload, sent after the commit.

        Raises WriteTimeoutError after the deadline, ContractViolationError where not allowed.
        """
        self.check_time()
        if data is not None:
            for key, value in dict(data).items():
                self.update_key(key, value)
        if heavy is not None:
            for key, value in dict(heavy).items():
                (<MapGuard>self.get_heavy()).put(key, value)
        if signal is not None:
            for topic, payload in dict(signal).items():
                self.queue_signal(topic, payload)

    def update_key(self, key, value):
        """One entry of `update(data=...)`."""
        cdef tuple parts = parse_path(key) if isinstance(key, str) else (key,)
        if len(parts) == 1 and parts[0] in MERGED_AREAS:
            for name, item in dict(value).items():
                self.put_path((parts[0], name), item)
        else:
            self.put_path(parts, value)

    def queue_signal(self, topic, payload):
        """Queue a signal; it goes out after the commit.

        The payload is copied in and read-only from then on (see `Signal`). A transaction sends one
        signal per topic: the payload assigned last, in the place of the first.
        """
        cdef str name = checked_topic(topic)
        if self.status != ACTIVE:
            self.ended()
        payload = payload_of(payload)
        if self.signals is None:
            self.signals = {}
        self.signals[name] = payload


cdef object list_index(object container, object key):
    """A path segment as an index where the container is a list."""
    if isinstance(container, (ListGuard, list)) and isinstance(key, str):
        try:
            return int(key)
        except ValueError:
            raise PathError(f"{key!r} is not an index of a list", path=key) from None
    return key


cdef object step(object container, object key, object absent):
    """The value of a key in a guard or in a pending plain container; `absent` where missing."""
    if isinstance(container, KeyedGuard) and not isinstance(container, SetGuard):
        return (<KeyedGuard>container).lookup(key, absent)
    if isinstance(container, dict):
        return container.get(key, absent)
    if isinstance(container, (ListGuard, list)):
        try:
            return container[list_index(container, key)]
        except IndexError:
            return absent
    if container is None or isinstance(container, (str, bytes, int, float, bool, set, SetGuard)):
        return absent
    return getattr(container, key, absent) if isinstance(key, str) else absent


cdef int assign(object container, object key, object value) except -1:
    if isinstance(container, MapGuard):
        (<MapGuard>container).put(key, value)
    elif isinstance(container, KeyedGuard) and not isinstance(container, SetGuard):
        setattr(container, key, value)
    elif isinstance(container, (ListGuard, list)):
        container[list_index(container, key)] = value
    elif isinstance(container, dict):
        container[key] = value
    elif isinstance(container, (str, bytes, int, float, bool, set, SetGuard)) or container is None:
        raise PathError(
            f"cannot set {key!r} inside a {type(container).__name__}: not a container with keys",
            path=str(key),
        )
    else:
        setattr(container, key, value)
    return 0


cdef int note_passage(Access tx, Guard guard, object key) except -1:
    if guard.node.kind == LIST:
        key = list_index(guard, key)
    tx.note(guard.node, <PyObject*>key, KEY)
    return 0


cdef object peek_value(Access tx, Node node, tuple parts, Py_ssize_t at):
    """The value at a path without noting anything; `tx.absent` where missing."""
    cdef PyObject* found
    cdef Draft draft
    while True:
        if at == len(parts):
            return peek_plain(tx, node)
        key = parts[at]
        draft = tx.find_draft(node)
        if node.kind == LIST:
            items = peek_plain(tx, node)
            try:
                return plain_path(items[int(key)], parts, at + 1, tx.absent)
            except (ValueError, IndexError):
                return tx.absent
        value = None
        found = NULL
        if draft is not None:
            found = PyDict_GetItemWithError(draft.over, key)
        if found is not NULL:
            value = <object>found
            if type(value) is Tomb:
                return tx.absent
            if type(value) is Op:
                found = value_at(node, key, tx.ver)
                base = tx.absent if found is NULL else <object>found
                value = commute_all(<Op>value, base, parts)
            elif isinstance(value, Guard):
                node = (<Guard>value).node
                at += 1
                continue
            return plain_path(value, parts, at + 1, tx.absent)
        found = value_at(node, key, tx.ver)
        if found is NULL:
            return tx.absent
        value = <object>found
        if type(value) is not Node:
            return plain_path(value, parts, at + 1, tx.absent)
        node = <Node>value
        at += 1


cdef object plain_path(object value, tuple parts, Py_ssize_t at, object absent):
    for key in parts[at:]:
        value = step(value, key, absent)
        if value is absent:
            return absent
    return value


cdef object peek_plain(Access tx, Node node):
    """Plain content of a node with pending writes, unnoted."""
    cdef bint track = tx.track
    cdef Guard guard = root_guard(tx, node, EVERYTHING, None)
    guard.private = True
    tx.track = False
    try:
        return guard.plain()
    finally:
        tx.track = track
