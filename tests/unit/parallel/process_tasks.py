"""Processes that tests run in workers of every kind; nothing here needs the compiled core."""

from __future__ import annotations

import logging

from theus.contracts import process

CALLS: list[str] = []


@process(inputs=["domain.rows"], outputs=["domain.total"], parallel=True)
def add_up(ctx, factor):
    ctx.log.info("adding %d rows", len(ctx.domain.rows))
    return factor * sum(ctx.domain.rows)


@process(inputs=["heavy.grid"], outputs=["domain.total"], parallel=True)
def add_grid(ctx):
    CALLS.append("began")
    return float(ctx.heavy["grid"].sum())


@process(inputs=["domain.rows"], outputs=["domain.rows"], parallel=True)
def append_row(ctx):
    ctx.domain.rows.append(sum(ctx.domain.rows))


@process(inputs=["domain.rows"], outputs=["domain.rows"], parallel=True)
def write_too_much(ctx):
    ctx.domain["total"] = 1


@process(outputs=["domain.total"], parallel=True)
def count_up(ctx):
    ctx.incr("domain.total", 1)


@process(outputs=["domain.total"], parallel=True)
def count_up_by_keys(ctx):
    ctx.incr(("domain", "total"), 1)


@process(inputs=["domain.rows"], outputs=["domain.rows"], parallel=True)
def read_too_much(ctx):
    return [ctx.domain.total]


@process(inputs=["domain.*"], outputs=["domain.total"], parallel=True)
def add_up_all(ctx):
    return sum(ctx.domain.rows)


def count_calls(name):
    CALLS.append(name)
    return len(CALLS)


def with_numpy(value):
    import numpy as np

    return np.ones(value)


def log_and_count(text):
    logging.getLogger("tests.inside").warning(text)
    return len(text)
