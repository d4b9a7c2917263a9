"""Every room has a rank, and imports only what is below it."""

import re
from collections.abc import Mapping, Set
from functools import cache
from importlib import import_module

from proxy.commands.cli import COMMANDS
from support.generated import stale
from support.rooms import RANKS, ROOT, STARTED, imports, modules, room_list, room_of, sentence

PACKAGES = tuple(RANKS)
MODULES = modules()
UNRANKED = ("", "__main__")  # the package itself, and the way in


@cache
def imported() -> Mapping[str, Set[tuple[int, str]]]:
    """What each module imports of ours, by line."""
    return {module: set(imports(path, MODULES)) for module, path in MODULES.items()}


def test_every_room_is_ranked() -> None:
    """The table names exactly the rooms that exist."""
    for package, rooms in RANKS.items():
        found = {room_of(module) for module in MODULES if module.startswith(f"{package}.")}
        assert found - set(UNRANKED) == set(rooms)


def test_packages_import_to_the_left() -> None:
    """pricing ← exporters ← proxy ← evaluation."""
    wrong = []
    for module, found in imported().items():
        own = PACKAGES.index(module.partition(".")[0])
        wrong += [
            f"{module}:{line}: {other}"
            for line, other in found
            if PACKAGES.index(other.partition(".")[0]) > own
        ]
    assert wrong == []


def test_rooms_import_lower_rooms() -> None:
    """So no two rooms import each other, however long the way round."""
    wrong = []
    for module, found in imported().items():
        package, room = module.partition(".")[0], room_of(module)
        if room in UNRANKED:
            continue
        rank = RANKS[package].index(room)
        wrong += [
            f"{module}:{line}: {other} is not below {package}.{room}"
            for line, other in found
            if other.startswith(f"{package}.")
            and room_of(other) != room
            and (room_of(other) == "__main__" or RANKS[package].index(room_of(other)) > rank)
        ]
    assert wrong == []


def test_files_run_in_no_circle() -> None:
    """Inside a room as well: no file reaches itself by what it imports."""
    below = {module: {other for _, other in found} for module, found in imported().items()}
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " → ".join((*way[way.index(module) :], module))
        if module not in done:
            for other in sorted(below[module] - {module}):
                visit(other, (*way, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())


def test_no_file_is_left_over() -> None:
    """Each is imported by another, or is where a process or a command begins."""
    used = {other for found in imported().values() for _, other in found}
    entries = {command.target.partition(":")[0] for command in COMMANDS} | set(STARTED)
    left = [
        module
        for module, path in MODULES.items()
        if module not in used | entries and path.name not in ("__init__.py", "__main__.py")
    ]
    assert left == []


def test_commands_are_where_the_table_says() -> None:
    """Each target has its function and its arguments; `proxy` names `evaluation` nowhere else."""
    for command in COMMANDS:
        module, _, function = command.target.partition(":")
        loaded = import_module(module)
        assert callable(getattr(loaded, function))
        assert callable(loaded.add_arguments)
    named = re.compile(r"[\"'](?:python -m )?evaluation\.")
    files = [path for module, path in MODULES.items() if module.startswith("proxy.")]
    naming = [path.name for path in files if named.search(path.read_text(encoding="utf-8"))]
    assert naming == ["cli.py"]


def test_every_room_says_what_lives_there() -> None:
    """In one sentence, no longer than a line."""
    for package, rooms in RANKS.items():
        for room in rooms:
            said = sentence(package, room)
            assert said.endswith("."), f"{package}/{room}: {said!r}"
            assert len(said) <= 110, f"{package}/{room}: {said!r}"


def test_the_room_list_is_drawn_from_this_table() -> None:
    """docs/architecture.md shows the same rooms; `make docs` draws it anew."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert room_list() in text
    assert stale() == []
