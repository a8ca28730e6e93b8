"""The figures of benchmarks/gpu.sh as Markdown."""

from __future__ import annotations

from typing import Any

GOALS = "Goals: MFU 0.45 from shards at batch 256 and more, 0.97 of from memory, under 2 % waiting."


def as_markdown(parts: dict[str, Any]) -> str:
    """Tables and sentences of the parts that there are."""
    writers = {"rates": _rates, "tune": _tune, "sky": _sky, "million": _million}
    lines: list[str] = []
    for name, write in writers.items():
        lines += write(parts[name]) if name in parts else [f"Part `{name}` gave nothing.", ""]
    return "\n".join(lines)


def _rates(found: dict[str, Any]) -> list[str]:
    machine, rows = found["machine"], found["rows"]
    device = rows[0]["device"] if rows else "no card"
    lines = [f"Card: {device}; {machine['cores']} cores of {machine['processor']}; "
             f"torch {machine['torch']}."]  # fmt: skip
    if rows:
        lines.append(f"MFU against {rows[0]['peak_flops'] / 1e12:.1f} TFLOP/s: "
                     f"{rows[0]['peak_source']}.")  # fmt: skip
    if "matmul_flops" in machine:
        rate = machine["matmul_flops"] / 1e12
        lines.append(f"A bfloat16 product of 8192 x 8192 runs at {rate:.0f} TFLOP/s here.")
    lines += ["", GOALS, "", *_table(rows), ""]
    if not found.get("quiet_while_from_shards", True):
        lines += ["Other work ran beside the blocks from shards.", ""]
    if found["left_out"]:
        lines += ["Not measured:", ""]
        lines += [f"- {one['case']}, {one['part']}: {one['why']}" for one in found["left_out"]]
        lines.append("")
    for one in found["readers"]:
        lines.append(f"- {one['readers']} reader(s) alone, {one['mode']}: "
                     f"{one['pictures_per_s']:,.0f} pictures/s")  # fmt: skip
    for one in found["variants"]:
        lines.append(f"- {one['case']} with {one['variant']}: {one['changed']:,.0f} pictures/s, "
                     f"without {one['plain']:,.0f}")  # fmt: skip
    for name, profile in found["profiles"].items():
        lines += ["", f"{name}: {profile['kernel_ms_a_step']} ms of kernels a step; waits for the "
                  f"card: {profile['waits_for_the_card'] or 'none'}", ""]  # fmt: skip
        lines += [f"- {k['ms_a_step']:.3f} ms ({k['calls_a_step']:g}): `{k['name']}`"
                  for k in profile["kernels"][:8]]  # fmt: skip
    return [*lines, ""]


def _table(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| ViT | plots | batch | | from memory, pictures/s | MFU | from shards, pictures/s | MFU "
        "| of memory | waiting | memory, GB | first steps, s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        kind = "compiled" if row["compiled"] else "eager"
        memory, shards = row["memory"], row.get("shards")
        cells = [row["backbone"], row["mode"], row["batch"], kind]
        cells += [f"{memory['pictures_per_s']:,.0f}", f"{memory['mfu']:.3f}"]
        if shards is None:
            cells += ["", "", "", ""]
        else:
            cells += [f"{shards['pictures_per_s']:,.0f}", f"{shards['mfu']:.3f}"]
            cells += [f"{row['of_memory']:.3f}", f"{shards['data_wait']:.1%}"]
        cells += [f"{row['peak_memory_mb'] / 1000:.1f}", f"{row['first_steps_s']:.1f}"]
        lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    return lines


def _tune(found: dict[str, Any]) -> list[str]:
    return ["Fine-tuning on real spectra:", "", *_training(found), ""]


def _million(found: dict[str, Any]) -> list[str]:
    return ["The demo's network on simulated spectra:", "", *_training(found), ""]


def _training(found: dict[str, Any]) -> list[str]:
    lines = [f"- command: {found['wall_s']} s, exit code {found['exit_code']}, "
             f"{len(found['epochs'])} epochs"]  # fmt: skip
    if "best" in found:
        best = found["best"]
        kept = ("class_accuracy", "redshift_nmad", "redshift_outlier_fraction", "relative_loss")
        shown = ", ".join(f"{key} {best[key]:.4g}" for key in kept if best.get(key) is not None)
        lines.append(f"- best epoch {best['epoch']} after {found['seconds_to_best']:.1f} s: "
                     f"validation {shown}")  # fmt: skip
    if "summary" in found:
        told = found["summary"]
        pictures = told["samples"]["train"] * len(found["epochs"])
        lines.append(f"- {told['samples']['train']:,} train and {told['samples']['val']:,} "
                     f"validation spectra, {pictures:,} pictures in {told['steps']:,} steps: "
                     f"{told['pictures_per_s']:,.0f} pictures/s, waiting {told['data_wait']:.1%}, "
                     f"training {told['training_seconds']} of {told['seconds']} s")  # fmt: skip
    return lines


def _sky(found: dict[str, Any]) -> list[str]:
    rate = 1000 * found["processor_seconds"] / max(found["spectra"], 1)
    return [f"Simulated and drawn: {found['spectra']:,} spectra by {found['processes']} processes "
            f"in {found['seconds']} s, {rate:.1f} ms of a processor each.", ""]  # fmt: skip
