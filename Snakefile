# From a survey catalogue to a report. Each rule runs one `specvit STAGE` command.
from snakemake.utils import min_version

min_version("9.10")


configfile: f"{workflow.basedir}/config.yaml"


report: "workflow/report/front.rst"


# Built from containers/specvit.def; used with --software-deployment-method apptainer only.
container: "specvit.sif"


include: "workflow/rules/common.smk"
include: "workflow/rules/catalog.smk"
include: "workflow/rules/download.smk"
include: "workflow/rules/shards.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/baselines.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"


onstart:
    # `specvit status` reads a disk, not a bucket.
    if not STORED:
        look_before()
        hold_run(PATHS)
        write_expected(CFG)
    write_json(Path(CONFIG), WRITTEN)


onsuccess:
    if not STORED:
        show_status(read_status(PATHS.root), print)


onerror:
    print(
        f"The logs of the jobs that failed are below {LOGS}; what is done stays done."
    )
    if not STORED:
        show_failed(
            failed_jobs(PATHS.root, since=STARTED), PATHS.root / "logs", print
        )


# On a cluster these run where Snakemake does: they are short, or need the internet.
localrules:
    all,
    survey,
    survey_of_files,
    catalog,
    shards,
    shards_summary,
    train,
    baselines,
    figures,
    gallery,
    report,


rule all:
    default_target: True
    input:
        final_outputs(),
