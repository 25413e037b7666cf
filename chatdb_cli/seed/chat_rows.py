"""An invented chat of any size, as rows that COPY takes.

    Crowd    people, channels and N messages of a year, the same for the same random seed
    Block    some rows of one table, in COPY's binary format
    COLUMNS  the tables that are filled, with their columns

Pure: numbers go in, bytes come out, and no clock is read.  A few channels hold most of the messages, and
a few people of each channel write most of them (Zipf).  What does not belong here: loading
(`seed.py`), the small workspace that is written by hand (`sql/seed`).
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from itertools import accumulate, islice
from math import isqrt
from struct import unpack
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.seed.copy_format import (
    BOOL,
    ID,
    NULL,
    POSTGRES_EPOCH,
    make_row,
    pack_bigint,
    pack_four_times,
    text_field,
    time_field,
)
from chatdb_cli.seed.phrases import FIRST_NAMES, LAST_NAMES, SENTENCES, THINGS, TOPICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    "files": ("id", "message_id", "name", "type", "size", "url", "created_at", "updated_at"),
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
# All times are milliseconds.  The year is over, so that whatever is written later is newer.
_PEOPLE = 1_733_011_200_000  # 2024-12-01
_CHANNELS = _PEOPLE + 15 * _DAY
_YEAR = _PEOPLE + 31 * _DAY  # 2025, which begins on a Wednesday
_MORNING, _AWAKE = 7 * 3_600_000, 16 * 3_600_000
_DAYS = 365
_WEEK = (10, 10, 10, 3, 2, 10, 10)  # how busy Wednesday to Tuesday are
_MOST_PEOPLE, _MOST_CHANNELS = 20_000, 10_000
# Who is further behind than this has no read marker.
_REMEMBERED = 128
_BLOCK_ROWS = 500
# After how many messages the rows that belong to them are handed out.
_BESIDE_ROWS = 50_000
_KINDS = ("public", "private", "direct", "public", "group", "public", "direct", "private", "group",
          "direct")  # fmt: skip
_DIGITS = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [bytes((a, b)) for a in _DIGITS for b in _DIGITS]
_RANDOM_DIGIT = bytes(_DIGITS[n & 31] for n in range(256))


class Block(NamedTuple):
    """Some rows of one table, without `HEADER` and `TRAILER`."""

    table: str
    rows: int
    data: bytes


def _ulid_time(ms: int) -> bytes:
    return b"".join([_PAIRS[ms >> shift & 1023] for shift in (40, 30, 20, 10, 0)])


@dataclass(frozen=True, slots=True)
class _Channel:
    """A channel and who is in it.

    Attributes:
        id: a field of a row, as those below.
        members: people by number; the owner first, and who writes most before who writes less.
        behind: how many messages each of them has not read; the last is for who never came.
        recent: the newest messages.
    """

    id: bytes
    members: Sequence[int]
    behind: Sequence[int]
    recent: deque[bytes]


class ChatGenerator:
    """People, channels and messages, the same for the same arguments wherever and whenever.

    Args:
        messages: how many.
        random_seed: another one gives other rows, whose ids and names never meet.
    """

    def __init__(self, messages: int, random_seed: int) -> None:
        # Only whole random bits are taken: these are the same in every version of Python.
        self._random = random.Random(random_seed)  # noqa: S311
        self._messages = messages
        self._random_seed = random_seed
        root = isqrt(messages)
        self._people = [
            ID + self._ulid(_PEOPLE + 60_000 * n) for n in range(min(10 + 2 * root, _MOST_PEOPLE))
        ]
        self._channel_count = min(8 + root, _MOST_CHANNELS)
        self._channels: list[_Channel] = []

    @property
    def first_id(self) -> str:
        """The id of the first user, by which this random seed is known again."""
        return self._people[0][4:].decode()

    def blocks(self) -> Iterator[Block]:
        """Make the rows, block by block; each table's in an order that its indexes like."""
        yield from _blocks("users", map(self._user, range(len(self._people))))
        yield from _blocks("profiles", map(self._profile, self._people[::2]))
        yield from _blocks("user_settings", map(self._settings, self._people[::3]))
        yield from _blocks("user_status", map(self._status, self._people))
        yield from _blocks("notification_preferences", map(self._wishes, self._people[::5]))
        yield from _blocks("relationships", self._relationships())
        yield from _blocks("channels", self._make_channels())
        yield from self._make_messages()
        yield from _blocks("channel_members", self._members())
        yield from _blocks("sync_state", self._sync())

    def _below(self, limit: int) -> int:
        return self._random.getrandbits(32) * limit >> 32

    def _ulid(self, ms: int) -> bytes:
        return _ulid_time(ms) + self._random.randbytes(16).translate(_RANDOM_DIGIT)

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
        return make_row(person, text_field(_say(self._random)[:500]), at, at)

    def _settings(self, person: bytes) -> bytes:
        at = time_field(_CHANNELS)
        return make_row(person, text_field(("light", "dark", "system")[self._below(3)]), at, at)

    def _status(self, person: bytes) -> bytes:
        seen = time_field(_YEAR + _DAYS * _DAY - self._below(_DAY))
        status = ("online", "offline", "away", "offline", "busy", "offline")[self._below(6)]
        return make_row(person, text_field(status), seen, time_field(_CHANNELS), seen)

    def _wishes(self, person: bytes) -> bytes:
        at, yes, no = time_field(_CHANNELS), BOOL + b"\1", BOOL + b"\0"
        return make_row(person, no, yes if self._below(3) else no, at, at)

    def _relationships(self) -> Iterator[bytes]:
        """Most people are friends of some who came after them; a few block them."""
        for n, person in enumerate(self._people):
            for other in self._people[n + 1 : n + 1 + self._below(6)]:
                at = _CHANNELS + 60_000 * n
                what = self._below(8)
                kind, status = "blocked" if what == 7 else "friend", "accepted"
                if what in (5, 6):
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

    def _make_channels(self) -> Iterator[bytes]:
        pairs: set[tuple[int, int]] = set()
        for n in range(self._channel_count):
            kind = _KINDS[n % len(_KINDS)]
            members = self._choose(kind, n)
            if kind == "direct":
                pair = (min(members), max(members))
                if pair in pairs:
                    kind = "group"
                pairs.add(pair)
            at = _CHANNELS + 60_000 * n
            key = ID + self._ulid(at)
            behind = [self._lag() for _ in members]
            self._channels.append(_Channel(key, members, behind, deque(maxlen=_REMEMBERED)))
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

    def _choose(self, kind: str, n: int) -> list[int]:
        """Return who is in the nth channel; a group stays well below its limit of 100."""
        there = len(self._people)
        size = {
            "public": 20 + there // (n + 1),
            "private": 8 + self._below(30),
            "group": 3 + self._below(10),
            "direct": 2,
        }[kind]
        chosen: dict[int, None] = {}
        while len(chosen) < min(size, there):
            chosen[self._below(there)] = None
        return list(chosen)

    def _lag(self) -> int:
        """Return how many messages somebody is behind: half are not, and one in 16 never came."""
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
            for number, (person, behind) in enumerate(
                zip(channel.members, channel.behind, strict=True)
            ):
                marker = ID + newest[behind] if behind < len(newest) else NULL
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

    def _make_messages(self) -> Iterator[Block]:
        """Make the messages a day at a time, and now and then what belongs to them."""
        loom = _MessageGenerator(self._random, self._channels, self._people, self._messages)
        busy = tuple(accumulate(_WEEK[day % 7] for day in range(_DAYS)))
        done = 0
        for day in range(_DAYS):
            until = self._messages * busy[day] // busy[-1]
            # A big day comes in pieces, so that the server has something to do meanwhile.
            pieces = max(1, (until - done) // 512)
            for piece in range(pieces):
                count = (until - done) // (pieces - piece)
                start = _YEAR + day * _DAY + _MORNING + _AWAKE * piece // pieces
                loom.weave(start, _AWAKE // pieces, count)
                done += count
                yield from loom.ready()
        yield from loom.ready(everything=True)


class _MessageGenerator:
    """Makes messages and what belongs to them, in the order of time.

    All that happens a million times stands in `weave`.
    """

    def __init__(
        self,
        source: random.Random,
        channels: Sequence[_Channel],
        people: Sequence[bytes],
        messages: int,
    ) -> None:
        self._random = source
        self._people = people
        places = [
            (
                c.id,
                [people[c.members[k]] for k in _zipf(len(c.members), 256)],
                [people[p] for p, lag in zip(c.members, c.behind, strict=True) if lag == 0],
                c.recent,
            )
            for c in channels
        ]
        self._place_of = [places[k] for k in _zipf(len(places), 1 << 16)]
        said = [text_field(_say(source)) + _TEXT for _ in range(min(max(messages, 64), 1 << 14))]
        self._said = [said[n % len(said)] for n in range(1 << 14)]
        self._rows: dict[str, list[bytes]] = {
            table: []
            for table in (
                "messages", "message_deliveries", "message_reads", "message_edits", "reactions",
                "files", "notifications",
            )
        }  # fmt: skip
        self._waiting = 0

    def weave(self, start: int, span: int, count: int) -> None:
        """Make some messages, evenly spread over a span of time but for a second of chance."""
        source, place_of, said, pairs = self._random, self._place_of, self._said, _PAIRS
        message, read = self._rows["messages"].append, self._rows["message_reads"].append
        delivery = self._rows["message_deliveries"].append
        join, eight_bytes, four_times = b"".join, pack_bigint, pack_four_times
        step = span // max(count, 1)
        shift = 54 if step >= 1024 else 64
        bits_of = unpack(f"<{count}Q", source.randbytes(8 * count))
        tails = unpack("16s" * count, source.randbytes(16 * count).translate(_RANDOM_DIGIT))
        high, prefix = -1, b""
        for ms, bits, tail in zip(range(start, start + span, step), bits_of, tails):  # noqa: B905
            ms += bits >> shift
            if ms >> 20 != high:
                high = ms >> 20
                prefix = b"01" + pairs[high >> 10 & 1023] + pairs[high & 1023]
            key = prefix + pairs[ms >> 10 & 1023] + pairs[ms & 1023] + tail
            channel, authors, readers, recent = place_of[bits & 65535]
            author = authors[bits >> 16 & 255]
            text = said[bits >> 30 & 16383]
            us = (ms - POSTGRES_EPOCH) * 1000
            times = four_times(-1, -1, 8, us, 8, us)
            reply, status = NULL, _SENDING
            if not bits & 0x7000000 and recent:
                reply = ID + recent[-1 - (bits >> 27 & 7) % len(recent)]
            reader = readers[(bits >> 16 & 0xFFFF) % len(readers)] if readers else author
            if reader is not author:
                status = _DELIVERED
                delivery(join((_RECEIPT, key, reader, eight_bytes(8, us + 1_000_000))))
                if bits & 0x100000000000:
                    status = _READ
                    read(join((_RECEIPT, key, reader, eight_bytes(8, us + 60_000_000))))
            if (rare := bits >> 45 & 511) < 80:
                text, times = self._rarely(rare, ms, key, author, reader, text, times)
            recent.append(key)
            message(
                join((_MESSAGE, key, channel, author, _CLIENT_ID, tail, text, status, reply, times))
            )

    def _rarely(
        self,
        rare: int,
        ms: int,
        key: bytes,
        author: bytes,
        reader: bytes,
        text: bytes,
        times: bytes,
    ) -> tuple[bytes, bytes]:
        """Make what few messages have: a reaction, an edit, a file, news of it; or delete it.

        Args:
            rare: which of these, below 80.
            ms: when the message was written.
            key: its id.
            author: who wrote it.
            reader: who else is there, if anybody.
            text: its content and its type.
            times: when it was edited, deleted, made, and changed.

        Returns:
            The last two, as they are now.
        """
        at, later = time_field(ms), time_field(ms + 90_000)
        own = ID + _ulid_time(ms + 90_000) + key[10:]
        if rare < 40:
            emoji = _EMOJI[rare % len(_EMOJI)]
            self._rows["reactions"].append(make_row(own, ID + key, reader, emoji, later))
        elif rare < 50:
            was = self._said[ms & 16383][: -len(_TEXT)]
            self._rows["message_edits"].append(make_row(own, ID + key, was, author, later))
            times = later + NULL + at + later
        elif rare < 55:
            times = NULL + later + at + later
        elif rare < 70:
            kind, suffix, media = _FILES[rare % len(_FILES)]
            name = f"{key[-6:].decode().lower()}.{suffix}"
            url = text_field(f"https://files.example.com/{key.decode()}/{name}")
            size = pack_bigint(8, 1000 + int.from_bytes(key[-3:], "big"))
            row = make_row(own, ID + key, text_field(name), text_field(media), size, url, at, at)
            self._rows["files"].append(row)
            text = text_field("") + text_field(kind)
        else:
            read_at = later if rare & 1 else NULL
            about = (text_field("message.mention"), text_field("message"), ID + key)
            self._rows["notifications"].append(make_row(own, reader, *about, read_at, at, later))
        return text, times

    def ready(self, *, everything: bool = False) -> Iterator[Block]:
        """Hand out what has become a block; of the messages at once, of the rest more seldom."""
        rows = self._rows["messages"]
        if everything or len(rows) >= _BLOCK_ROWS:
            yield Block("messages", len(rows), b"".join(rows))
            self._waiting += len(rows)
            rows.clear()
        if everything or self._waiting >= _BESIDE_ROWS:
            self._waiting = 0
            for table, beside in self._rows.items():
                if beside:
                    yield Block(table, len(beside), b"".join(beside))
                    beside.clear()


def _blocks(table: str, rows: Iterator[bytes]) -> Iterator[Block]:
    while some := list(islice(rows, _BLOCK_ROWS)):
        yield Block(table, len(some), b"".join(some))


def _zipf(count: int, size: int) -> list[int]:
    """Return `size` numbers below `count`, each k as often as 1 / (k + 1) deserves."""
    total = sum(1 / (k + 1) for k in range(count))
    numbers: list[int] = []
    share = 0.0
    for k in range(count):
        share += size / (k + 1) / total
        numbers += [k] * (round(share) - len(numbers))
    return (numbers + [0] * size)[:size]


def _say(source: random.Random) -> str:
    """Return what somebody says: mostly a few words, at times a page."""
    bits = source.getrandbits(32)
    sentences = 1 if bits & 3 else 2 if bits & 12 else 3 if bits & 48 else 2 + (bits >> 8) % 40
    return " ".join(_sentence(source.getrandbits(32)) for _ in range(sentences))


def _sentence(bits: int) -> str:
    words = SENTENCES[bits % len(SENTENCES)]
    return words.format(
        who=FIRST_NAMES[(bits >> 6) % len(FIRST_NAMES)],
        what=THINGS[(bits >> 12) % len(THINGS)],
        when=("today", "tomorrow", "on Monday", "next week", "soon", "by noon")[(bits >> 18) % 6],
        n=2 + (bits >> 21) % 97,
    )


_MESSAGE = b"\0\x0c" + ID
_RECEIPT = b"\0\3" + ID
_CLIENT_ID = b"\0\0\0\x10"
_TEXT = text_field("text")
_SENDING, _DELIVERED, _READ = text_field("sending"), text_field("delivered"), text_field("read")
_EMOJI = tuple(map(text_field, ("👍", "❤️", "😂", "🎉", "👀", "✅", "🙏")))
_FILES = (
    ("image", "png", "image/png"),
    ("image", "jpg", "image/jpeg"),
    ("file", "pdf", "application/pdf"),
)
