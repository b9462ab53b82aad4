"""What the page offers to take away: archives within it, and links to the files where it was made."""

import base64
import io
import os
import zipfile

import pytest

from report import downloads as dl
from report.catalogue import FIGURES, TABLES, figure
from report.figures.plots import plots
from report.schema import COLUMNS, typed
from report.tables import Tables


def unpacked(archive):
    data = base64.b64decode(archive.href.removeprefix("data:application/zip;base64,"))
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name.replace("_csv", ".csv")).write_bytes(data)
    return sorted(folder.iterdir())


def test_an_archive_holds_the_files_as_they_are(tmp_path):
    found = dl.archive("tables.zip", write(tmp_path, a_csv=b"x,y\n1,2\n", b_csv=b"z\n"))
    assert unpacked(found) == {"a.csv": b"x,y\n1,2\n", "b.csv": b"z\n"}
    assert (found.files, found.left_out, found.size) == (2, [], "1\xa0kB")


def test_the_same_files_make_the_same_archive_whenever_they_were_written(tmp_path):
    paths = write(tmp_path, a_csv=b"x" * 1000)
    first = dl.archive("t.zip", paths)
    os.utime(paths[0], (1, 1))
    assert dl.archive("t.zip", paths) == first


def test_files_that_do_not_fit_are_named_and_the_smaller_ones_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(dl, "MOST_PACKED", 3000)
    found = dl.archive("t.zip", write(tmp_path, a_csv=os.urandom(5000), b_csv=os.urandom(2000), c_csv=b"0" * 20_000))
    assert found.left_out == ["a.csv"]
    assert unpacked(found).keys() == {"b.csv", "c.csv"}


def test_a_file_beyond_the_largest_is_not_even_read(tmp_path, monkeypatch):
    monkeypatch.setattr(dl, "LARGEST", 10)
    found = dl.archive("t.zip", write(tmp_path, a_csv=b"0" * 11, b_csv=b"0" * 10))
    assert (found.left_out, list(unpacked(found))) == (["a.csv"], ["b.csv"])


def test_files_that_are_not_there_are_passed_over(tmp_path):
    found = dl.downloads(tmp_path / "page.html", tmp_path / "tables", tmp_path / "figures", {})
    assert found.archives == []


@pytest.mark.parametrize(
    ("target", "start", "address"),
    [
        ("results", "results/report", ".."),
        ("results/tables", "results/report", "../tables"),
        ("results/tables", "elsewhere", "../results/tables"),
        ("a #1?/tables", "a #1?", "tables"),
        ("a #1?/50 %", "elsewhere", "../a%20%231%3F/50%20%25"),
    ],
)
def test_addresses_lead_from_the_page_to_the_files(tmp_path, target, start, address):
    assert dl.address(tmp_path / target, tmp_path / start) == address


def test_an_address_through_a_symbolic_link_is_that_of_the_folder_itself(tmp_path):
    (tmp_path / "disk/results").mkdir(parents=True)
    (tmp_path / "results").symlink_to("disk/results")
    assert dl.address(tmp_path / "results", tmp_path / "out") == "../disk/results"


def test_the_catalogue_has_every_table_and_every_figure():
    import pandas as pd  # noqa: PLC0415 - a second

    assert TABLES.keys() == COLUMNS.keys()
    empty = Tables(**{name: typed(pd.DataFrame(), columns) for name, columns in COLUMNS.items()})
    assert {plot.name for plot in plots(empty)} <= FIGURES.keys()
    assert figure("fig_points_resnet50").shows == "Latency by partition point, resnet50"


@pytest.mark.parametrize("entry", [*TABLES.values(), *FIGURES.values()], ids=lambda entry: entry.shows)
def test_every_entry_has_a_caption(entry, request):
    assert (request.config.rootpath / "report" / "captions" / f"{entry.caption}.rst").is_file()
