"""Asking an HTTPS listener by its visitors' name: real TLS on loopback, with a certificate authority of the test's."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bgdeploy.clock import SystemClock
from bgdeploy.release.analysis.expectations import Answer
from bgdeploy.release.analysis.http import Http
from bgdeploy.release.analysis.samples import Samples
from bgdeploy.release.analysis.volley import load
from bgdeploy.release.reach import BY_NAME
from bgdeploy.release.reader import request
from bgdeploy.release.snapshot import Reach

HOST = "app.example.test"  # which leads nowhere: .test never does (RFC 6761)
BALANCER = "localhost"  # where the server is


def certificate(folder: Path, host: str) -> Path:
    """Write a certificate for `host`, its own authority, and its key, and return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(timezone.utc)  # noqa: TID251 - OpenSSL has no other clock
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "certificate.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


class Handler(BaseHTTPRequestHandler):
    """Says which host it was asked for."""

    def do_GET(self) -> None:
        body = self.headers["Host"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """A test's output is no log."""


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    return certificate(tmp_path, HOST)


@pytest.fixture
def port(pem: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def trusted(pem: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))


def ask(url: str, reach: Reach) -> Answer:
    http = Http(SystemClock(), reach)
    try:
        return http(url, 5)
    finally:
        http.close()


@pytest.mark.usefixtures("trusted")
def test_the_visitors_host_is_asked_at_the_load_balancer_wherever_it_leads(port: int) -> None:
    answer = ask(f"https://{HOST}:{port}/", Reach(BALANCER, HOST))
    assert (answer.status, answer.body) == (200, f"{HOST}:{port}")
    assert request(f"https://{HOST}:{port}/", Reach(BALANCER, HOST)).status == 200


@pytest.mark.usefixtures("trusted")
def test_a_certificate_for_another_host_than_the_visitors_is_refused(port: int) -> None:
    answer = ask(f"https://other.example.test:{port}/", Reach(BALANCER, "other.example.test"))
    assert answer.status is None
    assert answer.error.startswith("its certificate was refused")
    assert "other.example.test" in answer.error


@pytest.mark.usefixtures("trusted")
def test_by_the_load_balancers_own_name_any_certificate_of_a_trusted_chain_will_do(port: int) -> None:
    answer = ask(f"https://{BALANCER}:{port}/", Reach(BALANCER))
    assert (answer.status, answer.body) == (200, f"{BALANCER}:{port}")


@pytest.mark.parametrize("reach", [Reach(BALANCER), Reach(BALANCER, HOST)])
def test_a_chain_that_nobody_trusts_is_refused(port: int, reach: Reach) -> None:
    answer = ask(f"https://{reach.host or reach.balancer}:{port}/", reach)
    assert answer.status is None
    assert answer.error.startswith("its certificate was refused")


@pytest.mark.usefixtures("trusted")
def test_any_other_host_must_be_the_one_that_its_certificate_names(port: int) -> None:
    answer = ask(f"https://{BALANCER}:{port}/", BY_NAME)
    assert answer.error.startswith("its certificate was refused")


def volley(url: str, reach: Reach) -> Samples:
    """Send a few requests at once, as a load check does."""
    samples = Samples()
    for report in load(url, 20, 0.1, 5.0, reach):
        samples.add(Samples.of(report))
    return samples


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("reach", [Reach(BALANCER), Reach(BALANCER, HOST)])
def test_a_load_reaches_the_load_balancer_as_a_request_does(port: int, reach: Reach) -> None:
    samples = volley(f"https://{reach.host or reach.balancer}:{port}/", reach)
    assert (samples.statuses, samples.errors) == ({200: 2}, {})


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("host", "reach"),
    [("other.example.test", Reach(BALANCER, "other.example.test")), (BALANCER, BY_NAME)],
)
def test_a_load_refuses_what_a_request_refuses(port: int, host: str, reach: Reach) -> None:
    samples = volley(f"https://{host}:{port}/", reach)
    (error,) = samples.errors
    assert error.startswith("its certificate was refused")
    assert samples.unreached == 0


def test_a_load_refuses_a_chain_that_nobody_trusts(port: int) -> None:
    (error,) = volley(f"https://{HOST}:{port}/", Reach(BALANCER, HOST)).errors
    assert error.startswith("its certificate was refused")
