#!/bin/sh
# The clients' ports of a process's connections, one a line. Deno doesn't let a sandboxed program look
# into /proc, so the shell is asked.
#
#   peers.sh PID PORT

exec 2>/dev/null
pid=$1

# A socket's inode is in the name of the descriptor's link; /proc/net/tcp has addresses by inode, in hex.
hex=$(printf %04X "$2")
{
  ls -l "/proc/$pid/fd" | sed -n 's/.*socket:\[\([0-9]*\)\].*/inode \1/p'
  cat /proc/net/tcp /proc/net/tcp6
} | awk -v port="$hex" '
  $1 == "inode" { own[$2] = 1; next }
  { split($2, here, ":"); split($3, there, ":") }
  here[2] == port && there[2] != "0000" && ($10 in own) { print there[2] }
' | while read -r peer; do echo $((0x$peer)); done
