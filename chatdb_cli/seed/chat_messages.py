"""Generate the messages of a chat, and their deliveries, reads, edits, reactions and files.

What does not belong here: people and channels (`chat_rows.py`), the format of rows (`copy_format.py`).
"""

from __future__ import annotations

from struct import unpack
from typing import TYPE_CHECKING

from chatdb_cli.seed.copy_format import (
    ID,
    NULL,
    POSTGRES_EPOCH,
    make_row,
    pack_bigint,
    pack_four_times,
    text_field,
    time_field,
)
from chatdb_cli.seed.model import Block
from chatdb_cli.seed.phrases import make_text
from chatdb_cli.seed.ulid import DIGIT_PAIRS, RANDOM_DIGIT, ulid_time

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    from chatdb_cli.seed.model import Channel

BLOCK_ROWS = 500
# After how many messages the rows of the other tables are returned: COPY of another table has a cost.
_OTHERS_AFTER = 50_000
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


class MessageGenerator:
    """Generates messages and the rows that belong to them, in the order of time.

    Args:
        source: random numbers.
        channels: the channels that messages are written in.
        people: the ids of the people, as fields of rows.
        messages: the number of messages that will be generated.
    """

    def __init__(
        self,
        source: random.Random,
        channels: Sequence[Channel],
        people: Sequence[bytes],
        messages: int,
    ) -> None:
        self._random = source
        self._people = people
        profiles = [
            (
                c.id,
                [people[c.members[k]] for k in zipf_numbers(len(c.members), 256)],
                [people[p] for p, unread in zip(c.members, c.unread, strict=True) if unread == 0],
                c.recent,
            )
            for c in channels
        ]
        self._channel_of = [profiles[k] for k in zipf_numbers(len(profiles), 1 << 16)]
        count = min(max(messages, 64), 1 << 14)
        texts = [text_field(make_text(source)) + _TEXT for _ in range(count)]
        self._texts = [texts[n % count] for n in range(1 << 14)]
        self._rows: dict[str, list[bytes]] = {
            table: []
            for table in (
                "messages", "message_deliveries", "message_reads", "message_edits", "reactions",
                "files", "notifications",
            )
        }  # fmt: skip
        self._since_others = 0  # messages since the rows of the other tables were returned

    def generate(self, start: int, span: int, count: int) -> None:
        """Generate messages spread evenly over a time span, with up to one second of jitter.

        This loop runs once for each message, so it uses local names and calls few functions.

        Args:
            start: when the span begins, in milliseconds of the Unix epoch.
            span: its length in milliseconds.
            count: the number of messages.
        """
        source, channel_of, texts, pairs = self._random, self._channel_of, self._texts, DIGIT_PAIRS
        message, read = self._rows["messages"].append, self._rows["message_reads"].append
        delivery = self._rows["message_deliveries"].append
        join, eight_bytes, four_times = b"".join, pack_bigint, pack_four_times
        step = span // max(count, 1)
        shift = 54 if step >= 1024 else 64
        bits_of = unpack(f"<{count}Q", source.randbytes(8 * count))
        tails = unpack("16s" * count, source.randbytes(16 * count).translate(RANDOM_DIGIT))
        high, prefix = -1, b""
        for ms, bits, tail in zip(range(start, start + span, step), bits_of, tails):  # noqa: B905
            ms += bits >> shift
            if ms >> 20 != high:
                high = ms >> 20
                prefix = b"01" + pairs[high >> 10 & 1023] + pairs[high & 1023]
            key = prefix + pairs[ms >> 10 & 1023] + pairs[ms & 1023] + tail
            channel, authors, readers, recent = channel_of[bits & 65535]
            author = authors[bits >> 16 & 255]
            text = texts[bits >> 30 & 16383]
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
            if (extra := bits >> 45 & 511) < 80:
                text, times = self._generate_extras(extra, ms, key, author, reader, text, times)
            recent.append(key)
            message(
                join((_MESSAGE, key, channel, author, _CLIENT_ID, tail, text, status, reply, times))
            )

    def _generate_extras(
        self,
        extra: int,
        ms: int,
        key: bytes,
        author: bytes,
        reader: bytes,
        text: bytes,
        times: bytes,
    ) -> tuple[bytes, bytes]:
        """Generate what few messages have: a reaction, an edit, a file, a notification, a deletion.

        Args:
            extra: which of these, below 80.
            ms: when the message was written, in milliseconds of the Unix epoch.
            key: its id.
            author: the id of its author, as a field.
            reader: the id of another member, or of the author if there is none, as a field.
            text: the fields of its content and its type.
            times: the fields of its four times: edited, deleted, created, updated.

        Returns:
            The last two arguments, changed by the extra.
        """
        at, later = time_field(ms), time_field(ms + 90_000)
        own = ID + ulid_time(ms + 90_000) + key[10:]
        if extra < 40:
            emoji = _EMOJI[extra % len(_EMOJI)]
            self._rows["reactions"].append(make_row(own, ID + key, reader, emoji, later))
        elif extra < 50:
            old = self._texts[ms & 16383][: -len(_TEXT)]
            self._rows["message_edits"].append(make_row(own, ID + key, old, author, later))
            times = later + NULL + at + later
        elif extra < 55:
            times = NULL + later + at + later
        elif extra < 70:
            kind, suffix, media = _FILES[extra % len(_FILES)]
            name = f"{key[-6:].decode().lower()}.{suffix}"
            url = text_field(f"https://files.example.com/{key.decode()}/{name}")
            size = pack_bigint(8, 1000 + int.from_bytes(key[-3:], "big"))
            row = make_row(
                own, author, ID + key, text_field(name), text_field(media), size, url, at, at
            )
            self._rows["files"].append(row)
            text = text_field("") + text_field(kind)
        else:
            read_at = later if extra & 1 else NULL
            about = (text_field("message.mention"), text_field("message"), ID + key)
            self._rows["notifications"].append(make_row(own, reader, *about, read_at, at, later))
        return text, times

    def blocks(self, *, everything: bool = False) -> Iterator[Block]:
        """Yield the messages if they fill a block, and the rows of the other tables less often.

        Args:
            everything: yield all rows that are left.
        """
        rows = self._rows["messages"]
        if everything or len(rows) >= BLOCK_ROWS:
            yield Block("messages", len(rows), b"".join(rows))
            self._since_others += len(rows)
            rows.clear()
        if everything or self._since_others >= _OTHERS_AFTER:
            self._since_others = 0
            for table, others in self._rows.items():
                if others:
                    yield Block(table, len(others), b"".join(others))
                    others.clear()


def zipf_numbers(count: int, size: int) -> list[int]:
    """Return `size` numbers below `count`; k occurs in proportion to 1 / (k + 1) (Zipf)."""
    total = sum(1 / (k + 1) for k in range(count))
    numbers: list[int] = []
    share = 0.0
    for k in range(count):
        share += size / (k + 1) / total
        numbers += [k] * (round(share) - len(numbers))
    return (numbers + [0] * size)[:size]
