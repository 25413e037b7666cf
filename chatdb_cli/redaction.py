"""Hide passwords in SQL, URLs, keyword strings and messages before they are shown or stored.

    mask      replaces each character of a password with a dot: for SQL shown with line and column
    redact    replaces a whole password with ***: for messages and single values

What does not belong here: deciding what is shown.  This module imports nothing of chatdb.
"""

from __future__ import annotations

import re
from functools import cache

_SECRETS = ("doubled", "escaped", "quoted", "json", "dollar", "bare", "url")
LONGEST_SECRET = 4096
_VISIBLE = re.compile(r"[^\r\n]")
# A password of a role, of a user mapping, of a connection string, of a URL.  An unterminated literal
# ends with the text, because the text may be one line of a file.
_TO_MASK = r"""
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
    """


def mask(text: str) -> str:
    """Replace each character of a password with a dot; line ends stay."""
    return _pattern(_TO_MASK).sub(_masked, text)


def _masked(match: re.Match[str]) -> str:
    group = next(name for name in _SECRETS if match[name] is not None)
    start, end = (offset - match.start() for offset in match.span(group))
    return match[0][:start] + _VISIBLE.sub("•", match[0][start:end]) + match[0][end:]


_TO_REDACT = r"""(?P<url>://[^\s:@/]*:)(?:\S*(?=@)|(?!\d+(?:[/?,\s]|$))[^\n@]*(?=@))
    | (?P<key>\w*pass(?:word|phrase)\s*=\s*|\bpassword\s+(?='))
      (?:'(?:\\.|''|[^'\\])*'?|"(?:\\.|[^"\\])*"?|(?:\\.|[^\s\\])+)"""


def redact(text: str) -> str:
    """Hide the passwords of URLs, keyword strings and `PASSWORD '...'` in any text.

    The end of a password is not always known; then too much is hidden rather than too little.  So pass
    single values and messages, not a whole JSON document.
    """
    return _pattern(_TO_REDACT).sub(lambda match: f"{match['url'] or match['key']}***", text)


@cache  # compiled when it is needed: a command that shows no SQL and no error needs neither
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE | re.VERBOSE | re.DOTALL)
