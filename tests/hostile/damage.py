"""What became of a damaged file, to be counted over a long run."""

from __future__ import annotations

from collections.abc import Callable

REFUSED = "refused in words"
COMPARED = "read, and equal to what astropy reads"
ALONE = "read where astropy, which looks at every card, refuses"
UNCOMPARED = "read, and not for astropy"
Became = Callable[[str], None]
