"""Where everything is in the shared memory of the gate, and how an amount is written.  No I/O.

    header | accounts | slots, each: its head, then its entries

An *account* is one budget for one key: what its window holds, and what open calls hold back.  A
*slot* belongs to one relay and has its *entries*: what one open call holds back from one account.
The entries are the truth; `reserved` of an account is their sum, kept so that nobody has to add.

Amounts are whole numbers of 1e-18 of the budget's unit, as exact as the rows.  Numbers are little-
endian.  Everything is written under the lock, except a slot's counters, which its relay alone adds
to, and `published_ns`.
"""

import struct
from decimal import Decimal
from hashlib import blake2b

import msgspec

from pricing.budget import Key

MAGIC = b"TAXGATE1"
SCALE = 18  # decimal places of an amount
AMOUNT_BYTES = 16

ACCOUNTS_MAX = 16_384  # keys with spend or open calls, of all budgets that enforce
PROBES_MAX = 64  # places in which an account may be; more on one machine have no place
SLOTS_MAX = 64  # relays, with those that died and whose calls do not count yet
ENTRIES_MAX = 4_096  # of a relay: calls that are open or not yet counted, times their budgets

# Header: magic, then these.
HEADER_BYTES = 4096
GENERATION = 8  # of the rules
PUBLISHED = 16  # CLOCK_MONOTONIC when the spend was last published; 0: never
DIRTY = 24  # 1 while a locked step writes: found set, the writer died in it
INCOMPLETE = 32  # accounts with spend that found no place
MADE = 40  # accounts that were ever made: another number means that there are new ones

# Account: digest, committed, reserved, start of its window (s), refused; length of its name, name.
ACCOUNT = struct.Struct("<16s16s16sqQ")
ACCOUNT_BYTES = 512
DIGEST_BYTES = 16
COMMITTED, RESERVED, START, REFUSED, NAME = 16, 32, 48, 56, 64
NAME_BYTES_MAX = ACCOUNT_BYTES - NAME - 2  # a longer one counts, but cannot be read back
ACCOUNTS = HEADER_BYTES

# Slot: name of the journal's writer, counters; then its entries.
SLOT_HEAD_BYTES = 512
WRITER_BYTES = 64
COUNTERS_AT = 64
COUNTERS = (
    "passed",  # calls that a budget looked at and let pass
    "refused",
    "shadowed",  # would have been refused
    "failed_open",  # passed, since the state could not be read
    "failed_closed",  # refused, since the state could not be read
    "full",  # of those: no room for another reservation or account
    "locked",  # of those: the lock was not free in time
    "stale",  # of those: nothing was published for too long
)
# Entry: call, account, unused, amount.  All zero: free.
ENTRY = struct.Struct("<QII16s")
SLOT_BYTES = SLOT_HEAD_BYTES + ENTRIES_MAX * ENTRY.size
SLOTS = ACCOUNTS + ACCOUNTS_MAX * ACCOUNT_BYTES
TOTAL_BYTES = SLOTS + SLOTS_MAX * SLOT_BYTES

U64 = struct.Struct("<Q")
I64 = struct.Struct("<q")
U16 = struct.Struct("<H")

_ONE = 10**SCALE


def whole(amount: Decimal) -> int:
    """`amount` in units of 1e-18, rounded up: a finer one exists in no row."""
    numerator, denominator = amount.as_integer_ratio()
    units: int = -(-numerator * _ONE // denominator)
    return units


def decimal(units: int) -> Decimal:
    """The amount of so many units of 1e-18, exactly."""
    sign, digits = (1, -units) if units < 0 else (0, units)
    return Decimal((sign, tuple(map(int, str(digits))), -SCALE))


def packed(units: int) -> bytes:
    """An amount as it is stored.  Raises OverflowError for a negative or impossible one."""
    return units.to_bytes(AMOUNT_BYTES, "little")


def named(budget: str, key: Key) -> bytes:
    """The name of an account, from which it is found and read back."""
    return msgspec.json.encode([budget, key])


def digest(name: bytes) -> bytes:
    """What an account is compared by: never zero, which means that a place is free."""
    return blake2b(name, digest_size=DIGEST_BYTES - 1).digest() + b"\1"


def place(digest: bytes) -> int:
    """The number of the place where the search for an account begins."""
    return int.from_bytes(digest[:4], "little") % ACCOUNTS_MAX


def account_at(number: int) -> int:
    """The offset of an account."""
    return ACCOUNTS + number * ACCOUNT_BYTES


def slot_at(number: int) -> int:
    """The offset of a slot."""
    return SLOTS + number * SLOT_BYTES


def entry_at(slot: int, number: int) -> int:
    """The offset of an entry."""
    return slot_at(slot) + SLOT_HEAD_BYTES + number * ENTRY.size
