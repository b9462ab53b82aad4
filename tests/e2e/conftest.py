"""A grid small enough for a test: a tiny model, one speed pair, containers of the real engine, a testbed of its own."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
SNAKEMAKE = str(Path(sys.executable).with_name("snakemake"))
NAME = "e2e"


def inventory(runtime):
    common = {"user": "root", "key": f"/run/neukonfig/{NAME}/controller_key"}
    common["known_hosts"] = f"/run/neukonfig/{NAME}/known_hosts"
    return {
        "testbed": NAME,
        "hosts": {
            "device": {
                **common,
                "address": "198.19.40.11",
                "cpus": 1,
                "memory_mb": 512,
                "data_address": "198.19.41.11",
            },
            "edge": {
                **common,
                "address": "198.19.40.12",
                "cpus": 1,
                "memory_mb": 4096,
                "data_address": "198.19.41.12",
                "cloud_side_address": "198.19.42.12",
                "runtime": runtime,
            },
            "cloud": {
                **common,
                "address": "198.19.40.13",
                "cpus": 1,
                "memory_mb": 4096,
                "data_address": "198.19.42.13",
                "runtime": runtime,
            },
        },
    }


class Workspace:
    """A working directory with a config and an inventory, in which the workflow runs."""

    def __init__(self, folder, runtime="podman", **overrides):
        self.folder = folder
        (folder / "lab.yaml").write_text(yaml.safe_dump(inventory(runtime)))
        config = {
            "inventory": str(folder / "lab.yaml"),
            "models": {"tiny": {"source": "tests.models:sequential", "partition": {20: "input", 5: "output"}}},
            "strategies": ["switch-a2"],
            "repeats": 1,
            "fps": [10],
            "windows": {"before_s": 0.5, "after_s": 0.5, "warmup_frames": 3},
            "profile": {"levels": "none"},
        } | overrides
        (folder / "config.yaml").write_text(yaml.safe_dump(config))

    def command(self, *more):
        return [
            SNAKEMAKE, "--snakefile", str(REPOSITORY / "Snakefile"), "--directory", str(self.folder),
            "--workflow-profile", str(REPOSITORY / "profiles/default"),
            "--configfile", str(self.folder / "config.yaml"), "--cores", "2", *more,
        ]  # fmt: skip

    def run(self, *more, timeout_s=280):
        return subprocess.run(
            self.command(*more),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def start(self):
        return subprocess.Popen(
            self.command(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True
        )

    @property
    def results(self):
        return self.folder / "results"


@pytest.fixture
def workspace(tmp_path):
    return lambda **overrides: Workspace(tmp_path, **overrides)
