"""A credential gets a short name and is never stored."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from proxy.secrecy.fingerprint import KEY_BYTES, Fingerprints, load_key
from proxy.settings.places import Places

KEY_FILE = Places(Path()).fingerprint_key.name


def test_key_is_made_once_and_private(tmp_path: Path) -> None:
    """Processes that start together agree on one key, which only its owner can read."""
    data = tmp_path / "new"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: load_key(data / KEY_FILE), range(32)))
    assert len(keys) == 1
    assert stat.S_IMODE((data / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in data.iterdir()] == [KEY_FILE]


def test_damaged_key(tmp_path: Path) -> None:
    """A damaged key file is refused."""
    (tmp_path / KEY_FILE).write_bytes(b"short")
    with pytest.raises(ValueError, match="remove it"):
        load_key(tmp_path / KEY_FILE)


def test_fingerprints() -> None:
    """The same credential has the same short name, another installation's key another one."""
    ours, theirs = Fingerprints(bytes(KEY_BYTES), {}), Fingerprints(b"1" * KEY_BYTES, {})
    name = ours.name("sk-secret")
    assert name == ours.name("sk-secret")
    assert name.startswith("k_")
    assert len(name) == 18
    assert len({name, ours.name("sk-other"), theirs.name("sk-secret")}) == 3
    assert ours.name("") == ""


def test_named_fingerprints() -> None:
    """The configuration can give a fingerprint a name."""
    fingerprint = Fingerprints(bytes(KEY_BYTES), {}).name("sk-secret")
    assert Fingerprints(bytes(KEY_BYTES), {fingerprint: "billing"}).name("sk-secret") == "billing"
