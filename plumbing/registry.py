"""A schema registry that speaks Confluent's API."""

import ssl
from typing import Any, Self
from uuid import UUID

import httpx2

from plumbing.unreachable import UnreachableError
from schemas.config.kafka import RegistryConfig

_TIMEOUT_S = 5.0
_JSON = "application/vnd.schemaregistry.v1+json"


class RegistryUnreachable(UnreachableError):  # noqa: N818  named for what is the case
    """The registry does not answer, refuses us, or answers what no registry would."""


class Registry:
    """One registry; a schema is asked for once and kept, as an id never changes its meaning. For one thread."""

    def __init__(self, config: RegistryConfig) -> None:
        self._url = config.url.rstrip("/")
        self._found: dict[int | UUID, str] = {}
        self._client = httpx2.Client(
            auth=_auth(config),
            verify=_verify(config),
            timeout=_TIMEOUT_S,
            headers={"Accept": f"{_JSON}, application/json"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find_schema(self, schema_id: int | UUID) -> str | None:
        """Return the Avro schema text of an id or a GUID, None where there is none; raises RegistryUnreachable."""
        if schema_id not in self._found:
            kind = "guids" if isinstance(schema_id, UUID) else "ids"
            answer = self._ask("GET", f"/schemas/{kind}/{schema_id}")
            # A schema of another kind has no Avro text: for us the id is unknown.
            if answer is None or answer.get("schemaType", "AVRO") != "AVRO":
                return None
            self._found[schema_id] = str(answer["schema"])
        return self._found[schema_id]

    def register_schema(self, subject: str, schema: str) -> int:
        """Register an Avro schema under a subject, where it is not already, and return its id; raises RegistryUnreachable."""
        answer = self._ask("POST", f"/subjects/{subject}/versions", {"schema": schema})
        if answer is None or not isinstance(answer.get("id"), int):
            raise RegistryUnreachable(f"the schema registry at {self._url} registers nothing under {subject}")
        return int(answer["id"])

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any] | None:
        try:
            response = self._client.request(method, self._url + path, json=body)
            if response.status_code == httpx2.codes.NOT_FOUND:
                return None
            response.raise_for_status()
            answer = response.json()
        except httpx2.HTTPStatusError as error:
            status = f"HTTP {error.response.status_code}"
            raise RegistryUnreachable(f"the schema registry at {self._url} answers {status}") from None
        except httpx2.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise RegistryUnreachable(
                f"the schema registry at {self._url} does not answer: {reason}"
            ) from None
        except ValueError:
            raise RegistryUnreachable(f"{self._url} answers no JSON: it is no schema registry") from None
        if not isinstance(answer, dict) or (method == "GET" and "schema" not in answer):
            raise RegistryUnreachable(f"{self._url} does not answer as a schema registry does")
        return answer


def _auth(config: RegistryConfig) -> tuple[str, str] | None:
    if config.username is None or config.password is None:
        return None
    return config.username, config.password.get_secret_value()


def _verify(config: RegistryConfig) -> ssl.SSLContext | bool:
    if config.ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=config.ca_file)
    except OSError as error:
        reason = error.strerror or "it is no PEM file"
        raise RegistryUnreachable(f"the ca_file of the registry cannot be read: {reason}") from None
