"""Processes that migrate: several at once, or killed at a chosen statement."""

from __future__ import annotations

import multiprocessing
import threading
from collections import Counter
from multiprocessing.process import BaseProcess
from typing import Any

from tests.support import child
from tests.support.database import Database, wait_for_no_sessions, wait_for_session
from tests.support.project import Project
from tests.support.proxy import Proxy
from tests.support.servers import socket_of

# Children that have everything imported already: each costs some milliseconds.
CONTEXT = multiprocessing.get_context("forkserver")


def start_child(*arguments: Any) -> BaseProcess:
    process = CONTEXT.Process(target=child.migrate, args=arguments)
    process.start()
    return process


def kill_before(
    number: int, project: Project, database: Database, schema: str, what: str, kinds: str = "E"
) -> bool:
    """Kill a run when the server has done all that comes before its nth statement, and no more.

    The kinds are those of the protocol: E for the statements of a pipeline, Q for those on their own.
    """
    held, killed = threading.Event(), threading.Event()
    sent = Counter[str]()

    def hold(connection: int, kind: str, n: int) -> bool:
        sent[kind] += 1
        if sum(sent[k] for k in kinds) < number:
            return True
        held.set()
        killed.wait()
        return False

    with Proxy(socket_of(database.server), on_message=hold) as proxy:
        run = start_child(proxy.url(database.name), str(project.sql), what, schema)
        while not held.wait(0.002) and run.is_alive():
            pass
        if held.is_set():
            wait_for_session(database, "wait_event = 'ClientRead'")
        run.kill()
        run.join()
        killed.set()
    wait_for_no_sessions(database)
    return held.is_set()


def run_concurrently(
    database: Database, project: Project, whats: list[str], url: str = ""
) -> list[tuple[int, Any]]:
    """Run children side by side; return what became of each, as an exit code and states."""
    url = url or database.url
    results = CONTEXT.Queue()
    children = [start_child(url, str(project.sql), what, "public", results) for what in whats]
    answers = [results.get(timeout=120)[:2] for _ in children]
    for one in children:
        one.join()
    return answers
