"""What accidents and enemies do to files: each mutator takes a generator of numbers and bytes."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Callable

BLOCK, CARD = 2880, 80
Mutator = Callable[[random.Random, bytes], bytes]

# Values that a card may be given: of wrong kind, too large, negative, half, not ASCII, or legal.
VALUES = [
    *("0", "1", "2", "3", "-1", "-5", "999", "1000", "65536", "2147483648", "-2147483648"),
    *map(str, (10**16, 2**40, 2**63, 2**64, 10**30)),
    *("NaN", "INF", "-inf", "1E400", "1D5", "1.5", "-0.0", "1_0", "T", "F", "(1,2)", "0x10"),
    *(
        "''",
        "'",
        "'abc",
        "'a''b'",
        "'BINTABLE'",
        "'IMAGE'",
        "'TABLE'",
        "/",
        "/ 7",
        "7/8",
        "é",
        "±1",
    ),
    *("'E'", "'D'", "'0E'", "'1E'", "'2E'", "'-1E'", "'1000000000E'", "'99999999999999999999D'"),
    *("'1PE(5)'", "'QD'", "'1PJ()'", "'PA'", "'X'", "'11X'", "'L'", "'C'", "'M'", "'Z'", "'e'"),
    *("'A'", "'21A'", "'0A'", "'9999999999A'", "'K'", "'I'", "'J'", "'B'", "'(2,2)'", "'(0)'"),
    *("'flux'", "'FLUX'", "'loglam'", "'IVAR'", "'\xe9t\xe9'", "'-9999'", "-9999", "-9999.0"),
]
# Keywords that decide where data lie and what they mean.
KEYS = [
    *("SIMPLE", "XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "PCOUNT", "GCOUNT"),
    *("TFIELDS", "THEAP", "GROUPS", "EXTEND", "BSCALE", "BZERO", "BLANK", "COEFF0", "COEFF1"),
    *("ZIMAGE", "ZTABLE", "ZCMPTYPE", "ZBITPIX", "ZNAXIS", "INHERIT", "EXTNAME", "CONTINUE"),
    *("OBSID", "PLATEID", "MJD", "FIBERID", "SPEC_CLN", "HELIO", "VACUUM", "TELESCOP", "END"),
    *(f"{key}{n}" for n in (1, 2, 3) for key in ("TFORM", "TTYPE", "TSCAL", "TZERO", "TNULL")),
    *("TDIM1", "TDIM2", "TDISP1", "TFORM999", "TFORM1000", "NAXIS999", "HIERARCH A B"),
]


def headers(data: bytes) -> list[list[int]]:
    """Offsets of the cards of each header, END included."""
    found = []
    for start in range(0, len(data), BLOCK):
        if not data.startswith((b"SIMPLE  =", b"XTENSION="), start):
            continue
        cards = []
        for at in range(start, len(data) - CARD + 1, CARD):
            cards.append(at)
            if data.startswith(b"END     ", at):
                break
        if cards:
            found.append(cards)
    return found


def _card(rng: random.Random, data: bytes) -> int | None:
    """Offset of some card."""
    found = headers(data)
    return rng.choice(rng.choice(found)) if found else None


def _put(data: bytes, at: int, new: bytes, old: int | None = None) -> bytes:
    return data[:at] + new + data[at + (len(new) if old is None else old) :]


def _text(rng: random.Random, key: str) -> bytes:
    value = rng.choice(VALUES)
    # In its columns, one further (digits behind column 30), or at once.
    place = rng.choice(["{:>20}", "{:>21}", "{:>24}", "{}", "{:<20}"]).format(value)
    return f"{key:<8}= {place}".encode(rng.choice(["latin-1", "utf-8"]))[:CARD].ljust(CARD)


def flip_bits(rng: random.Random, data: bytes) -> bytes:
    """A few bits anywhere."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 20, 200])):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def flip_header(rng: random.Random, data: bytes) -> bytes:
    """A few bits of cards."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = _card(rng, data)
        if at is not None and at + CARD <= len(data):
            changed[at + rng.randrange(rng.choice([10, 31, 80]))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def write_bytes(rng: random.Random, data: bytes) -> bytes:
    """Other bytes in a stretch."""
    at = rng.randrange(len(data) + 1)
    size = rng.choice([1, 2, 4, 80, 2880])
    fill = rng.choice([b"\0", b"\xff", b" ", b"9", b"\xc3\xa9", rng.randbytes(7)])
    return _put(data, at, (fill * size)[:size])[: len(data)]


def cut(rng: random.Random, data: bytes) -> bytes:
    """The end is missing."""
    near = rng.choice([BLOCK, CARD, 1])
    return data[: rng.randrange(len(data) + 1) // near * near]


def leave_out(rng: random.Random, data: bytes) -> bytes:
    """Something in the middle is missing."""
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.choice([1, 4, CARD, BLOCK]) :]


def put_in(rng: random.Random, data: bytes) -> bytes:
    """Something is there that should not be."""
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice([1, 4, CARD, BLOCK])) + data[at:]


def append(rng: random.Random, data: bytes) -> bytes:
    """Something follows the end."""
    more = [b"\0" * BLOCK, b" " * BLOCK, rng.randbytes(100), data, b"XTENSION= 'BINTABLE'"]
    return data + rng.choice(more)


def swap_blocks(rng: random.Random, data: bytes) -> bytes:
    """Two blocks have changed places."""
    blocks = [data[at : at + BLOCK] for at in range(0, len(data), BLOCK)]
    if not blocks:
        return data
    i, j = rng.randrange(len(blocks)), rng.randrange(len(blocks))
    blocks[i], blocks[j] = blocks[j], blocks[i]
    return b"".join(blocks)


def set_value(rng: random.Random, data: bytes) -> bytes:
    """Give a card another value."""
    at = _card(rng, data)
    if at is None:
        return data
    key = data[at : at + 8].decode("latin-1")
    return _put(data, at, _text(rng, key))


def set_structure(rng: random.Random, data: bytes) -> bytes:
    """Give a card that decides where data lie another value."""
    keys = (b"NAXIS", b"BITPIX", b"PCOUNT", b"GCOUNT", b"TFIELDS", b"TFORM", b"SIMPLE", b"XTENS")
    places = [at for cards in headers(data) for at in cards if data.startswith(keys, at)]
    if not places:
        return data
    at = rng.choice(places)
    return _put(data, at, _text(rng, data[at : at + 8].decode("latin-1")))


def set_key(rng: random.Random, data: bytes) -> bytes:
    """Give a card another keyword, or the same in small letters."""
    at = _card(rng, data)
    if at is None:
        return data
    old = data[at : at + 8]
    new = rng.choice([rng.choice(KEYS).encode().ljust(8)[:8], old.lower(), b" " * 8, b"COMMENT "])
    return _put(data, at, new)


def add_card(rng: random.Random, data: bytes) -> bytes:
    """Put a card before another one, where the header has room for it."""
    found = headers(data)
    if not found:
        return data
    cards = rng.choice(found)
    at, behind = rng.choice(cards), cards[-1] + CARD
    text = data[cards[0] : at] + _text(rng, rng.choice(KEYS)) + data[at:behind]
    end = cards[0] + -(-(behind - cards[0]) // BLOCK) * BLOCK
    return data[: cards[0]] + text.ljust(-(-len(text) // BLOCK) * BLOCK) + data[end:]


def remove_card(rng: random.Random, data: bytes) -> bytes:
    """Take a card out."""
    found = headers(data)
    if not found:
        return data
    cards = rng.choice(found)
    at, behind = rng.choice(cards), cards[-1] + CARD
    return data[:at] + data[at + CARD : behind] + b" " * CARD + data[behind:]


def swap_cards(rng: random.Random, data: bytes) -> bytes:
    """Two cards have changed places."""
    a, b = _card(rng, data), _card(rng, data)
    if a is None or b is None:
        return data
    one, other = data[a : a + CARD], data[b : b + CARD]
    return _put(_put(data, a, other), b, one)


def other_letters(rng: random.Random, data: bytes) -> bytes:
    """A letter that is not ASCII, in a card."""
    at = _card(rng, data)
    if at is None:
        return data
    letter = rng.choice([b"\xe9", "é".encode(), b"\x00", b"\n", b"\x7f", "星".encode()])
    return _put(data, at + rng.randrange(CARD - len(letter)), letter)


def several(rng: random.Random, data: bytes) -> bytes:
    """More than one of them."""
    for mutator in rng.choices(FITS[:-1], k=rng.choice([2, 3])):
        data = mutator(rng, data)
    return data


def damage_gzip(rng: random.Random, data: bytes) -> bytes:
    """Packed, and then damaged."""
    packed, half = gzip.compress(data, 1, mtime=0), len(data) // 2
    two = [gzip.compress(data[:half], 1), gzip.compress(data[half:], 1)]
    kinds: list[Callable[[], bytes]] = [
        lambda: flip_bits(rng, packed),
        lambda: cut(rng, packed),
        lambda: packed + rng.randbytes(50),
        lambda: packed + packed,
        lambda: two[0] + two[1],
        lambda: two[0] + two[1][:-5],
        lambda: gzip.compress(packed, 1),
        lambda: packed[:-8] + bytes(8),
        lambda: packed[:2] + data,
        lambda: packed[:3] + rng.randbytes(60),
        lambda: zlib.compress(data),
    ]
    return rng.choice(kinds)()


def set_cell(rng: random.Random, data: bytes) -> bytes:
    """Give a cell of a table of text another value."""
    mark = b"|" if data.count(b"|") > data.count(b",") else b","
    lines = data.split(b"\n")
    row = rng.randrange(min(len(lines), rng.choice([1, 5, len(lines)])))
    cells = lines[row].split(mark)
    cells[rng.randrange(len(cells))] = rng.choice(CELLS)
    lines[row] = mark.join(cells)
    return b"\n".join(lines)


def change_lines(rng: random.Random, data: bytes) -> bytes:
    """Lines are missing, doubled, have other ends, or too many or too few cells."""
    lines = data.split(b"\n")
    row = rng.randrange(len(lines))
    line = lines[row]
    new = [[], [line, line], [line + b","], [line + b"|x"], [line[: len(line) // 2]], [b""]]
    lines[row : row + 1] = rng.choice([*new, [b"# " + line], [line * 1000], [b'"' + line]])
    return rng.choice([b"\n", b"\n", b"\r\n", b"\r"]).join(lines)


def recode(rng: random.Random, data: bytes) -> bytes:
    """Another encoding, or a byte order mark."""
    text = data.decode("latin-1")
    encoding = rng.choice(["utf-16", "utf-32", "utf-8-sig", "utf-7", "cp037"])
    return text.encode(encoding, "replace")


CELLS = [
    *(b"", b" ", b"-9999", b"-9999.0", b"nan", b"NaN", b"inf", b"-inf", b"1e999", b"null", b"NULL"),
    *(b"0", b"-1", b"1.5", str(2**63).encode(), str(10**30).encode(), b"9" * 5000, b"1_000"),
    *(
        b"STAR",
        b"Non",
        b"\xe9toile",
        "\u00e9toile".encode(),
        b'"',
        b'""',
        b'a"b',
        b'"a,b"',
        b"=1+1",
    ),
    *(b"obsid", b"z", b"Z", b"class", b"../../etc", b"a/b", b"\x00", b"0x10", b"1,2", b"1|2"),
]
TEXT: list[Mutator] = [set_cell, set_cell, set_cell, change_lines, change_lines, recode]
PLAIN: list[Mutator] = [flip_bits, write_bytes, cut, leave_out, put_in, append]
FITS: list[Mutator] = [
    *PLAIN,
    *(flip_header, swap_blocks, set_value, set_structure, set_structure, set_key, add_card),
    *(remove_card, swap_cards, other_letters, damage_gzip),
    several,
]
