"""All SQL that this package sends: one statement, to a server that it has just created.

What does not belong here: the SQL of other packages.
"""

# Creates the database that `EmbeddedServer.url` and `EmbeddedServer.params` name by default.
CREATE_DATABASE = "CREATE DATABASE {name}"
