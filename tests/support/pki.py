"""An authority of a test's own, with a certificate for loopback and one for us."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

LOOPBACK = ipaddress.ip_address("127.0.0.1")


@dataclass(frozen=True, slots=True)
class Pki:
    """Files in PEM.

    Attributes:
        authority: who issued both.
        server, server_key: for 127.0.0.1.
        client, client_key: ours; the key has `password`.
    """

    authority: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path
    password: str = "wachtwoord van de proef"

    def demanding(self) -> ssl.SSLContext:
        """What a server uses that asks its clients for a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server, self.server_key)
        context.load_verify_locations(self.authority)
        context.verify_mode = ssl.CERT_REQUIRED
        return context


def make_pki(folder: Path) -> Pki:
    """Make all of it anew."""
    made = Pki(
        authority=folder / "ca.pem",
        server=folder / "server.pem",
        server_key=folder / "server-key.pem",
        client=folder / "client.pem",
        client_key=folder / "client-key.pem",
    )
    authority_key = ec.generate_private_key(ec.SECP256R1())
    issuer = _name("Proefautoriteit")
    authority = _certificate(issuer, issuer, authority_key, authority_key, authority=True)
    made.authority.write_bytes(authority.public_bytes(Encoding.PEM))
    for name, file, key_file, password in (
        ("127.0.0.1", made.server, made.server_key, ""),
        ("Koppelhub", made.client, made.client_key, made.password),
    ):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(_name(name), issuer, key, authority_key, authority=False)
        file.write_bytes(certificate.public_bytes(Encoding.PEM))
        sealed = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealed)
        key_file.write_bytes(pem)
    return made


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signed_by: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(LOOPBACK)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signed_by.public_key()),
            critical=False,
        )
        .sign(signed_by, hashes.SHA256())
    )
