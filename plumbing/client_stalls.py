"""Ways around faults of the client, seen with kafka-python 3.0.12.

After two of them a consumer reads no more for ever; one keeps what was read.
"""

from typing import Any

from kafka import KafkaConsumer
from kafka.errors import KafkaTimeoutError


def collect_joins(consumer: KafkaConsumer) -> None:
    """Let `poll` go on with a join that is under way until its result is there; nothing on a client made otherwise.

    A consumer that leads its group also joins anew when the partitions of its topics changed. The client takes that
    reason for settled as soon as the new division is worked out, on its own thread; when the `poll` that began the join
    has run out of time by then, the next one sees no reason to ask for the result. The consumer keeps its partitions as
    "about to be revoked", sends no heartbeat, and `poll` spins.
    """
    coordinator: Any = getattr(consumer, "_coordinator", None)
    if not hasattr(coordinator, "rejoining") or not hasattr(coordinator, "need_rejoin"):
        return
    has_reason = coordinator.need_rejoin

    def need_rejoin() -> bool:
        return bool(coordinator.rejoining or has_reason())

    coordinator.need_rejoin = need_rejoin


def take_up_resumed(consumer: KafkaConsumer) -> None:
    """Let `poll` return what was put aside while its partition was paused; nothing on a client made otherwise.

    The client takes it up again only when no other records are in line, and takes records that were all returned for
    records in line. It fetches nothing of that partition either, as it has some.
    """
    fetcher: Any = getattr(consumer, "_fetcher", None)
    if not hasattr(fetcher, "_next_partition_records"):
        return
    fetched_records = fetcher.fetched_records

    def fetched_or_resumed(*args: Any, **options: Any) -> Any:
        if not fetcher._next_partition_records:  # noqa: SLF001  looked for above
            fetcher._next_partition_records = None  # noqa: SLF001  likewise
        return fetched_records(*args, **options)

    fetcher.fetched_records = fetched_or_resumed


def let_go_of_timeouts(consumer: KafkaConsumer) -> None:
    """Let a `poll` that runs out of time leave no cycle behind; nothing on a client made otherwise.

    The client keeps the exception where its traceback leads to, and a traceback keeps the callers with all that they
    hold: each such `poll` would keep a batch until the interpreter looks for cycles, which is made seldom.
    """
    net: Any = getattr(getattr(consumer, "_fetcher", None), "_net", None)
    if not hasattr(net, "run"):
        return
    run_to_the_end = net.run

    def run(*args: Any) -> Any:
        try:
            return run_to_the_end(*args)
        except KafkaTimeoutError as error:
            words, cause = error.args, error.__cause__
            error.__traceback__ = None
        # another one, as the client holds on to the first
        raise KafkaTimeoutError(*words) from cause

    net.run = run
