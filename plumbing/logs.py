"""How both processes write their logs: to stderr, for people on a terminal, else one JSON object a line."""

import logging
import sys
from collections.abc import MutableMapping, Sequence
from typing import Any, TextIO

import structlog
from pydantic import SecretStr
from structlog.typing import Processor

# The client warns in every attempt of every connection while a broker is away; our own line says it once.
_NOISY = {"kafka": logging.ERROR, "kafka.net": logging.CRITICAL, "kafka.cluster": logging.CRITICAL}
_QUIET = {"alembic": logging.WARNING, "httpx2": logging.WARNING, "uvicorn.access": logging.WARNING}


def configure_logs(stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Send everything that is logged, by us and by libraries, to `stream` (default: stderr)."""
    target = sys.stderr if stream is None else stream
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(target)],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name, quiet_level in (_NOISY | _QUIET).items():
        logging.getLogger(name).setLevel(quiet_level)


def hide_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put stars in place of a secret, however it got into a line."""
    for name, value in event.items():
        if isinstance(value, SecretStr) or any(
            word in name.lower() for word in ("password", "secret", "token")
        ):
            event[name] = "**********"
    return event


def _rendering(target: TextIO) -> Sequence[Processor]:
    if target.isatty():
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=True, exception_formatter=plain)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
