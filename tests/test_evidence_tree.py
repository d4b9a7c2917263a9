"""The Merkle tree of RFC 9162, its heads, and what a check of leaves and rows finds."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.content import Content
from exporters.evidence.canonical import canonical
from exporters.evidence.checking import Check, LeafLine, Line, RowLine
from exporters.evidence.forms import FORMS, TABLES
from exporters.evidence.head import Head, SigningKey, heads_in
from exporters.evidence.leaves import sealed
from exporters.evidence.tree import (
    EMPTY,
    Roots,
    Tree,
    grown,
    is_consistent,
    leaf_hash,
    root,
    root_of_path,
    siblings,
)
from exporters.notify.machines import StandardWebhook
from exporters.record import COLUMNS, Record
from proxy.evidence import heads
from proxy.evidence.heads import append, notice

# The leaves and roots that implementations of RFC 6962 and RFC 9162 test themselves with:
# https://github.com/google/certificate-transparency/blob/master/cpp/merkletree/merkle_tree_test.cc
LEAVES = (
    *("", "00", "10", "2021", "3031", "40414243", "5051525354555657"),
    "606162636465666768696a6b6c6d6e6f",
)
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
# The paths of the same suite: (leaf, size) → siblings from the leaf up.
PATHS = {
    (0, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (5, 8): (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
}
# Of the same suite: (size, later size) → proof that the tree grew.
GROWN: Mapping[tuple[int, int], tuple[str, ...]] = {
    (1, 1): (),
    (1, 8): PATHS[0, 8],
    (6, 8): (
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        *PATHS[5, 8][1:],
    ),
    (2, 5): (PATHS[0, 8][1], PATHS[5, 8][0]),
}
HASHES = [leaf_hash(bytes.fromhex(one)) for one in LEAVES]
KEY = SigningKey(bytes(range(32)))
NOW = datetime(2026, 11, 29, 15, tzinfo=UTC)


def test_published_roots() -> None:
    """Every root of the published suite, and that of no leaves."""
    assert EMPTY.hex() == sha256(b"").hexdigest() == root([]).hex()
    assert tuple(root(HASHES[:size]).hex() for size in range(1, 9)) == ROOTS


@pytest.mark.parametrize(("index", "size"), PATHS)
def test_published_paths(index: int, size: int) -> None:
    """The paths of the published suite."""
    found = way(siblings(index, size), HASHES[:size])
    assert tuple(one.hex() for one in found) == PATHS[index, size]


@given(st.data())
def test_every_path_leads_to_the_root_and_no_other_does(data: st.DataObject) -> None:
    """A proof holds for its leaf at its place, and for nothing else."""
    hashes = [leaf_hash(bytes([one])) for one in range(data.draw(st.integers(1, 40)))]
    size = len(hashes)
    index = data.draw(st.integers(0, size - 1))
    path = way(siblings(index, size), hashes)
    assert root_of_path(index, size, hashes[index], path) == root(hashes)
    other = data.draw(st.integers(0, size - 1))
    if other != index:
        assert root_of_path(other, size, hashes[index], path) != root(hashes)
        assert root_of_path(index, size, hashes[other], path) != root(hashes)
    assert root_of_path(index, size, hashes[index], [*path, hashes[0]]) != root(hashes)
    assert root_of_path(index, size, hashes[index], path[:-1]) != root(hashes) or not path
    assert root_of_path(size, size, hashes[index], path) is None


@pytest.mark.parametrize(("first", "size"), GROWN)
def test_published_growth(first: int, size: int) -> None:
    """The consistency proofs of the published suite."""
    assert tuple(one.hex() for one in growth(first, HASHES[:size])) == GROWN[first, size]


def test_the_growth_of_the_standards_example() -> None:
    """RFC 9162, section 2.1.5: from three, four and six leaves to seven, by the names it gives."""
    named = {(2, 3): "c", (3, 4): "d", (0, 2): "g", (4, 7): "l", (4, 6): "i", (6, 7): "j"}
    named[0, 4] = "k"
    found = ["".join(named[one] for one in grown(first, 7)) for first in (3, 4, 6)]
    assert found == ["cdgl", "l", "ijk"]


def growth(first: int, hashes: Sequence[bytes]) -> list[bytes]:
    """The consistency proof from the first so many leaves to all."""
    return way(grown(first, len(hashes)), hashes)


def way(ranges: Sequence[tuple[int, int]], hashes: Sequence[bytes]) -> list[bytes]:
    """The roots of ranges of leaves, in their order."""
    roots = Roots(ranges)
    for one in hashes:
        roots.add(one)
    return [roots.found[one] for one in ranges]


@given(st.data())
def test_every_growth_is_proved_and_no_other_history(data: st.DataObject) -> None:
    """A leaf that was flipped, dropped, added or moved below the earlier head breaks the proof."""
    hashes = [leaf_hash(bytes([one])) for one in range(data.draw(st.integers(1, 40)))]
    first = data.draw(st.integers(1, len(hashes)))
    old = first, root(hashes[:first])
    new = len(hashes), root(hashes)
    path = growth(first, hashes)
    assert is_consistent(old, new, path)
    at, other = data.draw(st.integers(0, first - 1)), data.draw(st.integers(0, first - 1))
    odd = leaf_hash(b"odd")
    histories = [
        [*hashes[:at], odd, *hashes[at + 1 :]],
        [*hashes[:at], *hashes[at + 1 :]],
        [*hashes[:at], odd, *hashes[at:]],
    ]
    if at != other:
        moved = list(hashes)
        moved[at], moved[other] = moved[other], moved[at]
        histories.append(moved)
    for history in histories:
        if first <= len(history):
            forged = len(history), root(history)
            assert not is_consistent(old, forged, growth(first, history))
            assert not is_consistent(old, forged, path)
    for wrong in ([*path, odd], path[:-1], [odd, *path], path[::-1]):
        assert is_consistent(old, new, wrong) == (list(wrong) == path)
    assert not is_consistent(new, old, path) or first == len(hashes)
    assert not is_consistent((0, EMPTY), new, path)


@given(st.integers(0, 70), st.integers(0, 70))
def test_a_tree_goes_on_from_its_peaks(size: int, more: int) -> None:
    """What a restarted meter knows is enough."""
    hashes = [leaf_hash(bytes([one])) for one in range(size + more)]
    tree = Tree()
    for one in hashes[:size]:
        tree.append(one)
    again = Tree(tree.size, tree.peaks)
    for one in hashes[size:]:
        again.append(one)
    assert (again.size, again.root()) == (size + more, root(hashes))


def test_a_head_is_its_trees_alone() -> None:
    """Any change of what is signed, or of the tree's name, is found; other members are ignored."""
    head = KEY.head(7, root(HASHES[:7]), NOW, "here")
    assert head.mistake() == ""
    document = msgspec.to_builtins(head)
    assert heads_in(json.dumps(document | {"severity": "info"})) == [head]
    assert heads_in("\n".join([json.dumps(document)] * 2)) == [head, head]
    other = SigningKey(bytes(32))
    for changes in (
        {"size": 8},
        {"root": ROOTS[0]},
        {"root": "00"},
        {"time": "2026-11-29T15:00:00.001Z"},
        {"tree": other.tree},
        {"public_key": "AAAA"},
        {"public_key": "?"},
        {"signature": document["signature"][:-4] + "AAA="},
    ):
        (changed,) = heads_in(json.dumps(document | changes))
        assert changed.mistake(), changes
    for text in ("{}", "[1]", "{", '{"head": 1}'):
        with pytest.raises(ValueError, match="not a head"):
            heads_in(text)


def test_a_webhook_carries_the_whole_head() -> None:
    """Its body can be kept as it came, and is a head for whoever checks later."""
    head = KEY.head(7, root(HASHES[:7]), NOW, "here")
    webhook = StandardWebhook("https://archive.example", node="here")
    body = webhook.request(notice(head), NOW).body.decode()
    assert heads_in(body) == [head]
    assert json.loads(body)["kind"] == "head"


def test_a_head_that_was_cut_short_is_skipped(tmp_path: Path) -> None:
    """What `kill -9` leaves in the file costs neither the heads before it nor those after."""
    file = tmp_path / "heads.jsonl"
    kept = [KEY.head(size, root(HASHES[:size]), NOW) for size in (1, 2, 3)]
    append(file, kept[0])
    whole = file.read_bytes()
    for cut in range(1, len(whole), 12):
        file.write_bytes(whole + whole[:cut])
        append(file, kept[1])
        append(file, kept[2])
        found = heads.read(file)
        assert [one for one in found if one != kept[0]] == kept[1:]
        assert found[0] == kept[0]
    assert heads.newest(file) == msgspec.to_builtins(kept[2])
    assert heads.newest(tmp_path / "none") is None


def test_forms_have_every_column() -> None:
    """A new column of `calls` needs a new form and the next `schema_version`."""
    newest = Record(ts_us=0, call_id="", provider="", outcome="", cost_status="").schema_version
    assert max(FORMS["call"]) == newest
    assert set(FORMS["call"][newest].row) == set(COLUMNS)
    assert FORMS.keys() == TABLES.keys()


@given(st.text(), st.text())
def test_canonical_texts_of_other_values_are_other_texts(one: str, other: str) -> None:
    """No two rows have one text."""
    rows = [Content(ts_us=1, call_id="a", request=one, output=other), Content(ts_us=1, call_id="a")]
    texts = {canonical("content", 1, row) for row in (*rows, rows[0])}
    assert len(texts) == (1 if (one, other) == ("", "") else 2)
    swapped = Content(ts_us=1, call_id="a", request=other, output=one)
    assert (canonical("content", 1, swapped) == canonical("content", 1, rows[0])) == (one == other)


# -- what a check finds ---------------------------------------------------------------------------


def contents(count: int) -> list[Content]:
    """Rows that are easy to tell apart."""
    return [
        Content(ts_us=one, call_id=str(UUID(int=one)), source=f"w:{one}", request=f"said {one}")
        for one in range(count)
    ]


def lines_of(count: int) -> tuple[list[LeafLine], list[RowLine], Head]:
    """Leaves, rows and the head over them."""
    rows = contents(count)
    leaves, texts, tree = [], [], Tree()
    for number, (row, (leaf, nonce)) in enumerate(zip(rows, sealed("content", rows), strict=True)):
        text, content = canonical("content", 1, row)
        leaves.append(LeafLine(number=number, leaf=leaf, nonce=nonce.hex()))
        texts.append(
            RowLine(
                number=number,
                kind="content",
                call_id=row.call_id,
                source=row.source,
                row=text.decode(),
                content=content.decode(),
            )
        )
        tree.append(leaf.hash())
    return leaves, texts, KEY.head(count, tree.root(), NOW)


def check(leaves: Sequence[LeafLine], rows: Sequence[RowLine | None], head: Head) -> Check:
    """A check of leaves, each followed by its row, if there is one."""
    found = Check(head.tree, [head])
    for at in range(max(len(leaves), len(rows))):
        lines: list[Line] = [*leaves[at : at + 1]]
        lines += [one for one in rows[at : at + 1] if one is not None]
        found.feed(lines)
    found.finish()
    return found


def named(found: Check) -> set[tuple[str, str]]:
    """What was found about which call."""
    return {(one.what, one.call_id) for one in found.findings}


COUNT = 9
SOME = st.integers(0, COUNT - 1)


def test_what_is_whole_is_found_good() -> None:
    """Every row is compared, and the head fits."""
    found = check(*lines_of(COUNT))
    assert found.is_good
    assert (found.checked, found.good_heads, found.size) == (COUNT, 1, COUNT)


@given(SOME, st.data())
def test_any_flip_in_a_row_is_found(at: int, data: st.DataObject) -> None:
    """One changed character of row or content: this call, and no other, is altered."""
    leaves, rows, head = lines_of(COUNT)
    name = data.draw(st.sampled_from(["row", "content"]))
    text = str(getattr(rows[at], name))
    place = data.draw(st.integers(0, len(text) - 1))
    flipped = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
    changed = [*rows]
    changed[at] = msgspec.structs.replace(rows[at], **{name: flipped})
    assert named(check(leaves, [*changed], head)) == {("altered", rows[at].call_id)}


@given(SOME)
def test_a_dropped_row_is_found(at: int) -> None:
    """It is missing, unless its deletion is in the log."""
    leaves, rows, head = lines_of(COUNT)
    left: list[RowLine | None] = [*rows]
    left[at] = None
    assert named(check(leaves, left, head)) == {("missing", rows[at].call_id)}


@given(SOME)
def test_an_inserted_row_is_found(at: int) -> None:
    """A row that no leaf is about, and a second row of one that is."""
    leaves, rows, head = lines_of(COUNT)
    for number in (None, at):
        added = msgspec.structs.replace(rows[at], number=number, call_id=str(UUID(int=99)))
        found = Check(head.tree, [head])
        for leaf, row in zip(leaves, rows, strict=True):
            found.feed([leaf, row, *([added] if leaf.number == at else [])])
        found.finish()
        assert named(found) == {("added", str(UUID(int=99)))}


@given(SOME, SOME)
def test_reordered_leaves_are_found(one: int, other: int) -> None:
    """Even with numbers to match: the head was signed over another order."""
    leaves, rows, head = lines_of(COUNT)
    swapped, texts = [*leaves], [*rows]
    swapped[one], swapped[other] = swapped[other], swapped[one]
    texts[one], texts[other] = texts[other], texts[one]
    renumbered = [msgspec.structs.replace(leaf, number=at) for at, leaf in enumerate(swapped)]
    matched = [msgspec.structs.replace(row, number=at) for at, row in enumerate(texts)]
    assert check(renumbered, [*matched], head).is_good == (one == other)
    assert check(swapped, [*texts], head).is_good == (one == other)


@given(SOME, st.data())
def test_a_changed_leaf_is_found(at: int, data: st.DataObject) -> None:
    """Together with its row as well: the head was signed over the leaf as it was."""
    leaves, rows, head = lines_of(COUNT)
    row = contents(COUNT)[at]
    forged = msgspec.structs.replace(row, request="never said")
    ((leaf, nonce),) = sealed("content", [forged])
    text, content = canonical("content", 1, forged)
    leaves[at] = LeafLine(number=at, leaf=leaf, nonce=nonce.hex())
    rows[at] = msgspec.structs.replace(rows[at], row=text.decode(), content=content.decode())
    found = check(leaves, [*rows], head)
    assert not found.is_good
    assert [one.size for one, _ in found.bad_heads] == [COUNT]


@given(SOME)
def test_a_dropped_leaf_is_found(at: int) -> None:
    """Its number is missing, its row is added, and heads beyond it cannot be compared."""
    leaves, rows, head = lines_of(COUNT)
    found = Check(head.tree, [head])
    for leaf, row in zip(leaves, rows, strict=True):
        found.feed([row] if leaf.number == at else [leaf, row])
    found.finish()
    assert ("added", rows[at].call_id) in named(found)
    assert found.bad_heads


@given(SOME)
def test_erased_rows_keep_their_proofs(at: int) -> None:
    """Without row and nonce the leaf still leads to the head, and a listed deletion explains it."""
    leaves, rows, head = lines_of(COUNT)
    path = way(siblings(at, COUNT), [one.leaf.hash() for one in leaves])
    left: list[RowLine | None] = [*rows]
    left[at] = None
    leaves[at] = msgspec.structs.replace(leaves[at], nonce="", deletion="d")
    assert root_of_path(at, COUNT, leaves[at].leaf.hash(), path).hex() == head.root  # type: ignore[union-attr]
    found = check(leaves, left, head)
    found.finish_deletions({})
    assert found.erased == 1
    assert named(found) == {("altered", "d")}  # no entry of the log says so
