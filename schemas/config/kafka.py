"""The `kafka` part of the configuration."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, model_validator

from schemas.config.part import Part
from schemas.config.scalar import Name, Servers, Text, Topic, wrong


class SecurityConfig(Part):
    """How to prove to the brokers who we are, and to make sure who they are."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Encryption (SSL) and login (SASL) of the connection to the brokers."""
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """How the login is done; needed when the protocol is a SASL one."""
    username: Text | None = None
    """The name to log in with."""
    password: SecretStr | None = None
    """The password to log in with; write it as a `${…}` placeholder."""
    ca_file: Text | None = None
    """PEM file with the certificate authority of the brokers; left out: those the system trusts."""
    cert_file: Text | None = None
    """PEM file with our own certificate, where the brokers ask for one."""
    key_file: Text | None = None
    """PEM file with the key of our certificate."""
    key_password: SecretStr | None = None
    """The password of the key file, where it has one."""
    check_hostname: bool = True
    """Whether the name in the broker's certificate must be the name we called."""

    @property
    def encrypted(self) -> bool:
        """Whether the connection uses TLS."""
        return self.protocol in ("SSL", "SASL_SSL")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        login = (self.mechanism, self.username, self.password)
        if self.protocol.startswith("SASL_"):
            if None in login:
                raise wrong(f"{self.protocol} needs mechanism, username and password")
        elif any(login):
            raise wrong("mechanism, username and password need the protocol SASL_SSL or SASL_PLAINTEXT")
        files = (self.ca_file, self.cert_file, self.key_file, self.key_password)
        if any(files) and not self.encrypted:
            raise wrong("ca_file, cert_file and key_file need the protocol SSL or SASL_SSL")
        if (self.cert_file is None) != (self.key_file is None):
            raise wrong("cert_file and key_file go together")
        return self


class RegistryConfig(Part):
    """A schema registry that speaks Confluent's API."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s@]+$")]
    """The address of the registry's API, without user and password."""
    username: Text | None = None
    """The name for basic authentication."""
    password: SecretStr | None = None
    """The password for basic authentication; write it as a `${…}` placeholder."""
    ca_file: Text | None = None
    """PEM file with the certificate authority of the registry; left out: those the system trusts."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise wrong("username and password go together")
        return self


class KafkaConfig(Part):
    """The brokers, and the topics of our own."""

    bootstrap: Servers
    """One or more brokers as host:port, as a list or separated by commas."""
    group: Name
    """The consumer group of the workers; all workers of one configuration share it."""
    errors_topic: Topic = "instep.errors"
    """The topic that carries failures and resolutions from the workers to the sink."""
    security: SecurityConfig = SecurityConfig()
    """Encryption and login."""
    registry: RegistryConfig | None = None
    """The schema registry, where source topics carry Avro in Confluent framing; our own topics then use it too."""
    client: dict[str, Any] = Field(default_factory=dict, repr=False)
    """Any further option of kafka-python's clients, such as `client_rack` or `request_timeout_ms`."""

    @property
    def replay_topic(self) -> str:
        """The topic on which the workers of this group get replays."""
        return f"{self.group}.replay"
