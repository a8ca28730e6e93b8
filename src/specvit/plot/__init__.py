"""A spectrum as a picture."""

from specvit.plot.draw import draw, render_hash

__all__ = ["draw", "render_hash"]
