"""Why no Kafka client could be opened: the client itself only says that its time was up."""

import socket
import ssl

from plumbing.unreachable import UnreachableError
from schemas.config.kafka import KafkaConfig, SecurityConfig
from schemas.config.scalar import parse_address

_TIMEOUT_S = 5.0


def probe(config: KafkaConfig) -> str:  # noqa: PLR0911  one return for each reason
    """Return the reason in words, found by connecting to the first broker as the client would."""
    try:
        context = tls_context(config.security)
    except UnreachableError as error:
        return str(error)
    address = parse_address(config.bootstrap[0])
    try:
        with socket.create_connection(address, _TIMEOUT_S) as connection:
            if context is not None:
                context.wrap_socket(connection, server_hostname=address.host).close()
    except socket.gaierror:
        return f"the name {address.host} is not known"
    except TimeoutError:
        return "no answer"
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not trusted ({error.verify_message}). Check kafka.security.ca_file."
    except ssl.SSLError:
        return "it does not speak TLS as we do. Check kafka.security.protocol and the port."
    except OSError as error:
        return error.strerror or type(error).__name__
    if config.security.mechanism is not None:
        return "it answers, but does not let us in. Check kafka.security: protocol, mechanism, username and password."
    return "it answers, but not as a Kafka broker does. Check kafka.security.protocol and the port."


def tls_context(security: SecurityConfig) -> ssl.SSLContext | None:
    """Return what TLS connections use, None without TLS; raises UnreachableError when a file cannot be used."""
    if not security.encrypted:
        return None
    context = ssl.create_default_context()
    context.check_hostname = security.check_hostname
    try:
        if security.ca_file is not None:
            context.load_verify_locations(security.ca_file)
        if security.cert_file is not None:
            password = security.key_password
            context.load_cert_chain(
                security.cert_file,
                security.key_file,
                None if password is None else password.get_secret_value(),
            )
    except OSError as error:
        # An SSLError is an OSError too: the file is there, but is none or has another password.
        reason = "cannot be used" if isinstance(error, ssl.SSLError) else error.strerror
        raise UnreachableError(f"a file of kafka.security (ca_file, cert_file, key_file): {reason}") from None
    return context
