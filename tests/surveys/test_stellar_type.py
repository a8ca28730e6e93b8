"""Spectral type from a star's subclass, as SDSS and LAMOST write it."""

from __future__ import annotations

import numpy as np
import pytest

from specvit.surveys.catalogue import UNKNOWN, labelled, stellar_type
from specvit.tasks import CLASSES, STELLAR_TYPES


@pytest.mark.parametrize(
    ("subclass", "expected"),
    [
        # SDSS, idlspec2d templates of DR8 to DR17
        ("O", "O"),
        ("B6", "B"),
        ("A0", "A"),
        ("A0p", "A"),
        ("F5", "F"),
        ("G2", "G"),
        ("K3", "K"),
        ("M3", "M"),
        ("M0V", "M"),
        ("OB", None),
        ("L1", None),
        ("T2", None),
        ("WD", None),
        ("WDmagnetic", None),
        ("CV", None),
        ("Carbon", None),
        ("Carbon_lines", None),
        ("CalciumWD", None),
        ("Ldwarf", None),
        # SDSS, templates that are stars of the ELODIE and MILES libraries
        ("B0.5Ibe... (187459)", "B"),
        ("O8/O9 (167771)", "O"),
        ("G5/G6IVw (26297)", "G"),
        ("Am (78362)", "A"),
        ("K5 (G_19-24)", "K"),
        ("sd:F0 (G_84-29)", "F"),
        ("sdF3 (140283)", "F"),
        ("F9IV (136064)", "F"),
        # LAMOST
        ("G7", "G"),
        ("A6IV", "A"),
        ("A7III", "A"),
        ("dM2", "M"),
        ("gM1", "M"),
        ("sdM1", "M"),
        ("esdM3", "M"),
        ("usdM0", "M"),
        ("DoubleStar", None),
        ("EM", None),
        ("Non", None),
        ("", None),
        ("  F9 ", "F"),
    ],
)
def test_stellar_type(subclass: str, expected: str | None) -> None:
    assert stellar_type(subclass) == expected


def test_only_stars_have_a_stellar_type() -> None:
    classes = np.array([b"STAR", b"GALAXY", b"QSO", b"Unknown", b"STAR"])
    subclasses = np.array([b"F5", b"F5", b"A0", b"G2", b"Non"])
    columns = labelled({}, classes, subclasses)
    assert columns["class"].tolist() == [
        CLASSES.index("STAR"),
        CLASSES.index("GALAXY"),
        CLASSES.index("QSO"),
        UNKNOWN,
        CLASSES.index("STAR"),
    ]
    assert columns["stellar_type"].tolist() == [STELLAR_TYPES.index("F"), *[UNKNOWN] * 4]
    assert columns["subclass"].tolist() == [b"F5", b"F5", b"A0", b"G2", b""]
