#!/bin/sh
# What a server's processes hold. Deno doesn't let a sandboxed program look into /proc, so the shell is
# asked.
#
#   census.sh processes PID       PID and its descendants, one a line: PID resident_kib descriptors waited_ms,
#                                 the last of which it was ready to run and had no processor
#   census.sh peers PID PORT      the clients' ports of PID's connections on PORT, one a line

exec 2>/dev/null
pid=$2

descendants() {
  echo "$1"
  # shellcheck disable=SC2013 # numbers
  for child in $(cat "/proc/$1/task/"*/children); do descendants "$child"; done
}

case $1 in
processes)
  for one in $(descendants "$pid"); do
    set -- "/proc/$one/fd/"*
    resident=$(sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$one/status")
    waited=$(cut -d ' ' -f 2 "/proc/$one/schedstat")
    # A process that has just ended has none.
    if [ -n "$resident" ]; then echo "$one $resident $# $((${waited:-0} / 1000000))"; fi
  done
  ;;
peers)
  # A socket's inode is in the name of the descriptor's link; /proc/net/tcp has addresses by inode, in hex.
  hex=$(printf %04X "$3")
  {
    ls -l "/proc/$pid/fd" | sed -n 's/.*socket:\[\([0-9]*\)\].*/inode \1/p'
    cat /proc/net/tcp /proc/net/tcp6
  } | awk -v port="$hex" '
    $1 == "inode" { own[$2] = 1; next }
    { split($2, here, ":"); split($3, there, ":") }
    here[2] == port && there[2] != "0000" && ($10 in own) { print there[2] }
  ' | while read -r peer; do echo $((0x$peer)); done
  ;;
esac
