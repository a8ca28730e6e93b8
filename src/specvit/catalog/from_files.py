"""What `specvit catalog --from-files` tells of a folder: what was read, and what refused."""

from __future__ import annotations

import csv
from collections import Counter

from specvit.config import Config
from specvit.io import read_parquet

SHOWN = 10


def describe_files(config: Config) -> str:
    """Lines for people, from the tables that the survey stage wrote for `files`."""
    paths = config.paths
    frame = read_parquet(paths.survey_table("files"), ["survey", "class"])
    frame = frame.fillna({"class": "no class"})
    lines = [f"read {len(frame)} spectra:"]
    for (survey, class_), count in sorted(
        Counter(zip(frame.survey, frame["class"], strict=True)).items()
    ):
        lines.append(f"  {survey} {class_}: {count}")
    with paths.survey_refused("files").open(newline="", encoding="utf-8") as handle:
        refused = list(csv.DictReader(handle))
    if refused:
        total = len(frame) + len(refused)
        lines.append(
            f"refused {len(refused)} of {total} files, listed in {paths.survey_refused('files')}:"
        )
        lines += [f"  {row['path']}: {row['reason']}" for row in refused[:SHOWN]]
        lines += ["  ..."] * (len(refused) > SHOWN)
    return "\n".join(lines)
