"""Objects of an S3 store or a web server, streamed from front to end, and again where that breaks.

Nothing secret is in a URL: boto3 takes keys, and the address of a store other than AWS, from the
environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, ...) or its own files.
"""

from __future__ import annotations

import http.client
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TypeVar
from urllib.parse import urlsplit

from specvit import __version__
from specvit.errors import ConfigError, DataError, DownloadError
from specvit.logs import get_logger

TRIES = 6
PAUSE_S = 1.0  # longest pause before the second try; doubled for each further one
TIMEOUT_S = 30.0  # without a byte
PIECE = 1 << 20
JITTER = random.SystemRandom()  # training is reproduced from the state of the common generator
ABSENT = {401, 403, 404, 410}  # asking again gives the same answer
LOG = get_logger(__name__)

T = TypeVar("T")
Pieces = Iterator[bytes]


class BrokenTransferError(Exception):
    """A transfer that did not come to its end, and may the next time."""


def receive(url: str, take: Callable[[Pieces], T]) -> T:
    """Give an object's bytes to `take`, from the first one again each time the transfer breaks.

    `take` too may raise BrokenTransferError, where what came is not all or not right. Raises
    DataError where the object is not there or may not be read, DownloadError when no try succeeds.
    """
    stream = _s3 if url.startswith("s3:") else _http
    for failures in range(1, TRIES + 1):
        try:
            with stream(url) as pieces:
                return take(pieces)
        except BrokenTransferError as error:
            if failures == TRIES:
                raise DownloadError(f"{url} cannot be fetched: {error} ({TRIES} tries)") from error
            LOG.warning("%s: %s; trying again", url, error)
        # Full jitter, so that readers that failed together do not come back together.
        time.sleep(JITTER.uniform(0, PAUSE_S * 2 ** (failures - 1)))
    raise AssertionError("unreachable")


@contextmanager
def _http(url: str) -> Iterator[Pieces]:
    request = urllib.request.Request(url, headers={"User-Agent": f"specvit/{__version__}"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            yield iter(lambda: answer.read(PIECE), b"")
    except urllib.error.HTTPError as error:
        raise _refusal(url, error.code, error.reason) from error
    except urllib.error.URLError as error:
        raise BrokenTransferError(str(error.reason)) from error
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise BrokenTransferError(str(error) or type(error).__name__) from error


@contextmanager
def _s3(url: str) -> Iterator[Pieces]:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
    except ImportError as error:
        raise ConfigError(f"{url} needs boto3: pip install 'specvit[s3]'") from error
    where = urlsplit(url)
    once = Config(
        connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S, retries={"total_max_attempts": 1}
    )
    try:
        # A client of its own each time: connections must not be shared with forked readers.
        client = boto3.session.Session().client("s3", config=once)
        answer = client.get_object(Bucket=where.netloc, Key=where.path.lstrip("/"))
        with closing(answer["Body"]) as body:
            yield body.iter_chunks(PIECE)
    except ClientError as error:
        status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
        raise _refusal(url, status, error.response["Error"]["Code"]) from error
    except NoCredentialsError as error:
        raise ConfigError(
            f"{url} needs credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from error
    except (BotoCoreError, ConnectionError, TimeoutError) as error:
        raise BrokenTransferError(str(error)) from error


def _refusal(url: str, status: int, reason: str) -> Exception:
    if status in ABSENT:
        return DataError(f"{url} cannot be read: {reason} ({status})")
    return BrokenTransferError(f"{reason} ({status})")
