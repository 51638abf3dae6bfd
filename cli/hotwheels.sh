#!/bin/sh
# All commands under one name; see --help. It finds a runtime, gives Deno the permissions of the command's
# task and no others, and lets the command's process take its own place, so that signals reach it.
set -eu

# A line for each command: its name, which is also its task's in deno.json, and what it does.
commands='serve       run the server
bots        connect n subscribers, and time a message to the last of them
pub         publish a message
sub         print the messages of topics
top         show what a server does, once a second
trace       print what some clients say and are sent
doctor      say what n clients need of this machine
compare     measure servers, or both runtimes, with the same bots
soak        attack servers of both runtimes in every way at once
churn       make and close connections, and look at the memory
demo        play the bounty on both runtimes
hosts       play it between network namespaces, on one machine or a cluster'

# Commands whose output is read by programs, or names the runtime itself.
quiet=' serve pub sub top trace '

# Commands with a flag --runtime of their own: there this script's flag stands before the command.
runtime_is_theirs=' soak churn hosts '

fail() {
  echo "hotwheels: $1" >&2
  exit "${2:-1}"
}

# The folder of the program, behind all links.
self=$0
while [ -L "$self" ]; do
  link=$(readlink "$self")
  case $link in /*) self=$link ;; *) self=$(dirname "$self")/$link ;; esac
done
root=$(CDPATH="" cd "$(dirname "$self")/.." && pwd)

# version_of NAME: what package.json says of the package, or of a runtime.
version_of() {
  sed -n "s/^ *\"$1\": \"\([0-9][0-9.]*\)\".*/\1/p" "$root/package.json" | head -n 1
}

usage() {
  cat <<EOF
Hotwheels: a publish/subscribe server over TCP for Deno and Bun, and bots that
prove how fast it is.

Usage:
  hotwheels [--runtime deno|bun] COMMAND [ARGUMENT ...]
  hotwheels COMMAND --help

Commands:
$(echo "$commands" | sed 's/^/  /')
  completion  print a shell's completion: bash, zsh or fish

Flags:
  --runtime R  the runtime, deno or bun (default: Bun if it is installed, else
               Deno, else the Bun that npm fetches); also HOTWHEELS_RUNTIME. It
               may stand behind the command, unless that has one of its own
  -h, --help   print this
  --version    print the version, and the runtime's

Completion, for the shell that you use:
  bash         eval "\$(hotwheels completion bash)"
  zsh          eval "\$(hotwheels completion zsh)"
  fish         hotwheels completion fish | source
EOF
}

# ask PROGRAM: its own path, its name and its version, in a line; fails if it is no runtime that works. A
# version manager's script, npm's wrapper and a link say what they lead to.
ask() {
  question='const { deno, bun } = process.versions;
    console.log(process.execPath, bun === undefined ? "deno" : "bun", bun ?? deno);'
  case ${1##*/} in
    bun*) answer=$("$1" -e "$question" 2>/dev/null) ;;
    *) answer=$("$1" eval --quiet --no-config "$question" 2>/dev/null) ;;
  esac
  [ -n "$answer" ]
}

# find NAME: sets `answer` to the runtime of the checkout, of the project or of the PATH.
find() {
  for folder in "$root/node_modules/.bin" "$root/../../.bin"; do
    [ -x "$folder/$1" ] && ask "$folder/$1" && return
  done
  old=$IFS
  IFS=:
  for folder in $PATH; do
    IFS=$old
    [ -x "${folder:-.}/$1" ] && ask "${folder:-.}/$1" && return
  done
  IFS=$old
  return 1
}

# fetch NAME: sets `answer` to the pinned runtime, from npm or from its cache.
fetch() {
  version=$(version_of "$1")
  command -v npm >/dev/null || fail "there is no $1 here, and no npm to fetch it: install $1"
  echo "hotwheels: there is no $1 here; npm fetches $1 $version" >&2
  bin=$(npm exec --yes --package="$1@$version" -- sh -c "command -v $1") ||
    fail "npm can't fetch $1 $version; the lines above say why"
  # Where install scripts don't run, the program lies beside the package that only links to it.
  for program in "$bin" "${bin%/*}"/../@oven/*/bin/bun "${bin%/*}"/../@deno/*/deno; do
    case ${program##*/} in "$1"*) [ -x "$program" ] && ask "$program" && return ;; esac
  done
  fail "the $1 that npm fetched doesn't run"
}

# choose: sets `program`, `name` and `version` of the runtime.
choose() {
  case $runtime in
    '') find bun || find deno || fetch bun ;;
    deno | bun) find "$runtime" || fetch "$runtime" ;;
    *) fail "--runtime must be deno or bun, not \"$runtime\"" 2 ;;
  esac
  version=${answer##* }
  answer=${answer% *}
  name=${answer##* }
  program=${answer% *}
}

# nearest WORD: the command that is a few letters away from it, if there is one.
nearest() {
  echo "$commands" | awk -v word="$1" '
    function least(a, b) { return a < b ? a : b }
    {
      for (j = 0; j <= length(word); j++) row[j] = j
      for (i = 1; i <= length($1); i++) {
        before = row[0]
        row[0] = i
        for (j = 1; j <= length(word); j++) {
          same = substr($1, i, 1) == substr(word, j, 1) ? 0 : 1
          here = least(least(row[j], row[j - 1]) + 1, before + same)
          before = row[j]
          row[j] = here
        }
      }
      if (best == "" || row[length(word)] < distance) { best = $1; distance = row[length(word)] }
    }
    END { if (distance <= 2) print best }'
}

runtime=${HOTWHEELS_RUNTIME:-}
case ${1:-} in
  --runtime=*) runtime=${1#*=} && shift ;;
  --runtime)
    runtime=${2:-}
    shift
    [ $# -eq 0 ] || shift
    [ -n "$runtime" ] || fail "--runtime needs a value: deno or bun" 2
    ;;
esac
command=${1:-}
[ $# -eq 0 ] || shift

case $command in
  '') fail "which command? hotwheels --help lists them" 2 ;;
  -h | --help | help)
    # "help COMMAND" is "COMMAND --help".
    if [ "$command" != help ] || [ -z "${1:-}" ]; then
      usage
      exit
    fi
    command=$1
    set -- --help
    ;;
  --version)
    case ${1:-} in
      --runtime=*) runtime=${1#*=} ;;
      --runtime) runtime=${2:-} && [ -n "$runtime" ] || fail "--runtime needs a value: deno or bun" 2 ;;
    esac
    choose
    echo "hotwheels $(version_of version) ($name $version)"
    exit
    ;;
esac

case $command in
  completion)
    case ${1:-} in
      -h | --help) usage && exit ;;
      bash | zsh | fish) exec cat "$root/cli/completion/hotwheels.$1" ;;
      *) fail "completion is for bash, zsh or fish, not \"${1:-}\"" 2 ;;
    esac
    ;;
esac
if ! echo "$commands" | grep -q "^$command  *[a-z]"; then
  near=$(nearest "$command")
  hint="hotwheels --help lists them"
  [ -z "$near" ] || hint="did you mean $near?"
  fail "there is no command \"$command\"; $hint" 2
fi

# The flag behind the command, up to what is passed on to others.
case $runtime_is_theirs in
  *" $command "*) ;;
  *)
    left=$#
    is_ours=yes
    while [ "$left" -gt 0 ]; do
      argument=$1
      shift
      left=$((left - 1))
      [ "$argument" != -- ] || is_ours=
      case $is_ours$argument in
        yes--runtime=*) runtime=${argument#*=} ;;
        yes--runtime)
          [ "$left" -gt 0 ] || fail "--runtime needs a value: deno or bun" 2
          runtime=$1
          shift
          left=$((left - 1))
          ;;
        *) set -- "$@" "$argument" ;;
      esac
    done
    ;;
esac

task=$(sed -n "s/^ *\"$command\": \"sh cli\/launch\.sh \(.*\)\",*$/\1/p" "$root/deno.json")
# No SIGHUP or SIGUSR2 ends a server before it can listen for that.
case $task in --nohup*) trap '' HUP USR2 ;; esac
choose
case $quiet in
  *" $command "*) ;;
  *) echo "hotwheels: on $name $version" >&2 ;;
esac
[ "$name" = deno ] || exec "$program" run "$root/${task##* }" "$@"
# The command stands where the user stands, whatever npm ran before.
unset INIT_CWD
# The task's words are no patterns for files' names.
set -f
# shellcheck disable=SC2086
exec sh "$root/cli/launch.sh" --deno="$program" $task "$@"
