"""Once a record's failure is over, the changes parked behind it follow, one after the other."""

from collections.abc import Sequence

from worker.batch import Translator
from worker.connectors.protocol import Refused
from worker.plan import MappingPlan
from worker.settle import Effects, Settled, settle


def follow(
    mapping: MappingPlan, records: Sequence[str], effects: Effects, translator: Translator
) -> list[Settled] | Refused:
    """Settle the parked changes of these records until each record has none left, or has failed again."""
    settled: list[Settled] = []
    with effects.state.lock(mapping.name, records) as locked:
        waiting = set(locked.parked) - set(locked.failures)
        while waiting:
            first = effects.state.first_parked(mapping.name, waiting)
            turns = [translator.change(mapping, message) for message in first.values()]
            changes = [each for each in turns if each is not None]
            result = settle(mapping, changes, effects, last_chance=True, following=True)
            if isinstance(result, Refused):
                return result
            settled.append(result)
            effects.state.unpark(mapping.name, first.values())
            waiting = set(first) - {failure.source.record_id for failure in result.failures}
    return settled
