#!/usr/bin/env bash
# What one GPU does, in at most SECONDS_IN_ALL (340): rates of training with their MFU, a
# fine-tuning on real spectra, and the demo's network on a million simulated pictures.
#
#     benchmarks/gpu.sh OUT [REAL]      # in the checkout; PYTHON names the interpreter
#
# OUT gets gpu.json and gpu.md, and each part by itself as soon as it is there: a run that is cut
# leaves what it had. REAL is a folder with `config.yaml`, whose shards lie in REAL/results/<run>/
# and whose model.weights is REAL/weights.safetensors; without it that part is left out.
# TINY=1 rehearses on a CPU. Needs neither network nor installation: PYTHONPATH must find pydantic.
set -um
cd "$(dirname "$0")/.." || exit
export PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}$PWD/src:$PWD" PYTHONUNBUFFERED=1
python=${PYTHON:-python3} tiny=${TINY:+--tiny}
all=${SECONDS_IN_ALL:-340} out=$(realpath -m "$1") real=${2:+$(realpath "$2")}
work=$(mktemp -d) cores=$(nproc)
mkdir -p "$out" && rm -f "$out"/{rates,tune,sky,million,gpu}.json
trap 'kill -- -$sky 2>/dev/null; rm -rf "$work"' EXIT
bench() { "$python" -m benchmarks gpu "$@"; }
left() { echo $((all - SECONDS - $1)); }

if [ -n "$tiny" ]; then
  gpus=0 spectra=160 epochs=2 batch=16 readers=1 processes=2 tune_epochs=1
else
  gpus=1 spectra=108000 epochs=10 batch=512 readers=$((cores - 2)) tune_epochs=30
  processes=$((cores - 2))
fi
demo=(--config config.yaml --config "{run: million, results_dir: $work/million,
  split: {shards: {train: $((processes - 1)), val: 1, test: 1}},
  train: {gpus: $gpus, epochs: $epochs, batch_size: $batch, workers: $readers}}")

# Beside what only the card does: first the pictures of the rates, then those of the sky.
(
  for mode in overlap stacked; do
    bench timing-shards "$work/timing" "$mode" $tiny &
  done
  wait
  nice -n 19 "$python" -m benchmarks gpu sky "$out" "${demo[@]}" --spectra $spectra \
    --seconds 100
) >"$work/sky.log" 2>&1 &
sky=$!

tune=0 && [ -n "$real" ] && tune=45
box=$(left $((tune + 70)))
timeout -k 5 $((box + 10)) "$python" -m benchmarks gpu rates "$out/rates.json" "$work/timing" \
  --after "$out/sky.json" --readers "$readers" --seconds "$box" $tiny
if [ -n "$real" ]; then
  bench train "$out/tune.json" --seconds $tune --config "$real/config.yaml" --config \
    "{results_dir: $real/results, model: {weights: $real/weights.safetensors},
      train: {gpus: $gpus, epochs: $tune_epochs}}"
fi
if [ -e "$out/sky.json" ]; then
  bench train "$out/million.json" "${demo[@]}" --seconds "$(left 20)"
fi
tail -n 3 "$work/sky.log"
bench table "$out"
