"""Write logging.md from the list of events in the code; `make docs` runs this script.

It is not called logging.py, because the other scripts here import the module of that name.

What belongs here: the form of that page, and the rules that hold for every record.  What does not belong
here: the text about an event, which is in `chatdb_cli/log_events.py`.
"""

from __future__ import annotations

from pathlib import Path

from chatdb_cli.log_events import EVENTS

PATH = Path(__file__).with_name("logging.md")

HEAD = """\
<!-- Made by docs/logs.py: correct the texts in chatdb_cli/log_events.py, and run "make docs". -->

# Logs

With `--log-format json` (`CHATDB_LOG_FORMAT=json`) every line on stderr is one JSON object, and
nothing else is written there: the target, progress, notes, warnings, retries, notices of the server,
questions and errors are records. stdout is the same in both formats.

```console
$ chatdb migrate up --log-format json 2>&1 >/dev/null | jq -r 'select(.level != "debug") | .message'
target: app@db.example:5432/chat, schema public (DATABASE_URL from ./.env)
connected to app@db.example:5432/chat
started 0001_users
applied 0001_users (12 ms)
```

| key | value |
| --- | --- |
| `timestamp` | when, in UTC, as RFC 3339 with milliseconds |
| `level` | `debug`, `info`, `warn` or `error` |
| `event` | one of the names below; the list is closed, and a name keeps its meaning |
| `message` | a sentence for people, mostly the line of the text format; it may change |
| `correlation_id` | the id of the run |
| `data` | the facts, by the keys below; keys are only added; null if it does not apply |

- `--quiet` leaves out the level info, `--verbose` adds the level debug: each statement with its
  duration.
- `--log-file FILE` (`CHATDB_LOG_FILE`) appends the same records to a file, whatever the format on
  stderr is: always as JSON, because a log that is kept needs the time and the run of each line.
  `--quiet` does not apply to it, `--verbose` does. The file is created with mode 0600; after
  logrotate has renamed it, the next record goes into a new one. A file that can't be opened is exit
  code 2. If it can't be written later (the disk is full), one warning says so, and the command
  continues.
- **The correlation id** is random, or the value of `CHATDB_CORRELATION_ID` (at most 40 letters,
  digits and `. _ : -`), such as the id of a CI job. It is in every record, in the JSON of an error
  (`error.correlation_id`), in the audit log (`chatdb migrate history`), and in `application_name`: so
  `%a` in PostgreSQL's `log_line_prefix` matches the server's log with this one. To a given id
  `application_name` adds one of the process, because several processes may share the given one.
- **Secrets** are in no record: passwords in URLs, keyword strings and SQL are hidden before it is
  written. Parameters of statements are not logged. Texts of your own are, such as those of RAISE
  NOTICE.
- Records are ASCII; other characters are escaped, as JSON allows.
- `chatdb server psql` becomes psql, which writes its own messages.

A program that uses chatdb as a library gets the same records from the logger `chatdb` of the standard
library, as the attributes `event`, `data` and `correlation_id` of a record;
`chatdb_cli.JsonLines` is the formatter.

## Events
"""


def document() -> str:
    """Return the whole of logging.md."""
    return "\n".join([HEAD, *map(_section, EVENTS)])


def _section(name: str) -> str:
    event = EVENTS[name]
    lines = [f"### {name}", "", f"{event.meaning} Level: {', '.join(event.levels)}.", ""]
    if event.keys:
        lines += ["| key of `data` | value |", "| --- | --- |"]
        lines += [f"| `{key}` | {meaning} |" for key, meaning in event.keys.items()]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PATH.write_text(document(), encoding="utf-8")
