"""A grid that ends early: what is missing is said, and what is there is rendered, to be rendered again later."""

import sys
from pathlib import Path

import msgspec
import pytest

from hosts import unfinished
from hosts.config import parse
from hosts.grid import blocks
from hosts.unfinished import leave_in_order
from tests.unit.past_records import past_of

WRITES = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text('page')"


class Grid:
    """Four blocks, of which some are measured, of a model that is profiled or not."""

    def __init__(self, folder, profiled="none"):
        self.config = parse(
            {
                "models": {"vgg19": {}},
                "strategies": ["pause-resume", "switch-b2"],
                "cpu_pct": [100, 50],
                "profile": {"levels": profiled},
                "results": str(folder),
            },
            "c",
        )
        self.folders = [block.folder for block in blocks(self.config)]
        self.page = folder / "index.html"

    def measure(self, count):
        for block in blocks(self.config)[:count]:
            path = self.record(block.folder)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(msgspec.json.encode(past_of(self.config, block)))

    def record(self, folder):
        return Path(self.config.results) / "runs" / folder / "run.json"

    def end(self, program=WRITES):
        leave_in_order(self.config, self.page, [sys.executable, "-c", program, str(self.page)])


@pytest.fixture
def grid(tmp_path):
    return Grid(tmp_path)


def test_what_is_missing_is_named_and_the_rest_rendered(grid, capsys):
    grid.measure(3)
    grid.end()
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"1 of 4 blocks are not measured: {grid.folders[3]}"
    assert said[1].startswith(f"rendering {grid.page} from the 3 that are")
    assert said[2] == "run the same command again to measure what is missing; blocks that are measured stay"
    assert grid.page.read_text() == "page"


def test_the_page_is_older_than_its_newest_block_so_that_the_next_run_renders_it_anew(grid):
    grid.measure(3)
    grid.end()
    newest = max(grid.record(folder).stat().st_mtime for folder in grid.folders[:3])
    assert newest - 2 < grid.page.stat().st_mtime < newest


def test_with_nothing_measured_there_is_nothing_to_render(grid, capsys):
    grid.end()
    assert not grid.page.exists()
    assert "rendering" not in capsys.readouterr().err


def test_where_no_block_is_missing_nothing_is_said_or_done(grid, capsys):
    grid.measure(4)
    grid.end()
    assert not grid.page.exists()
    assert capsys.readouterr().err == ""


def test_profiles_that_are_missing_are_named_too(tmp_path, capsys):
    grid = Grid(tmp_path, profiled="full")
    grid.measure(4)
    grid.end()
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "1 of 1 models are not profiled: vgg19/cpu100-mem100"
    assert grid.page.read_text() == "page"


def test_a_page_that_cannot_be_rendered_costs_one_line(grid, capsys):
    grid.measure(1)
    grid.end("import sys; sys.exit('first\\nno fonts')")
    assert f"{grid.page} could not be rendered: no fonts" in capsys.readouterr().err.splitlines()


def test_a_second_ctrl_c_leaves_the_page_out(grid, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(unfinished.subprocess, "run", interrupted)
    grid.measure(1)
    grid.end()
    said = capsys.readouterr().err
    assert f"{grid.page} is not rendered; by hand: {sys.executable} -c" in said
    assert "run the same command again" in said
