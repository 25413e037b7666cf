"""All SQL that this package sends to its own server.

What does not belong here: the SQL of other packages.
"""

# Creates the database that `EmbeddedServer.url` and `EmbeddedServer.params` name by default.
CREATE_DATABASE = "CREATE DATABASE {name}"

# Whether a role exists.
FIND_ROLE = "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) %s"
