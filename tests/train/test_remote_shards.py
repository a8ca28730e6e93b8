"""Training from shards on a server: the same network, or one sentence that says why not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest
from made_shards import TINY

from servers.shard_server import (
    BUCKET,
    SECRET,
    WebServer,
    client,
    free_port,
    s3_server,
    store_at,
)
from specvit import cli
from specvit.config import Config, validate
from specvit.errors import ConfigError, DataError, DownloadError
from specvit.io import sha256_file
from specvit.plot import render_hash
from specvit.train import remote
from specvit.train.cache import cache_of
from specvit.train.engine import settings_hash, train

NAMES = [f"train-{i:06d}.tar" for i in range(3)] + [f"val-{i:06d}.tar" for i in range(2)]
Remote = Callable[..., Config]


def index_of(shards: Path, config: Config) -> str:
    """What shards.json says of these shards, as far as training reads it."""
    listed = [
        {"shard": p.stem, "bytes": p.stat().st_size, "sha256": sha256_file(p)}
        for p in sorted(shards.glob("*.tar"))
    ]
    drawn = render_hash(config.render[0], config.grid)
    return json.dumps({"render_hash": drawn, "shards": listed})


@pytest.fixture(scope="module")
def published(tmp_path_factory, shards: Path) -> Path:
    """A folder `shards/` with one set of plots, as a run leaves it."""
    folder = tmp_path_factory.mktemp("published")
    plots = folder / "shards" / "stacked-16"
    plots.mkdir(parents=True)
    for name in NAMES:
        (plots / name).write_bytes((shards / name).read_bytes())
    (plots / "shards.json").write_text(index_of(plots, validate(TINY)))
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory, published: Path) -> bytes:
    """The network that training from files ends in."""
    config = validate({**TINY, "results_dir": str(tmp_path_factory.mktemp("local"))})
    config.paths.root.mkdir()
    (config.paths.root / "shards").symlink_to(published / "shards")
    return weights_of(config)


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    with s3_server() as url:
        forkserver._forkserver._stop()  # readers have the environment that their server began with
        yield url


@pytest.fixture
def server(published: Path) -> Iterator[WebServer]:
    with WebServer(published) as server:
        yield server


@pytest.fixture
def remotely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Remote:
    """`remotely(url, **train)`: a run without shards of its own, which does not wait long."""
    monkeypatch.setattr(remote, "PAUSE_S", 0.01)

    def make(url: str, **changes: Any) -> Config:
        where = {"shards_url": f"{url}/shards", "shards_cache": str(tmp_path / "cache")}
        settings = {**TINY["train"], **where, **changes}
        return validate({**TINY, "train": settings, "results_dir": str(tmp_path / "results")})

    return make


def weights_of(config: Config) -> bytes:
    return (train(config) / "model.safetensors").read_bytes()


def said_by(config: Config, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and last words of the command."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "--config", json.dumps(config.model_dump(mode="json"))])
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return int(ended.value.code or 0), said.splitlines()[-1]


def test_an_s3_store_gives_the_same_network(store, remotely, published, weights, tmp_path):
    for path in published.rglob("*.*"):
        client().upload_file(str(path), BUCKET, f"run/{path.relative_to(published)}")
    assert weights_of(remotely(f"s3://{BUCKET}/run", workers=2)) == weights
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in data for data in written)


def test_each_shard_comes_once_where_all_fit(remotely, server, weights):
    config = remotely(server.url)
    assert weights_of(config) == weights
    assert server.asked == {"shards.json": 1} | dict.fromkeys(NAMES, 1)
    train(config, fresh=True)
    assert server.asked == {"shards.json": 2} | dict.fromkeys(NAMES, 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_folder_that_is_too_small_only_costs_transfers(
    remotely, server, weights, published, tmp_path, workers
):
    largest = max(path.stat().st_size for path in published.rglob("*.tar"))
    config = remotely(server.url, shards_cache_gb=1.5 * largest / 1e9, workers=workers)
    assert weights_of(config) == weights
    kept = [path.stat().st_size for path in (tmp_path / "cache").rglob("*.tar")]
    # Two readers that fetch at the same time do not see one another's.
    assert sum(kept) <= 1.5 * largest * max(workers, 1)
    assert max(server.asked[name] for name in NAMES) > 1


def test_readers_at_the_same_time_share_one_transfer(remotely, server):
    cache = cache_of(remotely(server.url))
    assert cache is not None
    path = cache.path("train-000001")
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(cache.open, [path] * 8))
    assert len(set(opened)) == 8
    assert server.asked["train-000001.tar"] == 1


def test_a_transfer_that_breaks_is_made_again(remotely, server, weights):
    server.cut = ["train-000001.tar", "train-000001.tar", "val-000000.tar"]
    assert weights_of(remotely(server.url)) == weights
    assert server.asked["train-000001.tar"] == 3


def test_a_shard_of_other_bytes_is_refused(remotely, published, tmp_path, capsys):
    copy = tmp_path / "copy" / "shards" / "stacked-16"
    copy.mkdir(parents=True)
    for path in (published / "shards" / "stacked-16").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    data = bytearray((copy / NAMES[0]).read_bytes())
    data[-2000] ^= 1
    (copy / NAMES[0]).write_bytes(data)
    with WebServer(tmp_path / "copy") as server:
        code, said = said_by(remotely(server.url), capsys)
    assert code == DownloadError.exit_code
    assert f"{NAMES[0]} cannot be fetched: its bytes are not those" in said
    assert not list((tmp_path / "cache").rglob(NAMES[0]))


def test_a_missing_object_is_one_sentence(store, remotely, published, capsys):
    index = published / "shards" / "stacked-16" / "shards.json"
    client().upload_file(str(index), BUCKET, "other/shards/stacked-16/shards.json")
    code, said = said_by(remotely(f"s3://{BUCKET}/other"), capsys)
    assert code == DataError.exit_code
    assert f"s3://{BUCKET}/other/shards/stacked-16/{NAMES[0]} cannot be read: NoSuchKey" in said


def test_a_store_that_is_not_there_is_one_sentence(remotely, capsys):
    with store_at(free_port()):
        code, said = said_by(remotely(f"s3://{BUCKET}/run"), capsys)
    assert code == DownloadError.exit_code
    assert "shards.json cannot be fetched: Could not connect" in said


def test_a_server_that_goes_away_under_way_is_one_sentence(remotely, server, capsys, monkeypatch):
    """Readers are processes of their own, yet their error is the command's."""
    from specvit.train.engine import Run

    fit = Run.fit

    def without_server(run: Run) -> None:
        server.away = True
        fit(run)

    monkeypatch.setattr(Run, "fit", without_server)
    code, said = said_by(remotely(server.url, shards_cache_gb=1e-9, workers=1), capsys)
    assert code == DownloadError.exit_code
    assert ".tar cannot be fetched: Service Unavailable (503)" in said


def test_plots_of_other_settings_are_refused(remotely, server):
    config = remotely(server.url)
    other = config.grid.model_copy(update={"wave_max": 9000.0})
    with pytest.raises(DataError, match="other settings of grid or render"):
        cache_of(config.model_copy(update={"grid": other}))


def test_shards_that_are_not_listed_are_named(remotely, server):
    cache = cache_of(remotely(server.url))
    assert cache is not None
    with pytest.raises(DataError, match="no train-000003"):
        cache.path("train-000003")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("/data/shards", "must be s3://bucket"),
        ("s3:///shards", "must be s3://bucket"),
        ("https://me:word@host/shards", "no user, password or query"),
        ("https://host/shards?X-Amz-Signature=1", "no user, password or query"),
    ],
)
def test_a_url_is_checked_before_anything_runs(url, words):
    with pytest.raises(ConfigError, match=words):
        validate({**TINY, "train": {**TINY["train"], "shards_url": url}})


def test_where_shards_lie_is_no_change_of_the_run(remotely):
    config = remotely("https://host/run")
    local = config.train.model_copy(update={"shards_url": None})
    assert settings_hash(config) == settings_hash(config.model_copy(update={"train": local}))
