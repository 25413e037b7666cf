"""Which files are newer than a commit, by git.

What does not belong here: the folder itself (`folder.py`), reading the files (`read.py`).
"""

from __future__ import annotations

from pathlib import Path

from chatdb_cli.errors import ChatdbError, Code


def files_since(ref: str, directory: Path) -> frozenset[Path]:
    """Return the SQL files under a directory that a commit does not have, or has with another text.

    Files that git does not know yet are among them; deleted files are not.

    Args:
        ref: a commit, branch or tag; a branch counts from where the present one left it.
        directory: a directory in a git work tree.

    Returns:
        Absolute paths.

    Raises:
        ChatdbError: `USAGE`, there is no git, no work tree, or no such commit.
    """
    # `...` would not show what is not committed yet, so the common ancestor is asked for first.
    base = _git(directory, "merge-base", "HEAD", "--", ref, hint=ref).strip()
    changed = _git(directory, "diff", "--name-only", "--relative", "--diff-filter=d", "-z", base)
    new = _git(directory, "ls-files", "--others", "--exclude-standard", "-z")
    return frozenset(
        (directory / name).resolve()
        for name in (changed + new).split("\0")
        if name.lower().endswith(".sql")
    )


def _git(directory: Path, *arguments: str, hint: str = "") -> str:
    import subprocess

    try:
        done = subprocess.run(
            ("git", "-C", str(directory), *arguments),  # noqa: S607  (git of the PATH, as in a shell)
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
        )
    except OSError as error:
        raise ChatdbError(
            Code.USAGE, f"git can't be run: {(error.strerror or '').lower()}"
        ) from None
    if done.returncode:
        reason = next(iter(done.stderr.strip().splitlines()), "it has no ancestor in common")
        raise ChatdbError(
            Code.USAGE,
            f"git does not know what is newer than {hint!r}: {reason.removeprefix('fatal: ')}"
            if hint
            else f"git failed: {reason.removeprefix('fatal: ')}",
            hint="name a commit, a branch or a tag of the repository that holds the files; "
            "in CI the checkout may be too shallow",
        )
    return done.stdout
