"""How fast a condition is: ours, a dict read, and `eval` of its text, in interleaved rounds.

Prints the minimum of each and the ratios. `eval` is what a workflow engine without an
expression language does for every evaluation: compile the text, then run it.

    python -m benchmarks.ratio_expressions [--rounds N]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from timeit import Timer

from theus.flux.expressions import compile_expression

TEXT = "domain['items_left'] > 0 and len(domain['tags']) < 5"
STATE = {"domain": {"items_left": 2, "tags": ["red", "blue"]}, "global": {}}
BUILTINS = {each.__name__: each for each in (len, max, min, sum, abs, int, str, float, bool)}
GOAL = 50.0
"""One evaluation by `eval` takes at least so many of ours."""


def timers() -> dict[str, tuple[Timer, int]]:
    """Name -> (timer, repetitions in one round)."""
    expression = compile_expression(TEXT)

    def by_eval() -> object:
        return eval(TEXT, {"__builtins__": BUILTINS, **STATE})  # noqa: S307 - the rival

    assert by_eval() is expression(STATE) is True
    setup: dict[str, object] = {"evaluate": expression.evaluate, "names": STATE}
    return {
        "ours": (Timer("evaluate(names)", globals=setup), 20_000),
        "dict read": (Timer("state['domain']", globals={"state": STATE}), 200_000),
        "eval": (Timer("by_eval()", globals={"by_eval": by_eval}), 1_000),
        "compile ours": (Timer(_compiling()), 500),
    }


def _compiling() -> Callable[[], object]:
    return lambda: compile_expression(TEXT)


def measure(rounds: int) -> dict[str, float]:
    """Nanoseconds of one call, the minimum over `rounds` interleaved rounds."""
    table = timers()
    best = dict.fromkeys(table, float("inf"))
    for _ in range(rounds):
        for name, (timer, count) in table.items():
            best[name] = min(best[name], timer.timeit(count) / count * 1e9)
    return best


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    best = measure(options.rounds)
    ratios = {
        "eval / ours": best["eval"] / best["ours"],
        "ours / dict read": best["ours"] / best["dict read"],
    }
    if options.json:
        print(json.dumps({"ns": best, "ratios": ratios, "goal eval / ours": GOAL}))
        return
    for name, value in best.items():
        print(f"{name:<18}{value:>12,.1f} ns")
    for name, value in ratios.items():
        print(f"{name:<18}{value:>12,.1f} x")
    print(f"goal: eval / ours at least {GOAL:g} x")


if __name__ == "__main__":
    main()
