"""A way around a join that the client starts and never collects, after which a consumer reads nothing for ever.

A consumer that leads its group also joins anew when the partitions of its topics changed. The client takes that reason
for settled as soon as the new division is worked out, on its own thread; when the `poll` that began the join has run out
of time by then, the next one sees no reason to ask for the result. The consumer keeps its partitions as "about to be
revoked", sends no heartbeat, and `poll` spins. Seen with kafka-python 3.0.12.
"""

from typing import Any

from kafka import KafkaConsumer


def collect_joins(consumer: KafkaConsumer) -> None:
    """Let `poll` go on with a join that is under way until its result is there; nothing on a client made otherwise."""
    coordinator: Any = getattr(consumer, "_coordinator", None)
    if not hasattr(coordinator, "rejoining") or not hasattr(coordinator, "need_rejoin"):
        return
    has_reason = coordinator.need_rejoin

    def need_rejoin() -> bool:
        return bool(coordinator.rejoining or has_reason())

    coordinator.need_rejoin = need_rejoin
