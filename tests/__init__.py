"""The tests of chatdb; a folder for each package of chatdb_cli, and their helpers in support."""
