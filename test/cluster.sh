#!/usr/bin/env bash
# A private PostgreSQL for demo and tests that touches nothing of the system's own.
#
# PostgreSQL finds its libraries and extensions relative to its binary, so a copy of the installed tree is a complete
# installation of which we own everything: `make install` needs no root, and no server of the user's sees our build.
# PostgreSQL refuses to run as root: root hands the directory to the user postgres.
#
#   test/cluster.sh start DIR     copy, build, install, initdb, start (socket only), in DIR (must not exist)
#   test/cluster.sh env DIR       print exports: PGHOST PGPORT PGUSER PGDATABASE PG_CONFIG CLUSTER
#   test/cluster.sh install DIR   build and install this checkout again into DIR's copy
#   test/cluster.sh restart DIR [MODE]   MODE: fast (default) or immediate
#   test/cluster.sh up DIR        start a cluster that is down
#   test/cluster.sh down DIR [MODE]
#   test/cluster.sh stop DIR      stop and remove
#
# CLUSTER_CONF: more lines for postgresql.conf (\n between). PG_CONFIG: the installation to copy (default: Debian's 15).
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)

die() { echo "cluster.sh: $*" >&2; exit 1; }

# Run a command as the one who may run PostgreSQL.
as_owner() {
  if [ "$(id -u)" = 0 ]; then (cd / && setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"); else "$@"; fi
}

installed_pg_config() {
  local c
  for c in ${PG_CONFIG:-} /usr/lib/postgresql/15/bin/pg_config "$(command -v pg_config || true)"; do
    if [ -n "$c" ] && [ -x "$c" ]; then echo "$c"; return; fi
  done
  die "no pg_config found: install postgresql-server-dev-15"
}

# The deepest directory that holds all of these.
common_directory() {
  local above=$1 path
  for path; do
    while [ "${path#"$above"/}" = "$path" ]; do above=${above%/*}; done
  done
  echo "$above"
}

# Copy bin, lib and share of the installed server, or of another copy, so that their relative places stay: pg_config finds
# by them where to install, and would name the original's directories if one were elsewhere.
copy_installation() {
  local dir=$1 cfg bin lib share include prefix
  cfg=$(installed_pg_config)
  bin=$("$cfg" --bindir) lib=$("$cfg" --pkglibdir) share=$("$cfg" --sharedir)
  prefix=$(common_directory "$bin" "$lib" "$share")
  local from
  for from in "$bin" "$lib" "$share"; do
    mkdir -p "$dir/pg${from#"$prefix"}"
    cp -a "$from/." "$dir/pg${from#"$prefix"}/"
  done
  include=$("$cfg" --pkgincludedir)
  mkdir -p "$(dirname "$dir/pg${include#"$prefix"}")"
  ln -sfn "$include" "$dir/pg${include#"$prefix"}"
  echo "$dir/pg${bin#"$prefix"}" > "$dir/bindir"
}

bindir() { cat "$1/bindir"; }

# Build here, install into the private copy.
install_extension() {
  local dir=$1 bin
  bin=$(bindir "$dir")
  case $("$bin/pg_config" --sharedir) in
    "$dir"/*) ;;
    *) die "$bin/pg_config would install outside of $dir" ;;
  esac
  make -s -C "$here" PG_CONFIG="$bin/pg_config" -j"$(nproc)" all
  make -s -C "$here" PG_CONFIG="$bin/pg_config" install >/dev/null
}

pg() { local dir=$1 cmd=$2; shift 2; as_owner "$(bindir "$dir")/$cmd" "$@"; }

up() { pg "$1" pg_ctl -D "$1/data" -l "$1/log" -w -t 60 start >/dev/null || { tail -20 "$1/log" >&2; die "the server did not start"; }; }
down() { pg "$1" pg_ctl -D "$1/data" -m "${2:-fast}" -w -t 60 stop >/dev/null; }

start() {
  local dir=$1
  [ ! -e "$dir" ] || die "$dir exists"
  mkdir -p "$dir"
  copy_installation "$dir"
  if [ "$(id -u)" = 0 ]; then chown postgres: "$dir"; fi
  install_extension "$dir"
  pg "$dir" initdb -D "$dir/data" -A trust -U postgres -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null
  {
    echo "listen_addresses = ''"
    echo "unix_socket_directories = '$dir'"
    echo "port = 5432"
    echo "max_connections = 200"
    printf '%b\n' "${CLUSTER_CONF:-fsync = off}"
  } | as_owner tee -a "$dir/data/postgresql.conf" >/dev/null
  up "$dir"
}

[ $# -ge 2 ] || { sed -n '2,/^set /s/^# \{0,1\}//p' "$0" | sed '$d'; exit 2; }
verb=$1 dir=$2
case $dir in /*) ;; *) dir=$PWD/$dir ;; esac
case $verb in
  start) start "$dir" ;;
  env)
    bin=$(bindir "$dir")
    echo "export PGHOST=$dir PGPORT=5432 PGUSER=postgres PGDATABASE=postgres PG_CONFIG=$bin/pg_config CLUSTER=$dir PATH=$bin:\$PATH"
    ;;
  install) install_extension "$dir" ;;
  up) up "$dir" ;;
  down) down "$dir" "${3:-fast}" ;;
  restart) down "$dir" "${3:-fast}"; up "$dir" ;;
  stop) down "$dir" immediate || true; rm -rf "$dir" ;;
  *) die "unknown verb $verb" ;;
esac
