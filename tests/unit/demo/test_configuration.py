"""The configuration that the demo writes for itself."""

from pathlib import Path

from demo.configuration import find_addresses, write_configuration
from instep.configuration import read
from schemas.config.model import Config


def test_written_configuration_is_accepted(tmp_path: Path) -> None:
    addresses = find_addresses()

    config = read(write_configuration(tmp_path, addresses), {})

    assert isinstance(config, Config), config
    assert config.kafka.bootstrap == (addresses.broker,)
    assert (str(config.worker.metrics), str(config.sink.listen)) == (addresses.worker, addresses.sink)


def test_found_addresses_differ() -> None:
    addresses = find_addresses()

    assert len({addresses.broker, addresses.worker, addresses.sink}) == 3
