rule figures:
    input:
        predictions=all_predictions(),
        metrics=rules.evaluate.output.metrics,
        logs=[f"{ROOT}/models/{network}/log.jsonl" for network in CFG.network_names],
        style=style_sheets(),
    output:
        figures=[
            report(
                f"{PATHS.figures}/{name}.{kind}",
                caption=f"../report/{name}.rst",
                category="Figures",
                labels={"figure": name.replace("_", " "), "format": kind},
            )
            for name in figure_names(CFG)
            for kind in CFG.report.formats
        ],
    log:
        log_of("figures"),
    benchmark:
        benchmark_of("figures")
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=memory_mb(2000, of_input=20),
        runtime=runtime_min(30),
    params:
        settings=settings("figures"),
        config=CONFIG,
    shell:
        "python -m specvit figures --config {params.config:q} > {log:q} 2>&1"


rule gallery:
    input:
        summaries=[str(PATHS.shards_summary(render)) for render in CFG.renders],
        shards=[path for render in CFG.renders for path in example_files(render)],
    output:
        report(str(PATHS.gallery), caption="../report/gallery.rst", category="Plots"),
    log:
        log_of("gallery"),
    benchmark:
        benchmark_of("gallery")
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=runtime_min(30),
    params:
        settings=settings("gallery"),
        config=CONFIG,
    shell:
        "python -m specvit gallery --config {params.config:q} > {log:q} 2>&1"


rule report:
    input:
        catalog=rules.catalog.output.catalog,
        stats=rules.catalog.output.stats,
        cuts=rules.catalog.input.cuts,
        ledgers=[str(PATHS.ledger(shard)) for shard in CFG.shard_names()],
        shards=[str(PATHS.shards_summary(render)) for render in CFG.renders],
        examples=[path for render in CFG.renders for path in example_files(render)],
        failures=shard_files(CFG.render_of("vit"), "test"),
        weights=[
            f"{ROOT}/models/{model}/model.safetensors" for model in CFG.network_names
        ],
        summaries=[f"{ROOT}/models/{model}/training.json" for model in CFG.model_names],
        logs=rules.figures.input.logs,
        predictions=all_predictions(),
        relevance=str(PATHS.relevance("vit")),
        map=str(PATHS.embedding_map("vit")),
        metrics=rules.evaluate.output.metrics,
        figures=rules.figures.output.figures,
        benchmarks=benchmarks(),
    output:
        page=report(
            str(PATHS.report), caption="../report/report.rst", category="Report"
        ),
        overview=report(
            f"{PATHS.figures}/overview.png",
            caption="../report/overview.rst",
            category="Report",
        ),
        explorer=report(
            str(PATHS.explorer), caption="../report/explore.rst", category="Report"
        ),
    log:
        log_of("report"),
    benchmark:
        benchmark_of("report")
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=memory_mb(4000),
        runtime=runtime_min(30),
    params:
        settings=settings("report"),
        config=CONFIG,
        claims=claims,
        claimed=sha256_file(Path(CLAIMS)),
    shell:
        "python -m specvit report --config {params.config:q} --claims {params.claims:q}"
        " > {log:q} 2>&1"
