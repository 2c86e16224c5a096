"""One connection of a client, whose patience is bounded: nobody can hold the sink's port by being slow, or by being many.

uvicorn itself waits for ever for a request to begin or to go on, and for a client to take its answer.
"""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

MOST_CONNECTIONS = 400
HEAD_WITHIN_S = 10.0
"""From the connection's begin, or the last answer, until a request's line and headers are there."""
BODY_WITHIN_S = 20.0
"""From the head until the body is there, and a second more for every so many bytes that came:"""
SLOWEST_BYTES_S = 64 * 1024
TAKEN_WITHIN_S = 30.0
"""How long an answer waits for a client that does not take it."""
LARGEST_HEAD_BYTES = 32 * 1024


class PatientConnection(H11Protocol):
    """A connection that is cut when the client is too slow, or is idle while there are too many."""

    idle_since = 0.0
    _deadline: asyncio.TimerHandle | None = None
    _untaken: asyncio.TimerHandle | None = None
    _body_bytes = 0

    @property
    def busy(self) -> bool:
        """Whether a request is worked on or answered."""
        # uvicorn says it were always there
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def cut(self) -> None:
        """End the connection at once."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take the connection; when there are too many, the one that is idle for the longest time goes."""
        super().connection_made(transport)
        self._allow(HEAD_WITHIN_S)
        if len(self.connections) > MOST_CONNECTIONS:
            # one that was cut a moment ago is still among them
            ours = (each for each in self.connections if isinstance(each, PatientConnection))
            open_now = [each for each in ours if not each.transport.is_closing()]
            if len(open_now) <= MOST_CONNECTIONS:
                return
            idle = (each for each in open_now if not each.busy)
            min(idle, key=lambda each: each.idle_since, default=self).cut()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        _stop(self._deadline)
        _stop(self._untaken)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what the client sends."""
        was_busy = self.busy
        self._body_bytes += len(data)
        super().data_received(data)
        self._allow_for_request(begins=not was_busy)

    def on_response_complete(self) -> None:
        """Wait for the next request, and for what is left of this one."""
        self._allow(HEAD_WITHIN_S)
        super().on_response_complete()
        self._allow_for_request(begins=True)

    def pause_writing(self) -> None:
        """The client does not take what it asked for."""
        super().pause_writing()
        _stop(self._untaken)
        self._untaken = self.loop.call_later(TAKEN_WITHIN_S, self.cut)

    def resume_writing(self) -> None:
        """The client took it."""
        _stop(self._untaken)
        super().resume_writing()

    def _allow_for_request(self, *, begins: bool) -> None:
        if not self.busy:
            return
        if not self.cycle.more_body:
            _stop(self._deadline)
        elif begins:
            self._body_bytes = 0
            self._allow(BODY_WITHIN_S)

    def _allow(self, seconds: float) -> None:
        self.idle_since = self.loop.time()
        _stop(self._deadline)
        self._deadline = self._after(seconds)

    def _after(self, seconds: float) -> asyncio.TimerHandle:
        return self.loop.call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        earned_s = self._body_bytes / SLOWEST_BYTES_S if self.busy and self.cycle.more_body else 0.0
        self._body_bytes = 0
        if earned_s > 0:
            self._deadline = self._after(earned_s)
        else:
            self.cut()


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
