"""What the description and the set queries find needs no halving; the parameters name what is wrong."""

# ruff: noqa: ISC004  statements too long for a line

from schemas.change import Kind
from tests.contract.connectors.target import Target, codes, put, written
from worker.connectors.protocol import Connector, Description

COLUMNS = ("id", "name", "code", "qty", "parent")

GUARD = {
    "postgres": (
        "create function guard() returns trigger language plpgsql as "
        "$$ begin if new.qty = 7 then raise exception 'no'; end if; return new; end $$",
        "create trigger guard before insert on thing for each row execute function guard()",
    ),
    "mariadb": (
        "create trigger guard before insert on thing for each row "
        "begin if new.qty = 7 then signal sqlstate '45000' set message_text = 'no'; end if; end",
    ),
    "sqlite": (
        "create trigger guard before insert on thing when new.qty = 7 begin select raise(abort, 'no'); end",
    ),
}


def make(target: Target) -> None:
    target.execute(
        "create table parent (id int primary key)",
        "insert into parent values (1)",
        "create table thing (id int primary key, name varchar(10) not null, code varchar(20), qty smallint, parent int, "
        "constraint uq_code unique (code), constraint fk_parent foreign key (parent) references parent (id), "
        "constraint ck_qty check (qty <> 13))",
    )


def test_rows_that_the_description_rules_out_never_reach_the_database(
    target: Target, connector: Connector
) -> None:
    make(target)
    rows = [(number, "x" * 99 if number % 7 == 0 else "ok", None, 1, 1) for number in range(200)]

    answer = written(connector.write(put("thing", COLUMNS, *rows)))

    assert len(answer.row_faults) == 29
    assert answer.splits == 0


def test_orphans_and_duplicates_are_found_without_halving(target: Target, connector: Connector) -> None:
    make(target)
    rows = [(number, "ok", f"c{number % 150}", 1, 404 if number == 7 else 1) for number in range(200)]

    answer = written(connector.write(put("thing", COLUMNS, *rows)))

    # The twin of the orphan is no duplicate, as the orphan is not written.
    assert len(answer.row_faults) == 50
    assert answer.splits == 0


def test_a_row_is_no_duplicate_of_one_that_is_refused_itself(target: Target, connector: Connector) -> None:
    make(target)
    target.execute("alter table thing add other varchar(9)", "create unique index uq_other on thing (other)")
    target.execute("insert into thing (id, name, other) values (9, 'ok', 'taken')")
    columns = ("id", "name", "code", "other")

    answer = connector.write(put("thing", columns, (1, "ok", "x", "taken"), (2, "ok", "x", "free")))

    assert codes(answer) == {0: "duplicate_key"}
    assert target.rows("select id, code from thing order by id") == [(2, "x"), (9, None)]


def test_a_row_is_no_duplicate_of_one_that_a_trigger_refuses(target: Target, connector: Connector) -> None:
    make(target)
    target.execute(*GUARD[target.dialect])
    rows = [(1, "ok", "x", 7, 1), (2, "ok", "x", 1, 1), (3, "ok", "x", 1, 1), (4, "ok", "y", 1, 1)]

    answer = connector.write(put("thing", COLUMNS, *rows))

    assert codes(answer) == {0: "rejected_by_app", 2: "duplicate_key"}
    assert target.rows("select id from thing order by id") == [(2,), (4,)]


def test_rows_against_a_check_are_found_without_halving(server: Target) -> None:
    make(server)
    rows = [(number, "ok", None, 13 if number % 50 == 0 else 1, 1) for number in range(200)]

    answer = written(server.open().write(put("thing", COLUMNS, *rows)))

    assert set(codes(answer).values()) == {"rejected_by_app"}
    assert answer.row_faults[0].parameters == {"constraint": "ck_qty"}
    assert (len(answer.row_faults), answer.splits) == (4, 0)


def test_the_halving_finds_what_nothing_explains(target: Target, connector: Connector) -> None:
    make(target)
    target.execute(*GUARD[target.dialect])
    rows = [(number, "ok", None, 7 if number in {3, 77} else 1, 1) for number in range(128)]

    answer = written(connector.write(put("thing", COLUMNS, *rows)))

    assert codes(answer) == {3: "rejected_by_app", 77: "rejected_by_app"}
    assert 7 <= answer.splits <= 14
    assert answer.inserted == 126


def test_describe_tells_kinds_limits_and_unique_indexes(target: Target, connector: Connector) -> None:
    target.execute(
        "create table thing (id int primary key, name varchar(10) not null, price decimal(8,2) default 0, born date, "
        "n smallint, twice int generated always as (n * 2) stored, code varchar(9) unique)"
    )

    found = connector.describe("thing")

    assert isinstance(found, Description)
    assert found.unique == (("id",), ("code",))
    columns = found.columns
    assert [column.kind for column in columns.values()] == [
        Kind.INTEGER, Kind.TEXT, Kind.DECIMAL, Kind.DATE, Kind.INTEGER, Kind.INTEGER, Kind.TEXT,
    ]  # fmt: skip
    assert (columns["name"].max_length, columns["name"].nullable) == (10, False)
    assert (columns["price"].precision, columns["price"].scale, columns["price"].has_default) == (8, 2, True)
    assert (columns["n"].minimum, columns["n"].maximum) == (-32768, 32767)
    assert columns["twice"].generated
    assert not columns["born"].has_default


def test_a_table_is_found_by_schema_and_name(target: Target, connector: Connector) -> None:
    make(target)
    schema = {
        "postgres": "public",
        "sqlite": "main",
        "mariadb": target.url.rpartition("/")[2].partition("?")[0],
    }

    answer = written(connector.write(put(f"{schema[target.dialect]}.thing", COLUMNS, (1, "a", None, 1, 1))))

    assert answer.inserted == 1
