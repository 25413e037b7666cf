"""Generate a chat of any size, as rows in COPY's binary format.

    ChatGenerator   people, channels and N messages of a year, the same for the same random seed
    COLUMNS         the tables that are filled, with their columns

Reads no clock.  A few channels hold most of the messages, and a few people of each channel write most of
them (Zipf).  What does not belong here: the messages (`chat_messages.py`), loading (`scale.py`), the
small hand-written workspace (`sql/seed`).
"""

from __future__ import annotations

import random
from collections import deque
from itertools import accumulate, islice
from math import isqrt
from typing import TYPE_CHECKING

from chatdb_cli.seed.chat_messages import BLOCK_ROWS, MessageGenerator
from chatdb_cli.seed.copy_format import (
    BOOL,
    ID,
    NULL,
    make_row,
    text_field,
    time_field,
)
from chatdb_cli.seed.model import Block, Channel
from chatdb_cli.seed.phrases import FIRST_NAMES, LAST_NAMES, TOPICS, make_text
from chatdb_cli.seed.ulid import RANDOM_DIGIT, ulid_time

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS = {
    "users": (
        "id", "auth0_id", "email", "username", "full_name", "display_name", "is_verified",
        "last_seen_at", "created_at", "updated_at",
    ),
    "profiles": ("user_id", "bio", "created_at", "updated_at"),
    "user_settings": ("user_id", "theme", "created_at", "updated_at"),
    "user_status": ("user_id", "status", "last_seen", "created_at", "updated_at"),
    "notification_preferences": ("user_id", "email", "push", "created_at", "updated_at"),
    "relationships": (
        "id", "user_id", "related_user_id", "type", "status", "created_at", "updated_at",
    ),
    "channels": (
        "id", "type", "name", "created_by", "direct_low", "direct_high", "created_at", "updated_at",
    ),
    "messages": (
        "id", "channel_id", "user_id", "client_message_id", "content", "content_type", "status",
        "reply_to_id", "edited_at", "deleted_at", "created_at", "updated_at",
    ),
    "message_deliveries": ("message_id", "user_id", "delivered_at"),
    "message_reads": ("message_id", "user_id", "read_at"),
    "message_edits": ("id", "message_id", "previous_content", "edited_by", "edited_at"),
    "reactions": ("id", "message_id", "user_id", "emoji", "created_at"),
    "files": (
        "id", "user_id", "message_id", "name", "type", "size", "url", "created_at", "updated_at",
    ),
    "notifications": (
        "id", "user_id", "type", "related_type", "related_id", "read_at", "created_at", "updated_at",
    ),
    "channel_members": (
        "channel_id", "user_id", "role", "joined_at", "last_read_message_id", "muted_until",
        "created_at", "updated_at",
    ),
    "sync_state": ("id", "user_id", "sync_type", "last_sync", "created_at", "updated_at"),
}  # fmt: skip
_DAY = 86_400_000
# All times are milliseconds of the Unix epoch.  The year is over, so that all later rows are newer.
_PEOPLE = 1_733_011_200_000  # when the first person joins: 2024-12-01
_CHANNELS = _PEOPLE + 15 * _DAY  # when the first channel is created
_YEAR = _PEOPLE + 31 * _DAY  # 2025, which begins on a Wednesday
_MORNING, _AWAKE = 7 * 3_600_000, 16 * 3_600_000
_DAYS = 365
_WEEK = (10, 10, 10, 3, 2, 10, 10)  # how busy Wednesday to Tuesday are
_MOST_PEOPLE, _MOST_CHANNELS = 20_000, 10_000
# A member with more unread messages than this has no read marker.
_REMEMBERED = 128
_KINDS = ("public", "private", "direct", "public", "group", "public", "direct", "private", "group",
          "direct")  # fmt: skip


class ChatGenerator:
    """Generates people, channels and messages; the same arguments always generate the same rows.

    Args:
        messages: the number of messages.
        random_seed: another one generates other rows, with other ids and names.
    """

    def __init__(self, messages: int, random_seed: int) -> None:
        # Only getrandbits and randbytes are used: they return the same in every version of Python.
        self._random = random.Random(random_seed)  # noqa: S311
        self._messages = messages
        self._random_seed = random_seed
        root = isqrt(messages)
        self._people = [
            ID + self._ulid(_PEOPLE + 60_000 * n) for n in range(min(10 + 2 * root, _MOST_PEOPLE))
        ]
        self._channel_count = min(8 + root, _MOST_CHANNELS)
        self._channels: list[Channel] = []

    @property
    def first_id(self) -> str:
        """The id of the first user, which tells whether the rows of this random seed exist."""
        return self._people[0][4:].decode()

    def blocks(self) -> Iterator[Block]:
        """Yield the rows, block by block; each table's in an order that is fast to index."""
        yield from _blocks("users", map(self._user, range(len(self._people))))
        yield from _blocks("profiles", map(self._profile, self._people[::2]))
        yield from _blocks("user_settings", map(self._settings, self._people[::3]))
        yield from _blocks("user_status", map(self._status, self._people))
        yield from _blocks("notification_preferences", map(self._preferences, self._people[::5]))
        yield from _blocks("relationships", self._relationships())
        yield from _blocks("channels", self._generate_channels())
        yield from self._generate_messages()
        yield from _blocks("channel_members", self._members())
        yield from _blocks("sync_state", self._sync())

    def _below(self, limit: int) -> int:
        return self._random.getrandbits(32) * limit >> 32

    def _ulid(self, ms: int) -> bytes:
        return ulid_time(ms) + self._random.randbytes(16).translate(RANDOM_DIGIT)

    # --- people and channels ----------------------------------------------------------------------

    def _user(self, n: int) -> bytes:
        first, last = (
            FIRST_NAMES[self._below(len(FIRST_NAMES))],
            LAST_NAMES[self._below(len(LAST_NAMES))],
        )
        name = f"{first.lower()}_{self._random_seed}_{n}"
        at = time_field(_PEOPLE + 60_000 * n)
        return make_row(
            self._people[n],
            text_field(f"auth0|{name}"),
            text_field(f"{name}@example.com"),
            text_field(name),
            text_field(f"{first} {last}"),
            NULL if n % 4 else text_field(first),
            BOOL + (b"\1" if n % 10 else b"\0"),
            time_field(_YEAR + _DAYS * _DAY - self._below(30 * _DAY)),
            at,
            at,
        )

    def _profile(self, person: bytes) -> bytes:
        at = time_field(_CHANNELS)
        return make_row(person, text_field(make_text(self._random)[:500]), at, at)

    def _settings(self, person: bytes) -> bytes:
        at = time_field(_CHANNELS)
        return make_row(person, text_field(("light", "dark", "system")[self._below(3)]), at, at)

    def _status(self, person: bytes) -> bytes:
        seen = time_field(_YEAR + _DAYS * _DAY - self._below(_DAY))
        status = ("online", "offline", "away", "offline", "busy", "offline")[self._below(6)]
        return make_row(person, text_field(status), seen, time_field(_CHANNELS), seen)

    def _preferences(self, person: bytes) -> bytes:
        at, yes, no = time_field(_CHANNELS), BOOL + b"\1", BOOL + b"\0"
        return make_row(person, no, yes if self._below(3) else no, at, at)

    def _relationships(self) -> Iterator[bytes]:
        """Yield the relationships: most people are friends of some later ones, a few block them."""
        for n, person in enumerate(self._people):
            for other in self._people[n + 1 : n + 1 + self._below(6)]:
                at = _CHANNELS + 60_000 * n
                roll = self._below(8)
                kind, status = "blocked" if roll == 7 else "friend", "accepted"
                if roll in (5, 6):
                    status = "pending"
                key = ID + self._ulid(at)
                yield make_row(
                    key,
                    person,
                    other,
                    text_field(kind),
                    text_field(status),
                    time_field(at),
                    time_field(at),
                )

    def _generate_channels(self) -> Iterator[bytes]:
        pairs: set[tuple[int, int]] = set()
        for n in range(self._channel_count):
            kind = _KINDS[n % len(_KINDS)]
            members = self._choose_members(kind, n)
            if kind == "direct":
                pair = (min(members), max(members))
                if pair in pairs:
                    kind = "group"
                pairs.add(pair)
            at = _CHANNELS + 60_000 * n
            key = ID + self._ulid(at)
            unread = [self._unread_count() for _ in members]
            self._channels.append(Channel(key, members, unread, deque(maxlen=_REMEMBERED)))
            low, high = (self._people[p] for p in sorted(members[:2]))
            topic = f"{TOPICS[n % len(TOPICS)]}-{n}" if n else "general"
            yield make_row(
                key,
                text_field(kind),
                NULL if kind == "direct" else text_field(topic),
                self._people[members[0]],
                low if kind == "direct" else NULL,
                high if kind == "direct" else NULL,
                time_field(at),
                time_field(at),
            )

    def _choose_members(self, kind: str, n: int) -> list[int]:
        """Return the members of the nth channel; a group stays well below its limit of 100."""
        total = len(self._people)
        size = {
            "public": 20 + total // (n + 1),
            "private": 8 + self._below(30),
            "group": 3 + self._below(10),
            "direct": 2,
        }[kind]
        chosen: dict[int, None] = {}
        while len(chosen) < min(size, total):
            chosen[self._below(total)] = None
        return list(chosen)

    def _unread_count(self) -> int:
        """Return how many messages a member has not read: half none, and one in 16 all."""
        bits = self._random.getrandbits(32)
        if bits & 1:
            return 0
        if bits & 14 == 0:
            return _REMEMBERED
        return (bits >> 4) % (8 if bits & 2 else _REMEMBERED)

    def _members(self) -> Iterator[bytes]:
        roles = [text_field(role) for role in ("owner", "admin", "member")]
        for n, channel in enumerate(self._channels):
            at = time_field(_CHANNELS + 60_000 * n)
            newest = list(channel.recent)[::-1]
            direct = len(channel.members) == 2
            for number, (person, unread) in enumerate(
                zip(channel.members, channel.unread, strict=True)
            ):
                marker = ID + newest[unread] if unread < len(newest) else NULL
                role = roles[min(number, 2)] if number != 1 or not direct else roles[2]
                muted = time_field(_YEAR + 400 * _DAY) if (number + n) % 23 == 22 else NULL
                yield make_row(channel.id, self._people[person], role, at, marker, muted, at, at)

    def _sync(self) -> Iterator[bytes]:
        at = _YEAR + (_DAYS - 1) * _DAY
        for person in self._people[::2]:
            key = ID + self._ulid(at)
            yield make_row(
                key, person, text_field("messages"), time_field(at), time_field(at), time_field(at)
            )

    # --- messages ---------------------------------------------------------------------------------

    def _generate_messages(self) -> Iterator[Block]:
        """Yield the messages day by day, and from time to time the rows that belong to them."""
        generator = MessageGenerator(self._random, self._channels, self._people, self._messages)
        busy = tuple(accumulate(_WEEK[day % 7] for day in range(_DAYS)))
        done = 0
        for day in range(_DAYS):
            until = self._messages * busy[day] // busy[-1]
            # A busy day comes in pieces, so that the server works while the next piece is generated.
            pieces = max(1, (until - done) // 512)
            for piece in range(pieces):
                count = (until - done) // (pieces - piece)
                start = _YEAR + day * _DAY + _MORNING + _AWAKE * piece // pieces
                generator.generate(start, _AWAKE // pieces, count)
                done += count
                yield from generator.blocks()
        yield from generator.blocks(everything=True)


def _blocks(table: str, rows: Iterator[bytes]) -> Iterator[Block]:
    while chunk := list(islice(rows, BLOCK_ROWS)):
        yield Block(table, len(chunk), b"".join(chunk))
