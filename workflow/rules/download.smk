# Each job opens `download.connections` to a survey's host, which others need too: one at a time,
# unless a profile or `--resources downloads=N` says otherwise. Folders and the simulated sky can
# take more.
ASKS_SERVERS = any(
    survey.base_url.startswith("http") for survey in CFG.surveys.active.values()
)
if "downloads" not in workflow.global_resources:
    workflow.register_resource("downloads", 1)


rule download:
    input:
        rules.catalog.output.catalog,
    output:
        # A rerun takes over the spectra that are already there instead of fetching them again.
        tar=kept(f"{ROOT}/spectra/{{shard}}.tar"),
        ledger=kept(f"{ROOT}/spectra/{{shard}}.ledger.parquet"),
    log:
        log_of("download/{shard}"),
    benchmark:
        benchmark_of("download/{shard}")
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=memory_mb(1000, of_input=1),
        # One shard's share of the catalogue says how many spectra there are: 100 bytes each.
        runtime=runtime_min(60, of_input=240 / len(CFG.shard_names())),
        downloads=int(ASKS_SERVERS),
    params:
        settings=settings("download"),
        config=CONFIG,
    shell:
        "python -m specvit download --config {params.config:q} --shard {wildcards.shard:q} > {log:q} 2>&1"
