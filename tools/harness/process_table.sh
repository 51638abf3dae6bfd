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

# A soak looks every second, at servers and bots that it measures: this starts two processes, however many are
# looked at.

# look PID: prints its line, without its memory, and those of its descendants.
look() {
  read -r line <"/proc/$1/stat" || return 0
  read -r _ waited _ <"/proc/$1/schedstat"
  one=$1
  # The name, in parentheses, may hold blanks; what follows it is numbered from 1 here and 3 in proc(5).
  # shellcheck disable=SC2086 # numbers
  set -- ${line##*) }
  cpu=$(((${12} + ${13}) * 1000 / ticks))
  set -- "/proc/$one/fd/"*
  echo "$one cpu_ms=$cpu waited_ms=$((${waited:-0} / 1000000)) descriptors=$#"
  for file in "/proc/$one/task/"*/children; do
    children=
    # There is no end of line.
    read -r children <"$file" || :
    for child in $children; do look "$child"; done
  done
}

if [ -d "/proc/$pid" ]; then
  exec 2>/dev/null
  ticks=$(getconf CLK_TCK)
  look "$pid" | awk '{
    file = "/proc/" $1 "/status"
    peak = resident = ""
    while ((getline line < file) > 0) {
      split(line, field)
      if (field[1] == "VmHWM:") peak = " peak_kib=" field[2]
      if (field[1] == "VmRSS:") resident = " resident_kib=" field[2]
    }
    close(file)
    if (resident != "") print $0 peak resident
  }'
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
