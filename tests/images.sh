#!/usr/bin/env bash
# Builds the demo's images from the programs in build/release, starts its three regions, runs drills, ends it all.
#
#   tests/images.sh [DRILL...]    by default four; deploy/docker/drills.py --list names them all
#   tests/images.sh --source      the images as users build them: the Dockerfile compiles (some minutes more)
#
# Installs Docker where it is missing, and starts its daemon where none answers. Where Docker cannot run, one line says
# why, and the exit code is 77. Everything is in build/images; NEARSIDE_SKIP_DEPS=1 installs no packages.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=$PWD/build/images
base=debian:bookworm-slim
started=''
default_drills=(edge-killed origin-replica-killed origins-killed region-cut-off)

say() { printf 'images: %s\n' "$*"; }

cannot() {
  say "Docker cannot run here, nothing was built: $*"
  exit 77
}

install() {
  command -v dockerd docker-compose debootstrap iptables >/dev/null && return
  [[ -z ${NEARSIDE_SKIP_DEPS:-} ]] || cannot "docker.io, docker-compose, iptables or debootstrap is not installed"
  apt-get install -y --no-install-recommends docker.io docker-compose iptables debootstrap >"$folder/apt.log" 2>&1 ||
    cannot "its packages cannot be installed ($folder/apt.log)"
}

start_daemon() {
  docker info >/dev/null 2>&1 && return
  dockerd >"$folder/dockerd.log" 2>&1 &
  started=$!
  for _ in $(seq 60); do
    docker info >/dev/null 2>&1 && return
    kill -0 "$started" 2>/dev/null || break
    sleep 0.5
  done
  cannot "its daemon does not start: $(tail -n 1 "$folder/dockerd.log")"
}

# From a registry; where none can be reached, the same made of Debian's packages.
get_base() {
  docker image inspect "$base" >/dev/null 2>&1 && return
  timeout 60 docker pull "$base" >"$folder/pull.log" 2>&1 && return
  say "no registry: $base is made by debootstrap"
  local root=$folder/root
  rm -rf "$root"
  debootstrap --variant=minbase bookworm "$root" >"$folder/debootstrap.log" 2>&1
  # As the public image has it: with updates, from where debootstrap has got the rest.
  local mirror
  mirror=$(awk '$1 == "deb" { print $2; exit }' "$root/etc/apt/sources.list")
  mirror=${mirror%/}
  printf 'deb %s main\n' "$mirror bookworm" "$mirror bookworm-updates" "$mirror-security bookworm-security" \
    >"$root/etc/apt/sources.list"
  # The proxy that this machine needs to reach Debian, its image needs too.
  apt-config dump | grep -i '^Acquire::https\?::proxy' >"$root/etc/apt/apt.conf.d/99proxy" || true
  tar -C "$root" -c . | docker import - "$base" >/dev/null
  rm -rf "$root"
}

# The tree with a Dockerfile whose first stage has the programs instead of compiling them.
use_release() {
  local tree=$folder/tree out=$folder/built/out program
  rm -rf "$tree" "$folder/built"
  mkdir -p "$tree" "$out"
  for program in nearside nearside-edge nearside-geodns nearside-origin; do
    strip -o "$out/$program" "build/release/bin/$program"
  done
  g++ -std=c++20 -O2 -o "$folder/built/long_haul" deploy/docker/long_haul.cc
  deploy/docker/packages-of.sh "$out"/* >"$folder/built/packages"
  printf 'FROM scratch\nCOPY . /\n' | docker build -q -t nearside-built -f - "$folder/built" >/dev/null
  cp -r deploy .dockerignore "$tree/"
  awk '/^FROM / { inside = / AS build$/ }
       inside { if (!told++) print "FROM nearside-built AS build\n"; next }
       { print }' deploy/docker/Dockerfile >"$tree/deploy/docker/Dockerfile"
  demo=$tree/deploy/docker
}

finish() {
  local code=$?
  if ((code != 0 && code != 77)); then
    docker ps -a --format '{{.Names}}: {{.Status}}' || true
  fi
  ((code == 77)) || "$demo/demo.sh" down --volumes >"$folder/down.log" 2>&1 || true
  [[ -z $started ]] || kill "$started" 2>/dev/null || true
  [[ -z $started ]] || wait "$started" 2>/dev/null || true
  exit "$code"
}

main() {
  local source='' drills
  if [[ ${1:-} == --source ]]; then
    source=1
    shift
  fi
  drills=("$@")
  (($# > 0)) || drills=("${default_drills[@]}")
  mkdir -p "$folder"
  demo=$PWD/deploy/docker
  install
  # The builder that is in Debian's docker.io, where there is no newer one.
  docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0 COMPOSE_DOCKER_CLI_BUILD=0
  trap finish EXIT
  start_daemon
  get_base
  [[ -n $source ]] || use_release
  say "building"
  "$demo/demo.sh" up >"$folder/up.log" 2>&1 || { tail -n 30 "$folder/up.log" && return 1; }
  tail -n 4 "$folder/up.log"
  "$demo/demo.sh" drills "${drills[@]}"
  say "${#drills[@]} drills passed"
}

main "$@"
