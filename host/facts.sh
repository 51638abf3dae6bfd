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

# fact NAME VALUE; an empty value is left out. Blanks and commas become a plus sign.
fact() {
  value=$(printf %s "$2" | tr -s '[:space:],' '+')
  [ -n "$value" ] && facts="$facts${facts:+,}$1=$value"
}

setting() {
  [ -r "$proc/$1" ] && cat "$proc/$1"
}

exec 2>/dev/null
# shellcheck disable=SC3045 # every sh that there is has it
nofile=$(ulimit -H -n) # Deno and Bun raise the soft limit to the hard one when they start
if [ -d "$proc/net" ]; then
  fact port_range "$(setting net/ipv4/ip_local_port_range)"
  fact somaxconn "$(setting net/core/somaxconn)"
  fact syn_backlog "$(setting net/ipv4/tcp_max_syn_backlog)"
  fact syn_cookies "$(setting net/ipv4/tcp_syncookies)"
  fact migrate_queues "$(setting net/ipv4/tcp_migrate_req)"
  fact file_max "$(setting fs/file-max)"
  fact nofile_max "$(setting fs/nr_open)"
  fact tcp_mem "$(setting net/ipv4/tcp_mem)"
  fact conntrack_max "$(setting net/netfilter/nf_conntrack_max)"
  fact conntrack_count "$(setting net/netfilter/nf_conntrack_count)"
  fact congestion_control "$(setting net/ipv4/tcp_congestion_control)"
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
  memory=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) * 1024))
  group=$(sed -n 's/^0:://p' "$memberships")
  while [ -n "$group" ]; do
    least "$(cat "$groups$group/memory.max")"
    group=${group%/*}
  done
  least "$(cat "$groups/memory.max")"
  group=$(sed -n 's/^[0-9]*:memory://p' "$memberships")
  least "$(cat "$groups/memory$group/memory.limit_in_bytes" || cat "$groups/memory/memory.limit_in_bytes")"
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
