"""The model card shows the report's own numbers."""

from __future__ import annotations

from specvit.metrics.definitions import HEADLINE, shown
from specvit.report.tables import overall
from specvit.share.card import metric_rows


def test_the_card_has_the_numbers_of_the_report(run) -> None:
    rows = {
        title: (value, interval) for title, value, interval, _ in metric_rows(run.metrics, "vit")
    }
    assert len(rows) == len(HEADLINE["classification"]) + len(HEADLINE["redshift"])
    accuracy = overall(run.metrics, "class", "vit")["accuracy"]
    low, high = (shown("accuracy", accuracy[end]) for end in ("lo", "hi"))
    assert rows["class: Accuracy"] == (shown("accuracy", accuracy["value"]), f"{low} to {high}")
    assert dict(metric_rows({}, "vit") or {}) == {}
