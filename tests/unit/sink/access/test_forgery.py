import pytest

from sink.web.access.forgery import is_from_elsewhere

HOST = "sink.example:8080"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_may_come_from_anywhere(method: str) -> None:
    assert not is_from_elsewhere(
        method, {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}, HOST
    )


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "BREW"])
@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "Same-Origin"])
def test_a_browser_tells_of_another_site(method: str, site: str) -> None:
    assert is_from_elsewhere(method, {"sec-fetch-site": site, "origin": f"http://{HOST}"}, HOST)


@pytest.mark.parametrize(
    "sender", ["https://evil.example", "null", "", "http://sink.example", "http://[", "sink.example:8080"]
)
def test_a_browser_tells_of_another_origin(sender: str) -> None:
    assert is_from_elsewhere("POST", {"origin": sender}, HOST)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
        {"origin": f"http://{HOST}"},
        {"origin": f"https://{HOST.upper()}"},
        # a proxy that tells no port
        {"sec-fetch-site": "same-origin", "origin": "https://sink.example"},
    ],
)
def test_the_own_page_and_programs_are_let_by(headers: dict[str, str]) -> None:
    assert not is_from_elsewhere("POST", headers, HOST)
