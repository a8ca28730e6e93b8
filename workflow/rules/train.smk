# Minutes of a pass over 1 MB of shards, some 50 plots: 400 plots a second on a GPU, 20 on CPUs.
PASS_MIN_PER_MB = 0.002 if CFG.train.gpus else 0.04
EPOCHS = max(CFG.variant(name).train.epochs for name in CFG.network_names)


rule train_model:
    input:
        summary=lambda wildcards: str(
            PATHS.shards_summary(CFG.render_of(wildcards.model))
        ),
        shards=lambda wildcards: shard_files(
            CFG.render_of(wildcards.model), "train", "val"
        ),
    output:
        weights=f"{ROOT}/models/{{model}}/model.safetensors",
        description=f"{ROOT}/models/{{model}}/model.json",
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
    threads: max(CFG.train.gpus, 1) * (CFG.train.workers + 1) if CFG.train.gpus else 16
    resources:
        mem_mb=memory_mb(16000, of_input=0.1),
        runtime=runtime_min(
            240, of_input=PASS_MIN_PER_MB * EPOCHS / CFG.train.processes
        ),
        gpu=CFG.train.gpus,
        nodes=1,  # else SLURM may take the GPUs from several
    params:
        settings=lambda wildcards: settings("train", model=wildcards.model),
        config=configuration,
        on_each_node=on_each_node,
    shell:
        "{params.on_each_node}python -m specvit train --config {params.config:q}"
        " --model {wildcards.model} > {log} 2>&1"


rule train:
    input:
        [f"{ROOT}/models/{model}/training.json" for model in CFG.network_names],


rule predict:
    input:
        weights=rules.train_model.output.weights,
        description=rules.train_model.output.description,
        shards=lambda wildcards: shard_files(
            CFG.render_of(wildcards.model), "val", "test"
        ),
    output:
        **prediction_files("{model}"),
    log:
        log_of("predict/{model}"),
    benchmark:
        benchmark_of("predict/{model}")
    wildcard_constraints:
        model="|".join(CFG.network_names),
    conda:
        "../../envs/gpu.yaml"
    threads: max(CFG.train.workers, 1) + 1
    resources:
        mem_mb=memory_mb(8000, of_input=0.1),
        runtime=runtime_min(60, of_input=PASS_MIN_PER_MB),
        gpu=min(CFG.train.gpus, 1),
    params:
        settings=lambda wildcards: settings("predict", model=wildcards.model),
        config=configuration,
    shell:
        "python -m specvit predict --config {params.config:q}"
        " --model {wildcards.model} --split val --split test > {log} 2>&1"
