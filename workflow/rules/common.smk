# The validated configuration and what rules derive from it. Nothing here reads data.
import json
import os
import sys
import time
import warnings
from functools import cache
from pathlib import Path
from shlex import quote

from snakemake.settings.types import DeploymentMethod

from specvit.config import merge, merged, stage_settings, typed, validate
from specvit.config.backbones import check_backbones
from specvit.config.baselines import registered
from specvit.errors import ConfigError, SpecvitError
from specvit.io import sha256_file, write_json
from specvit.locks import hold
from specvit.paths import EXAMPLE_SHARDS, REFERENCE_SHARDS, RUN_DIR, SPLITS
from specvit.preflight import look
from specvit.registry import collections, surveys
from specvit.report.names import benchmark_names, figure_names
from specvit.status import (
    failed_jobs,
    read_status,
    show_failed,
    show_status,
    write_expected,
)

# While it builds the job graph, Snakemake puts off the sizes of inputs in a way that Python warns
# of; it asks again before the job runs.
warnings.filterwarnings("ignore", "coroutine 'InputFiles", RuntimeWarning)

# Snakemake's own merging would leave the arguments of another backbone than the one on top.
OVER = [str(path) for path in workflow.config_settings.configfiles]
FIRST = [str(path) for path in workflow.configfiles[len(OVER) :]]
try:
    WRITTEN = merge(merged([*FIRST, *OVER]), typed(workflow.config_settings.config))
    CFG = validate(WRITTEN)
    if workflow.is_main_process:
        check_backbones(CFG)
except ConfigError as error:
    raise WorkflowError(str(error))

# Of this workflow: a checkout, or within an installed package; a folder that `specvit init` laid
# down has its Snakefile elsewhere.
FILES = Path(str(workflow.current_basedir)).parents[1]
for folder in (FILES, workflow.basedir):
    if set("{}") & set(str(folder)):
        raise WorkflowError(
            f"{folder} holds a brace, which Snakemake takes for a variable's: use another folder"
        )

PATHS = CFG.paths
ROOT = str(PATHS.root)
# The package beside this workflow is the one that runs, in conda environments and containers too;
# without them, with the Python that runs Snakemake, whether or not its environment is activated.
# Around an installed one lie other packages, which must not come before those of an environment.
SOURCES = FILES / "src"
PREFIX = ""
if SOURCES.is_dir():
    PREFIX = f"export PYTHONPATH={quote(str(SOURCES))}${{PYTHONPATH:+:$PYTHONPATH}}; "
elif DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method:
    raise WorkflowError(
        "the conda environments have no specvit: outside a checkout, leave out conda"
    )
OWN_PYTHON = {DeploymentMethod.CONDA, DeploymentMethod.APPTAINER}
if not OWN_PYTHON & set(workflow.deployment_settings.deployment_method):
    PREFIX += f"export PATH={quote(os.path.dirname(sys.executable))}:$PATH; "

# With a default storage provider, Snakemake keeps local copies of what a job reads and writes.
STORED = workflow.storage_settings.default_storage_provider is not None
# The whole configuration as jobs are given it; no job runs again for what changes in it.
CONFIG = f".snakemake/{CFG.run}.json" if STORED else f"{ROOT}/config.json"
if not workflow.is_main_process and not Path(CONFIG).exists():
    # On a machine of its own, without the main one's disk.
    write_json(Path(CONFIG), WRITTEN)

STARTED = time.time()
# What a job finds as the last one left it, and what is put back if it fails; all else Snakemake
# removes before a job and after a failed one. It cannot update what lies in storage.
kept = str if STORED else update
LOGS = f"{ROOT}/logs"
if STORED:
    LOGS = f"{workflow.storage_settings.default_storage_prefix}/{LOGS}"
    COPIES = workflow.modifier.path_modifier.apply_default_storage(ROOT)
    PREFIX += f"export {RUN_DIR}={quote(str(COPIES))}; "
# Snakemake sets this to each rule's threads; who has set it has a reason.
for name in {"OMP_NUM_THREADS"} & set(os.environ):
    PREFIX += f"export {name}={quote(os.environ[name])}; "
# Snakemake would take a brace in a path for a variable of its own.
shell.prefix(PREFIX.replace("{", "{{").replace("}", "}}"))


wildcard_constraints:
    survey="|".join(CFG.surveys.active),
    shard="|".join(f"{split}-[0-9]{{6}}" for split in SPLITS),
    render="|".join(CFG.renders),
    model="[a-z0-9][a-z0-9_-]*",
    split="|".join(SPLITS),


@cache
def settings(stage, **only):
    """What a stage's result depends on: a job runs again when it changes."""
    return json.dumps(stage_settings(CFG, stage, **only), sort_keys=True)


def hold_run(paths):
    """Refuse to start while another Snakemake, of another folder, makes this run.

    Before anything is done: a job that is refused has its outputs removed by Snakemake.
    """
    try:
        hold(paths, "run")
    except SpecvitError as error:
        raise WorkflowError(str(error))


def look_before():
    """Refuse to start where what is planned lacks something; tell what spoils it."""
    planned = {job.rule.name for job in workflow.dag.needrun_jobs()}
    found = look(
        CFG,
        train="train_model" in planned,
        fetch=bool(planned & {"survey", "survey_of_files", "download"}),
        here=workflow.local_exec,
    )
    for warning in found.warnings:
        print(f"warning: {warning}")
    if found.problems:
        raise WorkflowError("\n".join(["nothing was started:", *found.problems]))


def lies_here(path):
    """An input of one's own: it lies here, whatever the results are stored in."""
    if set("{}") & set(str(path)):
        raise WorkflowError(
            f"{path} holds a brace, which Snakemake takes for a variable's: rename it"
        )
    return local(str(path))


def tables_of(wildcards):
    """Tables that a survey's rows are chosen or labelled by.

    One that is missing is told with its key, by look_before or by the job.
    """
    tables = CFG.surveys.active[wildcards.survey].tables.values()
    return [lies_here(path) for path in tables if path.is_file()]


def log_of(name):
    return f"{ROOT}/logs/{name}.log"


def benchmark_of(name):
    return f"{ROOT}/benchmarks/{name}.tsv"


def with_indexes(render, shards):
    """The finished shards of these names, tars and indexes."""
    kinds = (PATHS.shard, PATHS.shard_index)
    return [str(path_of(render, shard)) for path_of in kinds for shard in shards]


def shard_files(render, *splits):
    """The finished shards of some splits of one set of plots."""
    return with_indexes(render, [n for split in splits for n in CFG.shard_names(split)])


def example_files(render):
    """The shards that the gallery takes its plots from."""
    return with_indexes(render, EXAMPLE_SHARDS)


def benchmarks():
    """The times of all jobs, for the report: those it finds, or, in storage, those it gets."""
    if not STORED:
        return []
    return [benchmark_of(name) for name in benchmark_names(CFG)]


def prediction_files(model):
    """A model's predictions of the test split (the headline) and of val (for calibration)."""
    return {split: str(PATHS.predictions(model, split)) for split in ("test", "val")}


def baseline_outputs(files):
    """What a baseline makes, its model being kept in these files."""
    folder = f"{ROOT}/models/{{model}}"
    return {
        **prediction_files("{model}"),
        "model": [kept(f"{folder}/{name}") for name in files],
        "summary": f"{folder}/training.json",
    }


def baseline_before(wildcards):
    """The model that a baseline starts from; nothing for most."""
    before = registered()[wildcards.model].after
    files = [] if before is None else [*registered()[before].files, "training.json"]
    return [f"{ROOT}/models/{before}/{name}" for name in files]


def baselines_by_files():
    """The run's baselines by the files in which their models are kept."""
    found = {}
    for model in CFG.baselines.models:
        found.setdefault(registered()[model].files, []).append(model)
    return found


def style_sheets():
    """The style sheet of the figures, if any."""
    return [] if CFG.report.style is None else [lies_here(CFG.report.style)]


def all_predictions():
    return [
        path for model in CFG.model_names for path in prediction_files(model).values()
    ]


def final_outputs():
    return [str(PATHS.report), str(PATHS.gallery)]


# A job that failed more often was preempted, not short of anything.
MOST_ATTEMPTS_THAT_GROW = 3


def memory_mb(base_mb, of_input=0.0):
    """Memory of a job: a base and a share of its input's size; half as much again each attempt."""

    def resource(wildcards, input, attempt):
        size = input.size_mb if of_input else 0
        growth = 1 + 0.5 * (min(attempt, MOST_ATTEMPTS_THAT_GROW) - 1)
        return int((base_mb + of_input * size) * growth)

    return resource


def runtime_min(base_min, of_input=0.0):
    """Run time of a job: a base and minutes for each MB of input; twice as much each attempt."""

    def resource(wildcards, input, attempt):
        size = input.size_mb if of_input else 0
        growth = 2 ** (min(attempt, MOST_ATTEMPTS_THAT_GROW) - 1)
        return int((base_min + of_input * size) * growth)

    return resource


def on_each_node(wildcards, resources, threads):
    """What starts a job's command once on each of its nodes; nothing where it has one node."""
    nodes = resources.nodes
    if nodes == 1:
        return ""
    if not resources.get("mpi") or resources.get("tasks") != nodes:
        raise WorkflowError(
            f"nodes: {nodes} needs tasks: {nodes} and mpi: srun beside it (workflow/profiles/slurm)"
        )
    return (
        f"{resources.mpi} --nodes={nodes} --ntasks={nodes} --ntasks-per-node=1"
        f" --cpus-per-task={threads} "
    )


def training(wildcards):
    """The training settings of a network: an experiment may have its own GPUs and workers."""
    return CFG.variant(wildcards.model).train


def pass_min_per_mb(train):
    """Minutes of a pass over 1 MB of shards, some 50 plots: 400 plots/s on a GPU, 20 on CPUs."""
    return 0.002 if train.gpus else 0.04


def training_threads(wildcards):
    train = training(wildcards)
    return train.gpus * (train.workers + 1) or 16


def training_min(wildcards, input, attempt):
    train = training(wildcards)
    each_mb = pass_min_per_mb(train) * train.epochs / train.processes
    return runtime_min(240, of_input=each_mb)(wildcards, input, attempt)


def prediction_min(wildcards, input, attempt):
    each_mb = pass_min_per_mb(training(wildcards))
    return runtime_min(60, of_input=each_mb)(wildcards, input, attempt)


CLAIMS = workflow.source_path("../report/paper.yaml")


def claims(wildcards, threads):
    """The paper's claims, a copy in another place each time.

    Snakemake does not record what a function of `threads` gives, since that may follow from them.
    """
    return CLAIMS
