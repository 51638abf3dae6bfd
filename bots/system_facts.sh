#!/bin/sh
# Prints what this system allows a process, as variables for `env`: one line, no blanks in a value.
# Deno doesn't let a sandboxed program look into /proc, so the project's tasks ask the shell.
nofile=$(ulimit -H -n) # Deno and Bun raise the soft limit to the hard one when they start
if [ -r /proc/sys/net/ipv4/ip_local_port_range ]; then
  ports=$(tr -s '[:blank:]' - </proc/sys/net/ipv4/ip_local_port_range)
  somaxconn=$(cat /proc/sys/net/core/somaxconn)
else
  ports=$(sysctl -n net.inet.ip.portrange.first)-$(sysctl -n net.inet.ip.portrange.last)
  somaxconn=$(sysctl -n kern.ipc.somaxconn)
  [ "$nofile" = unlimited ] && nofile=$(sysctl -n kern.maxfilesperproc)
fi 2>/dev/null
echo "HOTWHEELS_NOFILE=$nofile HOTWHEELS_PORT_RANGE=$ports HOTWHEELS_SOMAXCONN=$somaxconn"
