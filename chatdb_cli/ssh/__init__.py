"""SSH tunnels: from the name of a bastion to a local port that libpq connects to.

What belongs here: the user's SSH files, sessions along a route of jump hosts, host keys, logging in,
forwarding, and what each failure means.  The only user of paramiko and sshtunnel.  A new option of
~/.ssh/config goes into `model.Hop` and `config.py`, then to where it takes effect: `dial.py` (connect),
`known_hosts.py` (host key) or `login.py` (log in).  What does not belong here: which database is meant
(`settings/`), connecting to it (`postgres/`).
"""
