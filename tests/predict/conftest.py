from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import small_model

from spectrum_files import galaxy_flux, sdss_file


@pytest.fixture(scope="session")
def bare_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder without calibration; tests must not change it."""
    return small_model.save_small(tmp_path_factory.mktemp("bare") / "vit")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder with a calibration; tests must not change it."""
    folder = small_model.save_small(tmp_path_factory.mktemp("calibrated") / "vit")
    small_model.calibrate(folder, small_model.CALIBRATION)
    return folder


@pytest.fixture
def spectra(tmp_path: Path) -> Path:
    """A folder of five SDSS files of galaxies, the last of noise."""
    folder = tmp_path / "spectra"
    folder.mkdir()
    for number in range(4):
        (folder / f"spec-{number}.fits").write_bytes(sdss_file(galaxy_flux(0.05 * number + 0.05)))
    noise = np.random.default_rng(0).normal(size=3840).astype(np.float32)
    (folder / "spec-4.fits").write_bytes(sdss_file(noise, ivar=1.0))
    return folder
