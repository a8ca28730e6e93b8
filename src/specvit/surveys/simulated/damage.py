"""What goes wrong on a real server: pages under a FITS name, files cut off, files mixed up."""

from __future__ import annotations

WEB_PAGE = (
    b"<!DOCTYPE html>\n<html><head><title>503 Service Unavailable (simulated)</title></head>"
    b"<body><h1>Service Unavailable</h1></body></html>\n"
)
KINDS = ("cut", "page", "swapped")


def kind_of(number: int) -> str:
    """Return the damage of the n-th corrupt file: the kinds take turns."""
    return KINDS[number % len(KINDS)]


def cut_off(data: bytes, number: int) -> bytes:
    """Keep a part of a file, as a broken connection does: between a tenth and nine tenths."""
    return data[: len(data) * (1 + number * 7 % 9) // 10]
