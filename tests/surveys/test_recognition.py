"""Which survey a file is of, by structure: every kind is read as its own or refused by its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from spectrum_files import (
    LOGLAM,
    galaxy_flux,
    lamost_image_file,
    lamost_table_file,
    sdss_file,
    to_bytes,
)
from specvit.config import validate
from specvit.errors import SpectrumError
from specvit.surveys.catalogue import finished
from specvit.surveys.files.catalogue import FilesCatalogue
from specvit.surveys.read import read_header, read_identity, read_spectrum

FLUX = galaxy_flux()
SDSS5 = {"FIELD": 15000, "CATALOGID": 27021597775058535, "RACAT": 150.5, "DECCAT": 2.25}


def spspec(**over: object) -> fits.PrimaryHDU:
    """An spSpec file of DR7: flux, flux without continuum, error, mask, sky."""
    rows = np.zeros((5, len(FLUX)), np.float32)
    rows[0], rows[2] = FLUX, 0.5
    rows[2, 10], rows[3, 20], rows[3, 30] = 0, 1 << 23, 1 << 22
    hdu = fits.PrimaryHDU(rows)
    cards = {"COEFF0": 3.58, "COEFF1": 1e-4, "PLATEID": 266, "MJD": 51602, "FIBERID": 7}
    cards |= {"SPEC_CLN": 2, "Z": 0.1, "Z_ERR": 1e-4, "Z_WARNIN": 0, "SN_R": 12.5}
    cards |= {"RAOBJ": 146.5, "DECOBJ": -0.5, "TELESCOP": "SDSS 2.5-M", **over}
    for key, value in cards.items():
        hdu.header[key] = value
    return hdu


def table(*names: str, name: str = "") -> fits.BinTableHDU:
    columns = [fits.Column(each, f"{len(FLUX)}E", array=[FLUX]) for each in names]
    return fits.BinTableHDU.from_columns(columns, name=name)


def test_spspec_of_the_first_releases() -> None:
    data = to_bytes(spspec())
    spectrum = read_spectrum(data)
    header = spectrum.header
    assert (header.survey, header.layout) == ("sdss", "sdss_spspec")
    assert read_identity(data) == ("sdss", "266-51602-7")
    assert (header.class_, header.z, header.snr) == ("GALAXY", 0.1, 12.5)
    assert (header.ra, header.dec, header.zwarning) == (146.5, -0.5, 0)
    np.testing.assert_array_equal(spectrum.flux, FLUX)
    assert spectrum.loglam == pytest.approx(LOGLAM)
    assert set(np.flatnonzero(~spectrum.good)) == {10, 20}
    assert (spectrum.ivar[[0, 10]] == [4, 0]).all()


@pytest.mark.parametrize(
    ("code", "name"), [(0, None), (1, "STAR"), (3, "QSO"), (4, "QSO"), (5, None), (6, "STAR")]
)
def test_spspec_classes(code: int, name: str | None) -> None:
    assert read_header(to_bytes(spspec(SPEC_CLN=code))).class_ == name


def plate() -> bytes:
    image = np.ones((640, 50), np.float32)
    primary = fits.PrimaryHDU(image)
    for key, value in {"COEFF0": 3.58, "COEFF1": 1e-4, "PLATEID": 266, "MJD": 51602}.items():
        primary.header[key] = value
    return to_bytes(primary, fits.ImageHDU(image, name="IVAR"))


def medium(order: str, keys: dict[str, object]) -> bytes:
    primary = fits.PrimaryHDU()
    for key, value in keys.items():
        primary.header[key] = value
    names = {"s": "INFO", "b": "COADD_B", "r": "COADD_R", "1": "B-84066021", "2": "R-84066021"}
    hdus = [table("FLUX", "IVAR", "WAVELENGTH", name=names[letter]) for letter in order]
    return to_bytes(primary, *hdus)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (plate(), "an SDSS spPlate file"),
        (
            to_bytes(fits.PrimaryHDU(), table("FLUX", "IVAR", "WAVELENGTH", name="BOSS/APO")),
            "an SDSS-V mwm file",
        ),
        (
            to_bytes(fits.PrimaryHDU(), table("FLUX", "IVAR", "WAVELENGTH")),
            r"a table \(FLUX, IVAR, WAVELENGTH\) that does not say whose it is",
        ),
        (
            to_bytes(fits.PrimaryHDU(), table("FLUX", "LOGLAM", "IVAR")),
            r"a table \(FLUX, IVAR, LOGLAM\)",
        ),
        (lamost_image_file(FLUX, OBSID=None), "an image of 3840 x 5 pixels"),
        (to_bytes(spspec(MJD=0)), "spSpec file without"),
        (medium("br", {}), "medium resolution"),
        (medium("sbr", {"OBSID": 5}), "medium resolution"),
        (medium("s12", {"OBSID": 5}), "medium resolution"),
        (medium("12", {}), "medium resolution"),
    ],
)
def test_what_is_not_read_is_named(data: bytes, words: str) -> None:
    for read in (read_spectrum, read_header, read_identity):
        with pytest.raises(SpectrumError, match=words):
            read(data)


def test_lamost_says_whether_wavelengths_are_in_vacuum_and_heliocentric() -> None:
    for make in (lamost_image_file, lamost_table_file):
        plain, said = read_spectrum(make(FLUX)), read_spectrum(make(FLUX, VACUUM=True, HELIO=True))
        np.testing.assert_array_equal(plain.loglam, said.loglam)
        shifted = read_spectrum(make(FLUX, VACUUM=False))
        shift = 10**shifted.loglam - 10**plain.loglam
        near = np.argmin(np.abs(10**plain.loglam - 5006.843))
        assert shift[near] == pytest.approx(1.397, abs=0.01)  # [O III] 5006.843 in air, 5008.240
        with pytest.raises(SpectrumError, match=r"not heliocentric \(HELIO = F\)"):
            read_spectrum(make(FLUX, HELIO=False))


def test_dr9_has_its_median_sn_by_band() -> None:
    bands = fits.Column("SN_MEDIAN", "5E", array=[[1, 2, 3.5, 4, 5]])
    hdus = fits.HDUList.fromstring(sdss_file(FLUX))
    columns = [column for column in hdus[2].columns if column.name != "SN_MEDIAN_ALL"]
    without = fits.BinTableHDU.from_columns([*columns, bands], name="SPALL")
    assert read_header(to_bytes(*hdus[:2], without)).snr == 3.5
    both = fits.BinTableHDU.from_columns([*hdus[2].columns, bands], name="SPALL")
    assert read_header(to_bytes(*hdus[:2], both)).snr == 12.5


def test_sdss5_names_field_night_and_target() -> None:
    header = read_header(sdss_file(FLUX, **SDSS5))
    assert header.identity == "15000-51602-27021597775058535"
    assert (header.ra, header.dec) == (150.5, 2.25)
    assert read_header(sdss_file(FLUX, **{**SDSS5, "FIELD": 0})).identity.startswith("0-51602-")


def test_sdss5_positions_are_the_targets_where_it_has_one() -> None:
    fiber = {"PLUG_RA": 150.6, "PLUG_DEC": 2.3}
    assert read_header(sdss_file(FLUX, **SDSS5, **fiber)).ra == 150.5
    for none in (-999.0, float("nan")):
        header = read_header(sdss_file(FLUX, **{**SDSS5, "RACAT": none}, **fiber))
        assert (header.ra, header.dec) == (pytest.approx(150.6), pytest.approx(2.3))


def test_sdss5_objects_are_named_by_sdss_id_then_catalogid() -> None:
    def name(**row: object) -> str | None:
        return read_header(sdss_file(FLUX, **{**SDSS5, **row})).object_name

    assert name(SDSS_ID=54321) == name(SDSS_ID=54321, CATALOGID=7)
    assert name() == name(FIELD=3) == name(SDSS_ID=-999) != name(CATALOGID=7)
    assert name(CATALOGID=-999) is None


def test_sdss5_fibers_without_a_target_keep_an_identity_of_their_own() -> None:
    none = {**SDSS5, "CATALOGID": -999}
    assert read_header(sdss_file(FLUX, **none)).identity == "15000-51602-fiber1"
    places = [{"FIBERID": 0, "RACAT": ra} for ra in (10.0, 10.1)]
    names = {read_header(sdss_file(FLUX, **{**none, **place})).identity for place in places}
    assert names == {"15000-51602-j10.00000+2.25000", "15000-51602-j10.10000+2.25000"}


@pytest.mark.parametrize("form", ["I", "B"])
def test_masks_too_narrow_for_bright_sky_mask_nothing(form: str) -> None:
    assert read_spectrum(_with_mask(form, np.full(len(FLUX), 1 << 5))).good.all()


@pytest.mark.parametrize("form", ["E", "D", "K", "J"])
def test_masks_of_any_number_have_their_bit(form: str) -> None:
    mask = np.zeros(len(FLUX))
    mask[5] = 1 << 23
    assert np.flatnonzero(~read_spectrum(_with_mask(form, mask)).good).tolist() == [5]


def _with_mask(form: str, mask: np.ndarray) -> bytes:
    hdus = fits.HDUList.fromstring(sdss_file(FLUX))
    columns = [column for column in hdus[1].columns if column.name != "and_mask"]
    columns.append(fits.Column("and_mask", form, array=mask))
    return to_bytes(hdus[0], fits.BinTableHDU.from_columns(columns), hdus[2])


@pytest.mark.parametrize("make", [sdss_file, lamost_image_file, lamost_table_file])
def test_only_the_padding_may_be_missing(make) -> None:
    whole = make(FLUX[:3801], **({"loglam": LOGLAM[:3801]} if make is sdss_file else {}))
    padding = -fits.HDUList.fromstring(whole)[-1].size % 2880
    assert padding
    data = whole[:-padding]
    np.testing.assert_array_equal(read_spectrum(data).flux, read_spectrum(whole).flux)
    with pytest.raises(SpectrumError, match="truncated"):
        read_spectrum(data[:-1])


# --- inputs that lie beside the project


def _frame(folder: Path):
    files = {"base_url": folder.as_uri()}
    catalogue = FilesCatalogue(folder, validate({"surveys": {"files": files}}).surveys.files)
    (piece,) = catalogue.pieces()
    return catalogue, finished(catalogue, piece)


def test_the_cases_that_are_read(cases: Path) -> None:
    for name in ("unpadded", "unpadded_lamost", "sdssv_all_epoch"):
        spectrum = read_spectrum((cases / f"{name}.fits").read_bytes())
        assert spectrum.good.any()
    assert spectrum.header.identity == "0-55359-27021597775058535"
    with pytest.raises(SpectrumError, match="medium resolution"):
        read_spectrum((cases / "mrs_no_coadd_vector.fits").read_bytes())


def test_fibers_without_a_target_are_spectra_of_their_own(cases: Path) -> None:
    catalogue, frame = _frame(cases / "sdssv_unassigned")
    assert len(frame) == 8
    assert frame["identity"].nunique() == 8
    assert catalogue.refused == []


def test_targets_are_where_the_catalogue_puts_them(cases: Path) -> None:
    _, frame = _frame(cases / "sdssv_fibre_offset")
    assert len(frame) == 16
    places = frame.round({"ra": 6, "dec": 6}).sort_values("ra").groupby("survey")
    sdss, lamost = (places.get_group(name)[["ra", "dec"]].to_numpy() for name in ("sdss", "lamost"))
    np.testing.assert_array_equal(sdss, lamost)
