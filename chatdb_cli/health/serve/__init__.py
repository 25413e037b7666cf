"""The health of a database over HTTP: `/health`, `/health/live`, `/health/ready`, `/metrics`.

    server       HealthServer: starts and ends the two threads
    listener     accepts clients, and bounds what each of them may cost
    exchange     one request and its response, by h11
    answers      from a request to a response: the four paths
    probes       health, readiness and metrics, each shared by all requests of a second
    worker       the thread that owns the only connection to the database
    address      the address to listen on, from HOST[:PORT]

Two threads: one serves all clients with asyncio and never waits for the database; the other one runs one
job after another on one connection.  So a client that is slow costs a socket, and a database that hangs
costs a late `chatdb_up 0`.  h11 parses HTTP, because http.server is not for production by its own
documentation and needs a thread for each client; no web framework is needed for four paths.

What belongs here: HTTP, threads, the connection's life.  What does not belong here: what is healthy
(`health/checks/`), which metrics there are (`health/metrics/`).
"""
