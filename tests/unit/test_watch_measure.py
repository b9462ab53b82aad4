"""What a night starts: the plan, then the grid; a stand-in for snakemake says how it was called."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from report.watch.errors import StepFailed
from report.watch.night import measure

ROOT = Path(__file__).parents[2]
CONFIG = """
models: {mobilenetv2: {}}
strategies: [switch-a2]
results: {results}
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.replace("{results}", str(tmp_path / "nights")))
    return path


@pytest.fixture
def snakemake(tmp_path, monkeypatch):
    """Put a program of this name first on the path; return a function that gives it its lines."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(ROOT)

    def write(*lines):
        program = folder / "snakemake"
        program.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        program.chmod(0o755)

    return write


def test_the_grid_is_planned_and_run_by_its_config(tmp_path, config, snakemake, capfd):
    snakemake(f'echo "$@" > {tmp_path}/called')
    measure(config)
    assert (tmp_path / "called").read_text() == f"--cores all --configfile {config}\n"
    said = capfd.readouterr()
    assert "1 block" in said.out
    assert "ended with status" not in said.err


def test_a_grid_that_broke_is_said_and_what_it_measured_counts(config, snakemake, capfd):
    snakemake("exit 3")
    measure(config)
    assert "ended with status 3; going on with what is measured" in capfd.readouterr().err


def test_a_config_that_is_refused_runs_nothing(tmp_path, config, snakemake, capfd):
    snakemake(f"touch {tmp_path}/called")
    config.write_text(config.read_text() + "repeat: 3\n")
    with pytest.raises(StepFailed, match="refused the config, see above: nothing was measured"):
        measure(config)
    assert not (tmp_path / "called").exists()
    assert "unknown key; did you mean `repeats`?" in capfd.readouterr().err


def test_a_night_that_is_called_off_takes_its_grid_with_it(tmp_path, config, snakemake):
    pid_file = tmp_path / "pid"
    snakemake(f"echo $$ > {pid_file}.part && mv {pid_file}.part {pid_file}", "exec sleep 300")
    command = [sys.executable, "-m", "report.watch", "night", "--config", str(config)]
    with subprocess.Popen(command, cwd=ROOT) as night:
        until = time.monotonic() + 60
        while not pid_file.exists():
            assert night.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        night.send_signal(signal.SIGTERM)
        assert night.wait(timeout=30) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
