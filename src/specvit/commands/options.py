"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

config_option: Callable[[Any], Any] = click.option(
    "--config",
    "sources",
    multiple=True,
    default=("config.yaml",),
    show_default=True,
    help="YAML file, or an inline mapping starting with {; may be repeated, later ones override.",
)
