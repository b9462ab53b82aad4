#!/usr/bin/env bash
# Sets up this machine for one role of the testbed; safe to call again, and quick when nothing is to do.
set -euo pipefail

usage() {
    cat <<'EOF'
Usage: hosts/setup.sh [--role controller|device|edge|cloud|dev] [--check]

  --role   what this machine is for (default: controller, which can also be
           the whole testbed; dev adds what tests and checks need)
  --check  change nothing: say what is missing, exit 1 where something is

Needs Linux on x86-64 or arm64. Installs OS packages with apt (as root or with
sudo) and Python packages into .venv, from the locked versions in
hosts/requirements.
EOF
}

# The Pythons that TensorFlow has wheels for; keep in step with pyproject.toml.
readonly OLDEST_MINOR=11 NEWEST_MINOR=13

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
unfinished=$venv/.setup-unfinished
role=controller
check_only=false

say() { printf 'setup: %s\n' "$*"; }
fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

wrong_call() {
    usage >&2
    exit 2
}

parse_arguments() {
    while (($#)); do
        case $1 in
            --role)
                (($# > 1)) || wrong_call
                role=$2
                shift
                ;;
            --check) check_only=true ;;
            -h | --help)
                usage
                exit
                ;;
            *) wrong_call ;;
        esac
        shift
    done
    case $role in
        controller | device | edge | cloud | dev) ;;
        *) wrong_call ;;
    esac
}

# ---- what a role needs ----

is_ubuntu() { grep -qs '^ID=ubuntu$' /etc/os-release; }

# Pairs of program:package. A program counts wherever it came from, a package is what apt would bring.
programs_of() {
    local host='sshd:openssh-server /etc/ssl/certs/ca-certificates.crt:ca-certificates'
    local tier='ip:iproute2 tc:iproute2 iptables:iptables modprobe:kmod stress-ng:stress-ng'
    local engine='podman:podman crun:crun'
    case $1 in
        device) echo "$host" ;;
        edge | cloud)
            # A host that has docker keeps it. The local testbed cannot: its containers join namespaces of ours.
            if command -v docker >/dev/null; then engine=''; fi
            echo "$host $tier $engine"
            ;;
        controller) echo "$host $tier $engine ssh:openssh-client git:git make:make" ;;
        dev)
            # Ubuntu has Chromium as a snap only; without it the browser tests are skipped and all else works.
            # The runtimes' tests run podman outside a testbed, where a hybrid cgroup layout stops crun.
            # Playwright's own node wants libatomic, wherever the architecture puts it.
            local atomic
            atomic=$(compgen -G '/usr/lib/*/libatomic.so.1' || true)
            echo "$(programs_of controller) runc:runc ${atomic:-/usr/lib/libatomic.so.1}:libatomic1" \
                "$(is_ubuntu || echo chromium:chromium)"
            ;;
    esac
}

# The locks, each holding all of the one before it, up to the one of a role.
locks_of() {
    case $1 in
        device) echo device ;;
        edge | cloud) echo device inference ;;
        controller) echo device inference controller ;;
        dev) echo device inference controller dev ;;
    esac
}

# Packages of this role whose program is not there, or that an interrupted apt left half done.
missing_packages() {
    local pair program missing='' names=''
    for pair in $(programs_of "$role"); do
        program=${pair%%:*}
        names+=" ${pair#*:}"
        [[ -e $program ]] || command -v "$program" >/dev/null || missing+=" ${pair#*:}"
    done
    if command -v dpkg-query >/dev/null; then
        # shellcheck disable=SC2086 # a list of words
        missing+=" $(dpkg-query --show --showformat '${Package} ${db:Status-Status}\n' $names 2>/dev/null |
            sed -n '/ installed$/d; / not-installed$/d; / config-files$/d; s/ .*//p' || true)"
    fi
    # shellcheck disable=SC2086 # a list of words
    [[ -z ${missing// /} ]] || printf '%s\n' $missing | sort -u
}

# ---- the operating system's part ----

# Runs a command without a word, unless it fails: then its last lines, and one that says what failed.
quietly() {
    local what=$1 log
    shift
    log=$(mktemp)
    if ! "$@" </dev/null >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        rm -f "$log"
        fail "$what failed; see the lines above, mend it, then run this again: it goes on where it stopped"
    fi
    rm -f "$log"
}

as_root() {
    if ((EUID == 0)); then env "$@"; else sudo env "$@"; fi
}

can_be_root() {
    ((EUID == 0)) && return
    command -v sudo >/dev/null || return 1
    # Where there is a terminal sudo may ask for the password, elsewhere it must do without.
    sudo -n true 2>/dev/null || { [[ -t 0 ]] && sudo -v; }
}

# A service that a package brings must not start here: the testbed runs an sshd of its own in its own
# namespaces, and a machine that had none open to the world should have none afterwards. The policy ends with
# this process, so that one left behind by a killed set-up forbids nothing.
deny_service_starts() {
    [[ -e /usr/sbin/policy-rc.d ]] && return
    printf '#!/bin/sh\n[ ! -d /proc/%d ] || exit 101\n' "$$" | as_root tee /usr/sbin/policy-rc.d >/dev/null
    as_root chmod 755 /usr/sbin/policy-rc.d
    trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
}

allow_service_starts() {
    [[ $(trap -p EXIT) != *policy-rc.d* ]] || as_root rm -f /usr/sbin/policy-rc.d
    trap - EXIT
}

keep_new_sshd_off() {
    if command -v systemctl >/dev/null; then
        as_root systemctl --quiet disable ssh.service ssh.socket >/dev/null 2>&1 || true
    fi
    say "the system's sshd is installed and stays off (to log in to this machine: systemctl enable --now ssh)"
}

apt_get() {
    as_root DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes --no-install-recommends \
        -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@"
}

install_packages() {
    local list="$*" sshd_is_new=false
    command -v apt-get >/dev/null ||
        fail "this machine has no apt-get; install these packages by hand, then run this again: $list"
    can_be_root ||
        fail "installing needs root or sudo; run this as root: apt-get install --no-install-recommends $list"
    say "installing OS packages: $list"
    [[ " $list " != *' openssh-server '* ]] || command -v sshd >/dev/null || sshd_is_new=true
    deny_service_starts
    quietly "finishing an interrupted dpkg" as_root DEBIAN_FRONTEND=noninteractive dpkg --configure -a
    quietly "apt-get install $list" apt_get install "$@"
    allow_service_starts
    if $sshd_is_new; then keep_new_sshd_off; fi
}

update_package_lists() {
    say "reading the lists of OS packages"
    quietly "apt-get update" apt_get update
}

# ---- Python's part ----

# Prints "minor path" of the interpreter behind a command, not of a venv around it.
describe_python() {
    "$1" -c 'import sys; print(sys.version_info.minor if sys.version_info.major == 3 else 0,
        getattr(sys, "_base_executable", sys.executable))' 2>/dev/null
}

can_make_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# Prints "minor path" of the first usable Python, one that can make a venv before one that cannot.
find_python() {
    local name minor path first=''
    for name in python3 python3.13 python3.12 python3.11; do
        read -r minor path < <(describe_python "$name") || continue
        ((minor >= OLDEST_MINOR && minor <= NEWEST_MINOR)) || continue
        if can_make_venv "$path"; then
            echo "$minor $path"
            return
        fi
        first=${first:-$minor $path}
    done
    echo "$first"
}

# The packages that bring a usable Python: the distribution's own where it fits.
python_packages() {
    local found minor
    found=$(find_python)
    if [[ -n $found ]]; then
        can_make_venv "${found#* }" || echo "python3.${found%% *}-venv"
        return
    fi
    command -v apt-cache >/dev/null || { echo python3.11 && return; }
    for minor in 13 12 11; do
        if apt-cache policy "python3.$minor-venv" 2>/dev/null | grep -q 'Candidate: [0-9]'; then
            echo "python3.$minor python3.$minor-venv"
            return
        fi
    done
    echo python3.11 python3.11-venv
}

lock_file() { echo "$root/hosts/requirements/$1.lock"; }

# What a finished installation of a lock leaves in .venv: the lock's hash and the Python it is for.
stamp_of() {
    local sum
    sum=$(sha256sum "$(lock_file "$1")")
    echo "${sum%% *} $("$venv/bin/python" --version 2>/dev/null)"
}

python_is_ready() {
    local lock
    lock=$(locks_of "$role")
    lock=${lock##* }
    [[ ! -e $unfinished && -x $venv/bin/python && -f $venv/.setup-$lock ]] &&
        [[ $(<"$venv/.setup-$lock") == "$(stamp_of "$lock")" ]]
}

venv_is_usable() {
    local minor path
    # Killed in the middle, pip can leave a package that looks installed and is not; only a new start is sure.
    [[ ! -e $unfinished ]] || return 1
    read -r minor path < <(describe_python "$venv/bin/python") || return 1
    ((minor >= OLDEST_MINOR && minor <= NEWEST_MINOR)) && "$venv/bin/python" -c 'import pip' 2>/dev/null
}

install_python_packages() {
    local python=$1 lock locks
    read -ra locks <<<"$(locks_of "$role")"
    if ! venv_is_usable; then
        say "making .venv with $python"
        rm -rf "$venv"
        mkdir "$venv"
        touch "$unfinished"
        quietly "making .venv" "$python" -m venv "$venv"
    fi
    lock=${locks[-1]}
    say "installing $(grep -c '^[a-z].*==' "$(lock_file "$lock")") locked Python packages into .venv (a few minutes the first time)"
    touch "$unfinished"
    quietly "installing the Python packages" "$venv/bin/python" -m pip install \
        --disable-pip-version-check --no-input --quiet --progress-bar off --compile \
        --require-hashes --requirement "$(lock_file "$lock")"
    for lock in "${locks[@]}"; do stamp_of "$lock" >"$venv/.setup-$lock"; done
    rm -f "$unfinished"
}

# ---- together ----

report_missing() {
    local missing
    missing=$(missing_packages)
    [[ -z $missing ]] || say "missing OS packages: ${missing//$'\n'/ }"
    python_is_ready || say "missing or outdated: the Python packages of role $role in .venv"
    if [[ -n $missing ]] || ! python_is_ready; then
        fail "to install what is missing, run: hosts/setup.sh --role $role"
    fi
}

set_up() {
    local missing found
    missing=$(missing_packages)
    if python_is_ready && [[ -z $missing ]]; then return; fi

    if ! python_is_ready && ! venv_is_usable; then missing+=" $(python_packages)"; fi
    if [[ -n ${missing// /} ]]; then
        if command -v apt-get >/dev/null && can_be_root; then
            update_package_lists
            # Only now is it known which Pythons there are.
            missing=$(missing_packages)
            if ! python_is_ready && ! venv_is_usable; then missing+=" $(python_packages)"; fi
        fi
        # shellcheck disable=SC2086 # a list of words
        if [[ -n ${missing// /} ]]; then install_packages $missing; fi
    fi
    if ! python_is_ready; then
        found=$(find_python)
        [[ -n $found ]] || fail "no Python 3.$OLDEST_MINOR to 3.$NEWEST_MINOR found; install one with its venv module, then run this again"
        install_python_packages "${found#* }"
    fi
    say "this machine is ready for role $role"
    if [[ $role == dev ]] && ! command -v chromium >/dev/null; then
        say "there is no chromium here, so the browser tests are skipped (on Ubuntu: snap install chromium)"
    fi
}

main() {
    parse_arguments "$@"
    # Programs of root's, a venv of ours that may be about to go, and settings that would send pip elsewhere.
    export PATH=${PATH//"$venv/bin:"/}:/usr/local/sbin:/usr/sbin:/sbin
    unset PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX
    if $check_only; then
        report_missing
        return
    fi
    # One set-up at a time; the lock on the folder is gone with the process.
    exec 9<"$root"
    flock 9
    set_up 9<&-
}

main "$@"
