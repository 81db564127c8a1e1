"""Before anything is planned it is known whether anything can be written."""

import errno
import os
import tempfile

import pytest

from distillation_dynamics.errors import StudyError
from distillation_dynamics.jobs.planning import check_folders


def test_folders_that_are_there_or_can_be_made_are_good_and_none_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    check_folders("results", "results/mine", "logs/mine")
    assert os.listdir(tmp_path) == ["results"] and os.listdir("results") == []


@pytest.mark.parametrize("folder", ["results", "results/mine"])
def test_a_file_or_a_link_to_nowhere_in_the_place_of_a_folder_is_named(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / folder).parent.mkdir(exist_ok=True)
    (tmp_path / folder).touch()
    with pytest.raises(StudyError, match=rf"^{folder}: nothing can .*Not a directory.* move away what is there$"):
        check_folders("logs", folder)
    (tmp_path / folder).unlink()
    (tmp_path / folder).symlink_to("/nowhere")
    with pytest.raises(StudyError, match=rf"^{folder}: .* must be a folder"):
        check_folders(folder)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.EROFS, "Read-only file system.; make it writable, or work in a copy of the project"),
        (errno.EACCES, "Permission denied.; make it writable"),
        (errno.ENOSPC, "No space left on device.; free some space there"),
        (errno.EDQUOT, "quota exceeded.; free some space there"),
    ],
)
def test_a_folder_in_which_nothing_can_be_written_is_named_with_the_remedy(tmp_path, monkeypatch, number, sentence):
    def refuse(dir):
        raise OSError(number, os.strerror(number), str(dir))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(StudyError, match=rf"^results: nothing can be written there \(.*{sentence}"):
        check_folders("results")
