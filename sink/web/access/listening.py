"""Where the sink may listen."""

from schemas.config.process import SinkConfig
from sink.store import tokens
from sink.store.store import Store
from sink.web.access.forwarded import is_loopback


def listening_fault(config: SinkConfig, store: Store) -> str | None:
    """Return why the sink must not serve as it is configured, in words; None when it may.

    Without a token whoever reaches the port is let in, so only this machine may reach it, and not through a proxy.
    """
    if is_loopback(config.listen.host) and not config.trusted_proxies:
        return None
    with store.reading() as connection:
        if tokens.any_token(connection):
            return None
    why = (
        f"sink.listen is {config.listen}"
        if not is_loopback(config.listen.host)
        else "sink.trusted_proxies is set"
    )
    return (
        f"{why}, but there is no token yet, so anybody could do anything here: "
        "create one with `instep token create NAME --role admin`, or listen on 127.0.0.1 without a proxy"
    )
