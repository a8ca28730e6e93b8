rule evaluate:
    input:
        predictions=all_predictions(),
        # Which weights each network had when its training ended.
        summaries=[f"{ROOT}/models/{name}/training.json" for name in CFG.network_names],
    output:
        metrics=str(PATHS.metrics),
        tables=directory(str(PATHS.tables)),
        calibrations=[str(PATHS.calibration(model)) for model in CFG.model_names],
    log:
        log_of("evaluate"),
    benchmark:
        benchmark_of("evaluate")
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=memory_mb(2000, of_input=20),
        runtime=runtime_min(60),
    params:
        settings=settings("evaluate"),
        config=CONFIG,
    shell:
        "python -m specvit evaluate --config {params.config:q} > {log:q} 2>&1"
