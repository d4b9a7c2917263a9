"""Who may use the proxy: a token where one is set, and safe settings beyond loopback."""

import json
from pathlib import Path

import pytest

from proxy.settings import sources
from proxy.settings.config import Listen
from proxy.settings.sources import SettingsError
from support.relay_bench import Message, answering, bench
from support.wire import OK, TOKEN


@pytest.mark.parametrize(
    ("target", "header", "status"),
    [
        ("/openai/v1/x", "", 401),
        ("/openai/v1/x", "x-taximeter-token: wrong", 401),
        ("/openai/v1/x", f"x-taximeter-token: {TOKEN}\xe9", 401),
        ("/openai/v1/x", f"Authorization: Bearer {TOKEN}", 401),
        ("/~token=wrong/openai/v1/x", "", 401),
        ("/nobody/at/all", "", 401),
        ("/openai/v1/../x", "", 401),
        ("/", "", 401),
        ("/", f"x-taximeter-token: {TOKEN}", 200),
        ("/openai/v1/x", f"X-Taximeter-Token: {TOKEN}", 200),
        (f"/~token={TOKEN}/openai/v1/x", "", 200),
        (f"/~team=a,token={TOKEN}/v1/x", "", 200),
        (f"/~token={TOKEN}/nobody", "", 404),
        (f"/~token={TOKEN}/openai/v1/../x", "", 400),
    ],
)
async def test_proxy_token(tmp_path: Path, target: str, header: str, status: int) -> None:
    """With a token set, only who has it gets further than 401; it goes no further than here."""
    seen: list[Message] = []
    async with bench(tmp_path, answering(OK, seen), proxy=Listen(token=TOKEN)) as b:
        lines = f"GET {target} HTTP/1.1\r\nHost: x\r\n{header}".rstrip() + "\r\n\r\n"
        answer = await b.send(lines.encode("latin-1"))
    assert answer.line.split()[1] == str(status).encode()
    if status == 401:
        assert answer.header(b"x-taximeter-error") == [b"unauthorized"]
        assert "x-taximeter-token" in json.loads(answer.body)["error"]["message"]
        assert not b.journal.begun
    noted = str(b.journal.events) + (str(seen) if "Authorization" not in header else "")
    assert TOKEN not in noted


async def test_a_token_is_no_tag(tmp_path: Path) -> None:
    """Nor is one noted that nobody asked for."""
    async with bench(tmp_path, answering(OK)) as b:
        line = f"GET /~token={TOKEN},team=a/v1/x HTTP/1.1\r\nHost: x\r\nx-taximeter-token: {TOKEN}"
        assert (await b.send(line.encode() + b"\r\n\r\n")).body == b"hi"
    assert dict(b.journal.begun[0].tags) == {"team": "a"}
    assert TOKEN not in str(b.journal.events)


def mistakes(tmp_path: Path, text: str, **environ: str) -> list[str]:
    """What is wrong with a file of this text; [] if nothing is."""
    file = tmp_path / "taximeter.toml"
    file.write_text(text)
    try:
        sources.load(file, {"HOME": str(tmp_path), **environ})
    except SettingsError as error:
        return list(error.mistakes)
    return []


def test_beyond_loopback(tmp_path: Path) -> None:
    """The proxy needs TLS and a token there, the console a token; or somebody says otherwise."""
    (tmp_path / "pem").touch()
    tls = 'tls_cert = "pem"\ntls_key = "pem"\n'
    token = f'token = "{TOKEN}"\n'
    open_proxy, open_console = '[proxy]\nhost = "0.0.0.0"\n', '[console]\nhost = "::"\n'
    for text in (open_proxy, open_proxy + tls, open_proxy + token):
        (found,) = mistakes(tmp_path, text)
        assert found.startswith("proxy.host: other machines can reach 0.0.0.0; use 127.0.0.1, set")
        assert "set proxy.token, proxy.tls_cert and proxy.tls_key, or set proxy.insecure" in found
    (found,) = mistakes(tmp_path, open_console)
    assert "set console.token, or set console.insecure = true" in found
    for text in (
        open_proxy + tls + token,
        open_console + token,
        open_proxy + "insecure = true",
        open_console + "insecure = true",
    ):
        assert mistakes(tmp_path, text) == []


def test_tokens_from_environment_and_file(tmp_path: Path) -> None:
    """A container sets a variable, or mounts a file; what is wrong with one is told without it."""
    file = tmp_path / "secret"
    file.write_text(f"{TOKEN}\n")
    home = {"HOME": str(tmp_path)}
    config = sources.load(
        None, {**home, "TAXIMETER_PROXY_TOKEN": TOKEN, "TAXIMETER_CONSOLE_TOKEN_FILE": str(file)}
    )
    assert (config.proxy.token, config.console.token) == (TOKEN, TOKEN)
    assert TOKEN not in repr(config)
    assert sources.parse(sources.dump(config)) == config
    file.write_text("\n")
    assert "is empty" in mistakes(tmp_path, '[proxy]\ntoken_file = "secret"')[0]
    assert "cannot read" in mistakes(tmp_path, '[proxy]\ntoken_file = "none"')[0]
    both = f'[proxy]\ntoken_file = "secret"\ntoken = "{TOKEN}"'
    assert "remove one of them" in mistakes(tmp_path, both)[0]
    for value in ('"short"', '"with a space 0123456789"', '"ümläut-0123456789abcdef"', "1234567"):
        (found,) = mistakes(tmp_path, f"[proxy]\ntoken = {value}")
        assert found.startswith("proxy.token: expected")
        assert value.strip('"') not in found
