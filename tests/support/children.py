"""Child processes that migrate: several concurrently, or one that is killed at a chosen statement."""

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

# Children are forked from a process that has imported everything, which takes milliseconds.
CONTEXT = multiprocessing.get_context("forkserver")


def start_child(*arguments: Any) -> BaseProcess:
    process = CONTEXT.Process(target=child.migrate, args=arguments)
    process.start()
    return process


def kill_before(
    number: int, project: Project, database: Database, schema: str, what: str, kinds: str = "E"
) -> bool:
    """Kill a run when the server has finished everything before its nth statement.

    The kinds are message types of the protocol: E for statements of a pipeline, Q for single ones.
    Return whether the run got that far.
    """
    paused, killed = threading.Event(), threading.Event()
    sent = Counter[str]()

    def pause(connection: int, kind: str, n: int) -> bool:
        sent[kind] += 1
        if sum(sent[k] for k in kinds) < number:
            return True
        paused.set()
        killed.wait()
        return False

    with Proxy(socket_of(database.server), on_message=pause) as proxy:
        run = start_child(proxy.url(database.name), str(project.sql), what, schema)
        while not paused.wait(0.002) and run.is_alive():
            pass
        if paused.is_set():
            wait_for_session(database, "wait_event = 'ClientRead'")
        run.kill()
        run.join()
        killed.set()
    wait_for_no_sessions(database)
    return paused.is_set()


def run_concurrently(
    database: Database, project: Project, commands: list[str], url: str = ""
) -> list[tuple[int, Any]]:
    """Run commands in concurrent child processes; return the exit code and the states of each."""
    url = url or database.url
    results = CONTEXT.Queue()
    children = [
        start_child(url, str(project.sql), command, "public", results) for command in commands
    ]
    answers = [results.get(timeout=120)[:2] for _ in children]
    for process in children:
        process.join()
    return answers
