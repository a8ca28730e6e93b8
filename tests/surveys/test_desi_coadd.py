"""DESI's coadds: cameras joined, masks, cut-outs, and the real files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from desi_files import arrays_of, coadd_file
from specvit.errors import SpectrumError
from specvit.predict.sources import count_of, items
from specvit.registry import survey_named
from specvit.spectrum import Spectrum
from specvit.surveys.files import FilesSettings
from specvit.surveys.files.catalogue import FilesCatalogue
from specvit.surveys.read import open_shared, read_identity, read_spectrum

TARGETS = (39627640566453451, 39627640566453452)  # one float apart: the same double


def naive(cameras: dict[str, dict[str, np.ndarray]]) -> dict[float, tuple[float, float]]:
    """Flux and ivar by wavelength in 0.1 A: one pixel after the other."""
    sums: dict[float, list[float]] = {}
    for camera in cameras.values():
        names = ("WAVELENGTH", "FLUX", "IVAR")
        masks = camera["MASK"].tolist() if "MASK" in camera else [0] * len(camera["FLUX"])
        for wave, flux, ivar, mask in zip(*(camera[n].tolist() for n in names), masks, strict=True):
            entry = sums.setdefault(round(wave * 10), [0.0, 0.0])
            if mask == 0 and ivar > 0 and math.isfinite(flux):
                entry[0] += flux * ivar
                entry[1] += ivar
    return {wave: (f / w if w else 0.0, w) for wave, (f, w) in sorted(sums.items())}


def check(spectrum: Spectrum, cameras: dict[str, dict[str, np.ndarray]]) -> None:
    wanted = naive(cameras)
    assert np.rint(spectrum.wavelength * 10).tolist() == list(wanted)
    flux, ivar = np.array(list(wanted.values())).T
    np.testing.assert_allclose(spectrum.flux, flux, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(spectrum.ivar, ivar, rtol=1e-5)
    assert (spectrum.good == (ivar > 0)).all()


def cut_of(path: Path, row: int) -> bytes:
    opened = survey_named("desi").open_shared(path)
    assert opened is not None
    with opened as many:
        return many.cut(row)


@pytest.mark.parametrize("compressed", [False, True])
def test_cameras_are_joined_as_pixel_by_pixel(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "coadd.fits"
    path.write_bytes(coadd_file(TARGETS, compressed=compressed))
    for row, target in enumerate(TARGETS):
        cut = cut_of(path, row)
        assert cut == cut_of(path, row)
        assert read_identity(cut) == ("desi", str(target))
        spectrum = read_spectrum(cut)
        check(spectrum, arrays_of(target))
        assert spectrum.header.ra == 150.0 + row
        assert not spectrum.good.all()  # masks and gaps were there to be seen
        with fits.open(path) as whole, fits.open(tmp_path / "cut.fits", "append") as one:
            one.extend(fits.HDUList.fromstring(cut))
            for name in ("B_FLUX", "Z_IVAR"):
                assert (one[name].data[0] == whole[name].data[row]).all()
            assert (one["R_MASK"].data[0].astype(np.uint32) == whole["R_MASK"].data[row]).all()
        (tmp_path / "cut.fits").unlink()


def test_a_file_of_one_spectrum_is_read_itself(tmp_path: Path) -> None:
    one = coadd_file(TARGETS[:1], compressed=True)
    check(read_spectrum(one), arrays_of(TARGETS[0]))
    nan = arrays_of(TARGETS[0])["R"]["FLUX"] * np.nan
    spectrum = read_spectrum(coadd_file(TARGETS[:1], over={"R_FLUX": nan[None]}))
    cameras = arrays_of(TARGETS[0])
    cameras["R"]["FLUX"] = nan
    check(spectrum, cameras)


@pytest.mark.parametrize(
    ("name", "image", "words"),
    [
        ("R_WAVELENGTH", 3640.3 + 0.8 * np.arange(60), "not of one even grid"),
        ("Z_WAVELENGTH", 3680 + np.arange(80), "not of one even grid"),
        ("Z_WAVELENGTH", np.full(80, 1e9), "far from that of the other cameras"),
        ("Z_WAVELENGTH", np.full(80, np.nan), "not finite"),
        ("B_WAVELENGTH", np.zeros(60), "not finite and rising"),
        ("B_IVAR", np.ones((1, 59)), "differ in length"),
        ("B_MASK", np.ones((1, 59), np.int32), "differ in length"),
        ("R_FLUX", None, "a DESI file without R_FLUX"),
    ],
)
def test_what_cannot_be_joined_is_refused(name: str, image: np.ndarray | None, words: str) -> None:
    with pytest.raises(SpectrumError, match=words):
        read_spectrum(coadd_file(TARGETS[:1], over={name: image}))


def test_many_spectra_are_never_read_as_one(tmp_path: Path) -> None:
    (tmp_path / "coadd.fits").write_bytes(coadd_file(TARGETS))
    with pytest.raises(SpectrumError, match=r"DESI file of 2 spectra: .* `specvit predict`"):
        read_spectrum((tmp_path / "coadd.fits").read_bytes())
    catalogue = FilesCatalogue(tmp_path, FilesSettings(base_url=f"file://{tmp_path}"))
    assert list(catalogue.pieces()) == []
    assert [path for path, _ in catalogue.refused] == ["coadd.fits"]


def test_predict_takes_every_row_of_a_coadd(tmp_path: Path) -> None:
    path = tmp_path / "coadd.fits"
    path.write_bytes(coadd_file(TARGETS))
    found = list(items([path, tmp_path]))
    assert [item.name for item in found] == [f"{path}/{target}" for target in TARGETS] * 2
    assert read_spectrum(found[1].data or b"").header.identity == str(TARGETS[1])
    assert count_of([str(path)]) is None
    # Rows whose pixels are gone, and a table that says otherwise than the images.
    path.write_bytes(path.read_bytes()[:20_000])
    assert all(item.reason for item in items([path]))
    path.write_bytes(coadd_file(TARGETS, over={"Z_FLUX": np.ones((3, 80), np.float32)}))
    (item,) = items([path])
    assert item.reason is not None
    assert "Z_FLUX has the shape" in item.reason


def test_other_files_are_not_taken_for_coadds(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    for data in (b"", b"x" * 9000, b"SIMPLE  =" + b" " * 9000, coadd_file(TARGETS)[:2880]):
        path.write_bytes(data)
        assert open_shared(path) is None
    assert open_shared(tmp_path) is None


def cameras_in(path: Path, row: int) -> dict[str, dict[str, np.ndarray]]:
    with fits.open(path) as hdus:
        names = {hdu.name for hdu in hdus}
        return {
            camera: {
                "WAVELENGTH": hdus[f"{camera}_WAVELENGTH"].data,
                **{
                    part: hdus[f"{camera}_{part}"].data[row]
                    for part in ("FLUX", "IVAR", "MASK")
                    if f"{camera}_{part}" in names
                },
            }
            for camera in "BRZ"
        }


@pytest.mark.parametrize("name", ["special-dark-27247", "4-80613-thru20210324"])
def test_real_coadds_and_their_cut_outs(real_desi: Path, name: str) -> None:
    path = real_desi / f"coadd-{name}.fits"
    spectrum = read_spectrum(path.read_bytes())
    assert len(spectrum.flux) == 7781
    check(spectrum, cameras_in(path, 0))
    again = read_spectrum(cut_of(path, 0))
    assert again.header == spectrum.header
    assert (again.flux == spectrum.flux).all()
    assert (again.ivar == spectrum.ivar).all()
    target = fits.getdata(real_desi / f"redrock-{name}.fits", "REDSHIFTS")["TARGETID"][0]
    assert spectrum.header.identity == str(target)
    assert [item.name for item in items([path])] == [str(path)]


def test_lines_of_a_real_galaxy_are_in_vacuum(real_desi: Path) -> None:
    """H alpha where redrock's redshift puts it in vacuum: 1.8 A x (1 + z) off, were it in air."""
    name = "special-dark-27247"
    z = float(fits.getdata(real_desi / f"redrock-{name}.fits", "REDSHIFTS")["Z"][0])
    spectrum = read_spectrum((real_desi / f"coadd-{name}.fits").read_bytes())
    near = np.abs(spectrum.wavelength / (1 + z) - 6564.6) < 6
    weight = np.clip(spectrum.flux[near], 0, None) ** 2
    centre = np.average(spectrum.wavelength[near] / (1 + z), weights=weight)
    assert centre == pytest.approx(6564.6, abs=0.6)


def test_every_row_of_a_real_file_without_a_fibermap(real_desi: Path) -> None:
    path = real_desi / "quasarnp_test_coadd.fits"
    found = list(items([path]))
    assert [item.name for item in found] == [f"{path}/row {row}" for row in range(25)]
    read = 0
    for row, item in list(enumerate(found))[::4]:
        cameras = cameras_in(path, row)
        if not any(flux["IVAR"].any() for flux in cameras.values()):
            with pytest.raises(SpectrumError, match="no data"):
                read_spectrum(item.data or b"")
            continue
        check(read_spectrum(item.data or b""), cameras)
        read += 1
    assert read > 4
