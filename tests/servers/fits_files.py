"""Small but valid survey files, each with its own identity and its own bytes."""

from __future__ import annotations

import gzip
import random
import struct

BLOCK = 2880
PIXELS = 24


def _card(key: str, value: object) -> bytes:
    text = f"'{value:<8}'" if isinstance(value, str) else str(value)
    if isinstance(value, bool):
        text = "T" if value else "F"
    return f"{key:<8}= {text:>20}".ljust(80).encode("ascii")


def _header(*cards: tuple[str, object]) -> bytes:
    text = b"".join(_card(key, value) for key, value in cards) + b"END".ljust(80)
    return text.ljust(-(-len(text) // BLOCK) * BLOCK)


def _padded(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // BLOCK) * BLOCK, b"\0")


def _floats(count: int, seed: str) -> list[float]:
    generator = random.Random(seed)
    return [generator.uniform(0.5, 2.0) for _ in range(count)]


def _table(columns: list[tuple[str, str]], rows: int, data: bytes) -> bytes:
    fields = [
        card
        for number, (name, form) in enumerate(columns, 1)
        for card in ((f"TTYPE{number}", name), (f"TFORM{number}", form))
    ]
    header = _header(
        ("XTENSION", "BINTABLE"),
        ("BITPIX", 8),
        ("NAXIS", 2),
        ("NAXIS1", len(data) // rows),
        ("NAXIS2", rows),
        ("PCOUNT", 0),
        ("GCOUNT", 1),
        ("TFIELDS", len(columns)),
        *fields,
    )
    return header + _padded(data)


def _coadd(seed: str, pixels: int) -> bytes:
    rows = b"".join(
        struct.pack(">fffi", flux, 3.58 + 1e-4 * index, 1.0, 0)
        for index, flux in enumerate(_floats(pixels, seed))
    )
    columns = [("flux", "E"), ("loglam", "E"), ("ivar", "E"), ("and_mask", "J")]
    return _table(columns, pixels, rows)


def sdss_file(plate: int, mjd: int, fiber: int, pixels: int = PIXELS) -> bytes:
    """A lite file of SDSS DR17: identity in the primary header, then the coadd."""
    primary = _header(
        ("SIMPLE", True),
        ("BITPIX", 8),
        ("NAXIS", 0),
        ("PLATEID", plate),
        ("MJD", mjd),
        ("FIBERID", fiber),
    )
    return primary + _coadd(f"{plate}-{mjd}-{fiber}", pixels)


def plate_file(plate: int, mjd: int, fibers: int = 640, pixels: int = PIXELS) -> bytes:
    """An spPlate file, whose rows are the spectra of `sdss_file`; six images as in real ones."""
    flux = b"".join(
        struct.pack(f">{pixels}f", *_floats(pixels, f"{plate}-{mjd}-{fiber}"))
        for fiber in range(1, fibers + 1)
    )
    ones = struct.pack(">f", 1.0) * (fibers * pixels)
    size = [("NAXIS", 2), ("NAXIS1", pixels), ("NAXIS2", fibers)]
    named = [("PLATEID", plate), ("MJD", mjd), ("COEFF0", 3.58), ("COEFF1", 1e-4)]
    first = _header(("SIMPLE", True), ("BITPIX", -32), *size, *named) + _padded(flux)
    behind = [(-32, ones), (32, bytes(len(flux))), (32, bytes(len(flux))), (-32, ones), (-32, ones)]
    return first + b"".join(
        _header(("XTENSION", "IMAGE"), ("BITPIX", bits), *size, ("PCOUNT", 0), ("GCOUNT", 1))
        + _padded(data)
        for bits, data in behind
    )


def sdss5_file(field: int, mjd: int, catalogid: int, pixels: int = PIXELS) -> bytes:
    """A lite file of SDSS DR19: identity in the catalogue row behind the coadd."""
    primary = _header(("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0))
    row = struct.pack(">iiq", field, mjd, catalogid)
    columns = [("FIELD", "J"), ("MJD", "J"), ("CATALOGID", "K")]
    return primary + _coadd(f"{field}-{mjd}-{catalogid}", pixels) + _table(columns, 1, row)


def lamost_file(obsid: int, pixels: int = PIXELS) -> bytes:
    """A gzipped file in LAMOST's image layout, as the server sends it."""
    header = _header(
        ("SIMPLE", True),
        ("BITPIX", -32),
        ("NAXIS", 2),
        ("NAXIS1", pixels),
        ("NAXIS2", 5),
        ("OBSID", obsid),
        ("COEFF0", 3.5682),
        ("COEFF1", 1e-4),
    )
    values = _floats(5 * pixels, str(obsid))
    return gzip.compress(header + _padded(struct.pack(f">{len(values)}f", *values)), 1, mtime=0)
