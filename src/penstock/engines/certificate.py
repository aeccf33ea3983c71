"""The certificate of a cluster that is made for one study: who holds its key is part of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import (
    CertificateBuilder,
    DNSName,
    Name,
    NameAttribute,
    SubjectAlternativeName,
    random_serial_number,
)
from cryptography.x509.oid import NameOID

__all__ = ["new_certificate"]

_NAME = "penstock"
_CLOCKS_DIFFER = timedelta(days=1)
_LIFETIME = timedelta(days=365)


def new_certificate() -> tuple[str, str]:
    """Make a certificate that signs itself, and is good from a day ago, for clocks differ.

    Returns:
        It and its key, as PEM.
    """
    key, now = generate_private_key(SECP256R1()), datetime.now(UTC)
    name = Name([NameAttribute(NameOID.COMMON_NAME, _NAME)])
    certificate = (
        CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .add_extension(SubjectAlternativeName([DNSName(_NAME)]), critical=False)
        .public_key(key.public_key())
        .serial_number(random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + _LIFETIME)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), pem.decode()
