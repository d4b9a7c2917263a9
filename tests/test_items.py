"""An item is charged to the first call that shows it, and to no other."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from proxy.metering.items import Items


def test_a_second_download_claims_nothing(tmp_path: Path) -> None:
    """Another call that shows the same items gets none; the first keeps them if read again."""
    items = Items(tmp_path / "items.sqlite")
    assert items.claim("openai", ["b/1", "b/2"], "w:1") == {"b/1", "b/2"}
    assert items.claim("openai", ["b/1", "b/3"], "w:2") == {"b/3"}
    assert items.claim("openai", ["b/1", "b/2"], "w:1") == {"b/1", "b/2"}
    items.close()


def test_a_restart_remembers(tmp_path: Path) -> None:
    """The ledger outlives the process."""
    items = Items(tmp_path / "items.sqlite")
    items.claim("openai", ["b/1"], "w:1")
    items.close()
    items = Items(tmp_path / "items.sqlite")
    assert items.claim("openai", ["b/1"], "w:9") == set()
    items.close()


def test_providers_do_not_share_names(tmp_path: Path) -> None:
    """Two providers may use the same batch id."""
    items = Items(tmp_path / "items.sqlite")
    assert items.claim("openai", ["b/1"], "w:1")
    assert items.claim("anthropic", ["b/1"], "w:2")
    items.close()


def test_claims_may_come_from_any_thread(tmp_path: Path) -> None:
    """Calls whose tokens are counted are metered in threads; each item still has one owner."""
    items = Items(tmp_path / "items.sqlite")
    with ThreadPoolExecutor(8) as threads:
        claims = threads.map(lambda n: items.claim("openai", ["b/1"], f"w:{n}"), range(40))
        assert sum(map(len, claims)) == 1
    items.close()
