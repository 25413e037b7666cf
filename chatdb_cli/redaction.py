"""Hide passwords in URLs, keyword strings and messages before they are shown or stored.

    redact    replaces a whole password with ***: for messages and single values

What does not belong here: passwords in SQL (`syntax/secrets.py`), deciding what is shown.  This module
imports nothing of chatdb.
"""

from __future__ import annotations

import re
from functools import cache

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
