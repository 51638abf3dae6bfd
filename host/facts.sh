#!/bin/sh
# Prints facts and limits of this system, as variables for `env`: one line, no blanks in a value; unknown
# facts are left out. Deno doesn't let a sandboxed program look into /proc, so the project's tasks ask
# the shell.
#
#   sh host/facts.sh       facts that a server or bots need before they start
#   sh host/facts.sh all   also those that take longer: clock, commit, network device

proc=/proc/sys
groups=/sys/fs/cgroup
memberships=/proc/self/cgroup
facts=

# Every start of a server waits for this script, which therefore starts few processes.

# fact NAME VALUE; an empty value is left out. Blanks and commas become a plus sign.
fact() {
  name=$1
  case $2 in
    *,*) value=$(printf %s "$2" | tr -s '[:space:],' '+') ;;
    *)
      set -f
      # shellcheck disable=SC2086
      set -- $2
      set +f
      IFS=+
      value=$*
      unset IFS
      ;;
  esac
  [ -n "$value" ] && facts="$facts${facts:+,}$name=$value"
}

# line_of FILE: its first line is in $line, which is empty where it can't be read. Not for /proc/sys, whose
# files have to be read at once: a shell reads byte by byte.
line_of() {
  line=
  [ -r "$1" ] && read -r line <"$1"
}

exec 2>/dev/null
# shellcheck disable=SC3045 # every sh that there is has it
nofile=$(ulimit -H -n) # Deno and Bun raise the soft limit to the hard one when they start
if [ -d "$proc/net" ]; then
  while IFS=: read -r path value; do
    case $path in
      */ip_local_port_range) fact port_range "$value" ;;
      */somaxconn) fact somaxconn "$value" ;;
      */tcp_max_syn_backlog) fact syn_backlog "$value" ;;
      */tcp_syncookies) fact syn_cookies "$value" ;;
      */tcp_migrate_req) fact migrate_queues "$value" ;;
      */file-max) fact file_max "$value" ;;
      */nr_open) fact nofile_max "$value" ;;
      */tcp_mem) fact tcp_mem "$value" ;;
      */nf_conntrack_max) fact conntrack_max "$value" ;;
      */nf_conntrack_count) fact conntrack_count "$value" ;;
      */tcp_congestion_control) fact congestion_control "$value" ;;
    esac
  done <<END
$(cd "$proc" && grep -s . \
  net/ipv4/ip_local_port_range net/core/somaxconn net/ipv4/tcp_max_syn_backlog \
  net/ipv4/tcp_syncookies net/ipv4/tcp_migrate_req fs/file-max fs/nr_open net/ipv4/tcp_mem \
  net/netfilter/nf_conntrack_max net/netfilter/nf_conntrack_count \
  net/ipv4/tcp_congestion_control)
END
else
  fact port_range "$(sysctl -n net.inet.ip.portrange.first) $(sysctl -n net.inet.ip.portrange.last)"
  fact somaxconn "$(sysctl -n kern.ipc.somaxconn)"
  fact file_max "$(sysctl -n kern.maxfiles)"
  fact nofile_max "$(sysctl -n kern.maxfilesperproc)"
  [ "$nofile" = unlimited ] && nofile=$(sysctl -n kern.maxfilesperproc)
fi
# The machine's memory, or the least limit of the control groups that this process is in.
least() {
  case $1 in '' | *[!0-9]*) return ;; esac
  # The number that stands for "no limit" is too long for some shells to compare.
  [ ${#1} -gt 15 ] || [ "$memory" -le "$1" ] || memory=$1
}
if [ -r /proc/meminfo ]; then
  while read -r name kib _; do
    [ "$name" = MemTotal: ] && memory=$((kib * 1024)) && break
  done </proc/meminfo
  group=
  group_of_memory=
  while read -r line; do
    case $line in
      0::*) group=${line#0::} ;;
      *:memory:*) group_of_memory=${line#*:memory:} ;;
    esac
  done <"$memberships"
  while [ -n "$group" ]; do
    line_of "$groups$group/memory.max" && least "$line"
    group=${group%/*}
  done
  line_of "$groups/memory.max" && least "$line"
  line_of "$groups/memory$group_of_memory/memory.limit_in_bytes" ||
    line_of "$groups/memory/memory.limit_in_bytes"
  least "$line"
else
  memory=$(sysctl -n hw.memsize)
fi
fact memory_bytes "$memory"
fact page_bytes "$(getconf PAGESIZE)"

if [ "$1" = all ]; then
  home=$(dirname "$0")/..
  fact cpu_model "$(lscpu | sed -n 's/^Model name: *//p' | head -n 1)"
  fact vendor "$(cat /sys/class/dmi/id/sys_vendor)"
  fact device "$(ip -o route show default | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1)"
  # A copy without its history has its commit in the file COMMIT.
  commit=$(cat "$home/COMMIT" || git -C "$home" rev-parse HEAD)
  [ -n "$(git --no-optional-locks -C "$home" status --porcelain)" ] && commit=$commit-modified
  fact commit "$commit"
  # The leap status and three parts of the greatest error, in seconds: offset, delay, dispersion.
  fact chrony "$(chronyc -c tracking | cut -s -d , -f 5,11,12,14)"
  fact ntp_synchronized "$(timedatectl show -p NTPSynchronized --value)"
fi

echo "HOTWHEELS_NOFILE=$nofile HOTWHEELS_FACTS=$facts"
