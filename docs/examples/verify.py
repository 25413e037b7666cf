"""Verify a project.

Every check is made, and its findings are values; a check that could not be made has failed.
"""

import chatdb_cli

settings = chatdb_cli.load_settings()
with chatdb_cli.setup(settings, "@chat"):
    pass
verdict = chatdb_cli.verify_project(settings, "@chat", skip=["rollback"])
for check in verdict.checks:
    print(check.name, check.skipped or ("ok" if check.ok else "failed"))
for finding in verdict.findings:
    print(finding.code, finding.message, finding.hint)
print("exit code", int(verdict.exit))
