"""The testbed's decisions: plan, links, files, needs, lock. What they lead to is tested in tests/integration."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from hosts.errors import ConfigError, TestbedError
from hosts.testbed import files, lock, needs, network, plan, reap
from hosts.testbed.__main__ import main

ROOT = Path(__file__).parents[2]
INVENTORY = ROOT / "hosts" / "local.yaml"


@pytest.fixture
def data():
    return msgspec.yaml.decode(INVENTORY.read_bytes())


def planned(data, cpus=16, machine_mb=65536):
    return plan.make_plan(msgspec.convert(data, plan.Wanted), list(range(cpus)), machine_mb)


class TestPlan:
    def test_the_shipped_inventory(self, data):
        made = planned(data)
        assert made.name == "local"
        assert made.controller == "198.18.0.1"
        assert [host.label for host in made.hosts] == [
            "device (198.18.0.11)",
            "edge (198.18.0.12)",
            "cloud (198.18.0.13)",
        ]
        assert made.runtimes == ("podman",)
        assert made.notes == ()
        assert made.cgroup("edge") == "/neukonfig/local/edge"

    def test_a_small_machine_is_told_why_it_gets_less(self, data):
        notes = planned(data, cpus=2, machine_mb=8192).notes
        assert len(notes) == 2
        assert notes[0].startswith("2 CPUs here, 13 wanted")
        assert notes[1].startswith("8192 MB of memory here, 25600 MB wanted")

    def test_names_of_devices_fit_the_kernel_and_differ(self, data):
        data["testbed"] = "a-testbed-with-quite-a-long-name"[:31]
        for host in data["hosts"].values():
            for key in ("key", "known_hosts"):
                host[key] = f"/run/neukonfig/{data['testbed']}/{key}"
        veths = {host.veth for host in planned(data).hosts}
        assert len(veths) == 3
        assert all(len(veth) <= 15 for veth in veths)

    def test_survives_the_way_to_the_inner_process(self, data):
        made = planned(data)
        assert msgspec.json.decode(msgspec.json.encode(made), type=plan.Plan) == made

    @pytest.mark.parametrize(
        ("path", "value", "message"),
        [
            ("testbed", None, "these are real hosts"),
            ("testbed", "Local", "cannot name a testbed"),
            ("testbed", "../x", "cannot name a testbed"),
            ("hosts.edge.address", "10.0.0.1", r"hosts\.edge\.address: 10\.0\.0\.1 is outside 198\.18\.0\.0/15"),
            ("hosts.edge.address", "edge.example", "is no IP address"),
            ("hosts.cloud.data_address", "198.18.3.13", r"hosts\.cloud\.data_address: .* must share a /24"),
            ("hosts.edge.cloud_side_address", None, r"hosts\.edge\.cloud_side_address: is missing"),
            ("hosts.device.key", "/root/.ssh/id", r"hosts\.device\.key: must be a file in /run/neukonfig/local"),
            ("hosts.cloud.runtime", "docker", "use podman"),
            ("hosts.edge.cpus", 0, "at least 1"),
        ],
    )
    def test_what_cannot_be_built_is_refused_with_the_path_of_its_key(self, data, path, value, message):
        *folders, key = path.split(".")
        place = data
        for folder in folders:
            place = place[folder]
        place[key] = value
        with pytest.raises(ConfigError, match=message):
            planned(data)

    def test_a_role_too_few(self, data):
        del data["hosts"]["cloud"]
        with pytest.raises(ConfigError, match="exactly device, edge, cloud"):
            planned(data)

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(ConfigError, match=r"hosts\.yaml: cannot be read"):
            plan.load(tmp_path / "hosts.yaml")

    def test_a_wrong_type_is_named_by_its_path(self, tmp_path):
        file = tmp_path / "hosts.yaml"
        file.write_text(INVENTORY.read_text().replace("cpus: 4", "cpus: many"))
        with pytest.raises(ConfigError, match=r"\$\.hosts\[\.\.\.\]\.cpus"):
            plan.load(file)


class TestNetwork:
    def test_the_machines_side(self, data):
        batch = network.machine_batch(planned(data), {"device": 11, "edge": 12, "cloud": 13}).splitlines()
        assert batch[0].startswith("route add unreachable 198.18.0.0/15 metric 4")
        assert "link add name to-edge netns 11 type veth peer name to-device netns 12" in batch
        assert "link add name to-cloud netns 12 type veth peer name to-edge netns 13" in batch
        assert sum(line.startswith("addr add 198.18.0.1 peer 198.18.0.1") for line in batch) == 3
        assert not any("bridge" in line for line in batch)

    def test_only_the_link_to_the_cloud_sends_single_segments(self, data):
        made = planned(data)
        batches = {host.role: network.host_batch(made, host) for host in made.hosts}
        assert "gso_max_segs" not in batches["device"]
        assert "link set dev to-cloud addrgenmode none gso_max_segs 1 up" in batches["edge"]
        assert "link set dev to-device addrgenmode none up" in batches["edge"]
        assert "link set dev to-edge addrgenmode none gso_max_segs 1 up" in batches["cloud"]

    def test_data_addresses(self, data):
        made = planned(data)
        assert "addr add 198.18.1.11/24 dev to-edge" in network.host_batch(made, made.host("device"))
        edge = network.host_batch(made, made.host("edge"))
        assert "addr add 198.18.1.12/24 dev to-device" in edge
        assert "addr add 198.18.2.12/24 dev to-cloud" in edge
        assert "addr add 198.18.2.13/24 dev to-edge" in network.host_batch(made, made.host("cloud"))

    @pytest.mark.parametrize(
        ("route", "conflict"),
        [
            ({"dst": "198.18.2.0/24", "dev": "eth1"}, True),
            ({"dst": "198.18.0.12", "dev": "tun0"}, True),
            ({"dst": "198.18.0.0/16", "dev": "eth1"}, True),
            ({"dst": "default", "dev": "eth0"}, False),
            ({"dst": "0.0.0.0/1", "dev": "vpn"}, False),
            ({"dst": "198.19.0.0/24", "dev": "eth1"}, False),
            ({"dst": "10.0.0.0/8", "dev": "eth1"}, False),
            ({"dst": "fe80::/64", "dev": "eth0"}, False),
            ({"type": "unreachable", "dst": "198.18.0.0/15", "metric": 4_000_123}, False),
            ({"type": "unreachable", "dst": "198.18.0.0/15", "metric": 100}, True),
        ],
    )
    def test_routes_inside_our_subnets_are_conflicts(self, data, route, conflict):
        found = network.conflicts(planned(data), [route])
        assert bool(found) == conflict
        assert all(route["dst"] in line for line in found)

    def test_leftovers_are_recognised_by_their_label(self):
        links = [
            {"ifname": "nk1-d", "ifalias": "neukonfig testbed local"},
            {"ifname": "nk2-d", "ifalias": "neukonfig testbed local-2"},
            {"ifname": "eth0"},
            {"ifname": "eth1", "ifalias": "uplink"},
        ]
        assert network.devices_of("local", links) == ["nk1-d"]
        assert network.names_in(links) == {"local", "local-2"}

    def test_guard_routes_are_told_from_others(self):
        routes = [
            {"type": "unreachable", "dst": "198.18.0.0/15", "metric": 4_000_001},
            {"type": "unreachable", "dst": "198.18.0.0/15", "metric": 7},
            {"type": "unreachable", "dst": "10.0.0.0/8", "metric": 4_000_001},
            {"dst": "198.18.0.0/15", "metric": 4_000_001, "dev": "eth0"},
        ]
        assert network.guard_metrics(routes) == {4_000_001}

    def test_every_name_has_a_guard_of_its_own(self):
        assert plan.guard_metric("local") != plan.guard_metric("nk-test")


class TestFiles:
    @pytest.fixture
    def made(self, data):
        return planned(data)

    def test_sshd_takes_keys_only_and_stays_off_the_machines_addresses(self, made):
        lines = files.sshd_config(made, made.host("edge")).splitlines()
        assert "ListenAddress 198.18.0.12:22" in lines
        assert "AuthenticationMethods publickey" in lines
        assert "PasswordAuthentication no" in lines
        assert "AuthorizedKeysFile /run/neukonfig/local/authorized_keys" in lines

    def test_sshd_accepts_the_configuration(self, made, tmp_path):
        key = tmp_path / "host_key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        config = tmp_path / "sshd_config"
        text = files.sshd_config(made, made.host("edge"))
        config.write_text(text.replace("/run/neukonfig/local/edge/host_key", str(key)))
        sshd = "/usr/sbin/sshd"
        done = subprocess.run([sshd, "-T", "-f", str(config)], capture_output=True, text=True, check=False)
        assert "Missing privilege separation" in done.stderr or done.returncode == 0, done.stderr

    def test_sessions_are_told_their_cgroup_and_their_podman(self, made):
        environment = plan.sshd_environment(made, made.host("cloud"))
        assert environment["NEUKONFIG_CGROUP"] == "/neukonfig/local/cloud"
        assert environment["CONTAINERS_CONF"] == "/run/neukonfig/local/cloud/containers.conf"
        assert environment["SHLVL"] == "1"
        assert "/usr/sbin" in environment["PATH"].split(":")

    def test_podman_keeps_everything_in_the_testbeds_folder(self):
        folder = Path("/run/neukonfig/local/edge")
        for text in (files.storage_conf(folder), files.containers_conf(folder, "crun")):
            parsed = msgspec.toml.decode(text)
            paths = [
                value
                for table in parsed.values()
                for value in table.values()
                if isinstance(value, str) and value.startswith("/")
            ]
            assert paths
            assert all(path.startswith(f"{folder}/") for path in paths)

    def test_known_hosts_name_the_port_where_it_is_not_sshs_own(self, made):
        host = made.host("edge")
        assert files.known_hosts_line(host, "ssh-ed25519 AAAA neukonfig\n") == "198.18.0.12 ssh-ed25519 AAAA\n"
        elsewhere = msgspec.structs.replace(host, port=2222)
        assert files.known_hosts_line(elsewhere, "ssh-ed25519 AAAA x").startswith("[198.18.0.12]:2222 ")


class TestNeeds:
    ALL = "CapEff:\t000001ffffffffff\n"
    NONE = "CapEff:\t0000000000000000\n"

    def test_nothing_lacks(self):
        assert needs.lacks(["ip"], 0, self.ALL, find=lambda name: f"/usr/sbin/{name}") == []

    def test_plain_users_are_told_of_sudo(self):
        (line,) = needs.lacks([], 1000, self.NONE)
        assert "sudo" in line

    def test_a_confined_root_is_told_which_capability(self):
        lines = needs.lacks([], 0, self.NONE)
        assert any("CAP_NET_ADMIN" in line and "--cap-add=NET_ADMIN" in line for line in lines)

    @pytest.mark.parametrize(
        ("program", "package"), [("sshd", "openssh-server"), ("ip", "iproute2"), ("podman", "podman")]
    )
    def test_missing_programs_come_with_the_command_that_installs_them(self, program, package):
        (line,) = needs.lacks([program], 0, self.ALL, find=lambda _: None)
        assert line.startswith(f"the program {program} is missing: apt-get install {package}")


class TestLock:
    @pytest.fixture(autouse=True)
    def run_folder(self, tmp_path, monkeypatch):
        monkeypatch.setattr(lock, "RUN", tmp_path / "run")
        return tmp_path / "run"

    def test_the_second_is_told_who_holds_it(self):
        held = lock.Lock.take("local")
        held.sign(os.getpid(), 7)
        with pytest.raises(TestbedError, match=rf"'local' is in use by process {os.getpid()} \(.*pytest"):
            lock.Lock.take("local")
        held.release()

    def test_another_name_is_free(self):
        first, second = lock.Lock.take("one"), lock.Lock.take("two")
        first.release()
        second.release()

    def test_releasing_leaves_no_file(self, run_folder):
        lock.Lock.take("local").release()
        assert not run_folder.exists()

    def test_what_an_accident_left_is_no_obstacle(self, run_folder):
        run_folder.mkdir()
        (run_folder / "local.lock").write_text('{"pids": [1], "command": "gone", "since": "then"}')
        lock.Lock.take("local").release()

    def test_a_holder_that_has_not_signed_yet(self):
        held = lock.Lock.take("local")
        with pytest.raises(TestbedError, match="in use by another process"):
            lock.Lock.take("local")
        held.release()

    def test_a_shorter_signature_replaces_a_longer_one(self):
        held = lock.Lock.take("local")
        held.sign(*range(100_000, 100_100))
        held.sign(5)
        assert lock.holder("local").pids == [5]
        held.release()


class TestReap:
    def test_no_process_of_a_stale_lock_is_touched(self, tmp_path, monkeypatch):
        monkeypatch.setattr(lock, "RUN", tmp_path)
        bystander = subprocess.Popen(["sleep", "infinity"])
        try:
            text = f'{{"pids": [{bystander.pid}], "command": "gone", "since": "then"}}'
            (tmp_path / "local.lock").write_text(text)
            reap._end("local")
            assert bystander.poll() is None
        finally:
            bystander.kill()
            bystander.wait()


class TestCommand:
    def test_an_inventory_of_real_hosts_is_one_line_on_stderr(self, tmp_path, capsys):
        file = tmp_path / "hosts.yaml"
        file.write_text("hosts: {}\n")
        assert main(["--inventory", str(file)]) == 1
        message = capsys.readouterr().err
        assert message.startswith(f"{file}: testbed: is missing")
        assert message.count("\n") == 1

    def test_all_without_reap_is_a_mistake(self, capsys):
        with pytest.raises(SystemExit) as ended:
            main(["--all"])
        assert ended.value.code == 2
        assert "go with --reap" in capsys.readouterr().err

    def test_importing_the_testbed_costs_no_ssh_or_data_libraries(self):
        script = "import sys, hosts.testbed.__main__; print(sorted({'paramiko', 'pandas', 'yaml'} & set(sys.modules)))"
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout == "[]\n"
