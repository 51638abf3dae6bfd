#!/bin/sh
# Prints what a process and its descendants use, one process a line, its number first:
#
#   PID cpu_ms=... waited_ms=... descriptors=... peak_kib=... resident_kib=...
#
# waited_ms is how long it was ready to run, and had no processor.
#
# Deno doesn't let a sandboxed program look into /proc, so the shell is asked. Where there is no /proc,
# ps knows CPU time and resident memory only.

pid=$1

descendants() {
  echo "$1"
  # shellcheck disable=SC2013 # numbers
  for child in $(cat "/proc/$1/task/"*/children); do descendants "$child"; done
}

if [ -d "/proc/$pid" ]; then
  exec 2>/dev/null
  ticks=$(getconf CLK_TCK)
  for one in $(descendants "$pid"); do
    # The name, in parentheses, may hold blanks; what follows it is numbered from 1 here and 3 in proc(5).
    # shellcheck disable=SC2046 # numbers
    set -- $(sed 's/.*) //' "/proc/$one/stat")
    [ $# -gt 12 ] || continue
    cpu=$(((${12} + ${13}) * 1000 / ticks))
    waited=$(cut -d ' ' -f 2 "/proc/$one/schedstat")
    set -- "/proc/$one/fd/"*
    used="cpu_ms=$cpu waited_ms=$((${waited:-0} / 1000000)) descriptors=$#"
    sed -n "s/^VmHWM:[[:space:]]*\([0-9]*\).*/peak_kib=\1/p; s/^VmRSS:[[:space:]]*\([0-9]*\).*/resident_kib=\1/p" \
      "/proc/$one/status" | tr '\n' ' ' | sed "s/^/$one $used /; s/ *$/\n/"
  done
else
  ps -A -o pid= -o ppid= -o rss= -o time= | awk -v root="$pid" '
    { parent[$1] = $2; resident[$1] = $3; time[$1] = $4 }
    function belongs(one) {
      while (one > 1) { if (one == root) return 1; one = parent[one] }
      return 0
    }
    END {
      for (one in parent) if (belongs(one)) {
        parts = split(time[one], t, ":"); seconds = 0
        for (i = 1; i <= parts; i++) seconds = seconds * 60 + t[i]
        printf "%d cpu_ms=%d resident_kib=%d\n", one, seconds * 1000, resident[one]
      }
    }'
fi
