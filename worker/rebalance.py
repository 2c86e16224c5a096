"""What happens when the group divides its partitions anew: everything in flight is ended or let go before they leave."""

from collections.abc import Callable

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata
from structlog.typing import FilteringBoundLogger


class Handover(AsyncConsumerRebalanceListener):  # type: ignore[misc]  # the client has no types
    """Runs in the client's thread while `poll` waits, so it may touch the loop's state."""

    def __init__(
        self,
        consumer: KafkaConsumer,
        release: Callable[[], dict[TopicPartition, OffsetAndMetadata]],
        log: FilteringBoundLogger,
    ) -> None:
        self._consumer = consumer
        self._release = release
        self._log = log

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Commit what is settled; the rest is delivered again to whoever gets the partitions.

        The client would go on where it was in those that come back to it, and it is never told of a rebalance that
        another one overtakes: by then somebody else may have had them. So it forgets them, and asks the group.
        """
        offsets = self._release()
        if offsets and revoked:
            try:
                await self._consumer.commit_async(offsets)
            except KafkaError as error:
                self._log.warning("offsets not committed", reason=type(error).__name__)
        self._consumer._subscription.assign_from_subscribed([])  # noqa: SLF001  nothing public forgets positions

    async def on_partitions_lost(self, lost: set[TopicPartition]) -> None:
        """Let go without committing: the partitions are somebody else's already."""
        self._release()
        self._log.warning("partitions lost", count=len(lost))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Say what this worker has now."""
        self._log.info("partitions assigned", count=len(assigned))
