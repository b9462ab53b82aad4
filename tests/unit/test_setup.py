"""The locks of the roles, and what the set-up says on a machine that lacks something."""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "hosts/requirements"
# Each lock holds the one before it; pyproject's extra that it adds.
CHAIN = {"device": None, "inference": "inference", "controller": "controller", "dev": "dev"}
PYTHONS = ["3.11", "3.12", "3.13"]
MACHINES = ["x86_64", "aarch64"]


def read_lock(name):
    """Return the pinned requirements of a lock, each with its list of hashes."""
    text = re.sub(r"^ *#.*\n", "", (LOCKS / f"{name}.lock").read_text(), flags=re.MULTILINE)
    entries = [line.split() for line in text.replace("\\\n", " ").splitlines()]
    pins = []
    for words in entries:
        hashes = [word.removeprefix("--hash=") for word in words if word.startswith("--hash=")]
        pins.append((Requirement(" ".join(words[: len(words) - len(hashes)])), hashes))
    return pins


def environment(python, machine):
    return {
        "python_version": python,
        "python_full_version": f"{python}.1",
        "platform_machine": machine,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }


def installed(name, python, machine):
    """Return what pip would install from a lock: version by package."""
    where = environment(python, machine)
    return {
        canonicalize_name(pin.name): Version(str(pin.specifier).removeprefix("=="))
        for pin, _ in read_lock(name)
        if pin.marker is None or pin.marker.evaluate(where)
    }


def asked_for(name, python, machine):
    """Return pyproject's requirements that a lock must fulfil."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = list(project["dependencies"])
    for lock, extra in CHAIN.items():
        if extra:
            lines += project["optional-dependencies"][extra]
        if lock == name:
            break
    where = environment(python, machine)
    requirements = map(Requirement, lines)
    return [each for each in requirements if each.marker is None or each.marker.evaluate(where)]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", CHAIN)
def test_lock_fulfils_the_project_on_every_python_and_machine(name, python, machine):
    pinned = installed(name, python, machine)
    for requirement in asked_for(name, python, machine):
        assert pinned[canonicalize_name(requirement.name)] in requirement.specifier


@pytest.mark.parametrize("name", CHAIN)
def test_every_pin_is_exact_and_hashed(name):
    pins = read_lock(name)
    assert pins
    for pin, hashes in pins:
        assert re.fullmatch(r"==[^,*]+", str(pin.specifier)), pin
        assert hashes
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes), pin


@pytest.mark.parametrize("name", CHAIN)
def test_lock_names_no_place_to_fetch_from(name):
    text = (LOCKS / f"{name}.lock").read_text()
    assert "://" not in text
    assert not re.search(r"^\s*--?(index|extra-index|find-links|i |f )", text, flags=re.MULTILINE)
    assert all(pin.url is None for pin, _ in read_lock(name))


@pytest.mark.parametrize("python", PYTHONS)
def test_each_lock_holds_the_one_before_it_in_the_same_versions(python):
    smaller = {}
    for name in CHAIN:
        larger = installed(name, python, "x86_64")
        assert smaller.items() <= larger.items()
        assert larger.keys() > smaller.keys()
        smaller = larger


def test_the_same_versions_are_measured_on_every_python():
    assert installed("dev", "3.11", "x86_64") == installed("dev", "3.13", "x86_64")


@pytest.mark.parametrize(
    ("machine", "wanted", "unwanted"),
    [("x86_64", "tensorflow-cpu", "tensorflow"), ("aarch64", "tensorflow", "tensorflow-cpu")],
)
def test_one_tensorflow_for_a_machine(machine, wanted, unwanted):
    pinned = installed("inference", "3.12", machine)
    assert wanted in pinned
    assert unwanted not in pinned
    assert not {"tensorflow", "tensorflow-cpu"} & installed("device", "3.12", machine).keys()


def test_no_slurm_plugin_slows_every_start():
    assert not [pin.name for pin, _ in read_lock("dev") if "slurm" in pin.name]


def test_setup_takes_the_pythons_that_the_project_takes():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest, newest = re.findall(r"(?:OLDEST|NEWEST)_MINOR=(\d+)", (ROOT / "hosts/setup.sh").read_text())
    assert project["requires-python"] == f">=3.{oldest},<3.{int(newest) + 1}"


# ---- hosts/setup.sh on a machine with next to nothing ----

NEEDED_BY_THE_SCRIPT = ["bash", "cat", "dirname", "env", "flock", "mktemp", "rm", "sed", "sha256sum", "sort", "tail"]


@pytest.fixture
def bare():
    """Return a way to run a copy of the set-up where only the named programs can be found."""
    with tempfile.TemporaryDirectory(prefix="neukonfig-setup-") as folder:
        Path(folder).chmod(0o755)  # other users run it too
        yield BareMachine(Path(folder))


class BareMachine:
    def __init__(self, folder):
        self.repo = folder / "repo"
        self.programs = folder / "bin"
        self.programs.mkdir()
        shutil.copytree(LOCKS, self.repo / "hosts/requirements")
        shutil.copy(ROOT / "hosts/setup.sh", self.repo / "hosts")
        # The script also looks into the system's folders for root's programs; here that would find too much.
        script = self.repo / "hosts/setup.sh"
        script.write_text(script.read_text().replace(":/usr/local/sbin:/usr/sbin:/sbin", ""))
        for name in NEEDED_BY_THE_SCRIPT:
            self.add(name, shutil.which(name))

    def add(self, name, program="/bin/true"):
        (self.programs / name).symlink_to(program)

    def run(self, *arguments, user=None):
        return subprocess.run(
            [shutil.which("bash"), self.repo / "hosts/setup.sh", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"PATH": str(self.programs)},
            user=user,
        )


@pytest.mark.parametrize(
    ("role", "packages"),
    [
        ("device", "openssh-server"),
        ("edge", "crun iproute2 iptables kmod openssh-server podman stress-ng"),
        ("controller", "crun git iproute2 iptables kmod make openssh-client openssh-server podman stress-ng"),
    ],
)
def test_check_names_what_is_missing_and_changes_nothing(bare, role, packages):
    outcome = bare.run("--role", role, "--check")
    assert outcome.returncode == 1
    lines = [line.replace("ca-certificates ", "") for line in outcome.stdout.splitlines()]
    assert lines[0] == f"setup: missing OS packages: {packages}"
    assert outcome.stderr == f"setup: to install what is missing, run: hosts/setup.sh --role {role}\n"
    assert [path.name for path in bare.repo.iterdir()] == ["hosts"]


def test_a_program_from_elsewhere_counts(bare):
    for name in ("sshd", "stress-ng", "docker"):
        bare.add(name)
    outcome = bare.run("--role", "cloud", "--check").stdout
    assert "stress-ng" not in outcome
    assert "openssh-server" not in outcome
    assert "podman" not in outcome, "a host that has docker keeps it"
    assert "iproute2" in outcome


def test_the_testbed_needs_podman_even_beside_docker(bare):
    bare.add("docker")
    assert "podman" in bare.run("--role", "controller", "--check").stdout


def test_without_apt_one_line_says_what_to_install(bare):
    outcome = bare.run("--role", "device")
    assert outcome.returncode == 1
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("setup: this machine has no apt-get; install these packages by hand")
    assert "openssh-server" in line
    assert "python3.11" in line
    assert not (bare.repo / ".venv").exists()


@pytest.mark.parametrize("arguments", [["--role"], ["--role", "fog"], ["--rolle", "edge"], ["edge"]])
def test_a_wrong_call_shows_the_usage(bare, arguments):
    outcome = bare.run(*arguments)
    assert outcome.returncode == 2
    assert outcome.stderr.startswith("Usage: ")


def test_another_lock_or_a_killed_run_makes_the_stamp_stale(bare):
    complaint = "the Python packages of role device"
    interpreter = bare.repo / ".venv/bin/python"
    interpreter.parent.mkdir(parents=True)
    interpreter.symlink_to(sys.executable)
    lock = bare.repo / "hosts/requirements/device.lock"
    stamp = bare.repo / ".venv/.setup-device"
    sha256 = hashlib.sha256(lock.read_bytes()).hexdigest()

    stamp.write_text(f"{sha256} Python 3.10.0\n")
    assert complaint in bare.run("--role", "device", "--check").stdout
    stamp.write_text(f"{sha256} Python {platform.python_version()}\n")
    assert complaint not in bare.run("--role", "device", "--check").stdout

    unfinished = bare.repo / ".venv/.setup-unfinished"
    unfinished.touch()
    assert complaint in bare.run("--role", "device", "--check").stdout
    unfinished.unlink()

    lock.write_text(lock.read_text() + "# a change\n")
    assert complaint in bare.run("--role", "device", "--check").stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become a user without rights")
def test_a_user_without_sudo_is_told_what_root_should_run(bare):
    bare.add("apt-get", "/bin/false")
    outcome = bare.run("--role", "device", user=65534)
    assert outcome.returncode == 1
    (line,) = outcome.stderr.splitlines()
    assert "needs root or sudo; run this as root: apt-get install" in line
    assert "openssh-server" in line


def test_continuous_integration_calls_targets_that_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*##", makefile, flags=re.MULTILINE))
    called = re.findall(r"^(?:step )?make ([a-z-]+)", (ROOT / ".ci/run").read_text(), flags=re.MULTILINE)
    assert called
    assert set(called) <= targets
