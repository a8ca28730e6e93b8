"""A simulated sky that answers like the surveys' servers: their paths, layouts and mishaps."""

from specvit.surveys.simulated.sky import SimulatedSky

__all__ = ["SimulatedSky"]
