"""What a reader can take from the page: tables and figures, by links to the files and packed into the page itself.

The links hold while the page lies where it was made. Mailed or moved, it still has the archives, as ``data:`` links.
"""

from __future__ import annotations

import base64
import io
import os.path
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from report import text
from report.catalogue import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_PACKED = 750_000  # bytes of an archive; base64 makes a third more of it
LARGEST = 20_000_000  # of a file that is tried at all: larger ones do not shrink to that
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same results make the same page


@dataclass(frozen=True)
class Listed:
    """A table or figure, and the links to its files as (kind, address)."""

    name: str
    shows: str
    links: list[tuple[str, str]]


@dataclass(frozen=True)
class Archive:
    """Files packed into the page. `left_out` names those that are too large for it."""

    name: str
    href: str
    size: str
    files: int
    left_out: list[str]


@dataclass(frozen=True)
class Downloads:
    """What the page offers. `to_tables` and `to_figures` lead from the page's folder to theirs."""

    tables: list[Listed]
    figures: list[Listed]
    archives: list[Archive]
    to_tables: str
    to_figures: str


def downloads(out: Path, tables: Path, figures: Path, drawn: Mapping[str, str]) -> Downloads:
    """Gather what the page at `out` offers.

    Args:
        out: the page.
        tables: folder of the tables.
        figures: folder of the figures.
        drawn: titles by name of those figures that show something.
    """
    csvs = [tables / f"{name}.csv" for name in TABLES]
    images = [figures / f"{name}.{kind}" for name in drawn for kind in ("svg", "pdf")]
    packed = (archive("tables.zip", csvs), archive("figures.zip", images))
    to_tables, to_figures = address(tables, out.parent), address(figures, out.parent)
    return Downloads(
        [_listed(name, entry.shows, to_tables, ("csv", "parquet")) for name, entry in TABLES.items()],
        [_listed(name, title, to_figures, ("svg", "pdf")) for name, title in drawn.items()],
        [found for found in packed if found.files],
        to_tables,
        to_figures,
    )


def address(target: Path, start: Path) -> str:
    """Return the relative address of a file or folder as seen from a folder, for a link."""
    return quote(Path(os.path.relpath(target.resolve(), start.resolve())).as_posix())


def archive(name: str, paths: Iterable[Path]) -> Archive:
    """Pack files, the smaller ones first, as far as they fit; those that are not there are passed over."""
    sizes = {path: path.stat().st_size for path in paths if path.is_file()}
    packed: dict[str, bytes] = {}
    left_out: list[str] = []
    total = 0
    for path in sorted(sizes, key=lambda path: (sizes[path], path.name)):
        data = path.read_bytes() if sizes[path] <= LARGEST else None
        shrunk = MOST_PACKED if data is None else len(zlib.compress(data, 9))
        if data is None or total + shrunk > MOST_PACKED:
            left_out.append(path.name)
        else:
            total += shrunk
            packed[path.name] = data
    data = _zipped(packed)
    href = f"data:application/zip;base64,{base64.b64encode(data).decode()}"
    return Archive(name, href, text.size(len(data)), len(packed), sorted(left_out))


def _zipped(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as made:
        for name in sorted(files):
            made.writestr(zipfile.ZipInfo(name, _EPOCH), files[name], zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _listed(name: str, shows: str, folder: str, kinds: Iterable[str]) -> Listed:
    return Listed(name, shows, [(kind, f"{folder}/{quote(name)}.{kind}") for kind in kinds])
