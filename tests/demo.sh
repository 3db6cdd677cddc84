#!/usr/bin/env bash
# Shows flockerd at work: three Docker hosts (or the one there is), flockerd with a placement plugin before them, and the
# plain docker CLI. Stays up until Ctrl-C; with DEMO_EXIT=1 it ends after the show. `make demo` builds what it needs.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
flockerd=${FLOCKERD:-$target/release/flockerd}
plugin=${PLUGIN:-$target/wasm32-wasip2/plugin/label_placement.wasm}
export FLOCK_NAME=fldemo FLOCK_NET=10.213.8
work=$(mktemp -d)
backends=()
made=()
flockerd_pid=
prefix=demo-$$

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { printf '\033[36m$ %s\033[0m\n' "$*"; "$@"; }

# Real hosts where network namespaces can be made; they are taken down when the descriptor is closed.
three_hosts() {
  [ "$(id -u)" = 0 ] && unshare --net true 2>/dev/null || return 1
  mkfifo "$work/alive"
  setsid tests/flock.sh hold 3 <"$work/alive" >"$work/hosts" &
  exec 8>"$work/alive"
  until grep -qs ready "$work/hosts"; do
    kill -0 $! 2>/dev/null || { exec 8>&-; return 1; }
    sleep 0.2
  done
  local zones=(meadow meadow hill) name address socket
  while read -r name address socket; do
    backends+=(--backend "$name=tcp://$address,zone=${zones[${#backends[@]} / 2]}")
  done < <(tests/flock.sh addrs)
}

one_host() {
  docker version >/dev/null || { echo "error: neither network namespaces nor a Docker host" >&2; exit 1; }
  docker image inspect busybox:latest >/dev/null 2>&1 || {
    mkdir "$work/root" "$work/root/bin"
    cp "$(command -v busybox)" "$work/root/bin/"
    for applet in sh sleep echo hostname cat; do ln -s busybox "$work/root/bin/$applet"; done
    tar -C "$work/root" -c . | docker import -c 'CMD ["sh"]' - busybox:latest >/dev/null
  }
  backends+=(--backend "here=${DOCKER_HOST:-unix:///var/run/docker.sock},zone=meadow")
}

finish() {
  trap '' INT TERM
  [ ${#made[@]} = 0 ] || docker rm --force --volumes "${made[@]}" >/dev/null 2>&1 || true
  [ -z "$flockerd_pid" ] || { kill "$flockerd_pid" 2>/dev/null; wait "$flockerd_pid" 2>/dev/null; } || true
  exec 8>&-
  tests/flock.sh wait
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 0' INT TERM

start_flockerd() {
  env -u DOCKER_HOST setsid setpriv --pdeathsig TERM "$flockerd" --listen tcp://127.0.0.1:0 --state "$work/state.redb" \
    --plugin "$plugin" "${backends[@]}" >"$work/out" 2>"$work/log" 8>&- &
  flockerd_pid=$!
  until grep -qs DOCKER_HOST "$work/out"; do
    kill -0 "$flockerd_pid" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
    sleep 0.1
  done
  eval "$(head -n 1 "$work/out")"
}

run() {
  made+=("$1")
  show docker run -d --name "$@" busybox sleep 86400
}

say "Starting the Docker hosts"
three_hosts || { say "No hosts of our own here: using the one Docker there is"; one_host; }
say "Starting flockerd before them, with the plugin label-placement"
printf '%s\n' "${backends[@]}" | grep -v -- --backend
start_flockerd
cat "$work/out"

say "Where a container may run is written on it; the plugin finds the host"
run "$prefix-sheep1" -e constraint:zone==meadow
run "$prefix-sheep2" -e constraint:zone==meadow
[ ${#backends[@]} = 2 ] || run "$prefix-goat" -e constraint:zone==hill
run "$prefix-dog"

say "A container that shares another's network must be on its host, whatever the plugin says"
run "$prefix-lamb" --network "container:$prefix-sheep1"

say "One list of all hosts; name@host tells where"
show docker ps --no-trunc --format 'table {{.Names}}\t{{.Status}}\t{{.Image}}'

say "Everything else works as with one host"
show docker exec "$prefix-sheep2" hostname
printf '\033[36m$ echo grass | docker run -i --rm busybox cat\033[0m\n'
echo grass | docker run -i --rm busybox cat

[ -z "${DEMO_EXIT:-}" ] || exit 0
say "It stays up. In another terminal:"
cat "$work/out"
echo "docker ps"
say "Ctrl-C ends it and removes everything"
wait "$flockerd_pid"
