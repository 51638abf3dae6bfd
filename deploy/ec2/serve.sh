#!/bin/sh
# Started by the unit hotwheels@: runs the server on the runtime after which the unit is named.
#
#   sh deploy/ec2/serve.sh deno|bun [flags of the server]
#
# HOTWHEELS_PORT is the port, 8081 for Deno and 8082 for Bun unless set.
set -eu
cd "$(dirname "$0")/../.."
PATH=$PWD/node_modules/.bin:$PATH
runtime=${1:-}
case $runtime in
  deno | bun) shift ;;
  *)
    echo "usage: sh serve.sh deno|bun [flags of the server]" >&2
    exit 2
    ;;
esac

if [ "$runtime" = deno ]; then
  # With the permissions and the memory of the task `serve`.
  exec sh cli/hotwheels.sh serve --runtime deno --port "${HOTWHEELS_PORT:-8081}" "$@"
fi
# The output is a list of variables, none of which holds a blank.
facts=$(sh host/facts.sh)
# shellcheck disable=SC2086
exec env $facts bun run server/main.ts --port "${HOTWHEELS_PORT:-8082}" "$@"
