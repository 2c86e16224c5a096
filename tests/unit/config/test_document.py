from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from schemas.config.document import read_document
from schemas.config.problem import path_text

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_reads_what_yaml_writes(data: Any) -> None:
    document = read_document(yaml.safe_dump({"data": data}), "f")

    assert document.problems == ()
    assert document.data == {"data": data}


def test_knows_the_line_of_every_path_and_of_what_is_not_there() -> None:
    document = read_document("a:\n  b: 1\n  c:\n    - x\n    -\n      y: 2\n", "f")

    assert document.lines[("a", "b")] == 2
    assert document.lines[("a", "c", 1, "y")] == 6
    assert document.line(("a", "z")) == 1
    assert document.line(("a", "c", 0, "q")) == 4


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: no", "no"),
        ("a: on", "on"),
        ("a: true", True),
        ("a: False", False),
        ("a: &x {b: 1}", {"b": 1}),
        ("a: 1_000", 1000),
    ],
)
def test_reads_words_as_people_mean_them(text: str, data: Any) -> None:
    assert read_document(text, "f").data == {"a": data}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", None, "the file is empty"),
        ("# nothing\n", None, "the file is empty"),
        ("~", None, "the file is empty"),
        ("a: 1\nb: [1\n", 3, "not valid YAML at column 1"),
        ("a: 1\n\tb: 2", 2, "not valid YAML at column 1"),
        ("a: *x", 1, "not valid YAML at column 4"),
        ("a: \x00", None, "is a control character"),
        ("a: 1\n---\nb: 2", 2, "not valid YAML at column 1"),
        ("a: &a [*a]", None, "its aliases never end"),
        ("a: " + "[" * 400 + "]" * 400, None, "nested too deep"),
        ("a: " + "[" * 20_000, None, "nested too deep"),
        ("a: 1\nb: 2\na: 3", 3, "stands here twice, first in line 1"),
        ("a: 2024-13-45", 1, "Put it in quotes"),
        ("a: !!python/object:os.system x", 1, "Put it in quotes"),
        ("[1, 2]: x", 1, "a key must be a single word"),
    ],
)
def test_says_where_it_cannot_read(text: str, line: int | None, words: str) -> None:
    (problem,) = read_document(text, "f").problems

    assert (problem.file, problem.line) == ("f", line)
    assert words in problem.what


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]

    (problem,) = read_document("\n".join(lines), "f").problems

    assert "aliases never end" in problem.what


def test_paths_read_as_people_write_them() -> None:
    assert (
        path_text(("mappings", "customers", "fields", 2, "target")) == "mappings.customers.fields[2].target"
    )
