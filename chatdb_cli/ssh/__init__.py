"""SSH tunnels: from the name of a bastion to a local port that libpq connects to.

What belongs here: the user's SSH files, sessions along a route of jump hosts, host keys, forwarding,
and what each failure says.  The only user of paramiko and sshtunnel.  What does not belong here: which
database is meant (`settings/`), connecting to it (`postgres/`).
"""
