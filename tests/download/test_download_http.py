"""TLS, proxies and headers: what stands between a job and a server."""

from __future__ import annotations

import ipaddress
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from servers.runs import SHARD, files_of, sdss
from servers.survey_server import SurveyServer, redirect
from specvit.download import download_shard, gate
from specvit.download.http import retry_after
from specvit.errors import DownloadError


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 that nobody has signed, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


def _context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_https(make_run, certificate: Path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    spectra = [sdss(number) for number in range(20)]
    with SurveyServer(files_of(spectra), tls=_context(certificate)) as server:
        run = make_run(spectra, server.base_url, connections=2)
        download_shard(run.config, SHARD)
        assert len(run.members()) == 20
        assert server.connections == 2


def test_a_certificate_that_is_not_trusted_is_not_waited_for(make_run, certificate: Path):
    spectra = [sdss(number) for number in range(5)]
    with SurveyServer(files_of(spectra), tls=_context(certificate)) as server:
        run = make_run(spectra, server.base_url)
        start = time.monotonic()
        with pytest.raises(DownloadError, match="the TLS certificate is not trusted"):
            download_shard(run.config, SHARD)
        assert time.monotonic() - start < 300  # an outage is waited for ten minutes
        assert server.requests == []


def test_no_redirect_from_https_to_http(make_run, certificate: Path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    spectra = [sdss(1), sdss(2)]
    with (
        SurveyServer(files_of(spectra)) as plain,
        SurveyServer(files_of(spectra), tls=_context(certificate)) as server,
    ):
        server.always(spectra[0].path, redirect(plain.base_url + spectra[0].path))
        run = make_run(spectra, server.base_url, max_failed_fraction=0.5)
        download_shard(run.config, SHARD)
        entry = run.ledger()[spectra[0].spectrum_id]
        assert (entry["status"], entry["reason"]) == ("failed", "a redirect from https to http")
        assert plain.requests == []


def test_a_proxy_of_the_environment_is_used(make_run, monkeypatch):
    spectra = [sdss(1)]
    address = "http://survey.invalid/" + spectra[0].path
    with SurveyServer({address: spectra[0].data}) as proxy:
        monkeypatch.setenv("http_proxy", proxy.base_url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        run = make_run(spectra, "http://survey.invalid/")
        download_shard(run.config, SHARD)
        assert proxy.count(address) == 1
        monkeypatch.setenv("no_proxy", "survey.invalid")
        run.tar.unlink()
        monkeypatch.setattr(gate, "OUTAGE_S", 0.1)
        with pytest.raises(DownloadError, match="cannot connect"):
            download_shard(run.config, SHARD)
        assert proxy.count(address) == 1


def test_bytes_are_asked_for_as_they_are_stored(make_run):
    spectra = [sdss(1)]
    with SurveyServer(files_of(spectra)) as server:
        download_shard(make_run(spectra, server.base_url).config, SHARD)
        assert server.requests[0].headers["accept-encoding"] == "identity"


def test_retry_after():
    assert retry_after(None) is None
    assert retry_after("120") == 120
    assert retry_after("0") == 0
    assert retry_after("soon") is None
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert retry_after("Wed, 21 Oct 99999999999 07:28:00 GMT") is None
    later = datetime.now(UTC) + timedelta(seconds=90)
    seconds = retry_after(later.strftime("%a, %d %b %Y %H:%M:%S GMT"))
    assert seconds is not None
    assert 85 < seconds <= 90


def test_a_login_of_the_netrc_goes_to_its_host_alone(make_run, monkeypatch, tmp_path: Path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password Hidden93\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    spectra = [sdss(1), sdss(2)]
    with SurveyServer(files_of(spectra)) as mirror, SurveyServer(files_of(spectra)) as server:
        server.always(spectra[0].path, redirect(mirror.base_url + spectra[0].path))
        run = make_run(spectra, server.base_url)
        download_shard(run.config, SHARD)
        sent = {request.headers.get("authorization") for request in server.requests}
        assert sent == {aiohttp.encode_basic_auth("someone", "Hidden93")}
        assert [request.headers.get("authorization") for request in mirror.requests] == [None]
    for path in run.tar.parent.iterdir():
        assert b"Hidden93" not in path.read_bytes()


def test_a_netrc_that_cannot_be_read_is_named(make_run, monkeypatch, tmp_path: Path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone passwort Hidden93\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(DownloadError, match=r"cannot be read as a \.netrc") as caught:
        download_shard(make_run([sdss(1)], "http://127.0.0.1:9/").config, SHARD)
    assert "Hidden93" not in str(caught.value)
