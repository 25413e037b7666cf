"""The words of generated names and messages, and the texts made from them.

What does not belong here: the rows (`chat_rows.py`, `chat_messages.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

FIRST_NAMES = (
    "Ada", "Amara", "Ana", "Anders", "Aylin", "Ben", "Chidi", "Chloe", "Daniel", "Dmitri", "Elena",
    "Emeka", "Fatima", "Felix", "Grace", "Hana", "Hugo", "Ines", "Ivan", "Jonas", "Julia", "Kenji",
    "Lara", "Leila", "Liam", "Lucia", "Marco", "Maria", "Mateo", "Mei", "Mina", "Nadia", "Noah",
    "Olga", "Omar", "Priya", "Rafael", "Ravi", "Rosa", "Samir", "Sofia", "Tariq", "Tomas", "Wei",
    "Yara", "Yuki", "Zoe",
)  # fmt: skip
LAST_NAMES = (
    "Abe", "Ahmed", "Andersson", "Becker", "Bianchi", "Chen", "Costa", "Diallo", "Dubois", "Eze",
    "Fischer", "García", "Haddad", "Ito", "Ivanova", "Jensen", "Khan", "Kowalski", "Kumar", "Lee",
    "López", "Martin", "Meyer", "Moreau", "Müller", "Nguyen", "Novák", "Okafor", "Patel", "Petrov",
    "Rossi", "Sato", "Silva", "Singh", "Smith", "Tanaka", "Torres", "Wang", "Yildiz", "Zhang",
)  # fmt: skip
TOPICS = (
    "random", "release", "support", "design", "hiring", "backend", "mobile", "music", "lunch",
    "incidents", "finance", "travel", "books", "weekly", "research", "marketing", "sales", "games",
)  # fmt: skip
THINGS = (
    "report", "invoice", "release", "migration", "server", "draft", "contract", "test", "demo",
    "meeting", "query", "index", "budget", "design", "logo", "ticket", "backup", "café", "train",
    "customer", "slide deck", "roadmap", "pull request", "new laptop", "Übersicht", "見積もり",
)  # fmt: skip
SENTENCES = (
    "ok", "Thanks!", "+1", "Yes.", "lol", "no idea 🤷", "on it", "Done ✅", "Good morning ☀️",
    "thanks, {who}", "{who}?", "Where is the {what}?", "I'll be {n} minutes late.",
    "Can you look at the {what} {when}?", "The {what} is ready.", "Who has the {what}?",
    "I think {who} knows more about the {what}.", "That was {n} % faster than before.",
    "We can't ship the {what} {when}, sorry.", "Does anyone remember why we did it this way?",
    "The {what} is broken again: it fails after {n} seconds, and nobody has touched it.",
    "Lunch at {n} Main Street?", "I've sent the {what} to {who}, who will answer {when}.",
    "Let's talk about the {what} {when}, I need {n} minutes of your time.",
    "See https://wiki.example.com/{n} for the details.", "Happy birthday, {who}! 🎉",
    "The customer asks for {n} more, and for a {what}.", "Sounds good to me", "see you {when}",
    "Has the {what} been reviewed? {who} wanted to have a look at it first.",
    "I'd rather wait for {who} than do it twice.", "What about the {what}?", "brb", "Great work!",
    "It works on my machine, but the build has been red for {n} hours.",
)  # fmt: skip


def make_text(source: random.Random) -> str:
    """Return the text of a message: mostly a few words, sometimes a page."""
    bits = source.getrandbits(32)
    sentences = 1 if bits & 3 else 2 if bits & 12 else 3 if bits & 48 else 2 + (bits >> 8) % 40
    return " ".join(_sentence(source.getrandbits(32)) for _ in range(sentences))


def _sentence(bits: int) -> str:
    template = SENTENCES[bits % len(SENTENCES)]
    return template.format(
        who=FIRST_NAMES[(bits >> 6) % len(FIRST_NAMES)],
        what=THINGS[(bits >> 12) % len(THINGS)],
        when=("today", "tomorrow", "on Monday", "next week", "soon", "by noon")[(bits >> 18) % 6],
        n=2 + (bits >> 21) % 97,
    )
