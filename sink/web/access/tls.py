"""The certificate that the sink serves with."""

import ssl

from schemas.config.process import TlsConfig


class TlsError(Exception):
    """The certificate cannot be used; says why and what to do."""


def server_context(config: TlsConfig) -> ssl.SSLContext:
    """Return TLS 1.2 and later with the configured certificate; raises TlsError."""
    for setting, file in (("sink.tls.certificate", config.certificate), ("sink.tls.key", config.key)):
        try:
            with open(file, "rb"):  # noqa: PTH123  only to hear why it cannot be read
                pass
        except OSError as error:
            raise TlsError(f"{setting}: cannot read {file}: {error.strerror}") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # without a password of its own the library would ask at the terminal
        context.load_cert_chain(config.certificate, config.key, password="")
    except ssl.SSLError as error:
        raise TlsError(
            f"sink.tls: {config.certificate} and {config.key} cannot be used together ({error.reason or 'no PEM'}): "
            "needed are a certificate in PEM, and its private key in PEM without a password"
        ) from None
    return context
