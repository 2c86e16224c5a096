import hashlib
import re
from importlib.resources import files

from sink.web.page.assets import assets

STATIC = files("sink.web.page").joinpath("static")
INLINE = re.compile(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*\ssrc=)", re.IGNORECASE)


def test_htmx_is_what_its_checksum_says() -> None:
    text = STATIC.joinpath("htmx.sha256").read_text()
    wanted = {name: digest for digest, name in (line.split() for line in text.splitlines())}
    assert set(wanted) == {"htmx.min.js", "htmx.LICENSE"}
    assert {name: hashlib.sha256(STATIC.joinpath(name).read_bytes()).hexdigest() for name in wanted} == wanted


def test_an_address_changes_with_the_content() -> None:
    for name, asset in assets().items():
        assert asset.address == f"/static/{hashlib.sha256(asset.content).hexdigest()[:16]}/{name}"


def test_no_template_has_a_script_or_style_of_its_own() -> None:
    templates = files("sink.web.page").joinpath("templates")
    breaches = [
        f"{file.name}: {found.group()}"
        for file in templates.iterdir()
        if (found := INLINE.search(file.read_text()))
    ]
    assert breaches == []
