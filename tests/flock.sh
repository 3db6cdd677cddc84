#!/usr/bin/env bash
# Real Docker hosts on one machine, each with a network, an address, processes and mounts of its own, and a registry.
#   flock.sh install     what it needs from Debian
#   flock.sh hold N      removes what an earlier run left, starts node1..nodeN and the registry, prints `ready`, and takes
#                        everything down when its standard input ends; only one at a time, others wait for their turn
#   flock.sh stop I      node I loses power;  flock.sh start I   brings it back
#   flock.sh pause I     node I's daemon hangs;  flock.sh resume I
#   flock.sh addrs       NAME ADDRESS SOCKET, one node a line
#   flock.sh down        removes everything at once
#   flock.sh wait        returns when no `hold` is left
# FLOCK_NAME and FLOCK_NET keep two flocks on one machine apart. Needs root.
set -euo pipefail
NAME=${FLOCK_NAME:-fld}
NET=${FLOCK_NET:-10.213.7}
DIR=${FLOCK_DIR:-/var/tmp/flockerd-$NAME}
LOCK=/run/lock/flockerd-$NAME.lock

install_packages() {
  local missing=() p
  while read -r command p; do
    command -v "$command" >/dev/null || missing+=("$p")
  done <<<"dockerd docker.io
ip iproute2
iptables iptables
nsenter util-linux
docker-registry docker-registry
htpasswd apache2-utils
nginx nginx
openssl openssl
pgrep procps
podman podman
python3 python3"
  # `ldd` succeeds for a busybox with libraries, which would not run inside an image.
  if ! command -v busybox >/dev/null || ldd "$(command -v busybox)" >/dev/null 2>&1; then missing+=(busybox-static); fi
  if [ ${#missing[@]} -gt 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # Debian's packages would start a daemon of their own where there is an init system; nothing here needs it.
    # nginx would take port 80.
    if [[ " ${missing[*]} " == *" nginx "* ]] && [ -d /run/systemd/system ]; then systemctl mask nginx; fi
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  fi
  # From Debian 13 on the client is a package of its own.
  command -v docker >/dev/null || apt-get install -y -qq --no-install-recommends docker-cli >/dev/null
}

address() { echo "$NET.$((10 + $1))"; }
docker_at() { local i=$1; shift; env -u DOCKER_HOST -u DOCKER_CONTEXT docker -H "unix://$DIR/node$i/docker.sock" "$@"; }

# The process in a pid file, if it is still the one that this script started there.
alive() {
  local pid
  pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] && grep -qs "$DIR" "/proc/$pid/cmdline" && echo "$pid"
}

daemon_of() {
  local node inner
  node=$(alive "$DIR/node$1/pid") || { echo "node$1 does not run" >&2; return 1; }
  inner=$(pgrep -P "$node")
  pgrep -P "$inner" -x dockerd
}

make_bridge() {
  ip link show "${NAME}0" >/dev/null 2>&1 && return
  ip link add "${NAME}0" type bridge
  ip addr add "$NET.1/24" dev "${NAME}0"
  ip link set "${NAME}0" up
}

make_network() {
  local i=$1 ns=$NAME$1
  [ -e "/run/netns/$ns" ] && return
  ip netns add "$ns"
  ip link add "${NAME}v$i" type veth peer name eth0 netns "$ns"
  ip link set "${NAME}v$i" master "${NAME}0" up
  ip -n "$ns" addr add "$(address "$i")/24" dev eth0
  ip -n "$ns" link set eth0 up
  ip -n "$ns" link set lo up
  ip -n "$ns" route add default via "$NET.1"
}

# What a node runs: its own containerd (never the machine's), then the daemon. The shell stays to collect orphans.
node_main() {
  local i=$1 node=$DIR/node$1
  containerd --config "$node/containerd.toml" >>"$node/log" 2>&1 &
  until [ -S "$node/containerd.sock" ]; do read -rt 0.05 <> <(:) || true; done
  dockerd --data-root "$node/data" --exec-root "$node/exec" --pidfile "$node/dockerd.pid" \
    --containerd "$node/containerd.sock" --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$NAME" \
    -H "unix://$node/docker.sock" -H "tcp://0.0.0.0:2375" --tls=false --insecure-registry "$NET.0/24" \
    --label "node=node$i" >>"$node/log" 2>&1 &
  wait
}

launch() {
  local i=$1 node=$DIR/node$1
  mkdir -p "$node"
  make_network "$i"
  rm -f "$node/docker.sock" "$node/containerd.sock" "$node/dockerd.pid"
  cat >"$node/containerd.toml" <<TOML
version = 2
root = "$node/containerd/root"
state = "$node/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "$node/containerd.sock"
TOML
  # A process namespace and a mount namespace: when the first process is killed, all of the node is gone, mounts too.
  env -i PATH="$PATH" FLOCK_NAME="$NAME" FLOCK_NET="$NET" FLOCK_DIR="$DIR" setsid nsenter --net="/run/netns/$NAME$i" \
    unshare --mount --pid --fork --kill-child --mount-proc bash "$0" node "$i" "$DIR" </dev/null >>"$node/log" 2>&1 9>&- &
  echo $! >"$node/pid"
  disown
}

await() {
  local i=$1
  for _ in $(seq 300); do
    docker_at "$i" version >/dev/null 2>&1 && return
    alive "$DIR/node$i/pid" >/dev/null || break
    sleep 0.1
  done
  echo "node$i did not start; the end of its log:" >&2
  tail -n 40 "$DIR/node$i/log" >&2
  return 1
}

power_off() {
  local pid
  pid=$(alive "$DIR/node$1/pid") || return 0
  kill -CONT $(daemon_of "$1" 2>/dev/null) 2>/dev/null || true
  kill -KILL "$pid"
  for _ in $(seq 100); do [ -d "/proc/$pid" ] || break; sleep 0.05; done
  rm -f "$DIR/node$1/pid"
}

make_image() {
  local root=$DIR/rootfs applet
  mkdir -p "$root/bin" "$root/tmp" "$root/etc" "$root/root"
  cp "$(command -v busybox)" "$root/bin/busybox"
  for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -sf busybox "$root/bin/$applet"; done
  tar -C "$root" -cf "$DIR/busybox.tar" .
}

start_registry() {
  local dir=$DIR/registry
  mkdir -p "$dir"
  htpasswd -Bbn flock shepherd >"$dir/htpasswd" 2>/dev/null
  cat >"$dir/config.yml" <<YAML
version: 0.1
storage: {filesystem: {rootdirectory: $dir/data}, delete: {enabled: true}}
http: {addr: "$NET.1:0"}
auth: {htpasswd: {realm: flock, path: $dir/htpasswd}}
YAML
  env -i PATH="$PATH" setsid docker-registry serve "$dir/config.yml" </dev/null >"$dir/log" 2>&1 9>&- &
  echo $! >"$dir/pid"
  disown
  for _ in $(seq 100); do
    grep -o "listening on $NET.1:[0-9]*" "$dir/log" | head -n 1 | sed 's/listening on //' >"$dir/address"
    [ -s "$dir/address" ] && return
    sleep 0.05
  done
  echo "the registry did not start:" >&2
  tail -n 20 "$dir/log" >&2
  return 1
}

up() {
  local i
  mkdir -p "$DIR"
  make_bridge
  for i in $(seq "$1"); do launch "$i"; done
  make_image
  start_registry
  for i in $(seq "$1"); do
    await "$i"
    docker_at "$i" import -c 'CMD ["sh"]' "$DIR/busybox.tar" busybox:latest >/dev/null
  done
}

down() {
  local node pid ns
  for node in "$DIR"/node*/; do [ -d "$node" ] && node=${node%/} && power_off "${node##*/node}"; done
  pid=$(alive "$DIR/registry/pid") && kill -KILL "$pid"
  for ns in /run/netns/"$NAME"[0-9]*; do [ -e "$ns" ] && ip netns del "${ns##*/}"; done
  ip link del "${NAME}0" 2>/dev/null || true
  find /sys/fs/cgroup -depth -type d \( -path "*/$NAME" -o -path "*/$NAME/*" \) -exec rmdir {} + 2>/dev/null || true
  rm -rf "$DIR"
}

hold() {
  trap '' INT TERM HUP
  exec 9>"$LOCK"
  flock -n 9 || { echo "waiting for another run's hosts to be gone" >&2; flock -w 900 9; }
  down
  if up "$1"; then
    echo ready
    exec >/dev/null
    cat >/dev/null || true
  else
    down
    exit 1
  fi
  down
}

case ${1:-} in
  install) install_packages ;;
  hold) hold "$2" ;;
  node) node_main "$2" ;;
  start) launch "$2"; await "$2" ;;
  stop) power_off "$2" ;;
  pause) kill -STOP "$(daemon_of "$2")" ;;
  resume) kill -CONT "$(daemon_of "$2")" ;;
  addrs) for node in "$DIR"/node*/; do node=${node%/}; i=${node##*node}; echo "node$i $(address "$i"):2375 $node/docker.sock"; done ;;
  down) down ;;
  wait) exec 9>"$LOCK"; flock -w 120 9 ;;
  *) sed -n '2,12p' "$0"; exit 2 ;;
esac
