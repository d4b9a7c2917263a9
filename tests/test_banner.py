"""What `taximeter serve` shows when it has started: addresses that work, tokens only to people."""

import io
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from proxy.commands.serve import banner
from proxy.relay.routes import Route, Routes
from proxy.serving.instance import describe
from proxy.settings import sources
from proxy.settings.config import Config, ConsoleListen, Listen

TOKEN = "a token/with=signs,&+%"


class Terminal(io.StringIO):
    """Text that a person reads."""

    def isatty(self) -> bool:
        return True


def shown(config: Config, to: io.StringIO) -> str:
    return banner(describe(config), config, shown_to=to)


def test_a_terminal_is_shown_addresses_that_work(tmp_path: Path) -> None:
    """With a token required, it is in the base URLs and in the link to the console."""
    config = replace(
        sources.load(None, {"HOME": str(tmp_path)}),
        proxy=replace(Listen(port=4000), token=TOKEN),
        console=ConsoleListen(port=4001, token=TOKEN),
    )
    text = shown(config, Terminal())
    routes = Routes(config.providers)
    urls = re.findall(r"export \w+=(\S+)", text)
    assert len(urls) == 3
    for url in urls:
        route = routes.find(urlsplit(f"{url}/anything").path)
        assert isinstance(route, Route)
        assert route.token == TOKEN
    (link,) = re.findall(r"console +(\S+)", text)
    assert parse_qs(urlsplit(link).query) == {"token": [TOKEN]}


def test_a_log_is_shown_no_token(tmp_path: Path) -> None:
    """A placeholder stands where it belongs, and the text says so."""
    listen = ConsoleListen(port=4000, token=TOKEN)
    config = Config(data=tmp_path, proxy=listen, console=listen)
    text = shown(config, io.StringIO())
    assert "a token" not in text
    assert "a%20token" not in text
    assert "/~token=TOKEN/openai/v1" in text
    assert "TOKEN stands for the token" in text


def test_without_tokens_there_is_nothing_to_hide(tmp_path: Path) -> None:
    """The same for people and logs."""
    config = Config(data=tmp_path, proxy=Listen(port=4000), console=ConsoleListen(port=4001))
    assert shown(config, Terminal()) == shown(config, io.StringIO())
    assert "TOKEN" not in shown(config, Terminal())
