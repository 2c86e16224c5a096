from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.config.model import Config
from schemas.config.page import EXAMPLE
from schemas.config.problem import ConfigProblems
from schemas.config.scalar import Address
from tests.unit.config.written import parsed, problems, read, written

MAPPING = "mappings.customers"
CRM = {"connector": "sql", "url": "sqlite:///crm.db"}


def second_mapping(**target: str) -> dict[str, Any]:
    return {
        "source": {"app": "erp", "entity": "customers", "topic": "erp.customers", "key": "number"},
        "target": {"app": "crm", "entity": "account", "key": "account_number"} | target,
        "on_delete": "ignore",
    }


# What is changed in a file that is right; the path that the problem names; words that it says.
WRONG: list[tuple[dict[str, Any], str, str]] = [
    # unknown keys
    ({"kafak": {}}, "kafak", 'unknown key "kafak". Did you mean "kafka"?'),
    ({"kafka.grup": "x"}, "kafka.grup", 'Did you mean "group"?'),
    ({f"{MAPPING}.target.entitty": "x"}, f"{MAPPING}.target.entitty", 'Did you mean "entity"?'),
    ({f"{MAPPING}.zzz": 1}, f"{MAPPING}.zzz", "Known here: direction, fields, format, on_delete, order"),
    ({f"{MAPPING}.conflict": "report"}, f"{MAPPING}.conflict", "unknown key"),
    (
        {f"{MAPPING}.fields": [{"source": "a", "target": "b", "lookup": "c"}]},
        f"{MAPPING}.fields[0].lookup",
        "unknown",
    ),
    ({"sink.retention": {"payloads": "400d"}}, "sink.retention.payloads", "unknown key"),
    # wrong types
    ({"kafka.group": 7}, "kafka.group", "must be a text. Put it in quotes."),
    ({"kafka": "localhost"}, "kafka", "must be a mapping"),
    ({"kafka.bootstrap": "localhost"}, "kafka.bootstrap[0]", "must be host:port"),
    ({"kafka.bootstrap": "localhost:99999"}, "kafka.bootstrap[0]", "must be host:port"),
    ({"kafka.bootstrap": []}, "kafka.bootstrap", "must not be empty"),
    ({"worker.batch": "many"}, "worker.batch", "must be a whole number"),
    ({"worker.batch": True}, "worker.batch", "must be a whole number"),
    ({"worker.batch": 2.5}, "worker.batch", "must be a whole number"),
    ({"worker.batch": 0}, "worker.batch", "must be at least 1"),
    ({"worker.batch": 10**9}, "worker.batch", "must be at most 50000"),
    ({"worker.metrics": "9101"}, "worker.metrics", "must be host:port"),
    ({"worker.progress_s": 0}, "worker.progress_s", "must be at least 0.1"),
    ({"worker.progress_s": 121}, "worker.progress_s", "must be at most 120"),
    ({"worker": []}, "worker", "must be a mapping"),
    ({"sink": None}, "sink", "must be a mapping"),
    ({"sink.retention": {"closed": "7 days"}}, "sink.retention.closed", "above 0 and a unit"),
    ({"sink.retention": {"closed": "0d"}}, "sink.retention.closed", "above 0 and a unit"),
    ({"apps": []}, "apps", "must be a mapping"),
    ({"apps": {"erp": {}, "crm": CRM, 1: {}}}, "apps.1", "must be a text"),
    ({"mappings": {}}, "mappings", "must not be empty"),
    ({"mappings": {"all customers": second_mapping()}}, "mappings.all customers", "may only have letters"),
    ({f"{MAPPING}.source.topic": "a b"}, f"{MAPPING}.source.topic", "no name that a Kafka topic can have"),
    ({f"{MAPPING}.source.key": []}, f"{MAPPING}.source.key", "must not be empty"),
    ({f"{MAPPING}.source.key": ["a", "a"]}, f"{MAPPING}.source.key", "the same field twice"),
    ({f"{MAPPING}.source.link": "erp/{number}"}, f"{MAPPING}.source.link", "must be a URL"),
    (
        {f"{MAPPING}.source.link": "https://erp/{number"},
        f"{MAPPING}.source.link",
        "must be a URL with field names",
    ),
    ({f"{MAPPING}.on_delete": "propogate"}, f"{MAPPING}.on_delete", 'Did you mean "propagate"?'),
    ({f"{MAPPING}.direction": "both"}, f"{MAPPING}.direction", "must be forward"),
    ({f"{MAPPING}.fields": []}, f"{MAPPING}.fields", "must not be empty"),
    ({f"{MAPPING}.fields": "name"}, f"{MAPPING}.fields", "must be a list"),
    # databases
    ({"apps.crm.url": "postgres://crm"}, "apps.crm", 'Did you mean "postgresql"?'),
    ({"apps.crm.url": "crm.db"}, "apps.crm", "must be a database URL"),
    ({"apps.crm": {"connector": "sql"}}, "apps.crm", "the sql connector needs a url"),
    ({"apps.crm": CRM | {"connector": "sqll"}}, "apps.crm.connector", 'Did you mean "sql"?'),
    ({"apps.erp": {"url": "sqlite:///x.db"}}, "apps.erp", "url and options need a connector"),
    (
        {"worker.state": {"url": "mysql://x/y"}},
        "worker.state.url",
        'cannot use a database of the kind "mysql"',
    ),
    ({"sink.store": {"url": "sqlite://"}}, "sink.store.url", "must name a file"),
    # apps and mappings that do not go together
    (
        {f"{MAPPING}.source.app": "epr"},
        f"{MAPPING}.source.app",
        'unknown app "epr"; known are crm, erp. Did you mean',
    ),
    ({f"{MAPPING}.target.app": "crn"}, f"{MAPPING}.target.app", 'Did you mean "crm"?'),
    ({f"{MAPPING}.target.app": "erp"}, f"{MAPPING}.target.app", '"erp" has no connector'),
    (
        {f"{MAPPING}.source.app": "crm", f"{MAPPING}.source.entity": "account"},
        f"{MAPPING}.target.entity",
        "sync with itself",
    ),
    ({f"{MAPPING}.source.key": ["a", "b"]}, f"{MAPPING}.target.key", "has 1 fields, but source.key has 2"),
    ({f"{MAPPING}.source.link": "https://erp/{nmber}"}, f"{MAPPING}.source.link", 'Did you mean "number"?'),
    ({f"{MAPPING}.source.topic": "instep.errors"}, f"{MAPPING}.source.topic", "one of Instep's own topics"),
    ({f"{MAPPING}.source.topic": "erp-crm.replay"}, f"{MAPPING}.source.topic", "one of Instep's own topics"),
    ({"kafka.errors_topic": "erp-crm.replay"}, "kafka.errors_topic", "must not be the topic of the replays"),
    ({"mappings.again": second_mapping()}, "mappings.again", 'same target entity as mapping "customers"'),
    (
        {f"{MAPPING}.source.tombstone": "delete", f"{MAPPING}.on_delete": "ignore"},
        f"{MAPPING}.source.tombstone",
        "cannot count as a delete",
    ),
    ({f"{MAPPING}.where": "blocked"}, f"{MAPPING}.where", "compare it, as in blocked = true"),
    ({f"{MAPPING}.where": "a ="}, f"{MAPPING}.where", "is no SQL condition"),
    # fields
    ({f"{MAPPING}.fields": ["a", "a"]}, f"{MAPPING}.fields", 'fill the same target "a"'),
    ({f"{MAPPING}.fields": [{"target": "a"}]}, f"{MAPPING}.fields[0]", "needs either source or constant"),
    (
        {f"{MAPPING}.fields": [{"target": "a", "source": "b", "constant": None}]},
        f"{MAPPING}.fields[0]",
        "not both",
    ),
    (
        {f"{MAPPING}.fields": [{"target": "a", "constant": 1, "transform": ["trim"]}]},
        f"{MAPPING}.fields[0]",
        "a constant takes no transform",
    ),
    (
        {f"{MAPPING}.fields": [{"target": "a", "constant": [1]}]},
        f"{MAPPING}.fields[0].constant",
        "must be a text",
    ),
    (
        {f"{MAPPING}.fields": [{"target": "a", "source": "b", "options": {}}]},
        f"{MAPPING}.fields[0].options",
        "one pair",
    ),
    (
        {f"{MAPPING}.fields": [{"target": "a", "source": "b", "transform": ["trimm"]}]},
        f"{MAPPING}.fields[0].transform[0]",
        'Did you mean "trim"?',
    ),
    (
        {f"{MAPPING}.fields": [{"target": "a", "source": "b", "transform": [{"substring": {"lenght": 1}}]}]},
        f"{MAPPING}.fields[0].transform[0].substring.lenght",
        'Did you mean "length"?',
    ),
    (
        {f"{MAPPING}.fields": [{"target": "account_number", "source": "other"}]},
        f"{MAPPING}.fields[0].source",
        'its source must be "number"',
    ),
    # security
    (
        {"kafka.security": {"protocol": "SASL_SSL"}},
        "kafka.security",
        "needs mechanism, username and password",
    ),
    ({"kafka.security": {"protocol": "sasl_ssl"}}, "kafka.security.protocol", 'Did you mean "SASL_SSL"?'),
    ({"kafka.security": {"username": "x"}}, "kafka.security", "need the protocol SASL_SSL"),
    ({"kafka.security": {"ca_file": "ca.pem"}}, "kafka.security", "need the protocol SSL"),
    (
        {"kafka.security": {"protocol": "SSL", "cert_file": "c.pem"}},
        "kafka.security",
        "cert_file and key_file",
    ),
    ({"kafka.registry": {"url": "http://u:p@r"}}, "kafka.registry.url", "have keys of their own"),
    ({"kafka.registry": {"url": "http://r", "username": "u"}}, "kafka.registry", "go together"),
]


@pytest.mark.parametrize(
    ("changes", "path", "words"), WRONG, ids=[f"{path}-{words[:24]}" for _, path, words in WRONG]
)
def test_refuses_what_is_wrong_and_says_where(changes: dict[str, Any], path: str, words: str) -> None:
    found = problems(written(changes))

    assert [problem.path for problem in found] == [path]
    assert words in found[0].what
    assert found[0].file == "instep.yaml"
    assert found[0].line is not None


@pytest.mark.parametrize(
    "path", ["kafka", "apps", "mappings", "kafka.bootstrap", f"{MAPPING}.on_delete", f"{MAPPING}.target.key"]
)
def test_what_must_be_there_is_missed(path: str) -> None:
    found = problems(written(without=path))

    assert (path, "is missing") in [(problem.path, problem.what) for problem in found]


def test_the_smallest_file_has_defaults_for_the_rest() -> None:
    config = parsed(written())

    assert config.kafka.errors_topic == "instep.errors"
    assert config.kafka.replay_topic == "erp-crm.replay"
    assert config.sink.group == "erp-crm.sink"
    assert config.worker.metrics == Address("127.0.0.1", 9101)
    assert config.worker.state.url.get_secret_value() == "sqlite:///instep-worker.db"
    assert config.sink.retention.closed == timedelta(days=7)
    assert config.mappings["customers"].fields is None
    assert config.mappings["customers"].source.key == ("number",)


def test_the_example_of_the_page_is_right() -> None:
    environ = {"CRM_PASSWORD": "a", "STATE_PASSWORD": "b"}

    config = parsed(EXAMPLE, environ, {"/run/secrets/kafka-password": "c\n"})

    assert config.kafka.bootstrap == ("kafka-1:9093", "kafka-2:9093")
    assert config.kafka.security.password is not None
    assert config.kafka.security.password.get_secret_value() == "c"


def test_a_plain_field_stands_for_both_sides() -> None:
    fields = parsed(written({f"{MAPPING}.fields": ["name"]})).mappings["customers"].fields

    assert fields is not None
    assert (fields[0].source, fields[0].target, fields[0].is_constant) == ("name", "name", False)


def test_a_constant_may_be_null() -> None:
    fields = (
        parsed(written({f"{MAPPING}.fields": [{"constant": None, "target": "a"}]}))
        .mappings["customers"]
        .fields
    )

    assert fields is not None
    assert fields[0].is_constant


def test_options_keep_the_types_of_their_values() -> None:
    options = {"Open": 0, 2: "one", True: None, 2.5: False}
    changed = written({f"{MAPPING}.fields": [{"source": "a", "target": "b", "options": options}]})

    fields = parsed(changed).mappings["customers"].fields

    assert fields is not None
    assert fields[0].options == options


def test_everything_that_is_wrong_is_told_at_once_in_the_order_of_the_lines() -> None:
    changes = {
        "kafka.group": 1,
        "apps.erp": {"conector": "sql"},
        f"{MAPPING}.target.app": "nobody",
        "mappings.second": second_mapping() | {"on_delete": "drop"},
        "worker.batch": "${BATCH}",
        "sink.retention": {"closed": 1},
    }

    found = problems(written(changes))

    assert [problem.path for problem in found] == [
        "kafka.group",
        "apps.erp.conector",
        "mappings.customers.target.app",
        "mappings.second.on_delete",
        "worker.batch",
        "sink.retention.closed",
    ]
    assert [problem.line for problem in found] == sorted(problem.line or 0 for problem in found)


def test_a_missing_secret_is_one_problem_and_not_a_wrong_type_too() -> None:
    (problem,) = problems(written({"worker.batch": "${BATCH}"}))

    assert str(problem).endswith("worker.batch: the environment variable BATCH is not set")


@pytest.mark.parametrize(
    ("placeholder", "words"),
    [
        (
            "${file:/run/secrets/x}",
            "the secret file /run/secrets/x cannot be read: No such file or directory",
        ),
        ("${}", "not a placeholder"),
        ("${A B}", "not a placeholder"),
        ("${A", "not a placeholder"),
    ],
)
def test_a_placeholder_that_stands_for_nothing_is_a_problem(placeholder: str, words: str) -> None:
    (problem,) = problems(written({"worker.name": placeholder}))

    assert problem.path == "worker.name"
    assert words in problem.what


def test_no_secret_shows_in_what_the_configuration_prints() -> None:
    secret = "hunter2"
    changes = {
        "apps.crm.url": "mysql://u:${S}@h/d",
        "apps.crm.options": {"x": "${S}"},
        "kafka.client": {"client_rack": "${S}"},
        "kafka.security": {
            "protocol": "SASL_SSL",
            "mechanism": "PLAIN",
            "username": "u",
            "password": "${S}",
        },
        "worker.state": {"url": "postgresql://u:${S}@h/d"},
    }

    assert secret not in repr(parsed(written(changes), {"S": secret}))


@pytest.mark.parametrize(
    "path",
    [
        "kafka.bootstrap",
        "worker.batch",
        "worker.metrics",
        "sink.store",
        "apps.crm.url",
        f"{MAPPING}.on_delete",
        f"{MAPPING}.where",
        f"{MAPPING}.source.link",
        "kafka.security",
        "sink.retention",
        "kafka.registry",
    ],
)
def test_no_value_shows_in_what_is_wrong(path: str) -> None:
    config = read(written({path: "hunter2${S}"}), {"S": "hunter2"})

    assert isinstance(config, ConfigProblems)
    assert "hunter2" not in str(config)


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_problems(text: str) -> None:
    assert isinstance(read(text), Config | ConfigProblems)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
PLACES = [
    *(
        "kafka",
        "kafka.security",
        "apps",
        "apps.crm",
        "mappings",
        MAPPING,
        f"{MAPPING}.source",
        f"{MAPPING}.fields",
    ),
    *(
        f"{MAPPING}.where",
        "worker",
        "worker.state",
        "sink",
        "sink.retention",
        "kafka.client",
        f"{MAPPING}.source.key",
    ),
]


@given(st.sampled_from(PLACES), JSON)
def test_any_value_at_any_place_is_taken_or_refused(path: str, value: Any) -> None:
    assert isinstance(read(written({path: value})), Config | ConfigProblems)
