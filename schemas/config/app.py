"""The `apps` part of the configuration."""

from typing import Any, Self

from pydantic import Field, SecretStr, model_validator

from schemas.config.part import Part
from schemas.config.scalar import SQL_SCHEMES, Name, database_url, wrong

SQL = "sql"


class AppConfig(Part):
    """One app. Without a connector it only sends events."""

    connector: Name | None = None
    """How to write to the app: `sql`, or the name of a plug-in; left out: the app is only read from, through its topics."""
    url: SecretStr | None = None
    """Where the app is. For `sql` a database URL: `postgresql+psycopg://`, `mariadb+pymysql://`, `mysql+pymysql://` or `sqlite:///`."""
    options: dict[str, Any] = Field(default_factory=dict, repr=False)
    """Further settings of the connector."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.connector is None and (self.url is not None or self.options):
            raise wrong("url and options need a connector")
        if self.connector == SQL:
            if self.url is None:
                raise wrong("the sql connector needs a url")
            database_url(self.url, SQL_SCHEMES)
        return self
