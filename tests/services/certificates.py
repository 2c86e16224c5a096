"""A certificate authority for one test run, and a server certificate signed by it."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def write_certificates(folder: Path) -> tuple[Path, Path]:
    """Writes `ca.pem` and `server.pem` (key, then certificate, for 127.0.0.1 and localhost); returns their paths."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("Instep test authority", ca_key, signed_by=None)
    server_key = ec.generate_private_key(ec.SECP256R1())
    server = _certificate("localhost", server_key, signed_by=(ca, ca_key))
    ca_file, server_file = folder / "ca.pem", folder / "server.pem"
    ca_file.write_bytes(_pem(ca))
    key = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    server_file.write_bytes(key + _pem(server) + _pem(ca))
    return ca_file, server_file


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    signed_by: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, issuer_key = (subject, key) if signed_by is None else (signed_by[0].subject, signed_by[1])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signed_by is None,
        crl_sign=signed_by is None,
        encipher_only=False,
        decipher_only=False,
    )
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=signed_by is None, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
