rule train_model:
    input:
        summary=lambda wildcards: str(
            PATHS.shards_summary(CFG.render_of(wildcards.model))
        ),
        shards=lambda wildcards: shard_files(
            CFG.render_of(wildcards.model), "train", "val"
        ),
    output:
        # A model stays until the next one is whole. Its summary does not, and whatever reads the
        # model asks for both: nothing takes an earlier model for the one that was to be trained.
        weights=kept(f"{ROOT}/models/{{model}}/model.safetensors"),
        description=kept(f"{ROOT}/models/{{model}}/model.json"),
        summary=f"{ROOT}/models/{{model}}/training.json",
        history=f"{ROOT}/models/{{model}}/log.jsonl",
    log:
        log_of("train/{model}"),
    benchmark:
        benchmark_of("train/{model}")
    wildcard_constraints:
        model="|".join(CFG.network_names),
    conda:
        "../../envs/gpu.yaml"
    threads: training_threads
    resources:
        mem_mb=memory_mb(16000, of_input=0.1),
        runtime=training_min,
        gpu=lambda wildcards: training(wildcards).gpus,
        nodes=1,  # else SLURM may take the GPUs from several
    params:
        settings=lambda wildcards: settings("train", model=wildcards.model),
        config=CONFIG,
        on_each_node=on_each_node,
    shell:
        "{params.on_each_node}python -m specvit train --config {params.config:q}"
        " --model {wildcards.model:q} > {log:q} 2>&1"


rule train:
    input:
        [f"{ROOT}/models/{model}/training.json" for model in CFG.network_names],


rule predict:
    input:
        weights=rules.train_model.output.weights,
        description=rules.train_model.output.description,
        training=rules.train_model.output.summary,
        summary=lambda wildcards: str(
            PATHS.shards_summary(CFG.render_of(wildcards.model))
        ),
        shards=lambda wildcards: shard_files(
            CFG.render_of(wildcards.model), "val", "test"
        ),
        # Of train only what says what training was like.
        reference=lambda wildcards: with_indexes(
            CFG.render_of(wildcards.model), CFG.shard_names("train")[:REFERENCE_SHARDS]
        ),
    output:
        **prediction_files("{model}"),
        novelty=str(PATHS.novelty("{model}")),
        relevance=str(PATHS.relevance("{model}")),
        map=str(PATHS.embedding_map("{model}")),
    log:
        log_of("predict/{model}"),
    benchmark:
        benchmark_of("predict/{model}")
    wildcard_constraints:
        model="|".join(CFG.network_names),
    conda:
        "../../envs/gpu.yaml"
    threads: lambda wildcards: max(training(wildcards).workers, 1) + 1
    resources:
        mem_mb=memory_mb(8000, of_input=0.1),
        runtime=prediction_min,
        gpu=lambda wildcards: min(training(wildcards).gpus, 1),
    params:
        settings=lambda wildcards: settings("predict", model=wildcards.model),
        config=CONFIG,
    shell:
        "python -m specvit predict-split --config {params.config:q}"
        " --model {wildcards.model:q} --split val --split test > {log:q} 2>&1"
