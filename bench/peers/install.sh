#!/bin/sh
# Installs what the benchmark's opponents need (see README.md beside this file).
#
#   bench/peers/install.sh [--into DIRECTORY] [peer ...]
#
# Without names, all of them. Debian packages by apt-get (as root), and only where the
# program is missing; no service is started or enabled. npm packages go into
# DIRECTORY, by default $INTERLINE_BENCH_PEERS or else <temporary directory>/interline-bench-peers;
# the benchmark looks in the same place. Run twice, it does nothing the second time.
set -eu

ALL="mosquitto aedes ejabberd"
ALL="$ALL nats redis socket.io"
AEDES_VERSION=1.2.0
SOCKET_IO_VERSION=4.8.4

into="${INTERLINE_BENCH_PEERS:-${TMPDIR:-/tmp}/interline-bench-peers}"
if [ "${1:-}" = "--into" ]; then
  into="${2:?--into needs a directory}"
  shift 2
fi

# debian PROGRAM PACKAGE: installs PACKAGE where there is no PROGRAM.
debian() {
  if PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v "$1" >/dev/null; then
    echo "$2: already installed"
    return
  fi
  # Exit code 101 of this program forbids every package to start its service (invoke-rc.d(8)).
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt_install "$2" || {
    apt-get update
    apt_install "$2"
  }
  # Nor at the next boot: the benchmark starts its own.
  update-rc.d "$2" disable || systemctl disable "$2" || true
}

# apt_install PACKAGE: waits while another apt-get is at work.
apt_install() {
  apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$1"
}

# npm_package NAME VERSION: installs the package into $into.
npm_package() {
  if grep -qs "\"version\": \"$2\"" "$into/node_modules/$1/package.json"; then
    echo "$1: already installed in $into"
    return
  fi
  mkdir -p "$into"
  [ -e "$into/package.json" ] || echo '{ "private": true }' >"$into/package.json"
  npm install --prefix "$into" --no-audit --no-fund --ignore-scripts --save-exact "$1@$2"
}

[ $# -gt 0 ] || set -- $ALL
for peer in "$@"; do
  case "$peer" in
    mosquitto) debian mosquitto mosquitto ;;
    ejabberd) debian ejabberdctl ejabberd ;;
    aedes) npm_package aedes "$AEDES_VERSION" ;;
    nats) debian nats-server nats-server ;;
    redis) debian redis-server redis-server ;;
    socket.io) npm_package socket.io "$SOCKET_IO_VERSION" ;;
    *)
      echo "no peer is called $peer; there are: $ALL" >&2
      exit 1
      ;;
  esac
done
