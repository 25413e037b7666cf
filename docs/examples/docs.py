"""Write the documentation of a schema.

With `check=True` nothing is written; the state is `stale` if the file is not up to date.
"""

import chatdb_cli

with chatdb_cli.open_target(chatdb_cli.load_settings()) as target:
    schema = chatdb_cli.read_schema(target)
print([table.name for table in schema.tables])
print(chatdb_cli.write_schema_docs("schema.md", schema).state)
print(chatdb_cli.write_schema_docs("schema.md", schema, check=True).state)
