#!/bin/sh
# Install, by the system's package manager, what building and testing need and is missing. Asks for nothing when
# nothing is missing; uses sudo when not root; says what to install where it cannot.
#   test/dependencies.sh [build|test|interop]   install what is missing (default: test)
#   test/dependencies.sh --list                 print the packages needed to build
# PG_CONFIG in the environment names the PostgreSQL to use, 15 to 18; Debian's 15 is then not asked for.
set -eu

server="postgresql-15 postgresql-server-dev-15"
if [ -n "${PG_CONFIG:-}" ] && [ -x "$PG_CONFIG" ]; then server=; fi

packages="make gcc libc6-dev pkg-config curl openssl ca-certificates
  $server
  libssl-dev libcurl4-openssl-dev libevent-dev libxml2-dev libicu-dev"

case ${1:-test} in
  --list) printf '%s\n' $packages; exit 0 ;;
  build) ;;
  test) packages="$packages perl python3 clang libclang-rt-dev" ;;
  interop) command -v npm >/dev/null || packages="$packages nodejs npm" ;;
  *) echo "usage: test/dependencies.sh [build|test|interop|--list]" >&2; exit 2 ;;
esac

missing=
for p in $packages; do
  dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q '^install ok installed$' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
  root=
elif command -v sudo >/dev/null 2>&1; then
  root=sudo
else
  echo "missing packages, and neither root nor sudo here; as root run:" >&2
  echo "  apt-get install$missing" >&2
  exit 1
fi
echo "installing:$missing"
# A cluster of the distribution's own is not wanted: the tests start a private one.
if [ ! -e /etc/postgresql-common/createcluster.conf ] && ! dpkg-query -W postgresql-common >/dev/null 2>&1; then
  $root mkdir -p /etc/postgresql-common
  echo 'create_main_cluster = false' | $root tee /etc/postgresql-common/createcluster.conf >/dev/null
fi
export DEBIAN_FRONTEND=noninteractive
$root apt-get update -qq
$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
