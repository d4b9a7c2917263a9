"""What a translation cannot carry: refused by its name, unless the route lists it under `drop`.

Names are those of the caller's own API, such as `messages[].content[].cache_control`.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

Json = Mapping[str, object]
NAMES_MAX = 24  # of one request that are told, and that a row lists
NAME_CHARACTERS_MAX = 120


class Refused(ValueError):
    """A request that cannot be carried whole; `fields` are its reasons, by name."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        told = [f"{name} ({why})" if why else name for name, why in fields.items()]
        more = [f"and {len(told) - NAMES_MAX} more"] if len(told) > NAMES_MAX else []
        super().__init__(", ".join([*told[:NAMES_MAX], *more]))
        self.fields = fields


class Malformed(ValueError):
    """A body that its own API would refuse too."""


class Losses:
    """What one translation lost.  `drop` are names, with `*` for any text; a name stands for all
    that is below it, and may begin anywhere: `cache_control` is every `cache_control`."""

    def __init__(self, drop: Sequence[str] = ()) -> None:
        self._drop = [_plain(one) for one in drop]
        self.refused: dict[str, str] = {}
        self._dropped: dict[str, None] = {}

    @property
    def dropped(self) -> tuple[str, ...]:
        """In their order, each once."""
        names = tuple(self._dropped)
        more = (f"and {len(names) - NAMES_MAX} more",) if len(names) > NAMES_MAX else ()
        return (*names[:NAMES_MAX], *more)

    def lose(self, field: str, why: str = "") -> None:
        """This cannot be carried."""
        field, why = _told(field).replace(",", "?"), _told(why)
        if any(_matches(_plain(field), one) for one in self._drop):
            self._dropped[field] = None
        else:
            self.refused.setdefault(field, why)

    def need(self, field: str, why: str) -> None:
        """Without this the target has no request, so nothing may be left out instead."""
        self.refused.setdefault(_told(field), why)

    def mention(self, field: str) -> None:
        """This is left out, which the answer cannot depend on: a label."""
        self._dropped[field] = None

    def check(self) -> None:
        """Raises Refused if anything was lost that may not be."""
        if self.refused:
            raise Refused(self.refused)


def _told(name: str) -> str:
    """Names of unknown fields are a caller's text, and go into headers."""
    return "".join(sign if " " <= sign <= "~" else "?" for sign in name[:NAME_CHARACTERS_MAX])


def _plain(field: str) -> str:
    return field.replace("[]", "")


def _matches(field: str, dropped: str) -> bool:
    around = f".{field}."
    return f".{dropped}." in around or any(
        fnmatchcase(around[at:], f".{dropped}.*") or fnmatchcase(around[at:], f".{dropped}.")
        for at, sign in enumerate(around[:-1])
        if sign == "."
    )


class Taker:
    """One object of a body, at its place.  What nobody takes is lost; null is nothing."""

    def __init__(self, value: object, at: str, losses: Losses) -> None:
        if not isinstance(value, Mapping):
            raise Malformed(f"{at or 'the body'}: expected an object")
        self._left = {key: one for key, one in value.items() if one is not None}
        self.at = at
        self.losses = losses

    def name(self, key: str) -> str:
        """The full name of a key."""
        return f"{self.at}.{key}" if self.at else key

    def take(self, *keys: str) -> object:
        """The first of these that is there: some APIs have two spellings."""
        for key in keys:
            if key in self._left:
                return self._left.pop(key)
        return None

    def has(self, *keys: str) -> bool:
        """Whether one of these is still there."""
        return any(key in self._left for key in keys)

    def text(self, *keys: str) -> str:
        """A text; "" if it is not there."""
        value = self.take(*keys)
        if value is not None and not isinstance(value, str):
            raise Malformed(f"{self.name(keys[0])}: expected text")
        return value or ""

    def inner(self, *keys: str) -> "Taker | None":
        """The object at a key; None if it is not there."""
        value = self.take(*keys)
        return None if value is None else Taker(value, self.name(keys[0]), self.losses)

    def json(self, *keys: str) -> Json | None:
        """An object that is carried as it is; None if it is not there."""
        value = self.take(*keys)
        if value is not None and not isinstance(value, Mapping):
            raise Malformed(f"{self.name(keys[0])}: expected an object")
        return value

    def each(self, *keys: str) -> "list[Taker]":
        """The objects of a list."""
        at = f"{self.name(keys[0])}[]"
        return [Taker(one, at, self.losses) for one in self.items(*keys)]

    def items(self, *keys: str) -> list[object]:
        """A list; [] if it is not there."""
        value = self.take(*keys)
        if value is not None and not isinstance(value, list):
            raise Malformed(f"{self.name(keys[0])}: expected a list")
        return value or []

    def lose(self, key: str, why: str = "") -> None:
        """Take a key that cannot be carried, if it is there."""
        if self.take(key) is not None:
            self.losses.lose(self.name(key), why)

    def skip(self, key: str, *means_nothing: object) -> None:
        """Take a key whose value may be one that means nothing; any other is lost."""
        value = self.take(key)
        if value is not None and not any(_same(value, one) for one in means_nothing):
            self.losses.lose(self.name(key))

    def rest(self) -> None:
        """Lose what nobody took."""
        for key in list(self._left):
            self.lose(key)


def _same(one: object, other: object) -> bool:
    """Equal, and not 1 for true."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)
