"""The story: what goes well, everything that can go wrong with a record, and how each of it ends."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from demo.apps import Row
from demo.expectation import Expected
from demo.stage import Stage


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: what is told, what is done, and what it must lead to.

    `outcome` says the expectation in words, `look` where the page shows it. `within_s` is how long it may take, on a slow machine too.
    """

    title: str
    told: str
    play: Callable[[Stage], None]
    outcome: str
    look: str
    expected: Expected
    within_s: float = 30


def customer(number: str, **fields: str | int) -> Row:
    """Return a customer of the ERP; what is not given is made of the number."""
    default = {"name": f"Company {number}", "city": "Utrecht", "email": f"{number.lower()}@example.com"}
    return {"number": number, **default, "credit_limit": 5000, **fields}


def order(number: str, customer_number: str) -> Row:
    """Return an order of the ERP."""
    return {"number": number, "customer": customer_number, "amount": 120.5}


_LONG = "The Company With The Longest Name Of All"
_WHILE_LOCKED = [f"C{number}" for number in range(301, 351)]
_THERE: Mapping[str, str] = MappingProxyType({})
_TOO_LONG = {"C104": "too_long open"}
_UNREADABLE = {"C109": "undecodable open"}


def _clean(stage: Stage) -> None:
    stage.erp.save("customers", customer("C101"), customer("C102"), customer("C103"))
    stage.erp.save("orders", order("O201", "C101"), order("O202", "C102"))


def _update(stage: Stage) -> None:
    stage.erp.save("customers", {"number": "C101", "city": "Delft"})


def _delete(stage: Stage) -> None:
    stage.erp.delete("customers", "C103")


def _too_long(stage: Stage) -> None:
    stage.erp.save("customers", customer("C104", name=_LONG), customer("C105"), customer("C106"))


def _duplicate(stage: Stage) -> None:
    stage.erp.save("customers", customer("C107", email="c101@example.com"))


def _correct(stage: Stage) -> None:
    stage.erp.save("customers", {"number": "C107", "email": "c107@example.com"})


def _orphan(stage: Stage) -> None:
    stage.erp.save("orders", order("O203", "C108"))


def _parent(stage: Stage) -> None:
    stage.erp.save("customers", customer("C108"))


def _unreadable(stage: Stage) -> None:
    stage.erp.send_raw("customers", "C109", b"<customer>C109</customer>")


def _lock(stage: Stage) -> None:
    stage.crm.lock()
    stage.erp.save("customers", *(customer(number) for number in _WHILE_LOCKED))


def _unlock(stage: Stage) -> None:
    stage.crm.unlock()


def _rule(stage: Stage) -> None:
    stage.erp.save("customers", customer("C110", credit_limit=20_000))


def _replay(stage: Stage) -> None:
    stage.crm.allow_credit(50_000)
    stage.show("errors", "replay", "--record", "C110", "--wait")


def _shorten(stage: Stage) -> None:
    stage.erp.save("customers", {"number": "C104", "name": "Longest Name Ltd"})


STORY = (
    Turn(
        "A clean sync",
        "The ERP saves three customers and two orders. Each save is one message in Kafka; the worker applies them to the CRM.",
        _clean,
        "all five are in the CRM, nothing is wrong",
        "Sync status counts five records inserted; Overview says that nothing is wrong.",
        Expected(
            rows={
                "C101": {"name": "Company C101", "city": "Utrecht", "email": "c101@example.com"},
                **dict.fromkeys(("C102", "C103", "O202"), _THERE),
                "O201": {"account_number": "C101", "amount": 120.5},
            }
        ),
    ),
    Turn(
        "An update",
        "Customer C101 moves to Delft.",
        _update,
        "C101 is in Delft in the CRM too",
        "Sync status counts one modified.",
        Expected(rows={"C101": {"city": "Delft", "name": "Company C101"}}),
    ),
    Turn(
        "A delete",
        "Customer C103 is deleted. The mapping says on_delete: propagate, so the CRM loses it too.",
        _delete,
        "C103 is gone from the CRM",
        "Sync status counts one deleted.",
        Expected(rows={"C103": None, "C102": _THERE}),
    ),
    Turn(
        "A value too long",
        "Three customers are saved together. The name of C104 has 40 characters, and the CRM takes 30.",
        _too_long,
        "C104 is one entry; the two others went through",
        "Record errors has C104; open it: what happened, why, what to do. Groups has its cause.",
        Expected(rows={"C104": None, "C105": _THERE, "C106": _THERE}, listed=_TOO_LONG),
    ),
    Turn(
        "A duplicate",
        "C107 is saved with the email of C101, which must be unique in the CRM. C101 may give it away in a moment, so "
        "the entry waits and is tried again by itself.",
        _duplicate,
        "C107 waits",
        "Record errors has C107 too, as one that heals itself.",
        Expected(rows={"C107": None}, listed=_TOO_LONG | {"C107": "duplicate_key waiting"}),
    ),
    Turn(
        "The duplicate corrected",
        "It was a mistake: the owner of C107 corrects its email in the ERP.",
        _correct,
        "C107 is in the CRM, its entry superseded",
        "C107 is gone from Record errors, without anybody touching it.",
        Expected(
            rows={"C107": {"email": "c107@example.com"}}, listed=_TOO_LONG, closed={"C107": "superseded"}
        ),
    ),
    Turn(
        "An order before its customer",
        "Order O203 arrives, but its customer C108 has not come yet: topics are not in order with each other.",
        _orphan,
        "O203 waits",
        "Overview counts one that is healing by itself.",
        Expected(rows={"O203": None}, listed=_TOO_LONG | {"O203": "reference_missing waiting"}),
    ),
    Turn(
        "The customer arrives",
        "Now C108 comes. Nobody touches O203: the sink has it tried again after 5 s, then 15, then 60 …",
        _parent,
        "O203 healed itself",
        "Overview again: nothing is left to heal.",
        Expected(
            rows={"C108": _THERE, "O203": {"account_number": "C108"}},
            listed=_TOO_LONG,
            closed={"O203": "released"},
        ),
        within_s=100,
    ),
    Turn(
        "An unreadable message",
        "Some other program writes XML into the customers' topic. It cannot become a change, and it stops nobody.",
        _unreadable,
        "one entry says where the message stands",
        "Setup errors has C109, for a developer. Open it: an admin sees its bytes.",
        Expected(listed=_TOO_LONG | _UNREADABLE),
    ),
    Turn(
        "The CRM is locked",
        "Somebody locks the CRM's database, and the ERP saves 50 customers. That is no fault of any record: the worker "
        "pauses, reports the app once, and keeps its place in Kafka.",
        _lock,
        "paused, one entry for the app, none per record",
        "Overview and Sync status say that the CRM is paused, and why.",
        Expected(listed=_TOO_LONG | _UNREADABLE | {"crm": "unavailable open"}, paused=True),
    ),
    Turn(
        "The CRM is back",
        "The lock is gone. The worker notices at its next probe.",
        _unlock,
        "all 50 are in the CRM, the app's entry closed itself",
        "Sync status counts 50 more inserted, and nothing is paused.",
        Expected(
            rows=dict.fromkeys(_WHILE_LOCKED, _THERE),
            listed=_TOO_LONG | _UNREADABLE,
            closed={"crm": "released"},
        ),
        within_s=60,
    ),
    Turn(
        "A business rule says no",
        "C110 has a credit limit of 20,000; a rule of the CRM allows 10,000. Waiting would not help, so the entry is open.",
        _rule,
        "C110 is one entry",
        "Record errors has C110; open it: it tells what the CRM said.",
        Expected(rows={"C110": None}, listed=_TOO_LONG | _UNREADABLE | {"C110": "rejected_by_app open"}),
    ),
    Turn(
        "Fixed, and replayed",
        "An administrator of the CRM allows 50,000, and has the change tried again. The worker says what became of it.",
        _replay,
        "C110 is in the CRM, its entry over by replay",
        "Audit says who had C110 replayed, and through what.",
        Expected(
            rows={"C110": {"credit_limit": 20_000}},
            listed=_TOO_LONG | _UNREADABLE,
            closed={"C110": "replay"},
        ),
    ),
    Turn(
        "A later change makes it right",
        "The owner of C104 shortens its name in the ERP. The entry from before closes itself: the list is true.",
        _shorten,
        "C104 is in the CRM, its entry superseded",
        "Record errors is empty; Setup errors still has C109.",
        Expected(
            rows={"C104": {"name": "Longest Name Ltd"}},
            listed=_UNREADABLE,
            closed={"C104": "superseded"},
        ),
    ),
)
