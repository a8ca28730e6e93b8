"""SDSS plates: what is cut out of an spPlate file is what the lite file of that fiber has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from servers.fits_files import plate_file, sdss_file
from specvit.catalog.build import build_catalog
from specvit.catalog.survey import select_survey
from specvit.config import validate
from specvit.config.surveys import Simulated
from specvit.download import download_shards
from specvit.errors import ConfigError, SpectrumError
from specvit.predict.sources import items
from specvit.shards import ShardJob, make_shard
from specvit.spectrum.fits_table import extents
from specvit.surveys.read import open_shared, read_identity, read_spectrum
from specvit.surveys.sdss.paths import RELEASES, plate_of
from specvit.surveys.sdss.plate import is_enough
from specvit.surveys.simulated import SimulatedSky
from specvit.surveys.simulated.observations import PROGRAMS
from specvit.tar import read_members

SKY = Simulated(seed=3, sdss_spectra=120, lamost_spectra=10, missing_fraction=0)


@pytest.fixture(scope="module")
def sky() -> SimulatedSky:
    return SimulatedSky(SKY)


def lite_path(sky: SimulatedSky, number: int) -> str:
    row = sky.universe.sdss[number]
    program = PROGRAMS[row["program"]]
    tree = "eboss" if program.boss else "sdss"
    plate = f"{row['plate']:04d}"
    folder = f"dr17/{tree}/spectro/redux/{program.run2d}/spectra/lite/{plate}"
    return f"{folder}/spec-{plate}-{row['mjd']}-{row['fiber']:04d}.fits"


@pytest.fixture(scope="module", params=["sdss", "boss"])
def plate(request, sky: SimulatedSky, tmp_path_factory) -> Iterator[tuple[Path, dict[int, bytes]]]:
    """An spPlate file of each spectrograph, and the lite files of its fibers."""
    rows = sky.universe.sdss
    is_boss = request.param == "boss"
    paths = [lite_path(sky, number) for number in range(len(rows))]
    first = next(path for path in paths if ("/eboss/" in path) == is_boss)
    file, fibers = plate_of(first)
    assert fibers == (1000 if is_boss else 640)
    path = tmp_path_factory.mktemp("plates") / Path(file).name
    path.write_bytes(sky.read(file))
    numbers = [n for n, other in enumerate(paths) if plate_of(other) == (file, fibers)]
    yield path, {int(rows["fiber"][n]): sky.sdss.lite(n) for n in numbers}
    path.unlink()


def test_a_cut_is_the_lite_files_spectrum(plate: tuple[Path, dict[int, bytes]]) -> None:
    path, lites = plate
    with open_shared(path) as many:
        for fiber, lite in lites.items():
            data = many.cut(fiber - 1)
            assert (
                read_identity(data) == read_identity(lite) == ("sdss", many.identities[fiber - 1])
            )
            assert b"SIMULATED" in data[:2880]
            cut, wanted = read_spectrum(data), read_spectrum(lite)
            for name in ("loglam", "flux", "ivar", "good"):
                np.testing.assert_array_equal(getattr(cut, name), getattr(wanted, name))


def test_half_of_the_file_is_enough(tmp_path: Path) -> None:
    data, part = plate_file(266, 51602), tmp_path / "part.fits"
    part.write_bytes(data)
    *_, (_, end) = extents(part, 3)
    assert end < 0.51 * len(data)
    with open_shared(part) as many:
        whole = many.cut(0)
    part.write_bytes(data[:end])
    assert is_enough(part)
    with open_shared(part) as many:
        assert many.cut(0) == whole
    part.write_bytes(data[: end - 1])
    assert not is_enough(part)
    with pytest.raises(SpectrumError, match="truncated"), open_shared(part):
        pass


def test_other_files_are_not_taken_for_plates(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    for data in (b"", b"SIMPLE", sdss_file(266, 51602, 1), plate_file(266, 51602)[:5000]):
        path.write_bytes(data)
        assert open_shared(path) is None
        assert not is_enough(path)


def test_a_plate_without_a_wavelength_scale_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(plate_file(266, 51602, 2).replace(b"COEFF1", b"COEFF7"))
    with pytest.raises(SpectrumError, match="COEFF1"), open_shared(path):
        pass


def test_predict_takes_every_fiber(tmp_path: Path) -> None:
    path = tmp_path / "spPlate-0266-51602.fits"
    path.write_bytes(plate_file(266, 51602, 3))
    found = list(items([str(path)]))
    assert [item.name for item in found] == [f"{path}/266-51602-{n}" for n in (1, 2, 3)]
    wanted, cut = read_spectrum(sdss_file(266, 51602, 2)), read_spectrum(found[1].data)
    np.testing.assert_array_equal(cut.flux, wanted.flux)
    np.testing.assert_array_equal(cut.loglam, wanted.loglam)


@pytest.mark.parametrize(
    ("path", "plate", "fibers"),
    [
        (
            "dr17/sdss/spectro/redux/26/spectra/lite/0266/spec-0266-51602-0001.fits",
            "dr17/sdss/spectro/redux/26/0266/spPlate-0266-51602.fits",
            640,
        ),
        (
            "dr17/eboss/spectro/redux/v5_13_2/spectra/lite/10000/spec-10000-57346-0999.fits",
            "dr17/eboss/spectro/redux/v5_13_2/10000/spPlate-10000-57346.fits",
            1000,
        ),
    ],
)
def test_where_a_plate_is(path: str, plate: str, fibers: int) -> None:
    assert plate_of(path) == (plate, fibers)


def test_sdss5_has_no_plates() -> None:
    path = RELEASES["dr19"].path(15000, 59146, 4375924756, "v6_1_3")
    assert plate_of(path) is None
    with pytest.raises(ConfigError, match="fetch: plate: release dr19 has no plates"):
        validate({"run": "t", "surveys": {"sdss": {"release": "dr19", "fetch": "plate"}}})


def test_the_same_plots_either_way(tmp_path: Path) -> None:
    sdss = {"base_url": "simulated:", "select": {"surveys": ["legacy"], "zwarning_zero": False}}
    settings = {
        "run": "t",
        "results_dir": str(tmp_path),
        "surveys": {"sdss": sdss},
        "simulated": {"sdss_spectra": 60, "lamost_spectra": 10, "corrupt_fraction": 0.2},
        "split": {"shards": {"train": 1, "val": 1, "test": 1}, "test_fraction": 0.3},
        "download": {"cache_dir": str(tmp_path / "cache"), "max_failed_fraction": 0.5},
        "render": {"size": 32, "rows": 4},
    }
    made: dict[str, dict[str, bytes]] = {}
    places = {"spectrum": "/spectra/lite/", "plate": "/spPlate-", "auto": "/spectra/lite/"}
    for fetch, place in places.items():
        config = validate(settings | {"run": fetch, "surveys": {"sdss": sdss | {"fetch": fetch}}})
        select_survey(config, "sdss")
        build_catalog(config)
        download_shards(config)
        made[fetch] = {}
        for shard in config.shard_names():
            ledger = pd.read_parquet(config.paths.ledger(shard))
            assert ledger["url"].str.contains(place, regex=False).all()
            render = config.render[0]
            make_shard(ShardJob(config.paths, shard, render, config.grid, config.split))
            members = read_members(config.paths.shard(render.label, shard))
            made[fetch] |= dict(members)
    plots = made["spectrum"]
    assert len(plots) > 3 * 10
    # A plate has those, too, whose own files are broken or missing.
    assert {name: made["plate"][name] for name in plots} == plots
    assert len(made["plate"]) > len(plots)
    assert made["auto"] == plots
