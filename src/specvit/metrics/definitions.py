"""Every metric by name: what it is called in print, which way is better, how it is shown."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from specvit.tasks import NONE


@dataclass(frozen=True)
class Metric:
    """How people see a metric; how it is computed is said where it is computed."""

    title: str
    latex: str
    better: Literal["higher", "lower", "zero", "nominal"]
    meaning: str
    style: Literal["fixed", "milli", "significant"] = "fixed"
    """In print: four decimals; thousandths with three digits; or three digits."""


SCORED: dict[str, Metric] = {
    # classification
    "accuracy": Metric("Accuracy", "Accuracy", "higher", "share of right answers"),
    "balanced_accuracy": Metric(
        "Balanced accuracy", "Balanced acc.", "higher", "mean recall over the classes"
    ),
    "macro_f1": Metric(
        "Macro F1", "Macro $F_1$", "higher", "mean over the classes of the F1 score"
    ),
    "ece": Metric(
        "ECE",
        "ECE",
        "lower",
        "expected calibration error, 15 bins (Guo et al. 2017); value and interval less the bias "
        "that noise in the bins gives them, estimated by the bootstrap",
    ),
    "nll": Metric("Log loss", "Log loss", "lower", "mean of −ln p of the true class, in nats"),
    "brier": Metric(
        "Brier score", "Brier", "lower", "squared error of the probabilities (Brier 1950)"
    ),
    "anything_purity": Metric(
        "Purity of anything",
        "Purity",
        "higher",
        "of the spectra said to show an object, whichever, the share that do (are not NONE)",
    ),
    "anything_completeness": Metric(
        "Completeness of anything",
        "Completeness",
        "higher",
        "of the spectra that show an object, whichever, the share said to",
    ),
    # redshift
    "success": Metric(
        "Success rate",
        "Success",
        "higher",
        "|c Δz| < 1000 km/s, quasars 3000 km/s (Ross et al. 2020)",
    ),
    "sigma_nmad": Metric(
        "σ_NMAD [10⁻³]",
        r"$\sigma_\mathrm{NMAD}$ [$10^{-3}$]",
        "lower",
        "1.4826 median |Δz − median Δz| with Δz = (z_pred − z) / (1 + z)",
        "milli",
    ),
    "outlier_0.005": Metric(
        "|Δz| > 0.005", r"$\eta_{0.005}$", "lower", "share of outliers beyond 0.005"
    ),
    "outlier_0.05": Metric(
        "|Δz| > 0.05", r"$\eta_{0.05}$", "lower", "share of outliers beyond 0.05"
    ),
    "outlier_0.15": Metric(
        "|Δz| > 0.15", r"$\eta_{0.15}$", "lower", "share of outliers beyond 0.15"
    ),
    "bias": Metric(
        "Bias [10⁻³]", r"$\langle\Delta z\rangle$ [$10^{-3}$]", "zero", "mean of Δz", "milli"
    ),
    "median_bias": Metric(
        "Median bias [10⁻³]", r"med $\Delta z$ [$10^{-3}$]", "zero", "median of Δz", "milli"
    ),
    # another number
    "scatter_nmad": Metric(
        "Scatter",
        "Scatter",
        "lower",
        "1.4826 times the median absolute deviation of the error",
        "significant",
    ),
    "mae": Metric("MAE", "MAE", "lower", "mean absolute error", "significant"),
    "rmse": Metric("RMSE", "RMSE", "lower", "root mean square error", "significant"),
    "mean_error": Metric(
        "Mean error", "Mean error", "zero", "mean of predicted minus true", "significant"
    ),
    "median_error": Metric(
        "Median error", "Median error", "zero", "median of predicted minus true", "significant"
    ),
    # redshift and other numbers
    "coverage_68": Metric(
        "68 % coverage", r"68\,\% cov.", "nominal", "share of truths inside the 68 % interval"
    ),
    "r2": Metric("R²", "$R^2$", "higher", "1 − squared error / variance of the truth"),
}

# What is fitted or derived, and not scored under resampling.
DERIVED: dict[str, Metric] = {
    "temperature": Metric("Temperature", "Temperature", "nominal", "fitted on val; 1: calibrated"),
    "interval_factor": Metric(
        "Interval factor", "Factor", "nominal", "fitted on val; 1: calibrated"
    ),
    "pit_ks": Metric(
        "PIT distance", "PIT dist.", "lower", "Kolmogorov-Smirnov distance of PIT from uniform"
    ),
    "risk": Metric("Failures of all", "Failures", "lower", "share of failures among all spectra"),
    "aurc": Metric("AURC", "AURC", "lower", "mean risk over all coverages (Geifman et al. 2019)"),
    "refused_at_target": Metric(
        "Refused", "Refused", "lower", "share below the confidence that reached the target on val"
    ),
    "risk_at_target": Metric(
        "Failures of the rest", "Failures of rest", "lower", "share of failures among the accepted"
    ),
}
METRICS = {**SCORED, **DERIVED}
# Shares of spectra: where all or none count, the exact binomial law gives the interval.
SHARES = ("accuracy", "success", "outlier_0.005", "outlier_0.05", "outlier_0.15", "coverage_68")

# What a reader looks at first, by kind of task; R2 last, since it hides failures.
HEADLINE: dict[str, tuple[str, ...]] = {
    "classification": ("accuracy", "balanced_accuracy", "macro_f1", "ece"),
    "redshift": (
        "success",
        "sigma_nmad",
        "outlier_0.005",
        "outlier_0.05",
        "outlier_0.15",
        "bias",
        "coverage_68",
        "r2",
    ),
    "regression": ("scatter_nmad", "mae", "rmse", "mean_error", "coverage_68", "r2"),
}
ANYTHING = ("anything_purity", "anything_completeness")


def headline(kind: str, labels: Collection[str] = ()) -> tuple[str, ...]:
    """The headline metrics of a task with these labels: with NONE, whether anything is there."""
    return HEADLINE[kind] + ANYTHING * (NONE in labels)


# The one number by which models are ranked.
RANKING: dict[str, str] = {
    "classification": "accuracy",
    "redshift": "success",
    "regression": "scatter_nmad",
}
# What is compared between models inside groups.
COMPARED: dict[str, tuple[str, ...]] = {
    "classification": ("accuracy",),
    "redshift": ("success", "sigma_nmad", "outlier_0.05"),
    "regression": ("scatter_nmad", "rmse"),
}


def improvement(metric: str, difference: float) -> int:
    """1 where a value higher by `difference` is better, -1 where it is worse, 0 where equal.

    Raises ValueError for metrics that have a nominal value (bias, coverage).
    """
    better = METRICS[metric].better
    if better not in ("higher", "lower"):
        raise ValueError(f"{metric} has no better direction")
    sign = (difference > 0) - (difference < 0)
    return sign if better == "higher" else -sign


def shown(metric: str, value: float | None, decimals: int | None = None) -> str:
    """The value as it stands in tables and sentences; an en dash where there is none.

    `decimals` overrides how many are shown: an error bar takes those of its value.
    """
    if value is None:
        return "–"
    scaled = value * 1000 if METRICS[metric].style == "milli" else value
    if decimals is None:
        decimals = decimals_of(metric, value)
    return f"{scaled:.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def decimals_between(metric: str, value: float, low: float | None, high: float | None) -> int:
    """Decimals of a value that its interval supports; `decimals_of` where there is no interval.

    Half the interval is given one or two significant digits by the rule of the Particle Data Group
    (Review of Particle Physics 2022, 5.3): two where it begins with 100 to 354, else one.
    """
    width = 0.0 if low is None or high is None else (high - low) / 2
    if METRICS[metric].style == "milli":
        width *= 1000
    if not width > 0:
        return decimals_of(metric, value)
    power = math.floor(math.log10(width))
    lead = round(width / 10.0 ** (power - 2))  # the first three digits
    digits = 2 if lead <= 354 else 1
    return max(0, digits - 1 - power)


def decimals_of(metric: str, value: float) -> int:
    """Decimals with which a value is shown: four, or what makes three significant digits."""
    style = METRICS[metric].style
    if style == "fixed":
        return 4 if abs(value) < 100 else 0
    scaled = abs(value * 1000 if style == "milli" else value)
    return 0 if scaled == 0 else max(0, 2 - math.floor(math.log10(scaled)))
