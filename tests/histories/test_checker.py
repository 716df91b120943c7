"""The checker finds each anomaly in a history written down by hand, and nothing in clean ones."""

from __future__ import annotations

import pytest

from tests.histories.checker import check, names
from tests.histories.graph import Graph, add_edge, components, path
from tests.histories.history import History, append, read, txn, write

CLEAN_LIST: History = [
    txn("a", append("x", 1), append("y", 1), began=0, ended=1),
    txn("b", read("x", [1]), append("x", 2), read("x", [1, 2]), began=2, ended=3),
    txn("c", append("x", 9), ok=False, began=3, ended=4),
    txn("end", read("x", [1, 2]), read("y", [1]), began=5, ended=6),
]

CLEAN_REGISTER: History = [
    txn("a", read("x", None), write("x", 1), began=0, ended=1),
    txn("b", read("x", 1), write("x", 2), read("x", 2), write("y", 5), began=2, ended=3),
    txn("end", read("x", 2), read("y", 5), began=4, ended=5),
]

LISTS: dict[str, History] = {
    "G0": [
        txn("a", append("x", 1), append("y", 1)),
        txn("b", append("x", 2), append("y", 2)),
        txn("end", read("x", [1, 2]), read("y", [2, 1])),
    ],
    "G1a": [
        txn("a", append("x", 1), ok=False),
        txn("b", read("x", [1])),
    ],
    "G1b": [
        txn("a", append("x", 1), append("x", 2)),
        txn("b", read("x", [1])),
        txn("end", read("x", [1, 2])),
    ],
    "G1c": [
        txn("a", append("x", 1), read("y", [2])),
        txn("b", append("y", 2), read("x", [1])),
    ],
    "G-single": [
        txn("a", append("x", 1), append("y", 1)),
        txn("b", read("x", [1]), read("y", [])),
        txn("end", read("x", [1]), read("y", [1])),
    ],
    "G2": [
        txn("a", read("x", []), append("y", 1)),
        txn("b", read("y", []), append("x", 2)),
        txn("end", read("x", [2]), read("y", [1])),
    ],
    "lost-update": [
        txn("a", read("x", []), append("x", 1)),
        txn("b", read("x", []), append("x", 2)),
        txn("end", read("x", [1, 2])),
    ],
    "lost-write": [
        txn("a", append("x", 1), began=0, ended=1),
        txn("end", read("x", []), began=2, ended=3),
    ],
    "internal": [txn("a", append("x", 1), read("x", []))],
    "incompatible-order": [
        txn("a", append("x", 1)),
        txn("b", append("x", 2)),
        txn("c", read("x", [1, 2])),
        txn("d", read("x", [2, 1])),
    ],
    "duplicate": [txn("a", append("x", 1)), txn("b", read("x", [1, 1]))],
    "unknown-value": [txn("b", read("x", [7]))],
}

REGISTERS: dict[str, History] = {
    "G1a": [txn("a", write("x", 1), ok=False), txn("b", read("x", 1))],
    "G1b": [txn("a", write("x", 1), write("x", 2)), txn("b", read("x", 1))],
    "G1c": [
        txn("a", write("x", 1), read("y", 2)),
        txn("b", write("y", 2), read("x", 1)),
    ],
    "G-single": [
        txn("a", read("x", None), write("x", 1), read("y", None), write("y", 1)),
        txn("b", read("x", 1), read("y", None)),
    ],
    "G2": [
        txn("a", read("x", None), read("y", None), write("x", 1)),
        txn("b", read("x", None), read("y", None), write("y", 1)),
    ],
    "lost-update": [
        txn("a", read("x", None), write("x", 1)),
        txn("b", read("x", None), write("x", 2)),
    ],
    "internal": [txn("a", write("x", 1), read("x", None))],
    "unknown-value": [txn("b", read("x", 7))],
}


@pytest.mark.parametrize("history", [CLEAN_LIST, CLEAN_REGISTER], ids=["list", "register"])
def test_a_serial_history_is_clean(history: History) -> None:
    assert check(history, realtime=True) == []


@pytest.mark.parametrize("name", LISTS)
def test_anomaly_in_the_list_workload(name: str) -> None:
    assert name in names(check(LISTS[name]))


@pytest.mark.parametrize("name", REGISTERS)
def test_anomaly_in_the_register_workload(name: str) -> None:
    assert name in names(check(REGISTERS[name]))


@pytest.mark.parametrize("name", ["G0", "G1c", "G-single", "G2"])
def test_a_cycle_gets_one_name_only(name: str) -> None:
    cycles = {"G0", "G1c", "G-single", "G2"}
    assert names(check(LISTS[name])) & cycles == {name}


def test_stale_read_is_an_anomaly_of_real_time_only() -> None:
    history = [
        txn("a", append("x", 1), began=0, ended=1),
        txn("b", read("x", []), began=2, ended=3),
        txn("end", read("x", [1]), began=4, ended=5),
    ]
    assert check(history) == []
    assert "G-single-realtime" in names(check(history, realtime=True))


def test_lost_update_counts_committed_transactions_only() -> None:
    history = [
        txn("a", read("x", []), append("x", 1)),
        txn("b", read("x", []), append("x", 2), ok=False),
        txn("end", read("x", [1])),
    ]
    assert check(history) == []


def test_known_versions_order_blind_writes_of_a_register() -> None:
    first = txn("a", write("x", 1), write("y", 1))
    second = txn("b", write("x", 2), write("y", 2))
    first.version, second.version = 2, 3
    torn = txn("c", read("x", 2), read("y", 1))
    assert names(check([first, second, torn])) == {"G-single"}
    first.version = second.version = None
    assert check([first, second, torn]) == []


def test_components_and_paths_of_a_long_cycle() -> None:
    graph: Graph = {}
    for number in range(5000):
        add_edge(graph, number, (number + 1) % 5000, "ww")
    add_edge(graph, 1, 9999, "ww")
    add_edge(graph, 1, 1, "ww")
    assert components(graph, frozenset({"ww"})) == [set(range(5000))]
    assert components(graph, frozenset({"wr"})) == []
    assert path(graph, 3, 6, frozenset({"ww"}), range(5000)) == [3, 4, 5, 6]
    assert path(graph, 9999, 6, frozenset({"ww"}), graph) is None
