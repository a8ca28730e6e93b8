"""`specvit evaluate`."""

from __future__ import annotations

import click

from specvit.commands.options import config_option


@click.command("evaluate")
@config_option
def command(sources: tuple[str, ...]) -> None:
    """Compute every metric from the predictions.

    Writes metrics.json and tables/*.csv and *.tex below results/<run>/, and calibration.json beside
    each model: what was fitted on the validation split.
    """
    from specvit.config import load_stage
    from specvit.evaluate import evaluate, fitted_calibration
    from specvit.io import write_json
    from specvit.locks import writing
    from specvit.report.tables import write_tables

    config = load_stage(sources, "evaluate")
    with writing(config.paths, "metrics"):
        metrics = evaluate(config)
        write_tables(config.paths.tables, metrics, config.experiments)
        for model in config.model_names:
            write_json(config.paths.calibration(model), fitted_calibration(metrics, model))
        write_json(config.paths.metrics, metrics)
