"""Tables of runs in the pages: `python docs/tables.py` writes them, the tests say which are stale.

A page says `<!-- table demo/headline_redshift.csv: success r2 -->` and has the table below: columns
of a CSV that a run left in results/<run>/tables, copied to docs.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from specvit.io import write_text
from specvit.metrics.definitions import METRICS
from specvit.report.table import Number

DOCS = Path(__file__).parent
PAGES = sorted(DOCS.glob("*.md"))
MARKED = re.compile(r"(<!-- table (\S+\.csv): (.+?) -->\n)\n?((?:\|.*\n)*)")
MEANT = re.compile(r"<!--\s*table\b", re.IGNORECASE)


def written(page: str) -> str:
    """The page with its tables as their files have them; ValueError for a mark that is none."""
    found, meant = len(MARKED.findall(page)), len(MEANT.findall(page))
    if found != meant:
        raise ValueError(
            f"{meant - found} of {meant} marks of tables are not as "
            "<!-- table FOLDER/FILE.csv: METRIC ... --> on a line of their own"
        )
    return MARKED.sub(_filled, page)


def _filled(found: re.Match[str]) -> str:
    mark, path, keys, old = found.groups()
    after = "" if old else "\n"
    return f"{mark}\n{table_text(DOCS / path, keys.split())}{after}"


def table_text(path: Path, keys: list[str]) -> str:
    """Columns of a file that are text, and these metrics, with 95 % intervals, as Markdown."""
    rows = pd.read_csv(path).astype(object)
    rows = rows.where(rows.notna(), None)
    metrics = {key: _metric(key) for key in keys}
    text = [name for name in ("Model", "Differs in") if name in rows]
    titles = [*text, *(METRICS[name].title for name in metrics.values())]
    lines = [titles, ["---"] * len(titles)]
    for row in rows.to_dict("records"):
        lines.append([str(row[name]) for name in text])
        for key, name in metrics.items():
            entry = {"value": row[key], "lo": row[f"{key}_lo"], "hi": row[f"{key}_hi"]}
            lines[-1].append(str(Number(name, entry)))
    return "".join(f"| {' | '.join(map(_escaped, line))} |\n" for line in lines)


def _metric(key: str) -> str:
    """The metric of a column, which is called by its title where several are of one."""
    titles = {metric.title.lower().replace(" ", "_"): name for name, metric in METRICS.items()}
    return key if key in METRICS else titles[key]


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


if __name__ == "__main__":
    for page in PAGES:
        write_text(page, written(page.read_text(encoding="utf-8")))
