"""The words and the forms by which a statement, a literal or a comment says that it holds a secret.

    Kinds           the kinds of secrets that a text may hold, and whether a part of it says so
    OPEN, CLOSE     where a literal begins and ends in the outline of a statement

A password says so by its name alone, because the name has no other use.  `token`, `secret` and the like
are also words of a schema, so they count where a value is assigned to them: as an option, a setting, an
argument, a key of JSON.  What does not belong here: where literals begin and end (`secret_spans.py`).
"""

from __future__ import annotations

import re
import sys
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_FLAGS = re.IGNORECASE | re.VERBOSE


class _Pattern:
    """A pattern that is compiled when it is first used: most runs need few of them, or none."""

    def __init__(self, pattern: str, flags: re.RegexFlag = _FLAGS) -> None:
        self._pattern = pattern
        self._flags = flags

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self._pattern, self._flags)

    def search(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        return self._compiled.search(text, start, end)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        return self._compiled.finditer(text)


# --- by the word alone ----------------------------------------------------------------------------

# `pass` alone is also a word of prose.
_WORD = r"""pass_?w | pass_?phrase | pass_?code
    | (?<![a-z]) (?: smtp | imap | e?mail | db | database | pg | postgres | mysql | redis | mongo | amqp
        | ldap | bind | s?ftp | ssh | http | proxy | admin | root | user | auth ) [._-]? pass (?![a-z])
    | (?<![a-z]) (?: pwd? (?![a-z]) | pass (?= ['"]? \s* [=:,)] ) )"""
# crypt() and pgcrypto's functions take a password or a key as a literal.
_FUNCTION = r"(?<![a-z]) crypt (?![a-z]) | pgp_sym_ | hmac"
_URL = r"://[^\s/?#]*:[^@]*@ | (?<![\w./@]) (?!mailto:) [\w.%+-]+ : [^\s:@,]+ @ [\w.\[-]"
_SIGN = _Pattern(f"{_WORD} | {_FUNCTION} | {_URL}", _FLAGS)
_WORDS = _Pattern(_WORD, _FLAGS)

# --- by an assignment -----------------------------------------------------------------------------

_KEYS = (
    *("api", "access", "account", "auth", "private", "secret", "shared", "sign", "signing"),
    *("encrypt", "encryption", "master", "service", "jwt", "hmac", "license", "ssh", "storage"),
    "crypto",
)
# The names of what is secret; not `bypassrls`, `passive`, `tokenizer`.
_WIDE = r"""(?: (?<!by)(?<!com) pass (?! enger | age | iv | ed | es | ing | port | ion | thr | _?file )
    | pwd | secret (?! ar ) | token (?! i[sz] ) | credential | bearer | conn_?(?: info | str )
    | (?: {keys} ) [_-]? key )""".replace("{keys}", " | ".join(_KEYS))
# Names that end like this are of something about the secret, such as its kind or its age.
_ABOUT = "".join(
    f"(?<!_{word})"
    for word in (
        *("type", "kind", "id", "name", "count", "length", "len", "size", "limit", "max", "min"),
        *("at", "age", "ttl", "days", "seconds", "expiry", "timeout", "lifetime", "expires_in"),
        *("url", "uri", "file", "path", "status", "state", "format", "version", "algorithm"),
        *("encryption", "method", "policy", "table", "schema", "enabled", "required", "header"),
    )
)
_NAME = rf"{_WIDE} [\w$.-]{{0,60}} (?![\w$.]) {_ABOUT}"
OPEN, CLOSE = "\x01", "\x02"  # where a literal begins and ends in an outline
_BEGIN = rf"(?: \b [nbx] )? {OPEN}"  # N'...' is a literal, too
_VALUE = f"{_BEGIN} (?!{CLOSE})"
_TEXT = r"""(?: constant \s+ )?
    (?: text | (?:var)?char | bpchar | character | citext | bytea | jsonb? | name )
    [\w\s()]{0,40}?"""
_TO = r"(?: => | := | = | \b to \b )"
# The outline of a statement: its code without comments, names without quotes, and each literal as its
# text if that looks like a name, else `?`, between OPEN and CLOSE.
_OUTLINE_OF_NAME = _Pattern(
    rf"""{_NAME} (?:
      \s* (?: (?: {_TO} | <> | != | \b in \b ) (?: [\s(\[] | \w+ \s* [(\[] )* | [\s(]* ) {_VALUE}
                         # OPTIONS (token '...'), SET a.token = '...'
    | \s+ [\w.\s()\[\]]{{1,60}} := [\s(]* {_VALUE}  # p_token varchar(9) := '...'
    | \s+ (?: {_TEXT} (?: = | \b default \b ) | set \s+ default \b ) [\s(]* {_VALUE} )""",
    _FLAGS,
)
_OUTLINE_OF_CALL = _Pattern(
    rf"""\b (?: set_config \s* \( \s* (?: setting_name \s* (?: => | := ) \s* )?
        (?: (?= [^,]*? {_NAME} {CLOSE} )
          | (?! setting_name | [nbx]? {OPEN} | \s )        # a name that is put together
          | [nbx]? {OPEN} [^{CLOSE}]* {CLOSE} \s* \|\| )
    | current_setting \s* \( \s* {OPEN} [^{OPEN}]*? {_NAME} {CLOSE} [^()]* \) \s* (?: = | <> | != )
    | jsonb_(?:set|insert) \w* \s* \( [^;]{{0,80}}? {_NAME} ["}}\s]* {CLOSE} [\s\]]*
        (?: ::\s*text\s*\[\s*\] \s* )? ,
        [\s(]* (?: \w+ \s* \( \s* )* {_VALUE}
    | (?: jsonb?(?:_build)?_object | hstore | \w*header | \w*curlopt ) \s* \( [^()]*? {_NAME} {CLOSE}
        \s* (?: , | : | \b value \b ) [\s(]* {_VALUE} )
    | {CLOSE} [^,;{OPEN}]{{0,40}}? \b as \s+ [\w$]*? {_NAME}   # '...' AS token""",
    _FLAGS,
)
_OUTLINE_OF_OTHERS = _Pattern(
    rf"""\b (?: (?: program | connection ) \s* {_BEGIN}     # COPY, CREATE SUBSCRIPTION
    | user \s+ mapping \b
    | dblink\w* \s* \(
    | (?: archive | restore | recovery_end | archive_cleanup | ssl_passphrase ) _command
        \s* {_TO} \s* {_BEGIN}
    | (?: digest | md5 | sha(?:224|256|384|512) ) \s* \( (?: \s* (?: \w+ \s* )? \( )* \s* {_VALUE}
    | (?: pgp_pub_ )? (?: en | de ) crypt (?: _iv | _bytea )? \s* \( )""",
    _FLAGS,
)
# Verifiers and tokens whose form says what they are: PostgreSQL's own, crypt(3)'s and argon2's, a JSON
# web token (RFC 7519), the prefixes that AWS, GitHub, GitLab, Slack and Stripe document, a PEM block.
_SHAPES = r"""(?: SCRAM-SHA-256 \$ \d+ : [^\s'"]+
    | (?<![a-z0-9]) md5 [0-9a-f]{32} (?![0-9a-f])
    | \$2[abxy]?\$ \d\d \$ [./\w]{22,} | \$[156y7]\$ [./\w$=,-]{20,} | \$argon2[a-z]{1,2}\$ [^\s'"]+
    | \{S?SHA\d*\} [\w+/=]{20,}
    | (?<!\w) eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*
    | (?<!\w) (?: AKIA | ASIA ) [0-9A-Z]{16} (?!\w)
    | (?<!\w) (?: gh[opusr]_ | github_pat_ | glpat- | xox[abeoprs]- | [sr]k_(?:live|test)_ ) [\w-]{10,}
    | hooks\.slack\.com/services/ [\w/]+ | discord(?:app)?\.com/api/webhooks/ [\w/-]+
    | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY----- (?: [\w+/=\s\\,:-]* (?=-----END) )? )"""
# A program's argument, a header of HTTP, a signed URL.
_ARGUMENT = r"""(?: (?<![\w-]) (?: -u | --user | --proxy-user ) [\s=]* ["']* [^\s:"']* :
    | (?<!\w) (?: -H | --header ) [\s=]* ["']* [\w-]*? {wide} [\w-]* \s* : \s*
    | (?<![a-z]) authorization ["']? \s* [:=] \s* ["']? (?: (?:bearer|basic|token|digest) \s+ )?
    | (?<![a-z]) bearer \s+ (?= \S{8} )
    | [?&] (?: [\w-]* (?: sig | signature | token | secret | key ) | code
        | [^=&\s]* %[0-9a-f]{2} [^=&\s]* ) = )""".replace("{wide}", _WIDE)
_SHAPE = _Pattern(_SHAPES, _FLAGS)
_IN_ARGUMENT = _Pattern(rf"""{_ARGUMENT} [^\s"'&%]""", _FLAGS)
_NAME_IN_LITERAL = _Pattern(
    rf"""{_NAME} (?: "? \s* (?: => | := | = | : ) \s* " (?!")     # JSON, hstore
    | = [^\s'"%&,;:)=$<>{{]                          # a keyword string, a variable of a program
    | \s* {_TO}? \s* (?: %[Ls] | '+ (?: [^'\s;,)] | $ ) )  # code in the literal
    | \s* (?: := | = | \b to ) \s* $ )""",
    _FLAGS,
)
_NAME_IN_COMMENT = _Pattern(
    rf"""{_NAME} \s* (?: {_TO} \s* ' (?!') | ' [^']* ' \s* [,)] )""", _FLAGS
)
_PROGRAM_IN_COMMENT = _Pattern(r"\b (?: program | connection ) \s* '", _FLAGS)

# --- what is hidden wherever it is ----------------------------------------------------------------

_GAP = r"(?: \s | /\*.*?\*/ | --[^\r\n]*[\r\n] )"
# What may be a password outside of a literal: quoted by mistake like a name, a number, in a comment.
_UNQUOTED_PASSWORD = _Pattern(
    r"""\b (?:ssl)? password
    (?: (?: "\s*:\s* | \s+ | \s*(?: := | => | = )\s* ) "(?P<name>(?:[^"]|"")*)
      | \s+ (?P<number>\d[^\s;]*)
      | = (?P<bare>[^\s'",;&()$][^\s'",;&)]*) )""",
    _FLAGS,
)
# PASSWORD without quotes is an error, whose message would cite the word.
_UNQUOTED_WORD = _Pattern(
    rf"""\b (?: alter | create ) \s+ (?: role | user | group ) \b [^;']*? \b password {_GAP}+
    (?! null \b | [enbx] ' | u& | -- | /\* ) (?P<word> [^\s;'"$:]+ )""",
    _FLAGS,
)
_UNQUOTED_URL = _Pattern(r"""://[^\s:/@'"]*:(?P<url>[^\s'"]+)@""", re.NOFLAG)
_UNQUOTED_SHAPE = _Pattern(f"(?P<shape> {_SHAPES} )", _FLAGS)
_UNQUOTED_ARGUMENT = _Pattern(rf"""{_ARGUMENT} (?P<argument> [^\s'"&%<>$]+ )""", _FLAGS)
_UNQUOTED_SETTING = _Pattern(
    rf"""\b set {_GAP}+ (?: (?:session|local) {_GAP}+ )? "? [\w$]+ "? \. "?
      [\w$]*? {_NAME} "? {_GAP}* (?: = | \b to \b ) {_GAP}*
      (?: "(?P<setting_name>(?:[^"]|"")*) | (?! (?: default | on | off | true | false ) \b )
        (?P<setting> [\w.+-]+ ) )""",
    _FLAGS | re.DOTALL,
)

# --- what is worth looking for --------------------------------------------------------------------

# Each kind of secret needs one of these, in lower case, to be in the text: searching for a fixed text
# takes a hundredth of the time of a pattern.
_FIXED = {
    "words": ("pass", "word", "phrase", "pw", "crypt", "pgp_sym", "hmac", "@"),
    "names": (
        "pass", "pwd", "secret", "token", "credential", "bearer", "conninfo", "conn_info", "connstr",
        "conn_str", "_key", "-key", "set_config", *(f"{word}key" for word in _KEYS),
    ),
    "shapes": (
        "scram-sha-", "md5", "$1$", "$2$", "$2a$", "$2b$", "$2x$", "$2y$", "$5$", "$6$", "$y$", "$7$",
        "$argon2", "{sha", "{ssha", "eyj", "akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_",
        "github_pat_", "glpat-", "xox", "hooks.slack", "api/webhooks", "k_live_", "k_test_",
        "private key-----",
    ),
    "arguments": ("-u", "-h '", '-h "', "--header", "--proxy-u", "authorization", "bearer", "://"),
    "calls": (
        "program", "connection", "mapping", "dblink", "_command", "digest", "md5", "sha2", "sha3",
        "sha5", "ncrypt", "ecrypt",
    ),
}  # fmt: skip
# A word may be split among literals, or spelled with escapes.
_SPLIT = _Pattern(
    rf"""\w (?: ' | \$\w*\$ ) [^'|]{{0,80}} \|\| [^'|]{{0,80}} ['$]
    | \w ' [ \t\f\v]* (?: --[^\r\n]* )? [\r\n] {_GAP}* '
    | \\ (?: x [0-9a-f] | u00 | U0000 | [0-7]{{2}} | \+00 ) | concat | %s%s""",
    _FLAGS | re.DOTALL,
)


def _search(kind: str, pattern: _Pattern, text: str) -> bool:
    """Return whether a pattern is in a text, after the faster search for what it needs."""
    return _has(kind, text.lower()) and pattern.search(text) is not None


def _has(kind: str, lower: str) -> bool:
    return any(map(lower.__contains__, _FIXED[kind]))


class Kinds(NamedTuple):
    """Which kinds of secrets a text may hold; what is false need not be looked for."""

    words: bool
    names: bool
    shapes: bool
    arguments: bool
    calls: bool

    @classmethod
    def of(cls, text: str) -> Kinds:
        """Return the kinds of which a text has at least a part."""
        lower = text.lower()
        if "\\" in lower:
            lower += lower.replace("\\", "")  # E'pa\\ssword' is a spelling, too
        kinds = cls(**{kind: _has(kind, lower) for kind in _FIXED})
        if not (kinds.words and kinds.names) and _SPLIT.search(text):
            return kinds._replace(words=True, names=True)
        return kinds

    def code_says(self, text: str, start: int, end: int) -> bool:
        """Return whether names and keywords say that there is a secret."""
        # `pass` is a word for a password before a parenthesis, which is a token of its own.
        end += text.startswith(")", end)
        return self.words and _SIGN.search(text, start, end) is not None

    def literal_says(self, content: str) -> bool:
        """Return whether the text of a literal says that it is or has a secret."""
        return bool(
            (self.words and _SIGN.search(content))
            or (self.names and _search("names", _NAME_IN_LITERAL, content))
            or (self.shapes and _SHAPE.search(content))
            or (self.arguments and _IN_ARGUMENT.search(content))
        )

    def joined_says(self, content: str) -> bool:
        """Return whether the end of a literal and the next literal say so together."""
        return bool(
            (self.words and _WORDS.search(content))
            or (self.names and _search("names", _NAME_IN_LITERAL, content))
        )

    def outline_says(self, outline: str) -> bool:
        """Return whether a statement assigns a literal to what is named like a secret."""
        return bool(
            (self.names and _search("names", _OUTLINE_OF_NAME, outline))
            or (self.names and _search("names", _OUTLINE_OF_CALL, outline))
            or (self.calls and _search("calls", _OUTLINE_OF_OTHERS, outline))
        )

    def comment_says(self, comment: str) -> bool:
        """Return whether a comment, or a message of the server, says that what it quotes is a secret."""
        return bool(
            (self.words and _SIGN.search(comment))
            or (self.names and _search("names", _NAME_IN_COMMENT, comment))
            or (self.calls and _PROGRAM_IN_COMMENT.search(comment))
            or (self.shapes and _SHAPE.search(comment))
            or (self.arguments and _IN_ARGUMENT.search(comment))
        )

    def unquoted(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the start and the end of what is hidden wherever it is."""
        patterns = (
            (self.words, _UNQUOTED_PASSWORD),
            (self.words, _UNQUOTED_WORD),
            (self.words, _UNQUOTED_URL),
            (self.shapes, _UNQUOTED_SHAPE),
            (self.arguments, _UNQUOTED_ARGUMENT),
            (self.names, _UNQUOTED_SETTING),
        )
        for is_worth, pattern in patterns:
            if is_worth:
                for match in pattern.finditer(text):
                    yield match.span(match.lastgroup or 0)
