# update: a rerun takes over the spectra that are already there instead of fetching again. Snakemake
# cannot update what lies in storage.
kept = str if STORED else update


rule download:
    input:
        rules.catalog.output.catalog,
    output:
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
        downloads=1,  # a profile limits how many run at once: they share the host's patience
    params:
        config=settings("download"),
    shell:
        "python -m specvit download --config {params.config:q} --shard {wildcards.shard} > {log} 2>&1"
