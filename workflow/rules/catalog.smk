rule survey:
    output:
        table=f"{ROOT}/surveys/{{survey}}.parquet",
        cuts=f"{ROOT}/surveys/{{survey}}.cuts.csv",
    log:
        log_of("survey/{survey}"),
    benchmark:
        benchmark_of("survey/{survey}")
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=runtime_min(240),
    params:
        config=lambda wildcards: settings("survey", survey=wildcards.survey),
    shell:
        "python -m specvit survey --config {params.config:q} --survey {wildcards.survey} > {log} 2>&1"


rule catalog:
    input:
        expand(rules.survey.output.table, survey=CFG.surveys.active),
    output:
        catalog=str(PATHS.catalog),
        stats=str(PATHS.catalog_stats),
    log:
        log_of("catalog"),
    benchmark:
        benchmark_of("catalog")
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=memory_mb(1000, of_input=20),
        runtime=runtime_min(60),
    params:
        config=settings("catalog"),
    shell:
        "python -m specvit catalog --config {params.config:q} > {log} 2>&1"
