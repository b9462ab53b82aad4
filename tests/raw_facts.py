"""What the facts script printed on three hosts; the parser is pinned to it."""

DEBIAN = """\
user root
uid 0
kernel 6.18.44-fc-v595
machine x86_64
proc_children yes
distribution "Debian GNU/Linux 12 (bookworm)"
family debian
cpus 2
cpu_model AMD EPYC
clock_source tsc
memory_kb 24684096
free_page_reporting yes
cgroup v1
memory_limit_bytes 9223372036854771712
capabilities 000001fffeffffff
tool tc
tool ip
tool iptables
tool stress-ng
tool flock
tool tar
netem no
engine podman 4.3.1
engine_error docker Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?
workdir /root/.cache/neukonfig/hosts/edge
workdir_writable yes
free_disk_kb 72824768
python 3.11.7
package msgspec 0.22.0
package zmq 27.3.0
package numpy 2.4.6
package av 18.1.0
package psutil 7.2.2
package tensorflow 2.21.0
listener LISTEN 0      128      0.0.0.0:2024  0.0.0.0:*
"""

RASPBERRY = """\
user pi
uid 1000
kernel 6.6.31+rpt-rpi-v8
machine aarch64
proc_children no
distribution "Raspbian GNU/Linux 12 (bookworm)"
family raspbian
family debian
cpus 4
board Raspberry Pi 4 Model B Rev 1.4
governor ondemand
free_page_reporting no
clock_source arch_sys_counter
memory_kb 3885396
cgroup v2
sudo yes
capabilities 000001ffffffffff
tool tc
tool ip
tool flock
tool tar
netem yes
engine docker 24.0.7
lease process 4711 of ada on laptop since 2024-05-01 12:00:00
workdir /home/pi/.cache/neukonfig
workdir_writable yes
free_disk_kb 1800000
python 3.11.2
package numpy 1.24.2
bind 192.0.2.7 5600 EADDRINUSE
bind 192.0.2.7 5603 EADDRINUSE
bind 198.51.100.9 0 EADDRNOTAVAIL
listener LISTEN 0  128  0.0.0.0:22  0.0.0.0:*  users:(("sshd",pid=611,fd=3))
listener LISTEN 0  5  0.0.0.0:5600  0.0.0.0:*  users:(("python3",pid=1234,fd=3))
listener LISTEN 0  5  192.0.2.7:5603  0.0.0.0:*
listener LISTEN 0  128  [::]:22  [::]:*  users:(("sshd",pid=611,fd=4))
"""

# A small container image: no os-release, nothing installed, Python missing.
BARE = """\
user worker
uid 1001
kernel 5.10.0
machine x86_64
cpus 1
memory_kb 1048576
cgroup v2
memory_limit_bytes 536870912
capabilities 0000000000000000
workdir /data
free_disk_kb 0
sh: 53: python3: not found
python_error 127
"""
