"""How often a secret may be tried: so many times in a row, then at a pace, for each client and for all together. Pure."""

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allowance:
    """`burst` tries at once, and a new one every `every_s` seconds."""

    burst: int
    every_s: float


PER_CLIENT = Allowance(burst=10, every_s=6.0)
OVERALL = Allowance(burst=200, every_s=0.3)
MOST_CLIENTS = 4096


class Pace:
    """Counts tries that are wrong: each is charged before it is known to be, and given back when it was right.

    What a client owes is kept as the moment when it will have paid it all, so one number a client. Of more than MOST_CLIENTS the
    ones that tried longest ago are forgotten; the allowance of all together holds for them too.
    """

    def __init__(self, per_client: Allowance = PER_CLIENT, overall: Allowance = OVERALL) -> None:
        self._per_client = per_client
        self._overall = overall
        self._paid_at: OrderedDict[str, float] = OrderedDict()
        self._all_paid_at = 0.0

    def charge(self, client: str, now_s: float) -> float:
        """Charge a try and return 0, or charge nothing and return after how many seconds there may be one."""
        paid_at = max(self._paid_at.get(client, 0.0), now_s)
        all_paid_at = max(self._all_paid_at, now_s)
        wait_s = max(_wait_s(paid_at, now_s, self._per_client), _wait_s(all_paid_at, now_s, self._overall))
        if wait_s > 0:
            return wait_s
        self._paid_at[client] = paid_at + self._per_client.every_s
        self._paid_at.move_to_end(client)
        self._all_paid_at = all_paid_at + self._overall.every_s
        while len(self._paid_at) > MOST_CLIENTS:
            self._paid_at.popitem(last=False)
        return 0.0

    def give_back(self, client: str) -> None:
        """Take a charge back: the secret was right."""
        if client in self._paid_at:
            self._paid_at[client] -= self._per_client.every_s
        self._all_paid_at -= self._overall.every_s


def _wait_s(paid_at: float, now_s: float, allowance: Allowance) -> float:
    most = now_s + allowance.burst * allowance.every_s
    return max(0.0, paid_at + allowance.every_s - most)
