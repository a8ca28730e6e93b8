"""How many rounds of damage: one with the other tests, more with `make fuzz`, which counts them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

import pytest
from damage import Became

COUNTED = "became"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A round is a test of its own, so that processes share them."""
    if "round_" in metafunc.fixturenames:
        metafunc.parametrize("round_", range(metafunc.config.getoption("--rounds")))


@pytest.fixture
def became(record_property: Callable[[str, object], None]) -> Iterator[Became]:
    """Count what became of a damaged file."""
    counts: Counter[str] = Counter()
    yield lambda what: counts.update([what])
    record_property(COUNTED, dict(counts))  # travels from the processes to the summary


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say of how many files the run was, and what became of them."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for report in (r for reports in terminalreporter.stats.values() for r in reports):
        found = dict(getattr(report, "user_properties", ())).get(COUNTED, {})
        if getattr(report, "when", "") == "teardown":
            counts[report.nodeid.partition("[")[0]].update(found)
    for test, became in sorted(counts.items()):
        if became:
            told = ", ".join(f"{number:,} {what}" for what, number in became.most_common())
            terminalreporter.write_line(f"{test}: {became.total():,} files: {told}")
