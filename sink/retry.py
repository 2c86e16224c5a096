"""Replays on their way to the workers: those the schedule asks for and those persons ask for.

Several sinks may do this at once: what one of them claims by a conditional update, no other sends.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError

from schemas.codec import Codec
from schemas.events import event_key
from sink.store import replays, transitions
from sink.store.replays import Outgoing
from sink.store.store import Store

SCHEDULE = "schedule"
_AT_ONCE = 1000
_ACKNOWLEDGED_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Replays:
    """What is needed to send replays; `clock_us` tells the time in microseconds since 1970."""

    store: Store
    producer: KafkaProducer
    codec: Codec
    timeout_s: float
    clock_us: Callable[[], int]

    def run(self) -> Counter[str]:
        """Ask for what is due, send what was asked for, end what got no answer; returns how many of each.

        Raises what StoreAway lists when the store is away.
        """
        counts = Counter({"due": self._ask_for_due()})
        counts.update(self._send())
        overdue = self._time_out()
        counts.update({"unconfirmed": overdue.unconfirmed, "not_sent": overdue.not_sent})
        return counts

    def _ask_for_due(self) -> int:
        now_us = self.clock_us()
        request = transitions.Request(SCHEDULE, now_us, replays.new_replay_id, scheduled=True)
        with self.store.writing() as connection:
            due = replays.due_entries(connection, now_us, _AT_ONCE)
            steps = transitions.request_replays(connection, due, request) if due else []
        return sum(isinstance(step, transitions.Moved) for step in steps)

    def _send(self) -> Counter[str]:
        with self.store.writing() as connection:
            outgoing = replays.claim(connection, self.clock_us(), _AT_ONCE)
        if not outgoing:
            return Counter()
        sent, failed = self._produce(outgoing)
        with self.store.writing() as connection:
            replays.mark_sent(connection, sent, self.clock_us())
            replays.release(connection, failed)
        return Counter(sent=len(sent), send_failed=len(failed))

    def _produce(self, outgoing: Sequence[Outgoing]) -> tuple[list[str], list[str]]:
        log = structlog.get_logger()
        futures = []
        sent, failed = [], []
        for each in outgoing:
            request = each.request
            try:
                future = self.producer.send(
                    each.topic, self.codec.encode(request), key=event_key(request), headers=[]
                )
            except KafkaError as error:
                log.warning("a replay could not be sent", replay_id=request.replay_id, reason=str(error))
                failed.append(request.replay_id)
                continue
            futures.append((request.replay_id, future))
        for replay_id, future in futures:
            try:
                future.get(_ACKNOWLEDGED_WITHIN_S)
                sent.append(replay_id)
            except KafkaError as error:
                log.warning("a replay was not acknowledged", replay_id=replay_id, reason=str(error))
                failed.append(replay_id)
        return sent, failed

    def _time_out(self) -> replays.Overdue:
        now_us = self.clock_us()
        with self.store.writing() as connection:
            return replays.time_out(connection, now_us - int(self.timeout_s * 1e6), now_us, _AT_ONCE)
