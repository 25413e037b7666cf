"""Hide passwords in SQL, URLs, keyword strings and messages, before anything is shown or stored.

    mask      replaces each character of a password by a dot: for SQL that is shown with line and column
    redact    replaces a whole password by ***: for messages and single values

What does not belong here: deciding what is shown.  This module imports nothing of chatdb.
"""

from __future__ import annotations

import re

_SECRETS = ("doubled", "escaped", "quoted", "json", "dollar", "bare", "url")
LONGEST_SECRET = 4096
_VISIBLE = re.compile(r"[^\r\n]")
# A password of a role, of a user mapping, of a connection string, of a URL.  A literal that is not
# closed ends with the text, which may be one line of many.
_PASSWORD = re.compile(
    r"""
    \b (?: ssl )? password
    (?: (?> (?: \s | --[^\r\n]* | /\*.*?\*/ )+ ) (?: (?: => | := | = ) \s* )?
      | " \s* : \s*
      | \s* (?: => | := | = ) \s* )
    (?: '' (?P<doubled> [^']+ ) ''
      | e' (?P<escaped> (?: [^'\\] | \\. | '' )* )
      | (?: u& )? ' (?P<quoted> (?: [^'] | '' )* )
      | " (?P<json> (?: [^"\\] | \\. )* )
      | (?P<tag> \$ \w* \$ ) (?P<dollar> .*? ) (?: (?P=tag) | \Z ) )
    | \b (?: ssl )? password = (?P<bare> [^\s'",;&)]+ )
    | :// [^\s:/@'"]* : (?P<url> [^\s/'"]+ ) @
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


def mask(text: str) -> str:
    """Return the text with every character of a password replaced by a dot; line ends stay."""
    return _PASSWORD.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    secret = next(name for name in _SECRETS if found[name] is not None)
    start, end = (at - found.start() for at in found.span(secret))
    return found[0][:start] + _VISIBLE.sub("•", found[0][start:end]) + found[0][end:]


SECRETS = re.compile(
    r"""(?P<url>://[^\s:@/]*:)(?:\S*(?=@)|(?!\d+(?:[/?,\s]|$))[^\n@]*(?=@))
    | (?P<key>\w*pass(?:word|phrase)\s*=\s*|\bpassword\s+(?='))
      (?:'(?:\\.|''|[^'\\])*'?|"(?:\\.|[^"\\])*"?|(?:\\.|[^\s\\])+)""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


def redact(text: str) -> str:
    """Hide the passwords of URLs, keyword strings and `PASSWORD '...'` in any text.

    Where a password ends can't always be known; then rather too much is hidden.  So give it single
    values and messages, not a JSON document as a whole.
    """
    return SECRETS.sub(lambda match: f"{match['url'] or match['key']}***", text)
