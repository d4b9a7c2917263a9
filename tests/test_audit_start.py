"""What changed since the last start is in the audit log, without a secret."""

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from exporters.audit import decode
from proxy.access.audit import Audit
from proxy.exchange import Kind
from proxy.journal.follower import Follower
from proxy.serving.changes import note_changes
from proxy.settings.config import Config, Listen, NotifyOptions, RetentionOptions
from proxy.settings.places import Places

SECRET = "tmt_never-to-be-seen-anywhere"


def entries(config: Config) -> list[tuple[str, str, str, str]]:
    """(action, target, before, after) of all entries on disk."""
    follower = Follower(Places(config.data).audit, {})
    return [
        (one.action, one.target, one.before, one.after)
        for writer in follower.scan()
        for frame in follower.poll(writer)
        if frame.kind == Kind.RECORD
        for one in [decode(frame.payload)]
    ]


async def test_changes_are_entries(tmp_path: Path) -> None:
    """Each start that finds another configuration or other tariffs writes what differs, once."""
    config = Config(data=tmp_path, console=Listen(port=4001, token=SECRET))
    file = Places(tmp_path).settings
    file.parent.mkdir()
    audit = Audit(config)
    held = {"hiring": RetentionOptions(name="hiring", legal_hold=True)}
    told = {"ops": NotifyOptions(name="ops", type="webhook", url=f"https://x/{SECRET}")}
    starts: tuple[tuple[Config, str], ...] = (
        (config, "1"),
        (config, "1"),
        (replace(config, relays=2, retention=MappingProxyType(held)), "1"),
        (replace(config, relays=2, retention=MappingProxyType(held)), "2"),
        (replace(config, console=Listen(port=4001, token=SECRET + "2")), "2"),
        (replace(config, notify=MappingProxyType(told)), "2"),
    )
    counts = []
    for one, tariffs in starts:
        await note_changes(one, tariffs, file, audit)
        counts.append(len(entries(config)))
    audit.close()
    assert counts == [0, 0, 1, 2, 3, 4]
    found = entries(config)
    assert found[0] == (
        "configuration-change",
        "relays, retention",
        '{"relays":1}',
        '{"relays":2,"retention.hiring.content_days":0,"retention.hiring.legal_hold":true,'
        '"retention.hiring.name":"hiring","retention.hiring.rows_days":0}',
    )
    assert found[1] == ("tariffs-change", "all", '"1"', '"2"')
    assert '"console.token":"***"' in found[2][2]
    assert '"console.token":"***"' in found[2][3]
    assert '"notify.ops.type":"webhook"' in found[3][3]
    assert SECRET not in file.read_text()
    assert SECRET not in str(found)
    assert file.stat().st_mode & 0o077 == 0
