# Prints what a host is, a line "key value" for each fact; a key may come several times. Needs sh and coreutils.
# Arguments: Python command, workdir, "yes" for sudo, first port, number of ports, addresses to bind ...
# Run by hosts/facts.py, which parses the lines.
exec </dev/null 2>/dev/null
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL=C
python=$1 workdir=$2 sudo=$3
shift 3
as_root() { if [ "$sudo" = yes ]; then sudo -n "$@"; else "$@"; fi; }
file() { [ ! -r "$2" ] || printf '%s %s\n' "$1" "$(head -n 1 "$2")"; }

echo "user $(id -un)"
echo "uid $(id -u)"
echo "kernel $(uname -r)"
echo "machine $(uname -m)"
if [ -r "/proc/$$/task/$$/children" ]; then echo "proc_children yes"; else echo "proc_children no"; fi
sed -n 's/^PRETTY_NAME=/distribution /p; s/^ID=/family /p; s/^ID_LIKE=/family /p' /etc/os-release
echo "cpus $(nproc)"
sed -n 's/^model name[^:]*: */cpu_model /p' /proc/cpuinfo | head -n 1
[ ! -r /proc/device-tree/model ] || echo "board $(tr -d '\0' </proc/device-tree/model)"
file governor /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor
file boot_id /proc/sys/kernel/random/boot_id
file clock_source /sys/devices/system/clocksource/clocksource0/current_clocksource
sed -n 's/^MemTotal: *\([0-9]*\) kB/memory_kb \1/p' /proc/meminfo
for features in /sys/bus/virtio/drivers/virtio_balloon/virtio*/features; do # bit 5: free page reporting
    [ ! -r "$features" ] || echo "free_page_reporting $(cut -c 6 "$features" | sed 's/1/yes/; s/0/no/')"
done
case $(stat -fc %T /sys/fs/cgroup) in cgroup2fs) echo "cgroup v2" ;; *) echo "cgroup v1" ;; esac
file memory_limit_bytes "/sys/fs/cgroup/memory${NEUKONFIG_CGROUP:-/}/memory.limit_in_bytes"
file memory_limit_bytes "/sys/fs/cgroup${NEUKONFIG_CGROUP:-/}/memory.max"

[ "$sudo" != yes ] || { sudo -n true && echo "sudo yes" || echo "sudo no"; }
as_root sed -n 's/^CapEff:[[:space:]]*/capabilities /p' /proc/self/status
for tool in tc ip iptables stress-ng flock tar; do
    command -v "$tool" >/dev/null && echo "tool $tool"
done
if command -v unshare >/dev/null && command -v tc >/dev/null; then
    as_root unshare --net true &&
        if as_root unshare --net tc qdisc add dev lo root netem delay 1ms; then echo "netem yes"; else echo "netem no"; fi
fi
engine() {
    command -v "$1" >/dev/null || return
    if words=$(as_root timeout 20 "$1" version --format "$2" 2>&1); then
        echo "engine $1 $words"
    else
        echo "engine_error $1 $(echo "$words" | grep . | tail -n 1)"
    fi
}
engine podman '{{.Client.Version}}'
engine docker '{{.Server.Version}}'

lock=/tmp/lease$(echo "${NEUKONFIG_CGROUP:-/neukonfig}" | tr / -).lock # as in lease.sh
if [ -e "$lock" ]; then
    { flock -s -n 8 || echo "lease $(head -n 1 "$lock")"; } 8<"$lock"
fi

case $workdir in "~/"*) workdir=$HOME/${workdir#"~/"} ;; esac
echo "workdir $workdir"
while [ ! -e "$workdir" ]; do workdir=$(dirname "$workdir"); done
[ -d "$workdir" ] && [ -w "$workdir" ] && echo "workdir_writable yes"
df -Pk "$workdir" | awk 'NR == 2 { print "free_disk_kb " $4 }'

"$python" - "$@" 2>&1 <<'EOF' || echo "python_error $?"
import errno, socket, sys
from importlib import metadata, util

print("python", ".".join(map(str, sys.version_info[:3])))
names = {"msgspec": "msgspec", "zmq": "pyzmq", "numpy": "numpy", "av": "av", "psutil": "psutil",
         "tensorflow": "tensorflow tensorflow-cpu tensorflow-aarch64 tensorflow-intel tf-nightly"}
for module, distributions in names.items():
    if util.find_spec(module) is None:
        continue
    version = "unknown"
    for distribution in distributions.split():
        try:
            version = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            pass
    print("package", module, version)
first, count = int(sys.argv[1]), int(sys.argv[2])
for address in sys.argv[3:]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for port in [0, *range(first, first + count)]:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
                probe.listen()
            except OSError as error:
                print("bind", address, port, errno.errorcode.get(error.errno, error.errno))
                if port == 0:
                    break
EOF
if command -v ss >/dev/null; then as_root ss -Hltnp | sed 's/^/listener /'; fi
exit 0
