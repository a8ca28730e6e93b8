"""Flux to features: each spectrum alone first, then what the train split alone decides."""

from __future__ import annotations

import numpy as np
from made_flux import make
from sklearn.decomposition import PCA

from specvit.baselines.features import fill_gaps, fit_features, normalise, transform

NAN = np.nan


def test_gaps_are_interpolated_and_ends_take_the_nearest_pixel():
    flux = np.array([[NAN, 1, NAN, NAN, 4, NAN], [NAN] * 6], dtype=np.float16)
    np.testing.assert_array_equal(fill_gaps(flux), [[1, 1, 2, 3, 4, 4], [0] * 6])


def test_the_brightness_of_a_spectrum_says_nothing():
    _, flux = make(6, seed=1)
    flux = flux.astype(np.float32)
    np.testing.assert_allclose(normalise(flux), normalise(1000 * flux), rtol=1e-5)
    by_hand = np.arcsinh(fill_gaps(flux)[0] / np.median(np.abs(fill_gaps(flux)[0])))
    np.testing.assert_allclose(normalise(flux)[0], by_hand, rtol=1e-6)


def test_a_spectrum_without_light_stays_finite():
    assert np.all(normalise(np.zeros((1, 5), np.float16)) == 0)


def test_components_are_those_of_an_exact_pca_of_the_train_split():
    _, train = make(120, seed=1)
    _, other = make(30, seed=2)
    features = fit_features(train, 5, seed=0)
    data = normalise(train).astype(np.float64)
    scaled = (data - data.mean(axis=0)) / data.std(axis=0)
    exact = PCA(5, svd_solver="full").fit(scaled)
    seen = (normalise(other) - data.mean(axis=0)) / data.std(axis=0)
    expected, found = exact.transform(seen), transform(features, other)
    sign = np.sign((features["pca"].components_ * exact.components_).sum(axis=1))
    np.testing.assert_allclose(found * sign, expected, atol=2e-3 * np.abs(expected).max())
    np.testing.assert_allclose(
        features["pca"].explained_variance_, exact.explained_variance_, rtol=1e-3
    )


def test_there_are_never_more_components_than_spectra():
    _, flux = make(7, seed=1)
    assert transform(fit_features(flux, 64, seed=0), flux).shape == (7, 7)
