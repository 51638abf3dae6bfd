#!/bin/sh
# Turns an instance that has this checkout, Node and npm into a server or a bots instance. Run it as root.
# You may run it again after the checkout has changed.
#
#   sh deploy/ec2/install.sh server|bots [commit]
#
# npm fetches the runtimes' programs and the libraries. It compares each with its checksum in the lock files
# and stops if one differs. No install script runs.
set -eu
export HOME="${HOME:-/root}" # cloud-init gives none

role=${1:-}
case $role in
  server | bots) ;;
  *)
    echo "usage: sh install.sh server|bots [commit]" >&2
    exit 2
    ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
home=$(cd "$here/../.." && pwd)
cd "$home"

# The service and the bots run as other users, to whom git would not show the commit.
commit=${2:-$(git rev-parse HEAD)}
echo "$commit" >COMMIT

npm ci --omit=dev --ignore-scripts --no-audit --no-fund
(cd "$here/runtimes" && npm ci --ignore-scripts --no-audit --no-fund)

case $(uname -m) in
  aarch64) deno=@deno/linux-arm64-glibc/deno bun=@oven/bun-linux-aarch64/bin/bun ;;
  x86_64) deno=@deno/linux-x64-glibc/deno bun=@oven/bun-linux-x64/bin/bun ;;
  *)
    echo "install.sh: there are no programs for $(uname -m)" >&2
    exit 1
    ;;
esac
mkdir -p node_modules/.bin
for program in "$deno" "$bun"; do
  path=$here/runtimes/node_modules/$program
  name=$(basename "$program")
  chmod 755 "$path"
  ln -sf "$path" "node_modules/.bin/$name"
  ln -sf "$path" "/usr/local/bin/$name"
  "$path" --version | head -n 1
done

if [ "$role" = server ]; then
  install -m 644 "$here/hotwheels@.service" /etc/systemd/system/
  systemctl daemon-reload
  systemctl enable hotwheels@deno hotwheels@bun
  systemctl restart hotwheels@deno hotwheels@bun
fi
