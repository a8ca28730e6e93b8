"""The strong lines that a figure marks, vacuum wavelengths (A)."""

from __future__ import annotations

from specvit.surveys.simulated.lines import LINE

EMISSION = (
    ("Lyα", LINE["Ly_alpha"]),
    ("C IV", LINE["C_IV 1549"]),
    ("C III]", LINE["C_III] 1908"]),
    ("Mg II", LINE["Mg_II 2799"]),
    ("[O II]", (LINE["[O_II] 3725"] + LINE["[O_II] 3727"]) / 2),
    ("Hδ", LINE["H_delta"]),
    ("Hγ", LINE["H_gamma"]),
    ("Hβ", LINE["H_beta"]),
    ("[O III]", LINE["[O_III] 5007"]),
    ("Hα", LINE["H_alpha"]),
    ("[S II]", (LINE["[S_II] 6716"] + LINE["[S_II] 6730"]) / 2),
)
ABSORPTION = (
    ("Ca K", 3934.78),
    ("Ca H", 3969.59),
    ("G", 4305.61),
    ("Mg b", 5176.7),
    ("Na D", 5895.6),
    ("Ca II", 8544.44),
)
"""As SDSS lists them (its table of common spectral lines)."""
STRONG = tuple(sorted((*EMISSION, *ABSORPTION), key=lambda line: line[1]))


def lines_between(low: float, high: float, z: float) -> list[tuple[str, float]]:
    """Names and observed wavelengths (A) of the strong lines that a redshift puts in a range."""
    moved = ((name, wave * (1 + z)) for name, wave in STRONG)
    return [(name, wave) for name, wave in moved if low <= wave < high]
