"""The words of the command line for each remedy of the library.

What does not belong here: the hints that name a remedy (where each error is raised).
"""

from __future__ import annotations

from chatdb_cli.remedy import Remedy, worded

COMMAND_LINE: dict[Remedy, str] = {
    Remedy.UP: '"chatdb migrate up"',
    Remedy.DOWN: '"chatdb migrate down"',
    Remedy.DOWN_TO: '"chatdb migrate down --to {to}"',
    Remedy.REDO: '"chatdb migrate redo"',
    Remedy.STATUS: '"chatdb migrate status"',
    Remedy.REPAIR: '"chatdb migrate repair"',
    Remedy.MARK: '"chatdb migrate mark"',
    Remedy.UNMARK: '"chatdb migrate unmark"',
    Remedy.BASELINE: '"chatdb migrate baseline"',
    Remedy.SETUP: '"chatdb setup"',
    Remedy.INIT: '"chatdb init"',
    Remedy.INIT_CHAT: '"chatdb init --chat"',
    Remedy.SETUP_TEST: '"chatdb setup --test"',
    Remedy.SETUP_TEST_DATABASE: '"chatdb setup --test --database"',
    Remedy.SETUP_EMBEDDED: '"chatdb setup --embedded"',
    Remedy.SERVER_START: '"chatdb server start"',
    Remedy.SERVER_DESTROY: '"chatdb server destroy"',
    Remedy.SEED: '"chatdb seed"',
    Remedy.SEED_IN_PRODUCTION: '"chatdb seed --yes"',
    Remedy.LISTEN_RESYNC: '"chatdb listen --resync"',
    Remedy.DOCS: "chatdb docs",
    Remedy.SNAPSHOT: '"chatdb migrate snapshot"',
    Remedy.ALLOW_DATA_LOSS: "--allow-data-loss",
    Remedy.ALLOW_NON_EMPTY: "--allow-non-empty",
    Remedy.ALLOW_READ_ONLY_OVERRIDE: "--allow-read-only-override",
    Remedy.ALLOW_OUT_OF_ORDER: "--allow-out-of-order",
    Remedy.DIRECTORY: "--dir",
    Remedy.DIRECTORY_SHIPPED: "--dir @chat",
    Remedy.TO: "--to",
    Remedy.STEPS: "--steps",
    Remedy.EVERYTHING: "--all",
    Remedy.SCALE: "--scale",
    Remedy.RANDOM_SEED: "--random-seed {number}",
    Remedy.RANDOM_SEED_ALONE: "--random-seed",
    Remedy.TEST_SCHEMA_NAME: "--name",
    Remedy.PORT: "--port",
    Remedy.WAIT: "--wait",
    Remedy.LOCK_TIMEOUT: "--lock-timeout",
    Remedy.STATEMENT_TIMEOUT: "--statement-timeout",
    Remedy.RETRIES: "--retries",
    Remedy.SCHEMA: "--schema",
    Remedy.INSECURE: "--insecure",
    Remedy.POOLER_SESSION: "--pooler session",
    Remedy.POOLER_TRANSACTION: "--pooler transaction",
    Remedy.SSH_HOST: "--ssh-host",
    Remedy.SCRATCH_URL: "--scratch-url",
    Remedy.PRELUDE: "--prelude",
    Remedy.DRIFT_AGAINST: '"chatdb migrate drift --against FILE"',
    Remedy.AGAINST: "--against",
    Remedy.SAVE_COUNTS: '"chatdb counts --save"',
    Remedy.COUNTS_FILE: "--counts",
    Remedy.ALLOW_PENDING: "--allow-pending",
    Remedy.DRIFT: '"chatdb migrate drift"',
    Remedy.REHEARSE: '"chatdb migrate rehearse"',
}


def in_words(text: str) -> str:
    """Return a text of the library with each remedy in the words of the command line."""
    return worded(text, COMMAND_LINE)
