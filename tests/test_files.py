"""Files are written whole or not at all, with the mode and at the place that they have."""

import os
import stat

import pytest

from gradlab._files import write_whole

posix = pytest.mark.skipif(os.name != "posix", reason="modes, links and pipes are those of POSIX")


@pytest.fixture
def forbidden(monkeypatch):
    """Return a function that makes a path one that cannot be written to, also for the superuser."""
    paths = set()
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: os.fspath(path) not in paths and allowed(path, mode))
    return lambda path: paths.add(os.fspath(path))


def test_what_fails_halfway_leaves_the_old_text(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", lambda number: os.close(-1))
    with pytest.raises(OSError, match="Bad file descriptor"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


@posix
@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_file_keeps_its_mode(mode, tmp_path):
    path = tmp_path / "page.html"
    path.touch()
    path.chmod(mode)
    write_whole(path, "new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", mode)


@posix
def test_new_file_has_the_mode_of_new_files(tmp_path):
    (tmp_path / "other").touch()
    write_whole(tmp_path / "page.html", "new")
    assert (tmp_path / "page.html").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_file_that_is_not_to_be_written_to_is_not_replaced(tmp_path, forbidden):
    path = tmp_path / "page.html"
    path.write_text("old")
    forbidden(path)
    with pytest.raises(PermissionError):
        write_whole(path, "new")
    assert path.read_text() == "old"


def test_file_in_a_folder_that_takes_no_other_is_written_to(tmp_path, forbidden):
    path = tmp_path / "page.html"
    path.write_text("old")
    forbidden(tmp_path)
    number = path.stat().st_ino
    write_whole(str(path), "new")
    assert (path.read_text(), path.stat().st_ino) == ("new", number)


@posix
def test_what_a_link_points_to_is_written(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "page.html")
    for text in ("first", "second"):
        write_whole(tmp_path / "link", text)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "page.html").read_text() == text


@posix
def test_pipe_is_written_to(tmp_path):
    reading, writing = os.pipe()
    write_whole(f"/dev/fd/{writing}", "new")
    os.close(writing)
    assert os.read(reading, 9) == b"new"
    os.close(reading)
