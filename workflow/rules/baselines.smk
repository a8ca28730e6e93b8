# A rule must say in which files its jobs leave a model: one for each such list.
for FILES, MODELS in baselines_by_files().items():

    rule:
        name:
            "_".join(["baseline", *(name.split(".")[-1] for name in FILES)])
        input:
            summary=str(PATHS.shards_summary(CFG.render[0].label)),
            shards=shard_files(CFG.render[0].label, *SPLITS),
            before=baseline_before,
        output:
            **baseline_outputs(FILES),
        log:
            log_of("baseline/{model}"),
        benchmark:
            benchmark_of("baseline/{model}")
        wildcard_constraints:
            model="|".join(MODELS),
        conda:
            "../../envs/gpu.yaml"
        threads: 4
        resources:
            mem_mb=memory_mb(8000, of_input=1),
            runtime=runtime_min(120, of_input=0.02),
            gpu=lambda wildcards: (
                min(CFG.train.gpus, 1) if registered()[wildcards.model].gpu else 0
            ),
        params:
            settings=lambda wildcards: settings("baselines", baseline=wildcards.model),
            config=CONFIG,
        shell:
            "python -m specvit baselines --config {params.config:q}"
            " --model {wildcards.model:q} > {log:q} 2>&1"


rule baselines:
    input:
        expand(f"{ROOT}/models/{{model}}/training.json", model=CFG.baselines.models),
