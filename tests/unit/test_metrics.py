"""The text for Prometheus, read back by a parser that is not ours."""

from __future__ import annotations

from typing import Any

import pytest

from theus import TheusEngine, process
from theus.metrics import CONTENT_TYPE, METRICS, prometheus_text

parser = pytest.importorskip("prometheus_client.parser")


@process(inputs=["domain.n"], outputs=["domain.n"])
def add_one(ctx: Any) -> int:
    return ctx.domain.n + 1


def families(engines: dict[str, TheusEngine]) -> dict[str, Any]:
    return {
        one.name: one for one in parser.text_string_to_metric_families(prometheus_text(engines))
    }


def value(found: dict[str, Any], family: str, **labels: str) -> float:
    samples = {tuple(sorted(one.labels.items())): one.value for one in found[family].samples}
    return samples[tuple(sorted(labels.items()))]


def test_a_parser_reads_what_the_engine_counted() -> None:
    with TheusEngine({"domain": {"n": 0}}) as engine:
        engine.run(add_one)
        engine.begin().rollback()
        found = families({"main": engine})
        stats = engine.stats()
        assert value(found, "theus_commits", engine="main") == stats["commits"] == 1
        assert value(found, "theus_version", engine="main") == 2
        for cause, count in stats["aborts"].items():
            assert value(found, "theus_aborts", engine="main", cause=cause) == count
        assert value(found, "theus_aborts", engine="main", cause="rollback") == 1
        assert value(found, "theus_history_bytes", engine="main") == stats["history_bytes"] > 0


def test_every_metric_is_there_with_its_type_and_help() -> None:
    with TheusEngine({"domain": {"n": 0}}, pool="inline") as engine:
        engine.heavy.alloc("a", (8,), "float64")
        engine.execute_parallel(add_one)
        text = prometheus_text({"main": engine})
        found = families({"main": engine})
    assert len(found) == len(METRICS)
    for metric in METRICS:
        family = found[f"theus_{metric.name.removesuffix('_total')}"]
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        assert text.count(f"# TYPE theus_{metric.name} {metric.kind}\n") == 1
        assert family.samples


def test_parts_that_were_never_used_have_no_metrics() -> None:
    with TheusEngine() as engine:
        found = families({"main": engine})
    assert [name for name in found if "pool" in name or "heavy" in name] == []


def test_several_engines_share_the_families() -> None:
    with TheusEngine({"domain": {"n": 0}}) as one, TheusEngine() as other:
        one.run(add_one)
        found = families({"one": one, "other": other})
        assert value(found, "theus_commits", engine="one") == 1
        assert value(found, "theus_commits", engine="other") == 0


@pytest.mark.parametrize("name", ['quote"', "back\\slash", "line\nend", "\\n", "täglich {x=1}", ""])
def test_names_of_engines_are_escaped(name: str) -> None:
    with TheusEngine() as engine:
        found = families({name: engine})
        assert value(found, "theus_commits", engine=name) == 0


def test_no_engine_gives_no_text() -> None:
    assert prometheus_text({}) == ""


def test_the_content_type_is_that_of_the_format() -> None:
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")


def test_every_number_of_the_snapshot_has_its_metric_or_follows_from_others() -> None:
    with TheusEngine(pool="inline") as engine:
        sources = {metric.source.split(".")[0] for metric in METRICS}
        assert set(engine.stats()) - sources == {"conflicts", "max_attempts"}
