#!/bin/sh
# Starts Deno for a task or a script of package.json: Deno's own program, which may read and write the
# files that its flags name and no others.
#
#   sh cli/launch.sh [--nohup] [OPTION ...] COMMAND [ARGUMENT ...]       COMMAND is one of Deno's
#
#   --deno=PROGRAM         Deno's own program; it is looked for unless given
#   --nohup                no SIGHUP or SIGUSR2 ends the program before it can listen for that
#   --one-arena            let all of Deno's threads share one heap of the C library
#   --facts, --facts=all   pass on what host/facts.sh finds out
#   --settings             flags may be variables of the environment, and in the file of --config, too
#   --reads=FLAG,...       the program may read the file behind each of these flags
#   --writes=FLAG,...      it may write that file, and look at what it is; - is standard output
#   --replaces=FLAG,...    it may read, write and remove that file, and one of that name with .new behind it
#   --workers-need=NEED,...
#                          where the command line asks for several workers, the program may do these
#                          as well, such as run=deno
#
# Deno's process takes this one's place, so that signals reach it. An installation that ran no scripts
# leaves a wrapper in node_modules/.bin that passes none on; it is stepped over. A program that is run
# stands where the user stood, so that relative paths mean what the user meant.
set -eu

deno=
case ${1:-} in
  --deno=*) deno=${1#*=} && shift ;;
esac
# Before anything else takes time.
if [ "${1:-}" = --nohup ]; then
  trap '' HUP USR2
  shift
fi

case $0 in
  */*) root=$(CDPATH="" cd "${0%/*}/.." && pwd) ;;
  *) root=$(CDPATH="" cd .. && pwd) ;;
esac

fail() {
  echo "launch.sh: $1" >&2
  exit 1
}

is_binary() {
  [ -f "$1" ] && [ -x "$1" ] && [ "$(dd if="$1" bs=2 count=1 2>/dev/null)" != '#!' ]
}

# The Deno that runs the task, or that of node_modules, or the first on the PATH.
find_deno() {
  deno=$(readlink "/proc/$PPID/exe" 2>/dev/null || ps -o comm= -p "$PPID" 2>/dev/null || :)
  [ "${deno##*/}" = deno ] && is_binary "$deno" && return
  modules=$root/node_modules
  # Beside the package, even where it is a link, lies the one for this platform.
  for deno in "$modules/.bin/deno" "$modules/deno/deno" "$modules"/deno/../@deno/*/deno; do
    is_binary "$deno" && return
  done
  IFS=:
  for folder in $PATH; do
    deno=${folder:-.}/deno
    is_binary "$deno" && break
    # A version manager's script says which Deno it starts.
    [ -x "$deno" ] && deno=$("$deno" eval -q 'console.log(Deno.execPath())' 2>/dev/null) && break
    deno=
  done
  unset IFS
  # The PATH may be relative, and the program starts elsewhere.
  case $deno in '' | /*) ;; *) deno=$PWD/$deno ;; esac
  [ -n "$deno" ] || fail "there is no deno in node_modules or on the PATH; \`npm ci\` installs it"
}

# value_of FLAG ARGUMENT ...: the flag's value: the one of the command line, or a comma between several; or
# else, if the program takes settings, that of the environment, or that of the file of settings.
value_of() {
  flag=$1
  shift
  value=
  comma=
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    one=
    case $1 in
      "--$flag="*) one=${1#*=} ;;
      "--$flag") one=${2:-} ;;
    esac
    case $one in
      '' | -) ;;
      *) value=$value${value:+,}$one ;;
    esac
    case $one in *,*) comma=$one ;; esac
    shift
  done
  [ -z "$value" ] && [ -n "$settings" ] || return 0
  # Every start of a server comes here for each flag: no process is started for those that aren't set.
  case ,$in_environment in
    *",$flag,"* | ',?') value=$(printenv "HOTWHEELS_$(printf %s "$flag" | tr 'a-z-' 'A-Z_')" || :) ;;
  esac
  [ -n "$value" ] || [ -z "$filed" ] || value=$(printf %s "$filed" | sed -n "s/^$flag=//p")
  case $value in *,*) comma=$value ;; esac
}

# files_of FLAG,... ARGUMENT ...: the files behind these flags, as Deno wants a list.
files_of() {
  flags=$1
  shift
  files=
  IFS=,
  for flag in $flags; do
    value_of "$flag" "$@"
    [ -z "$comma" ] ||
      fail "--$flag \"$comma\": Deno allows no path with a comma; rename the file, or link to it"
    [ -z "$value" ] || files=$files${files:+,}$value
  done
  unset IFS
}

# has_workers ARGUMENT ...: whether they ask for more than one.
has_workers() {
  value_of workers "$@"
  case $value in
    auto) return 0 ;;
    '' | *[!0-9]* | 0 | 1) return 1 ;;
  esac
}

# read_settings ARGUMENT ...: what the environment and the file of settings say about permissions. Deno lets
# no program list the environment that may read a part of it.
read_settings() {
  # A name may hold anything but an equals sign; one with a blank would be two words below.
  names=$(awk 'BEGIN {
    for (name in ENVIRON) if (name ~ /^HOTWHEELS_/) {
      gsub(/[^A-Za-z0-9_]/, "?", name)
      names = names name ","
      flag = tolower(substr(name, length("HOTWHEELS_") + 1))
      gsub(/_/, "-", flag)
      flags = flags flag ","
    }
    print names " " flags
  }' || :)
  facts="$facts HOTWHEELS_NAMES=${names% *}"
  [ -z "$names" ] || in_environment=${names#* }
  value_of config "$@"
  [ -n "$value" ] || return 0
  reads=$reads,config
  case $value in *,*) return 0 ;; esac
  filed=$("$deno" run --quiet --no-prompt "--allow-read=$value" "$root/cli/settings/named_files.ts" \
    "$value" "$reads,$replaces" 2>/dev/null || :)
}

facts=
reads=
writes=
replaces=
workers_need=
settings=
# The flags that variables set, each with a comma behind it; a question mark where that isn't known.
in_environment='?'
filed=
while :; do
  case ${1:-} in
    --settings) settings=yes ;;
    # glibc gives each thread a heap of its own, which keeps what the thread has freed from the others.
    --one-arena) [ -n "${MALLOC_ARENA_MAX:-}" ] || facts="$facts MALLOC_ARENA_MAX=1" ;;
    --facts) facts="$facts $(sh "$root/host/facts.sh")" ;;
    --facts=*) facts="$facts $(sh "$root/host/facts.sh" "${1#*=}")" ;;
    --reads=*) reads=${1#*=} ;;
    --writes=*) writes=${1#*=} ;;
    --replaces=*) replaces=${1#*=} ;;
    --workers-need=*) workers_need=${1#*=} ;;
    *) break ;;
  esac
  shift
done

[ -n "$deno" ] || find_deno
command=$1
shift

# A service manager that wants to hear from the server: a program passes that on, since Deno has no way to.
if [ -n "$settings" ] && [ -n "${NOTIFY_SOCKET:-}" ]; then
  notify=$(command -v systemd-notify || :)
  if [ -n "$notify" ]; then
    facts="$facts HOTWHEELS_NOTIFY=$notify"
    set -- "--allow-run=$notify" \
      --allow-env=NOTIFY_SOCKET,WATCHDOG_USEC,WATCHDOG_PID,NODE_V8_COVERAGE "$@"
  fi
fi

if [ -n "$settings" ] && [ "${LISTEN_FDS:-0}" != 0 ] && [ "${LISTEN_PID:-}" = $$ ]; then
  echo "hotwheels: the service manager passes a socket, which Deno can't take over: serve on Bun," \
    "or leave the unit's .socket out" >&2
  exit 1
fi

if [ "$command" = run ]; then
  [ -z "$settings" ] || read_settings "$@"
  if has_workers "$@"; then
    IFS=,
    for need in $workers_need; do
      # Only who may run everything may pass on what the loader reads.
      if [ "$need" = run=deno ] && [ -n "${LD_LIBRARY_PATH:-}" ]; then
        set -- --allow-run --allow-env=LD_LIBRARY_PATH "$@"
      else
        set -- "--allow-$need" "$@"
      fi
    done
    unset IFS
  fi
  script=
  left=$#
  while [ "$left" -gt 0 ]; do
    argument=$1
    shift
    left=$((left - 1))
    if [ -z "$script" ]; then
      case $argument in
        # By its name it would be looked for on the PATH; itself it knows by no link's name. What the link
        # leads to may be a newer one by then, and where neither is there any more, Linux has what runs.
        --allow-run=deno)
          argument=--allow-run=$(readlink -f "$deno" 2>/dev/null || echo "$deno"),$deno
          [ -x /proc/self/exe ] && argument=$argument,/proc/self/exe
          ;;
        -*) ;;
        /*) script=$argument ;;
        *)
          argument=$root/$argument
          script=$argument
          ;;
      esac
    fi
    set -- "$@" "$argument"
  done
  files_of "$replaces" "$@"
  [ -n "$files" ] && set -- "--allow-read=$files,$files.new" "--allow-write=$files,$files.new" "$@"
  files_of "$reads,$writes" "$@"
  [ -n "$files" ] && set -- "--allow-read=$files" "$@"
  files_of "$writes" "$@"
  [ -n "$files" ] && set -- "--allow-write=$files" "$@"
  [ -d "${INIT_CWD:-}" ] && cd "$INIT_CWD"
fi

# The variables hold no blanks.
# shellcheck disable=SC2086
exec env $facts "$deno" "$command" "$@"
