"""Which isolation anomalies a history has: a checker in the manner of Elle.

Every value is written once, so a read names the transaction that wrote what it saw. In the
list workload a read shows the order of all writes of its key as well; in the register
workload the order comes from transactions that read and then wrote, or from the versions
that the commits made. From these follow three kinds of edges between committed transactions:

ww  the one overwrote (appended after) what the other had written
wr  the one read what the other had written
rw  the other overwrote what the one had read

and a cycle says that no serial order explains what was seen. Names as in Adya's thesis: G0
(ww only), G1c (with wr), G-single (exactly one rw), G2 (several rw). G1a (a read of what was
rolled back), G1b (a read of what was only half of a transaction), lost updates and a few
plain impossibilities need no cycle. Linear in the size of the history, apart from naming the
cycles that were found.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.histories.graph import Graph, add_edge, components, path
from tests.histories.history import History, Op, Txn

WW, WR, RW, RT = "ww", "wr", "rw", "rt"
INITIAL = "initial"


@dataclass(frozen=True)
class Anomaly:
    """One thing that must not be: its name, and what shows it."""

    name: str
    detail: str


def check(history: History, realtime: bool = False) -> list[Anomaly]:
    """All anomalies of a history. `realtime` adds that who ended before another began comes first.

    The workload is told by the operations: "append" makes lists, "write" registers.
    """
    return _Check(history, realtime).run()


def names(anomalies: list[Anomaly]) -> set[str]:
    """Just the names."""
    return {anomaly.name for anomaly in anomalies}


class _Check:
    def __init__(self, history: History, realtime: bool) -> None:
        self.history = history
        self.realtime = realtime
        self.found: list[Anomaly] = []
        self.graph: Graph = {txn.name: {} for txn in history if txn.ok}
        self.writer: dict[tuple[Any, Any], Txn] = {}
        self.last: dict[tuple[Any, Any], Any] = {}  # (txn, key) -> its last value
        self.outside: list[tuple[Txn, Op]] = []  # reads that saw nothing of their own txn
        self.order: dict[Any, list[Any]] = {}  # key -> values, oldest first

    def run(self) -> list[Anomaly]:
        self._index()
        lists = any(
            op.kind == "append" or isinstance(op.value, list)
            for txn in self.history
            for op in txn.ops
        )
        for txn in self.history:
            if txn.ok:
                self._inside(txn, lists)
        if lists:
            self._order_of_lists()
        else:
            self._order_of_registers()
        self._edges(lists)
        self._lost_updates(lists)
        if self.realtime:
            self._realtime_edges()
        self._cycles()
        return self.found

    def _report(self, name: str, detail: str) -> None:
        self.found.append(Anomaly(name, detail))

    def _index(self) -> None:
        for txn in self.history:
            for op in txn.ops:
                if op.kind != "read":
                    self.writer[op.key, op.value] = txn
                    self.last[txn.name, op.key] = op.value

    # --- reads inside one transaction, and what they say about others ---------------------

    def _inside(self, txn: Txn, lists: bool) -> None:
        """Split each read into what the transaction had put there and what was there before."""
        own: dict[Any, list[Any]] = defaultdict(list)
        seen: dict[Any, Any] = {}
        for op in txn.ops:
            if op.kind != "read":
                own[op.key].append(op.value)
                continue
            mine = own[op.key]
            if lists:
                cut = len(op.value) - len(mine)
                if op.value[max(cut, 0) :] != mine:
                    self._report("internal", f"{txn.name} read {op.value} after writing {mine}")
                    continue
                base: Any = op.value[:cut]
            elif mine:
                if op.value != mine[-1]:
                    self._report("internal", f"{txn.name} read {op.value} after writing {mine[-1]}")
                continue
            else:
                base = op.value
            if op.key in seen:
                if seen[op.key] != base:
                    twice = f"{seen[op.key]}, {base}"
                    self._report("internal", f"{txn.name} read {op.key} twice: {twice}")
                continue
            seen[op.key] = base
            self.outside.append((txn, Op("read", op.key, base)))
            self._judge_read(txn, op.key, base if lists else [base] if base is not None else [])

    def _judge_read(self, txn: Txn, key: Any, values: list[Any]) -> None:
        if len(set(values)) != len(values):
            self._report("duplicate", f"{txn.name} read {key} = {values}")
        for position, value in enumerate(values):
            writer = self.writer.get((key, value))
            if writer is None:
                self._report("unknown-value", f"{txn.name} read {value!r} of {key}")
            elif not writer.ok:
                self._report("G1a", f"{txn.name} read {value!r} of {key}, undone by {writer.name}")
            elif position == len(values) - 1 and self.last[writer.name, key] != value:
                self._report("G1b", f"{txn.name} read {value!r} of {key}, half of {writer.name}")

    # --- order of versions ----------------------------------------------------------------

    def _order_of_lists(self) -> None:
        for _, op in self.outside:
            longest = self.order.setdefault(op.key, [])
            shorter, longer = sorted((longest, op.value), key=len)
            if longer[: len(shorter)] != shorter:
                self._report("incompatible-order", f"{op.key} was both {longest} and {op.value}")
            self.order[op.key] = longer
        for txn in self.history:
            for op in txn.ops:
                if op.kind == "append" and txn.ok and op.value not in self.order.get(op.key, ()):
                    self.order.setdefault(op.key, [])
                    self._missing(txn, op)

    def _missing(self, txn: Txn, op: Op) -> None:
        """An append that nobody saw is lost if someone read the list when all had ended."""
        for reader, seen in self.outside:
            if seen.key == op.key and reader.began > txn.ended:
                self._report("lost-write", f"{txn.name}: {op.value!r} is not in {op.key}")
                return

    def _order_of_registers(self) -> None:
        keys = {op.key for txn in self.history for op in txn.ops}
        if all(txn.version is not None for txn in self.history if txn.ok and _writes(txn)):
            for txn in sorted((t for t in self.history if t.ok and _writes(t)), key=_version):
                for op in txn.ops:
                    if op.kind == "write" and self.last[txn.name, op.key] == op.value:
                        self.order.setdefault(op.key, []).append(op.value)
        for key in keys:
            self.order.setdefault(key, [])

    # --- edges ----------------------------------------------------------------------------

    def _edges(self, lists: bool) -> None:
        after: dict[tuple[Any, Any], Txn] = {}
        for key, values in self.order.items():
            writers = [self.writer.get((key, value)) for value in values]
            known = [(v, w) for v, w in zip(values, writers, strict=True) if w is not None and w.ok]
            if known:
                after[key, None] = known[0][1]
            for (value, one), (_, other) in pairwise(known):
                add_edge(self.graph, one.name, other.name, WW)
                after[key, value] = other
        if not lists:
            self._read_then_wrote(after)
        for txn, op in self.outside:
            value = (op.value[-1] if op.value else None) if lists else op.value
            writer = self.writer.get((op.key, value))
            if writer is not None and writer.ok:
                add_edge(self.graph, writer.name, txn.name, WR)
            successor = after.get((op.key, value))
            if successor is not None:
                add_edge(self.graph, txn.name, successor.name, RW)

    def _read_then_wrote(self, after: dict[tuple[Any, Any], Txn]) -> None:
        """In a register, who read a value and then wrote overwrote what it had read."""
        for txn, op in self.outside:
            if (txn.name, op.key) not in self.last or (op.key, op.value) in after:
                continue
            after[op.key, op.value] = txn
            writer = self.writer.get((op.key, op.value))
            if writer is not None and writer.ok:
                add_edge(self.graph, writer.name, txn.name, WW)

    def _lost_updates(self, lists: bool) -> None:
        based: dict[tuple[Any, Any], list[Txn]] = defaultdict(list)
        for txn, op in self.outside:
            if (txn.name, op.key) in self.last:
                based[op.key, tuple(op.value) if lists else op.value].append(txn)
        for (key, value), txns in based.items():
            if len(txns) > 1:
                who = ", ".join(str(txn.name) for txn in txns)
                self._report("lost-update", f"{who} all read {key} = {value!r} and then wrote it")

    def _realtime_edges(self) -> None:
        """Who ended before another began; edges that follow from others are left out."""
        done = sorted((t for t in self.history if t.ok), key=lambda t: t.ended)
        for txn in self.graph_txns():
            before = [other for other in done if other.ended < txn.began]
            latest = max((other.began for other in before), default=0)
            for other in before:
                if other.ended >= latest:
                    add_edge(self.graph, other.name, txn.name, RT)

    def graph_txns(self) -> list[Txn]:
        """The committed transactions."""
        return [txn for txn in self.history if txn.ok]

    # --- cycles ---------------------------------------------------------------------------

    def _cycles(self) -> None:
        if not components(self.graph, frozenset({WW, WR, RW, RT})):
            return
        bases = (frozenset(), frozenset({RT})) if self.realtime else (frozenset(),)
        reported: set[frozenset[Any]] = set()
        for base in bases:
            suffix = "-realtime" if base else ""
            for name, kinds, needs in (
                ("G0", frozenset({WW}), WW),
                ("G1c", frozenset({WW, WR}), WR),
                ("G-single", frozenset({WW, WR}), RW),
                ("G2", frozenset({WW, WR, RW}), RW),
            ):
                self._cycles_of(name + suffix, kinds | base, needs, reported)

    def _cycles_of(
        self, name: str, kinds: frozenset[str], needs: str, reported: set[frozenset[Any]]
    ) -> None:
        """Report cycles of one edge of kind `needs` and a way back over `kinds`."""
        for group in components(self.graph, kinds | {needs}):
            for source in sorted(group, key=str):
                for target, found in self.graph[source].items():
                    if target not in group or needs not in found:
                        continue
                    way = path(self.graph, target, source, kinds, group)
                    if way is not None and frozenset(way) not in reported:
                        reported.add(frozenset(way))
                        self._report(name, " -> ".join(map(str, [source, *way])))


def _writes(txn: Txn) -> bool:
    return any(op.kind == "write" for op in txn.ops)


def _version(txn: Txn) -> int:
    return txn.version if txn.version is not None else 0
