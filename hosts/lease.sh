# Takes the lease of this host's testbed and holds it until stdin ends: "leased" once it is ours, before that
# "busy HOLDER" every two seconds. Argument: what to say of the holder. Run by hosts/lease.py.
holder=$1
command -v flock >/dev/null || {
    echo "flock not found" >&2
    exit 127
}
# Everybody's, as the hosts are; the testbeds of one machine are told apart by their cgroups. So in facts.sh.
lock=/tmp/lease$(echo "${NEUKONFIG_CGROUP:-/neukonfig}" | tr / -).lock
while :; do
    # Never opened with O_CREAT once it is there: in /tmp the kernel would refuse that to other users.
    [ -e "$lock" ] || (umask 0 && : >>"$lock") || exit 1
    {
        if ! flock -n 9; then
            echo "busy $(head -n 1 "$lock")"
            until flock -w 2 9; do echo "busy $(head -n 1 "$lock")" || exit 1; done
        fi
        # Its last holder may have removed the file while we waited for it.
        if [ "$(stat -Lc %i /proc/self/fd/9)" = "$(stat -c %i "$lock")" ]; then
            echo "$holder" | dd of="$lock" conv=nocreat status=none || exit 1
            echo leased
            cat >/dev/null
            rm -f "$lock"
            exit 0
        fi
    } 9<"$lock"
done
