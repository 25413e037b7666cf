"""Write the pages of the lint rules from the rules themselves; `make docs` runs this script.

    rules/<rule>.md     a page a rule
    rules/README.md     the table of all rules

What belongs here: the table.  What does not belong here: the text about a rule, which is in its module;
the comparison with other linters, which is written by hand (`rules/compared.md`).
"""

from __future__ import annotations

from pathlib import Path

from chatdb_cli.lint.page import rule_page
from chatdb_cli.lint.rule import load_rules

FOLDER = Path(__file__).with_name("rules")
BY_HAND = ("compared.md",)
NOTE = '<!-- Made by docs/rules.py: correct the rule in chatdb_cli/lint/rules, and run "make docs". -->'
HEAD = f"""\
{NOTE}

# The rules of `chatdb migrate lint`

[docs/lint.md](../lint.md) says how to use it. `chatdb migrate lint --explain RULE` prints a page.
[compared.md](compared.md) names the rule for each one of squawk and eugene.

| rule | severity | finds |
| --- | --- | --- |
"""


def pages() -> dict[str, str]:
    """Return the text of each page, by file name."""
    rules = [loaded.rule for loaded in load_rules().values()]
    rows = [
        f"| [{rule.id}]({rule.id}.md) | {rule.severity}{'' if rule.default else ', off'} "
        f"| {rule.title} |\n"
        for rule in rules
    ]
    texts = {f"{rule.id}.md": f"{NOTE}\n\n{rule_page(rule)}" for rule in rules}
    return texts | {"README.md": HEAD + "".join(rows)}


def main() -> None:
    """Write the pages, and remove those of rules that no longer exist."""
    FOLDER.mkdir(exist_ok=True)
    texts = pages()
    for name, text in texts.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    for path in FOLDER.glob("*.md"):
        if path.name not in texts and path.name not in BY_HAND:
            path.unlink()


if __name__ == "__main__":
    main()
