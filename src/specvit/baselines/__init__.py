"""Classical models on exactly the rows that the Vision Transformer learns from."""

from specvit.baselines.run import load_baseline, run_baseline

__all__ = ["load_baseline", "run_baseline"]
