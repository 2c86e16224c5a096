"""The files that docker-compose.yml mounts do on a real server what they promise."""

import os
import subprocess

import psycopg

from tests.services.postgres import PostgresServer
from tests.unit.house import ROOT


def test_databases_belong_to_a_user_that_is_no_superuser(own_postgres: PostgresServer) -> None:
    postgres = own_postgres.postgres
    login = {"PGPASSWORD": postgres.password, "INSTEP_DB_PASSWORD": "it's a secret"}
    script = ROOT / "deploy" / "compose" / "databases.sql"
    command = ["psql", "-v", "ON_ERROR_STOP=1", "-h", postgres.host, "-p", str(postgres.port)]
    command += ["-U", postgres.user, "-f", str(script), "postgres"]
    subprocess.run(command, env=os.environ | login, check=True, capture_output=True)
    with psycopg.connect(
        host=postgres.host, port=postgres.port, user="instep", password="it's a secret", dbname="crm"
    ) as connection:
        connection.execute("insert into account (account_number, name) values ('C1', 'Ada')")
        superuser = connection.execute("select usesuper from pg_user where usename = 'instep'").fetchone()
        owned = connection.execute(
            "select datname from pg_database where pg_get_userbyid(datdba) = 'instep' order by 1"
        )
        assert superuser == (False,)
        assert owned.fetchall() == [("crm",), ("instep_sink",), ("instep_worker",)]
