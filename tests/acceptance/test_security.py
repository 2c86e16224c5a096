"""The whole path over TLS with SASL SCRAM-SHA-512: topics, worker, sink, a failure, its replay."""

from tests.acceptance.world import MakeWorld, mapping
from tests.contract.connectors.target import Target
from tests.services.kafka import Kafka

TABLE = "create table customers (id int primary key, name varchar(20) not null)"


def test_the_path_works_over_tls_with_scram(kafka: Kafka, make_world: MakeWorld, pg_crm: Target) -> None:
    pg_crm.execute(TABLE)
    secure = {
        "bootstrap": kafka.secure_bootstrap,
        "security": {
            "protocol": "SASL_SSL",
            "mechanism": "SCRAM-SHA-512",
            "username": kafka.user,
            "password": kafka.password,
            "ca_file": kafka.ca_file,
        },
    }
    world = make_world({"customers": mapping("customers")}, pg_crm, kafka=secure)
    world.start()
    long_name = "a name of more than twenty characters"
    world.put("customers", {"id": 1, "name": "short"}, {"id": 2, "name": long_name})
    world.settle()
    assert pg_crm.rows("select id, name from customers") == [(1, "short")]
    assert world.entry("2")["code"] == "too_long"

    pg_crm.execute("alter table customers alter column name type text")
    world.replay(world.entry("2")["id"])

    assert pg_crm.rows("select id, name from customers order by id") == [(1, "short"), (2, long_name)]
    assert world.entry("2")["resolved_by"] == "replay"
    assert kafka.password not in world.logs()
