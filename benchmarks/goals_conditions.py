"""The price of a workflow condition: ours against `eval` of its text and against a dict read.

`eval` is what a workflow engine without an expression language does for every evaluation: compile
the text, then run it.
"""

from __future__ import annotations

from benchmarks.harness import calls, race, repeated
from benchmarks.table import EXTRA, Bound, goal
from theus.flux.expressions import compile_expression

TEXT = "domain['items_left'] > 0 and len(domain['tags']) < 5"
STATE = {"domain": {"items_left": 2, "tags": ["red", "blue"]}, "global": {}}
BUILTINS = {each.__name__: each for each in (len, max, min, sum, abs, int, str, float, bool)}
ROUNDS = 60


@goal(
    EXTRA,
    "workflow condition",
    Bound("", 50.0, 50.0, "eval of its text / ours", at_most=False),
    Bound("", None, None, "ours / dict read"),
)
def condition() -> tuple[float, float]:
    """One evaluation of a compiled condition."""
    expression = compile_expression(TEXT)

    def by_eval() -> object:
        return eval(TEXT, {"__builtins__": BUILTINS, **STATE})  # noqa: S307 - the rival

    assert by_eval() is expression(STATE) is True
    best = race(
        {
            "ours": repeated("evaluate(names)", {"evaluate": expression.evaluate, "names": STATE}),
            "dict read": repeated("state['domain']", {"state": STATE}),
            "eval": calls(by_eval),
        },
        ROUNDS,
    )
    return best["eval"] / best["ours"], best["ours"] / best["dict read"]
