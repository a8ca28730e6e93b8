# Each SLURM job counts its own: it is the shards of one group that take turns, not the groups.
resource_scopes:
    drawing="local",


rule shard:
    input:
        catalog=rules.catalog.output.catalog,
        tar=rules.download.output.tar,
        ledger=rules.download.output.ledger,
    output:
        tar=f"{ROOT}/shards/{{render}}/{{shard}}.tar",
        index=f"{ROOT}/shards/{{render}}/{{shard}}.index.parquet",
        stats=f"{ROOT}/shards/{{render}}/{{shard}}.stats.json",
    log:
        log_of("shard/{render}/{shard}"),
    benchmark:
        benchmark_of("shard/{render}/{shard}")
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=memory_mb(1000, of_input=0.3),
        runtime=runtime_min(5, of_input=0.01),
        drawing=1,  # a profile limits how many of a group's jobs run at once
    params:
        settings=lambda wildcards: settings("shards", render=wildcards.render),
        config=CONFIG,
    shell:
        "python -m specvit shards --config {params.config:q}"
        " --render {wildcards.render:q} --shard {wildcards.shard:q} > {log:q} 2>&1"


rule shards_summary:
    input:
        # Not the tars, which are not read here: where they are in storage, they would be fetched.
        expand(
            f"{ROOT}/shards/{{render}}/{{shard}}.stats.json",
            shard=CFG.shard_names(),
            allow_missing=True,
        ),
    output:
        f"{ROOT}/shards/{{render}}/shards.json",
    log:
        log_of("shards_summary/{render}"),
    benchmark:
        benchmark_of("shards_summary/{render}")
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=memory_mb(1000),
        runtime=runtime_min(30),
    params:
        settings=lambda wildcards: settings("shards", render=wildcards.render),
        config=CONFIG,
    shell:
        "python -m specvit shards --config {params.config:q} --render {wildcards.render:q} --summary"
        " > {log:q} 2>&1"


rule shards:
    input:
        summaries=[str(PATHS.shards_summary(render)) for render in CFG.renders],
        shards=[path for render in CFG.renders for path in shard_files(render, *SPLITS)],
