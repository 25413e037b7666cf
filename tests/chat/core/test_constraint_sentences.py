"""docs/constraints.md has a sentence for users for each constraint of the schema."""

from __future__ import annotations

import re

from tests.support.chat import Conn
from tests.support.paths import ROOT, SHIPPED

PAGE = (ROOT / "docs" / "constraints.md").read_text(encoding="utf-8")
SENTENCES = dict(re.findall(r"^\| `(\w+_\w+)` \| (.+) \|$", PAGE, re.MULTILINE))


def test_each_constraint_and_unique_index_has_a_sentence_and_no_other_name_does(
    chat: Conn,
) -> None:
    named = chat.execute(
        "SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
        " AND contype <> 'n' AND conrelid::regclass::text !~ 'yoyo|^chatdb'"
        " UNION SELECT i.indexrelid::regclass::text FROM pg_index i"
        " JOIN pg_class c ON c.oid = i.indrelid"
        " WHERE i.indisunique AND c.relnamespace = 'public'::regnamespace"
        " AND c.relname !~ 'yoyo|^chatdb'"
    )
    raised = {
        name
        for file in (SHIPPED / "up").glob("*.sql")
        for name in re.findall(r"CONSTRAINT = '(\w+)'", file.read_text())
    }
    assert {"channel_members_limit", "channels_group_not_alone"} < raised
    assert set(SENTENCES) == {name for (name,) in named} | raised


def test_each_sentence_is_one_for_users() -> None:
    for name, sentence in SENTENCES.items():
        assert re.fullmatch(r"[A-Z].+\.", sentence), name
        assert not re.search(r"constraint|violat|NULL|_|\bfkey", sentence), name
