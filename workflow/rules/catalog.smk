rule survey:
    input:
        tables_of,
    output:
        table=f"{ROOT}/surveys/{{survey}}.parquet",
        cuts=f"{ROOT}/surveys/{{survey}}.cuts.csv",
    log:
        log_of("survey/{survey}"),
    benchmark:
        benchmark_of("survey/{survey}")
    wildcard_constraints:
        survey="|".join(surveys()),
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=runtime_min(240),
    params:
        settings=lambda wildcards: settings("survey", survey=wildcards.survey),
        config=CONFIG,
    shell:
        "python -m specvit survey --config {params.config:q} --survey {wildcards.survey:q}"
        " > {log[0]:q} 2>&1"


# A folder of files also has some that cannot be read: told even where the job fails.
use rule survey as survey_of_files with:
    log:
        log_of("survey/{survey}"),
        refused=f"{ROOT}/surveys/{{survey}}.refused.csv",
    wildcard_constraints:
        survey="|".join(collections().keys() - surveys().keys()),


rule catalog:
    input:
        tables=[str(PATHS.survey_table(survey)) for survey in CFG.surveys.active],
        cuts=[str(PATHS.survey_cuts(survey)) for survey in CFG.surveys.active],
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
        settings=settings("catalog"),
        config=CONFIG,
    shell:
        "python -m specvit catalog --config {params.config:q} > {log:q} 2>&1"
