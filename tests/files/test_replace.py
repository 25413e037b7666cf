"""Files that are written as a whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from chatdb_cli.errors import Code
from chatdb_cli.files.names import file_error
from chatdb_cli.files.replace import replace_text


def test_a_pipe_is_written_to_and_never_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(
        pipe, os.O_RDONLY | os.O_NONBLOCK
    )  # before the writer, which would wait for it
    try:
        replace_text(pipe, "counts\n")
        assert os.read(reader, 100) == b"counts\n"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert [entry.name for entry in tmp_path.iterdir()] == ["pipe"]


def test_what_leads_to_an_open_file_is_written_to_and_its_file_stays_the_same(
    tmp_path: Path,
) -> None:
    with (tmp_path / "file").open("w+") as file:
        replace_text(Path(f"/dev/fd/{file.fileno()}"), "counts\n")
        assert file.read() == "counts\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_file_that_is_replaced_keeps_its_mode_and_on_a_failure_its_text(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    file.chmod(0o640)
    with pytest.raises(UnicodeEncodeError):
        replace_text(file, "new \udcff")
    assert file.read_text() == "old"
    replace_text(file, "new")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o640)
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_may_be_written_in_a_folder_that_may_not_is_written() -> None:
    with tempfile.TemporaryDirectory() as name:  # others may not enter the parents of tmp_path
        folder, user = Path(name), os.geteuid()
        file, other = folder / "report", folder / "other"
        file.write_text("a longer old text")
        file.chmod(0o666)
        folder.chmod(0o555)
        try:
            if user == 0:
                os.seteuid(65534)  # root may write everywhere
            replace_text(file, "new")
            with pytest.raises(PermissionError):
                replace_text(other, "new")
        finally:
            os.seteuid(user)
            folder.chmod(0o755)
        assert (file.read_text(), list(folder.iterdir())) == ("new", [file])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_the_hint_about_a_full_disk_is_not_about_permissions() -> None:
    with pytest.raises(OSError, match="No space") as caught:
        replace_text(Path("/dev/full"), "text")
    error = file_error(Path("/dev/full"), caught.value, "written", Code.USAGE)
    assert error.hint == "free some space on that disk, and try again"
