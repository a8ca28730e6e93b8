"""Chi-square of spectra against eigen-templates at every redshift of a class, by Fourier transform.

On a grid even in ln(wavelength) a redshift is a shift of s = ln(1+z) / step pixels. With good
pixels g (n, pixels), weights w and templates T at shift s, the best linear combination lowers
chi-square by c' A^-1 c, where c = T(g w f) and A = T diag(g w) T'; c and A at all shifts are
correlations.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import fft

RIDGE = 1e-6
"""Added to the normal matrix (templates are orthonormal): two templates may agree in a window."""
KEPT = 16  # masks whose normal matrices are kept: most spectra of a survey share a few

Array = NDArray[np.float64]


@dataclass
class Correlator:
    """Eigen-templates of one class and the shifts at which they are compared."""

    label: str
    last: int
    """Shift of the first window: window t is the shift last - t, in pixels."""
    templates: Array
    """(k, length); a window of `pixels` starts at each t from 0 to length - pixels."""
    weight: Array
    """(pixels,) weight of each pixel in chi-square."""
    _inverses: OrderedDict[bytes, Array] = field(default_factory=OrderedDict, repr=False)

    def __post_init__(self) -> None:
        k, length = self.templates.shape
        self.windows = length - len(self.weight) + 1
        self._size = fft.next_fast_len(length, real=True)
        self._single = fft.rfft(self.templates, self._size)
        self._pair = [(i, j) for i in range(k) for j in range(i, k)]
        products = np.array([self.templates[i] * self.templates[j] for i, j in self._pair])
        self._double = fft.rfft(products, self._size)

    @property
    def shifts(self) -> NDArray[np.intp]:
        """Shift of each window, (windows,), falling."""
        return self.last - np.arange(self.windows)

    def chi_square(self, flux: Array, good: NDArray[np.bool_]) -> Array:
        """Chi-square at each window, (n, windows), of flux and good pixels (n, pixels)."""
        weighted = np.where(good, flux, 0) * self.weight
        total = (weighted * flux).sum(axis=1)
        out = np.empty((len(flux), self.windows))
        for row in range(len(flux)):
            transform = np.conj(fft.rfft(weighted[row], self._size))
            c = fft.irfft(self._single * transform, self._size)[:, : self.windows]
            whitened = np.einsum("tkl,lt->tk", self._inverse_root(good[row]), c)
            out[row] = total[row] - np.einsum("tk,tk->t", whitened, whitened)
        return np.maximum(out, 0)

    def _inverse_root(self, good: NDArray[np.bool_]) -> Array:
        """Inverse Cholesky factor of the normal matrix of each window, (windows, k, k)."""
        key = np.packbits(good).tobytes()
        if key in self._inverses:
            self._inverses.move_to_end(key)
            return self._inverses[key]
        k = len(self.templates)
        transform = np.conj(fft.rfft(self.weight * good, self._size))
        found = fft.irfft(self._double * transform, self._size)[:, : self.windows]
        normal = np.empty((self.windows, k, k))
        for (i, j), values in zip(self._pair, found, strict=True):
            normal[:, i, j] = normal[:, j, i] = values
        normal += RIDGE * np.eye(k)
        root = np.asarray(np.linalg.inv(np.linalg.cholesky(normal)), np.float64)
        self._inverses[key] = root
        if len(self._inverses) > KEPT:
            self._inverses.popitem(last=False)
        return root


def refine(chi: Array) -> Array:
    """Position of the lowest value of each row (n, windows), between cells by a parabola."""
    at = chi.argmin(axis=1)
    row = np.arange(len(chi))
    inner = np.clip(at, 1, chi.shape[1] - 2)
    left, middle, right = (chi[row, inner + d] for d in (-1, 0, 1))
    bend = left - 2 * middle + right
    offset = np.divide(left - right, 2 * bend, out=np.zeros(len(chi)), where=bend > 0)
    return np.asarray(np.where(at == inner, at + np.clip(offset, -0.5, 0.5), at), np.float64)
