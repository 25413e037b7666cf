"""ULIDs: ids of 26 characters that sort by time; 10 encode milliseconds, 16 are random.

What does not belong here: choosing the times and the random bytes (`chat_rows.py`).
"""

from __future__ import annotations

_DIGITS = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# Two digits encode 10 bits.
DIGIT_PAIRS = [bytes((a, b)) for a in _DIGITS for b in _DIGITS]
# The translation of random bytes into digits.
RANDOM_DIGIT = bytes(_DIGITS[n & 31] for n in range(256))


def ulid_time(ms: int) -> bytes:
    """Return the first 10 characters of a ULID, from milliseconds of the Unix epoch."""
    return b"".join([DIGIT_PAIRS[ms >> shift & 1023] for shift in (40, 30, 20, 10, 0)])
