from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.config.secret import SecretSource, fill, fill_text

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True)
# Literal text that is no part of a placeholder, whatever it stands next to.
LITERALS = st.text(st.characters(exclude_characters="$@:"), max_size=6)


def source(**environ: str) -> SecretSource:
    return SecretSource(environ, {"/run/x": "from file\n", "/run/two": "a\nb\r\n"}.__getitem__)


@given(st.lists(st.tuples(LITERALS, NAMES, st.text(max_size=6)), max_size=4), LITERALS)
def test_every_placeholder_becomes_its_value_and_the_rest_stays(
    parts: list[tuple[str, str, str]], end: str
) -> None:
    environ = {name: value for _, name, value in parts}
    text = "".join(f"{literal}${{{name}}}" for literal, name, _ in parts) + end
    expected = "".join(literal + environ[name] for literal, name, _ in parts) + end

    assert fill_text(text, SecretSource(environ, str)) == (expected, [])


@given(st.text(max_size=20))
def test_a_value_is_never_read_as_a_placeholder_again(value: str) -> None:
    assert fill_text("${A}", source(A=value)) == (value, [])


@given(st.text(max_size=20))
def test_a_doubled_dollar_writes_any_text_literally(text: str) -> None:
    escaped = text.replace("${", "$${")

    assert fill_text(escaped, source()) == (text, []) or "$${" in text


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
def test_a_password_in_a_url_may_hold_any_character(password: str) -> None:
    filled, missing = fill_text("postgresql://sync:${P}@db:5432/crm", source(P=password))

    userinfo, _, host = filled.removeprefix("postgresql://").rpartition("@")
    assert not missing
    assert host == "db:5432/crm"
    assert unquote(userinfo.removeprefix("sync:")) == password
    assert not set(userinfo.removeprefix("sync:")) & set("@/:?#")


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("${file:/run/x}", "from file"),
        ("${file:/run/two}", "a\nb"),
        ("postgresql://u:${file:/run/x}@h/d", "postgresql://u:from%20file@h/d"),
        ("postgresql://${U}:${U}@h/d", "postgresql://a%2Fb:a%2Fb@h/d"),
        ("postgresql://${U}/d", "postgresql://a/b/d"),
        ("https://h/${U}@x", "https://h/a/b@x"),
        ("$${U}", "${U}"),
        ("$U $", "$U $"),
    ],
)
def test_what_a_text_becomes(text: str, filled: str) -> None:
    assert fill_text(text, source(U="a/b")) == (filled, [])


def test_what_is_missing_is_told_with_its_path_and_stays_as_written() -> None:
    data = {"a": ["${NO}", 1, None], "b": {"c": "x${file:/no}"}}

    def read_file(_: str) -> str:
        raise PermissionError(13, "Permission denied")

    filled, missing = fill(data, SecretSource({}, read_file))

    assert filled == data
    assert [(each.path, each.what) for each in missing] == [
        (("a", 0), "the environment variable NO is not set"),
        (("b", "c"), "the secret file /no cannot be read: Permission denied"),
    ]


def test_a_secret_file_that_is_no_text_is_missing() -> None:
    def read_file(_: str) -> str:
        return b"\xff".decode()

    assert (
        fill_text("${file:/x}", SecretSource({}, read_file))[1][0].what
        == "the secret file /x is not UTF-8 text"
    )
