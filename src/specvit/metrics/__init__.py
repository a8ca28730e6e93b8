"""Metrics with their definitions and sources; what `specvit evaluate` computes.

`classification`, `values` and `selective` hold what is scored, `score` does it for many models and
groups at once, `resample` holds the bootstrap, `calibration` what is fitted on the validation
split, `definitions` how each metric is called and shown.
"""
