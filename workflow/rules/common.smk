# The validated configuration and what rules derive from it. Nothing here reads data.
import json
import os
import sys
from pathlib import Path
from shlex import quote

from snakemake.settings.types import DeploymentMethod

from specvit.config import merge, stage_settings, typed, validate
from specvit.errors import ConfigError
from specvit.paths import SPLITS
from specvit.status import read_status, show_status, write_plan

try:
    CFG = validate(merge(config, typed(workflow.config_settings.config)))
except ConfigError as error:
    raise WorkflowError(str(error))

PATHS = CFG.paths
ROOT = str(PATHS.root)

# The package beside this workflow is the one that runs, in conda environments and containers too;
# without them, with the Python that runs Snakemake, whether or not its environment is activated.
SOURCES = quote(str(Path(workflow.basedir, "src")))
PREFIX = f"export PYTHONPATH={SOURCES}${{{{PYTHONPATH:+:$PYTHONPATH}}}}; "
OWN_PYTHON = {DeploymentMethod.CONDA, DeploymentMethod.APPTAINER}
if not OWN_PYTHON & set(workflow.deployment_settings.deployment_method):
    PREFIX += f"export PATH={quote(os.path.dirname(sys.executable))}:$PATH; "
shell.prefix(PREFIX)


wildcard_constraints:
    survey="|".join(CFG.surveys.active),
    shard="|".join(f"{split}-[0-9]{{6}}" for split in SPLITS),
    render="|".join(CFG.renders),
    model="[a-z0-9][a-z0-9_-]*",
    split="|".join(SPLITS),


def settings(stage, **only):
    """The keys that a stage reads, as JSON: its command line, and what makes its rule run again."""
    return json.dumps(stage_settings(CFG, stage, **only), sort_keys=True)


def log_of(name):
    return f"{ROOT}/logs/{name}.log"


def benchmark_of(name):
    return f"{ROOT}/benchmarks/{name}.tsv"


def shard_tars(render, *splits):
    """The finished shards of some splits of one set of plots."""
    names = [name for split in splits for name in CFG.shard_names(split)]
    return [str(PATHS.shard(render, name)) for name in names]


def prediction_files(model):
    """A model's predictions of the test split (the headline) and of val (for calibration)."""
    return {split: str(PATHS.predictions(model, split)) for split in ("test", "val")}


def all_predictions():
    return [
        path for model in CFG.model_names for path in prediction_files(model).values()
    ]


def final_outputs():
    return [str(PATHS.report), str(PATHS.gallery)]


def plan():
    """What this run is going to make, for `specvit status`."""
    return {
        "surveys": list(CFG.surveys.active),
        "shards": CFG.shard_names(),
        "renders": list(CFG.renders),
        "networks": CFG.network_names,
        "models": CFG.model_names,
        "simulated": CFG.is_simulated,
    }


def memory_mb(base_mb, of_input=0.0):
    """Memory of a job: a base, a share of its input's size, and half as much again each attempt."""

    def resource(wildcards, input, attempt):
        size = input.size_mb if of_input else 0
        return int((base_mb + of_input * size) * (1 + 0.5 * (attempt - 1)))

    return resource


def runtime_min(minutes):
    """Run time of a job in minutes, doubled at each attempt."""

    def resource(wildcards, attempt):
        return int(minutes * 2 ** (attempt - 1))

    return resource
