"""A price set is fetched with bounds, over an encrypted connection, and without any credential."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from proxy.commands import price_source

Answer = Callable[[BaseHTTPRequestHandler], None]
Headers = list[tuple[str, str]]
NONE: Mapping[str, str] = {}


def unseen(done: int, size: int | None) -> None:
    """Nobody watches."""


@contextmanager
def server(answer: Answer) -> Iterator[tuple[str, Headers]]:
    """A server of this machine: its address, and the headers of what it was asked."""
    asked: Headers = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.extend(self.headers.items())
            answer(self)

        def log_message(self, format: str, *args: object) -> None:
            """Not to the terminal."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.server_port}", asked
    finally:
        listener.shutdown()
        listener.server_close()


def sends(body: bytes, status: int = 200, headers: Mapping[str, str] = NONE) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own proxies have no part in these tests."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    """The set may lie on the disk already."""
    file = tmp_path / "set.json"
    file.write_bytes(b"[" + b" " * price_source.PIECE + b"]")
    seen: list[int] = []
    data = price_source.read(str(file), lambda done, size: seen.append(done))
    assert data == file.read_bytes()
    assert seen[-1] == len(data)
    with pytest.raises(FileNotFoundError):
        price_source.read(str(tmp_path / "none.json"), unseen)


def test_a_url_is_asked_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key of the environment goes along, whatever the name of its variable."""
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-secret")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    seen: list[tuple[int, int | None]] = []
    with server(sends(b"{}", headers={"content-length": "2"})) as (url, asked):
        data = price_source.read(f"{url}/set", lambda done, size: seen.append((done, size)))
        assert data == b"{}"
    assert seen == [(2, 2)]
    names = {name.lower() for name, _ in asked}
    assert names <= {"host", "connection", "accept", "accept-encoding", "user-agent"}
    assert not any("secret" in value for _, value in asked)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://prices.example/set", "only https"),
        ("HTTP://prices.example/set", "only https"),
        ("http://127.0.0.1.prices.example/set", "only https"),
        ("http://10.0.0.1/set", "only https"),
        ("https:///set", "only https"),
        ("https://me:word@prices.example/set", "a name or a password"),
        ("http://localhost@prices.example/set", "a name or a password"),
    ],
)
def test_what_must_not_be_asked_is_not(url: str, why: str) -> None:
    """Plain text on a network could be changed on its way, and prices with it."""
    with pytest.raises(ValueError, match=why) as refused:
        price_source.read(url, unseen)
    assert "word" not in str(refused.value).replace("password", "")


def test_a_redirect_is_held_to_the_same_rules() -> None:
    """An encrypted or local start must not end in plain text elsewhere."""
    away = sends(b"", 302, {"location": "http://prices.example/set?token=secret"})
    with (
        server(away) as (url, _),
        pytest.raises(price_source.NotFetched, match="only https") as refused,
    ):
        price_source.read(url, unseen)
    assert "secret" not in str(refused.value)
    with (
        server(sends(b"[1]")) as (there, _),
        server(sends(b"", 302, {"location": there})) as (url, _),
    ):
        assert price_source.read(url, unseen) == b"[1]"


def test_a_status_is_told() -> None:
    """An error page is no price set."""
    with (
        server(sends(b"gone", 404)) as (url, _),
        pytest.raises(price_source.NotFetched, match="404") as refused,
    ):
        price_source.read(f"{url}/set?key=secret", unseen)
    assert "secret" not in str(refused.value)


def test_half_an_answer_is_none() -> None:
    """What ends early would lose the models at its end."""
    half = sends(b"[1, 2]", headers={"content-length": "100"})
    with server(half) as (url, _), pytest.raises(price_source.NotFetched, match="6 of 100 bytes"):
        price_source.read(url, unseen)


def test_an_answer_has_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a server nor a file can fill the memory."""
    monkeypatch.setattr(price_source, "SIZE_MAX", 1024 * 1024)
    large = b" " * (1024 * 1024 + 1)
    with server(sends(large)) as (url, _), pytest.raises(ValueError, match="more than 1 MB"):
        price_source.read(url, unseen)
    file = tmp_path / "set.json"
    file.write_bytes(large)
    with pytest.raises(ValueError, match="more than 1 MB"):
        price_source.read(str(file), unseen)


def test_silence_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says nothing is given up."""
    monkeypatch.setattr(price_source, "SILENCE_S", 0.2)

    def wait(handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read()  # until the other side goes

    with server(wait) as (url, _), pytest.raises(price_source.NotFetched, match="in time"):
        price_source.read(url, unseen)


def test_an_answer_by_the_drop_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pieces that never fall silent do not hold the command for ever."""
    monkeypatch.setattr(price_source, "DEADLINE_S", 0.3)

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        with suppress(OSError):  # the other side has gone
            while True:
                handler.wfile.write(b" ")
                time.sleep(0.05)

    begun = time.monotonic()
    with server(drip) as (url, _), pytest.raises(price_source.NotFetched, match="in time"):
        price_source.read(url, unseen)
    assert time.monotonic() - begun < 5


def test_nobody_there_is_told() -> None:
    """A refused connection is a failure of the network, not a mistake in the arguments."""
    with server(sends(b"")) as (url, _):
        pass
    with pytest.raises(price_source.NotFetched, match="did not answer"):
        price_source.read(url, unseen)


def test_proxies_of_the_environment_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a network has one, it is the only way out."""
    with server(sends(b"[]")) as (proxy, asked):
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("no_proxy", "")
        assert price_source.read("http://localhost:9/set", unseen) == b"[]"
    assert ("Host", "localhost:9") in asked


def test_an_origin_holds_no_secret() -> None:
    """What is written into tariff files and shown names neither a query nor a login."""
    assert price_source.origin("https://a:b@x.example:8443/p?key=s#f") == "https://x.example:8443/p"
    assert price_source.origin("/home/me/set.json") == "set.json"
