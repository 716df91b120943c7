"""Who wrote a value, and what it came from: the log of deltas, read backwards.

Containers are told apart as objects, not by their paths: an item that has moved in its list is
still the item that somebody wrote. A `History` is made for one question, by one thread, and holds
the snapshot that it reads. No lock is held but for taking it.
"""

cimport cython
from theus._core.delta cimport OP_CUT, OP_DEL, OP_ITEM, OP_LIST, OP_MOVE, OP_TAIL, Link, Op
from theus._core.difference cimport MISSING, child_at
from theus._core.log cimport ALL, DEEP, KEY, SHAPE, DeltaRecord, Read, ReadSet
from theus._core.node cimport LIST, SET, Node, Tomb, items_at, keys_at, size_at, u64
from theus._core.store cimport Snap, Store

from bisect import bisect_right

from theus._core.path import parse_path
from theus.errors import PathError


cdef object place_in(object key, Py_ssize_t size):
    """A segment of a path as a list knows it: a text is a number, negative ones count from the end."""
    if isinstance(key, str):
        if not key.lstrip("-").isdecimal():
            raise PathError(f"{key!r} is not an index of a list", path=key)
        key = int(key)
    return key + size if type(key) is int and key < 0 else key


@cython.final
cdef class History:
    """The log of one store up to its newest version, by what its commits changed.

    Made in O(operations in the log). What it is asked for is exact for the versions that the log
    has; what happened before them is not known, and is told as version 0. What containers had in
    an older version follows from the newest and the operations since.
    """

    cdef Store store
    cdef readonly u64 first   # the first version that the log has
    cdef readonly u64 last
    cdef Snap newest
    cdef dict records         # version -> its record
    cdef dict writes          # (container, key) -> versions that wrote it, ascending
    cdef dict keys            # container -> its keys that were written
    cdef dict shapes          # container -> versions that changed which keys or how many items it has
    cdef dict born            # container -> the version that brought it
    cdef dict replaced        # (container, key) -> what was there before each of its versions
    cdef dict lists           # list -> (version, operation), newest first
    cdef dict known           # (list, version) -> its items then

    def __init__(self, Store store not None):
        cdef list found
        cdef dict sizes = {}
        self.store = store
        self.newest = store.share()
        self.last = self.newest.ver
        found = [one for one in store.history.records() if one.version <= self.last]
        self.first = found[0].version if found else self.last + 1
        self.records = {record.version: record for record in found}
        self.writes, self.keys, self.shapes, self.born = {}, {}, {}, {}
        self.replaced, self.lists, self.known = {}, {}, {}
        for record in reversed(found):
            for op in reversed((<DeltaRecord>record).ops):
                self.index(<Op>op, (<DeltaRecord>record).version, sizes)
        for index in (self.writes, self.replaced):
            for entries in index.values():
                (<list>entries).reverse()
        for versions in self.shapes.values():
            (<list>versions).reverse()

    # --- the index, from the newest operation to the oldest

    cdef int index(self, Op op, u64 ver, dict sizes) except -1:
        cdef Node node = op.node
        if node.kind == LIST:
            self.lists.setdefault(node, []).append((ver, op))
        if op.code == OP_TAIL or op.code == OP_CUT or op.code == OP_LIST:
            return self.index_list(op, ver, sizes)
        self.wrote(node, op.key, ver)
        self.went(node, op.key, op.old)
        self.came(op.new, ver)
        if op.code != OP_ITEM and (
            type(op.old) is Tomb or op.code == OP_DEL or op.code == OP_MOVE or node.kind == SET
        ):
            self.shapes.setdefault(node, []).append(ver)
        return 0

    cdef int index_list(self, Op op, u64 ver, dict sizes) except -1:
        """Operations that change the length; the one after it is known."""
        cdef Node node = op.node
        cdef Py_ssize_t index, size = sizes.get(node, -1)
        cdef list old, new
        if size < 0:
            size = size_at(node, self.last)
        self.shapes.setdefault(node, []).append(ver)
        if op.code == OP_CUT:
            for index in range(op.key, op.key + len(<list>op.old)):
                self.wrote(node, index, ver)
            size = op.key + len(<list>op.old)
        elif op.code == OP_TAIL:
            new = <list>op.new
            size -= len(new)
            for index in range(len(new)):
                self.wrote(node, size + index, ver)
                self.came(new[index], ver)
        else:
            old, new = <list>op.old, <list>op.new
            kept = {id(item) for item in old}
            for index in range(max(len(old), len(new))):
                if index >= len(old) or index >= len(new) or old[index] is not new[index]:
                    self.wrote(node, index, ver)
                if index < len(new) and id(new[index]) not in kept:
                    self.came(new[index], ver)
            size = len(old)
        sizes[node] = size
        return 0

    cdef int wrote(self, Node node, object key, u64 ver) except -1:
        cdef list versions = self.writes.get((node, key))
        if versions is None:
            self.writes[(node, key)] = [ver]
            self.keys.setdefault(node, []).append(key)
        elif versions[len(versions) - 1] != ver:
            versions.append(ver)
        return 0

    cdef int went(self, Node node, object key, object old) except -1:
        """What a version replaced: of several operations on a key, the first one says it."""
        cdef list versions = self.writes[(node, key)]
        cdef list olds = self.replaced.setdefault((node, key), [])
        if len(olds) == len(versions):
            olds[len(olds) - 1] = old
        else:
            olds.append(old)
        return 0

    cdef int came(self, object value, u64 ver) except -1:
        if type(value) is Node:
            self.born[value] = ver

    # --- what was there

    cdef object child(self, Node node, object key, u64 ver):
        """What a container had under a key in a version; MISSING where there was nothing."""
        cdef list versions, items
        cdef Py_ssize_t at
        if node.kind == LIST:
            items = self.items(node, ver)
            return items[key] if type(key) is int and 0 <= key < len(items) else MISSING
        versions = self.writes.get((node, key))
        at = 0 if versions is None else bisect_right(versions, ver)
        if versions is None or at == len(versions):
            return child_at(node, key, self.last)
        old = self.replaced[(node, key)][at]
        return MISSING if type(old) is Tomb else old

    cdef list items(self, Node node, u64 ver):
        """The items of a list in a version: the newest, and back by the operations since."""
        cdef list items = self.known.get((node, ver))
        cdef Op op
        if items is not None:
            return items
        items = items_at(node, self.last)
        for version, item in self.lists.get(node, ()):
            if version <= ver:
                break
            op = <Op>item
            if op.code == OP_ITEM:
                items[op.key] = op.old
            elif op.code == OP_TAIL:
                del items[len(items) - len(<list>op.new):]
            elif op.code == OP_CUT:
                items += op.old
            else:
                items = (<list>op.old).copy()
        self.known[(node, ver)] = items
        return items

    cdef list children(self, Node node, u64 ver):
        """(key, container) of the containers that were directly in one."""
        cdef list keys
        if node.kind == LIST:
            return [(at, item) for at, item in enumerate(self.items(node, ver)) if type(item) is Node]
        keys = [key for key in self.keys.get(node, ()) if type(self.child(node, key, ver)) is Node]
        keys += [key for key in keys_at(node, self.last) if (node, key) not in self.writes]
        pairs = [(key, self.child(node, key, ver)) for key in keys]
        return [(key, child) for key, child in pairs if type(child) is Node]

    # --- questions

    cdef u64 last_of(self, list versions, u64 until) except? 0:
        """The newest of ascending versions that is not newer than `until`; 0: none."""
        cdef Py_ssize_t at = 0 if versions is None else bisect_right(versions, until)
        return versions[at - 1] if at else 0

    cdef u64 arrival(self, Node node, dict parents, u64 until) except? 0:
        """The version that brought a container, alone or inside another."""
        while node is not None:
            if node in self.born and self.born[node] <= until:
                return self.born[node]
            above = parents.get(node)
            if above is None:
                return 0
            node = <Node>above[0]
        return 0

    cdef u64 writer(self, Node node, object key, dict parents, u64 until) except? 0:
        """The version that wrote what a container has under a key."""
        cdef u64 ver = self.last_of(self.writes.get((node, key)), until)
        return ver if ver else self.arrival(node, parents, until)

    cdef int writers(self, Node node, dict parents, u64 until, bint deep, set found) except -1:
        """The versions that wrote what is in a container, and with `deep` below it."""
        found.add(self.last_of(self.shapes.get(node), until))
        found.add(self.arrival(node, parents, until))
        for key in self.keys.get(node, ()):
            found.add(self.last_of(self.writes[(node, key)], until))
        if not deep or node.tree < self.first:
            return 0
        for _, child in self.children(node, until):
            parents[child] = (node, None)
            self.writers(<Node>child, parents, until, True, found)
        return 0

    def last_change(self, path, u64 until):
        """The newest version up to `until` that changed what is at a path, or anything below it; 0
        where the log has none. Also for what is not there any more."""
        cdef tuple parts = parse_path(path)
        cdef dict parents = {}
        cdef set found = set()
        cdef Node node = self.store.root
        cdef Py_ssize_t at
        if parts and parts[0] == "heavy":
            return self.last_of(self.writes.get((self.store.mark, parts[1])), until) if len(parts) > 1 else 0
        for at in range(len(parts)):
            key = parts[at] if node.kind != LIST else place_in(parts[at], len(self.items(node, until)))
            value = self.child(node, key, until)
            if at == len(parts) - 1 or type(value) is not Node:
                found.add(self.writer(node, key, parents, until))
            if type(value) is not Node:
                return max(found)
            parents[value] = (node, key)
            node = <Node>value
        self.writers(node, parents, until, True, found)
        return max(found)

    def commit(self, u64 version):
        """(process, time, snapshot, changed paths, reads) of a version, None where it is not in the log.

        `reads` is a list of (path, versions that wrote what was read there), or None where it was
        not kept.
        """
        cdef DeltaRecord record = self.records.get(version)
        if record is None:
            return None
        paths = dict.fromkeys(op.path for op in record.ops)
        reads = None if record.reads is None else self.reads_of(record)
        return record.process, record.time, record.snapshot, list(paths), reads

    cdef list reads_of(self, DeltaRecord record):
        """What a process had read. That has not changed until its commit, so it is looked up in the
        version before it."""
        cdef u64 until = record.version - 1
        cdef ReadSet reads = record.reads
        cdef Read* read
        cdef Py_ssize_t index
        cdef dict parents = {}
        cdef dict found = {}
        cdef set passed = {op.node for op in record.ops}
        cdef set whole = set()
        for index in range(reads.count):
            read = &reads.reads[index]
            self.link(read, parents, until)
            passed.add(<Node>read.node)
            if read.what == ALL or read.what == DEEP:
                whole.add(<Node>read.node)
        for index in range(reads.count):
            read = &reads.reads[index]
            node = <Node>read.node
            path = self.place(node, parents)
            if read.what == KEY:
                key = <object>read.key
                child = self.child(node, key, until)
                if type(child) is Node and (child in passed or node in whole):
                    continue    # on the way to something else, or part of what is there anyway
                path += (key,)
                versions = {self.writer(node, key, parents, until)}
            elif read.what == SHAPE:
                ver = self.last_of(self.shapes.get(node), until)
                versions = {ver if ver else self.arrival(node, parents, until)}
            else:
                versions = set()
                self.writers(node, parents, until, read.what == DEEP, versions)
            found.setdefault(path, set()).update(versions - {0})
        return [(path, tuple(sorted(versions))) for path, versions in found.items()]

    cdef int link(self, Read* read, dict parents, u64 until) except -1:
        """Containers that a read has led to know how they were reached."""
        cdef Node node = <Node>read.node
        if read.what == KEY:
            child = self.child(node, <object>read.key, until)
            if type(child) is Node:
                parents[child] = (node, <object>read.key)
        elif read.what == ALL:
            for key, child in self.children(node, until):
                parents.setdefault(child, (node, key))
        return 0

    cdef tuple place(self, Node node, dict parents):
        """The path of a container that was read."""
        cdef list parts = []
        if node is self.store.mark:
            return ("heavy",)
        while node is not self.store.root:
            above = parents.get(node)
            if above is None:
                return (<Link>node.link).path() + tuple(reversed(parts)) if node.link is not None else tuple(
                    reversed(parts)
                )
            parts.append(above[1])
            node = <Node>above[0]
        parts.reverse()
        return tuple(parts)
