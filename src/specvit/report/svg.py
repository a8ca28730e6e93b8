"""Figures inside a page: SVG that takes the page's colours, in light, dark and print."""

from __future__ import annotations

import re
from html import escape

from matplotlib.figure import Figure

from specvit.report.style import GRID, INK, PAPER, file_bytes

_IDS = re.compile(r'(\bid="|href="#|url\(#)')


def inline_svg(canvas: Figure, key: str, label: str) -> str:
    """The figure as one <svg> element; `key` keeps its identifiers apart from other figures'.

    Ink becomes the text colour of the page, grid and paper its variables, the background nothing.
    """
    canvas.patch.set_alpha(0)
    for ax in canvas.axes:
        ax.patch.set_alpha(0)
    text = file_bytes(canvas, "svg").decode("utf-8")
    text = text[text.index("<svg") :]
    head, body = text.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    text = f'{head} role="img" aria-label="{escape(label)}">{body}'
    text = _IDS.sub(lambda match: match[0] + key + "-", text)
    colours = {INK: "currentColor", GRID: "var(--grid)", PAPER: "var(--paper)"}
    for colour, name in colours.items():
        text = text.replace(colour, name)
    # Metadata only names the program that drew it.
    return re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL).strip()
