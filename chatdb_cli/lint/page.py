"""The page of a rule, as Markdown: made from the rule itself.

What does not belong here: writing it to docs/rules (`docs/rules.py` of the repository).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chatdb_cli.lint.rule import Rule


def rule_page(rule: Rule) -> str:
    """Return the page of a rule."""
    parts = [f"# {rule.id}", f"{rule.title}.", " ".join(_facts(rule)), rule.why]
    if rule.before:
        parts += ["Given:", _sql(rule.before)]
    parts += ["Bad:", _sql(rule.bad), "Safe:", _sql(rule.safe)]
    parts.append(
        f"To allow it in one place, write why: `-- chatdb: allow: {rule.id}, why`, directly before the "
        "statement or in the head of the file."
    )
    return "\n\n".join(parts) + "\n"


def _facts(rule: Rule) -> list[str]:
    facts = [f"Severity: {rule.severity}."]
    if rule.since:
        facts.append(f"Since PostgreSQL {rule.since}.")
    if rule.down:
        facts.append("It also checks down files.")
    if not rule.default:
        facts.append(f'Off by default; `[lint] on = ["{rule.id}"]` in chatdb.toml turns it on.')
    if rule.small_is_harmless:
        facts.append("With a connection, a finding on a table that is almost empty is a note.")
    return facts


def _sql(text: str) -> str:
    return f"```sql\n{text.strip()}\n```"
