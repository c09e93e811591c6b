"""The server's own CA: for its names only, kept, and made anew when it must be."""

from __future__ import annotations

import ssl
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from structlog.testing import capture_logs

from tickwire.errors import StartError
from tickwire.machine import REAL, Machine
from tickwire.server import authority
from tickwire.server.authority import Authority, Signed
from tickwire.server.certificate import Certificate, context_of

from ..serving import trusting

HOST = "quote.alltick.co"


def test_keys_are_their_owner_s_alone(tmp_path: Path) -> None:
    Authority(tmp_path / "tls" / "ca.pem", [HOST], REAL)
    for name in ("ca.key", "server.key"):
        assert (tmp_path / "tls" / name).stat().st_mode & 0o777 == 0o600
    assert {path.name for path in (tmp_path / "tls").iterdir()} == {
        "ca.key",
        "ca.pem",
        "server.key",
        "server.pem",
    }


@pytest.mark.skipif(sys.platform == "win32", reason="rights are not by mode there")
@pytest.mark.parametrize("name", ["ca.key", "server.key"])
def test_a_key_that_others_can_read_is_taken_back_and_told(tmp_path: Path, name: str) -> None:
    before = files(Authority(tmp_path / "ca.pem", [HOST], REAL))
    contents = [path.read_bytes() for path in before]
    (tmp_path / name).chmod(0o644)
    with capture_logs() as logged:
        after = files(Authority(tmp_path / "ca.pem", [HOST], REAL))
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert [(one["event"], one["mode"]) for one in logged] == [
        ("others could use a file of secrets: now its owner alone can", "644")
    ]
    assert [path.read_bytes() for path in after] == contents
    with capture_logs() as logged:
        Authority(tmp_path / "ca.pem", [HOST], REAL)
    assert logged == []


def test_what_is_there_stays(tmp_path: Path) -> None:
    before = [path.read_bytes() for path in files(Authority(tmp_path / "ca.pem", [HOST, "127.0.0.1"], REAL))]
    assert [
        path.read_bytes() for path in files(Authority(tmp_path / "ca.pem", [HOST, "127.0.0.1"], REAL))
    ] == before


def test_fewer_names_keep_the_ca_and_more_make_another(tmp_path: Path) -> None:
    ca, chain = (
        path.read_bytes() for path in files(Authority(tmp_path / "ca.pem", [HOST, "localhost"], REAL))
    )
    fewer = [path.read_bytes() for path in files(Authority(tmp_path / "ca.pem", [HOST], REAL))]
    assert fewer[0] == ca
    assert fewer[1] != chain
    with capture_logs() as logged:
        assert Authority(tmp_path / "ca.pem", [HOST, "localhost", "10.0.0.1"], REAL).ca.read_bytes() != ca
    assert logged[0]["event"] == "a CA is made, which clients must trust"
    assert logged[0]["reason"] == "the old one is not for 10.0.0.1/32"


@pytest.mark.parametrize("name", ["ca.pem", "ca.key", "server.pem", "server.key"])
@pytest.mark.parametrize("data", [b"", b"no PEM", None])
def test_what_is_damaged_is_made_anew(tmp_path: Path, name: str, data: bytes | None) -> None:
    Authority(tmp_path / "ca.pem", [HOST], REAL)
    if data is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(data)
    own = Authority(tmp_path / "ca.pem", [HOST], REAL)
    assert shakes_hands(own.chain, own.key, own.ca, HOST)


def test_it_is_renewed_before_it_ends(tmp_path: Path) -> None:
    days = [0]
    machine = Machine(time_ns=lambda: time.time_ns() + days[0] * 86400 * 10**9)
    own = Authority(tmp_path / "ca.pem", [HOST], machine)
    used = Certificate(own.chain, own.key, machine.disk, own.renew)
    ca, chain = (path.read_bytes() for path in files(own))
    days[0] = 360
    assert used.changed() is None
    assert own.chain.read_bytes() == chain
    days[0] = 370
    assert used.changed() is None  # it is there, and taken at the next look
    assert used.changed() is not None
    assert own.ca.read_bytes() == ca
    days[0] = 3500
    assert Authority(tmp_path / "ca.pem", [HOST], machine).ca.read_bytes() != ca


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="Cannot keep a certificate in"):
        Authority(tmp_path / "file" / "ca.pem", [HOST], REAL)


# Its names. That it is valid under strict checks, `trusting` asks for.
@pytest.mark.parametrize(
    ("names", "host"),
    [
        ([HOST], HOST),
        (["127.0.0.1", "::1"], "::1"),
        (["*.alltick.co"], HOST),
        (["localhost", "127.0.0.1", HOST], "localhost"),
    ],
)
def test_who_trusts_it_trusts_the_server(tmp_path: Path, names: list[str], host: str) -> None:
    own = Authority(tmp_path / "ca.pem", names, REAL)
    assert shakes_hands(own.chain, own.key, own.ca, host)


@pytest.mark.parametrize(
    ("names", "other"),
    [
        ([HOST], "example.com"),
        ([HOST], "10.0.0.1"),
        ([HOST], "::1"),
        (["10.0.0.2"], "10.0.0.1"),
        (["10.0.0.2"], HOST),
    ],
)
def test_nobody_takes_other_names_from_it(tmp_path: Path, names: list[str], other: str) -> None:
    own = Authority(tmp_path / "own" / "ca.pem", names, REAL)
    key = load_pem_private_key((tmp_path / "own" / "ca.key").read_bytes(), None)
    stolen = Signed(x509.load_pem_x509_certificate(own.ca.read_bytes()), key)  # type: ignore[arg-type]
    forged = authority._new_certificate([other], stolen, datetime.now(UTC))
    chain, private = tmp_path / "chain.pem", tmp_path / "key.pem"
    own._keep(forged, chain, private)
    with pytest.raises(ssl.SSLCertVerificationError, match="subtree violation"):
        shakes_hands(chain, private, own.ca, other)


def files(own: Authority) -> tuple[Path, Path]:
    return own.ca, own.chain


def shakes_hands(chain: Path, key: Path, ca: Path, host: str) -> bool:
    """Whether a strict client of that CA takes the server for that host. Raises SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context_of(chain, key).wrap_bio(to_server, to_client, server_side=True)
    client = trusting(ca).wrap_bio(to_client, to_server, server_hostname=host)
    left = [client, server]
    for _ in range(4):
        for one in [*left]:
            try:
                one.do_handshake()
                left.remove(one)
            except ssl.SSLWantReadError:
                pass
    return not left
