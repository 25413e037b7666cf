"""SSH tunnels: from the name of a bastion to a local port that libpq connects to.

    tunnel          the public face: a local end, and a route that is kept open
    open_route      notices a lost route, and opens it again
    session         sessions along the route, each through the one before
    dial            connect to a hop, up to its host key
    login           log in to a hop
    agent           the keys of the ssh-agent, within a time
    transport       one session with one server: bytes, log, keepalive
    forward, connections
                    the local end; what goes through it
    config, known_hosts, keys
                    the user's SSH files
    failures        errors, each with what to do next
    model           a hop, and a step along the route

What belongs here: the user's SSH files, sessions along a route of jump hosts, host keys, logging in,
forwarding, and what each failure means.  The only user of paramiko and sshtunnel.  A new option of
~/.ssh/config goes into `model.Hop` and `config.py`, then to where it takes effect: `dial.py` (connect),
`known_hosts.py` (host key) or `login.py` (log in).  What does not belong here: which database is meant
(`settings/`), connecting to it (`postgres/`).

An SSH setting (SSH_HOST ...) is a row of `settings/table.py` and a field of `settings.model.Bastion`;
`config.py` combines it with ~/.ssh/config, which it overrides, into a
`model.Hop`.
"""
