"""A certificate authority of the server's own, for names that no public one certifies for us.

Whoever trusts it trusts it for these names only: its name constraints say so (RFC 5280, 4.2.1.10).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import NamedTuple

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..errors import InputError, StartError
from ..files import read_bytes
from ..files.private import keep_private
from ..machine import Machine

MOST_BYTES = 2**16
SKEW = timedelta(days=1)
"""By which clients' clocks may be behind."""
CA_LASTS = timedelta(days=3650)
LASTS = timedelta(days=397)
"""As long as browsers take certificates."""
RENEW = timedelta(days=30)
"""What is left of a certificate when another one is made."""

log = structlog.get_logger()


class Signed(NamedTuple):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: EllipticCurvePrivateKey


class Authority:
    """A CA, and a certificate of its for `names`: hosts, also with `*.` before them, and IP addresses.

    They are kept beside one another, their keys readable by the owner only. The CA stays as long as it is
    good for these names, so that clients are told of it once.
    """

    def __init__(self, ca: Path, names: Sequence[str], machine: Machine) -> None:
        """`ca` is the file of the CA. Raises StartError if its folder cannot be used."""
        self._names, self._machine = names, machine
        folder = ca.parent
        self.ca, self._ca_key = ca, folder / "ca.key"
        self.chain, self.key = folder / "server.pem", folder / "server.key"
        self._failed = False
        try:
            machine.disk.make_folder(folder)
            self._ends = self._prepare()
        except OSError as error:
            raise StartError(f"Cannot keep a certificate in {folder}: {error.strerror}.") from None

    def renew(self) -> None:
        """Makes another certificate if this one soon ends. What fails is said once, and tried again."""
        if self._now() < self._ends - RENEW:
            return
        try:
            self._ends = self._prepare()
            self._failed = False
        except OSError as error:
            if not self._failed:
                log.error("the certificate cannot be renewed", file=str(self.chain), reason=error.strerror)
            self._failed = True

    def _prepare(self) -> datetime:
        """Makes what is missing or good no more; returns when the certificate ends. Raises OSError."""
        now = self._now()
        issuer = self._kept(self.ca, self._ca_key, lambda one: _fault_of_ca(one, self._names, now))
        if isinstance(issuer, str):
            log.info("a CA is made, which clients must trust", file=str(self.ca), reason=issuer)
            issuer = _new_ca(self._names, now)
            self._keep(issuer, self.ca, self._ca_key)
        ca = issuer.certificate
        signed = self._kept(self.chain, self.key, lambda one: _fault(one, self._names, ca, now))
        if isinstance(signed, str):
            log.info("a certificate is made", file=str(self.chain), names=[*self._names], reason=signed)
            signed = _new_certificate(self._names, issuer, now)
            self._keep(signed, self.chain, self.key)
        return signed.certificate.not_valid_after_utc

    def _kept(self, chain: Path, key: Path, fault: Callable[[x509.Certificate], str]) -> Signed | str:
        """What is kept there, or why it is not good: there is none, it cannot be read, or `fault` says so."""
        try:
            self._machine.disk.look(chain)
        except FileNotFoundError:
            return "there was none"
        try:
            keep_private(key)
            certificate = x509.load_pem_x509_certificate(read_bytes(chain, "the certificate", MOST_BYTES))
            private = load_pem_private_key(read_bytes(key, "the key", MOST_BYTES), None)
            if (
                not isinstance(private, EllipticCurvePrivateKey)
                or private.public_key() != certificate.public_key()
            ):
                return f"{key} belongs to another one"
            return fault(certificate) or Signed(certificate, private)
        except FileNotFoundError:
            return f"{key} was not there"
        except (InputError, ValueError, TypeError, x509.ExtensionNotFound) as error:
            return f"{chain} cannot be used: {error}"

    def _keep(self, signed: Signed, chain: Path, key: Path) -> None:
        """The key first: one without its certificate is found out at the next start. Raises OSError."""
        replace = self._machine.disk.replace
        replace(key, signed.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
        replace(chain, signed.certificate.public_bytes(Encoding.PEM), 0o644)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._machine.wall(), UTC)


# What is in them.
def _new_ca(names: Sequence[str], now: datetime) -> Signed:
    """A CA that may certify these names, servers only, and no other CA."""
    key = generate_private_key(SECP256R1())
    subject = _called(f"Tickwire CA for {names[0]}"[:64])
    fresh = _begun(subject, subject, key, key, now - SKEW, CA_LASTS)
    fresh = fresh.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    fresh = fresh.add_extension(_usage(signs=True), critical=True)
    fresh = fresh.add_extension(
        x509.NameConstraints(permitted := _permitted(names), _excluded(permitted)), critical=True
    )
    return Signed(fresh.sign(key, SHA256()), key)


def _new_certificate(names: Sequence[str], issuer: Signed, now: datetime) -> Signed:
    """A certificate of a server with these names."""
    key = generate_private_key(SECP256R1())
    subject = _called("Tickwire server")  # with a space: it can be taken for no host
    fresh = _begun(subject, issuer.certificate.subject, key, issuer.key, now - SKEW, LASTS)
    fresh = fresh.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    fresh = fresh.add_extension(_usage(signs=False), critical=True)
    fresh = fresh.add_extension(x509.SubjectAlternativeName(_general(names)), critical=False)
    return Signed(fresh.sign(issuer.key, SHA256()), key)


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: EllipticCurvePrivateKey,
    issuer_key: EllipticCurvePrivateKey,
    begins: datetime,
    lasts: timedelta,
) -> x509.CertificateBuilder:
    """What a CA and a certificate have in common."""
    ours = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    theirs = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + lasts)
        .add_extension(ours, critical=False)
        .add_extension(theirs, critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _called(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general(names: Sequence[str]) -> list[x509.GeneralName]:
    """The names as a certificate has them."""
    found = map(_address, names)
    return [
        x509.DNSName(name) if address is None else x509.IPAddress(address)
        for name, address in zip(names, found, strict=True)
    ]


def _permitted(names: Sequence[str]) -> list[x509.GeneralName]:
    """The names as constraints have them, where an address is a network, and a host stands for those below
    it."""
    found: list[x509.GeneralName] = []
    for name in names:
        address = _address(name)
        found.append(
            x509.DNSName(name.removeprefix("*.")) if address is None else x509.IPAddress(ip_network(address))
        )
    return [*dict.fromkeys(found)]


def _excluded(permitted: Sequence[x509.GeneralName]) -> list[x509.GeneralName] | None:
    """All names of a kind of which none is permitted: what constraints do not mention, they allow."""
    found: list[x509.GeneralName] = []
    if not any(isinstance(one, x509.DNSName) for one in permitted):
        found.append(x509.DNSName(""))
    if not any(isinstance(one, x509.IPAddress) for one in permitted):
        found += [x509.IPAddress(ip_network("0.0.0.0/0")), x509.IPAddress(ip_network("::/0"))]
    return found or None


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(name)
    except ValueError:
        return None


# Whether they are good still.
def _fault_of_ca(ca: x509.Certificate, names: Sequence[str], now: datetime) -> str:
    """Why that is no CA for these names; empty if it is."""
    constraints = ca.extensions.get_extension_for_class(x509.NameConstraints).value
    if left := set(_permitted(names)) - {*(constraints.permitted_subtrees or ())}:
        return f"the old one is not for {_plain(left)}"
    if ca.not_valid_after_utc - now < LASTS + RENEW:
        return f"the old one ends {ca.not_valid_after_utc:%Y-%m-%d}"
    return ""


def _fault(certificate: x509.Certificate, names: Sequence[str], ca: x509.Certificate, now: datetime) -> str:
    """Why that is no certificate for these names; empty if it is."""
    try:
        certificate.verify_directly_issued_by(ca)
    except Exception:  # of a signature, an issuer or a kind of key that does not fit
        return "the old one is of another CA"
    own = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if {*own} != {*_general(names)}:
        return f"the old one is for {_plain({*own})}"
    if certificate.not_valid_after_utc - now < RENEW:
        return f"the old one ends {certificate.not_valid_after_utc:%Y-%m-%d}"
    return ""


def _plain(names: set[x509.GeneralName]) -> str:
    return ", ".join(sorted(str(one.value) for one in names))
