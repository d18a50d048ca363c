#!/usr/bin/env bash
# Builds the demo's images from the programs in build/release, starts its three regions, runs drills, ends it all.
#
#   tests/images.sh [DRILL...]    by default six, and a start by `docker-compose up` alone, as of a clean clone;
#                                 deploy/docker/drills.py --list names all drills
#   tests/images.sh --source [DRILL...]   the images as users build them: the Dockerfile compiles (a quarter of an hour
#                                 on two cores); a browser in each region besides
#
# Installs Docker where it is missing, and starts its daemon where none answers. Where Docker cannot run, one line says
# why, and the exit code is 77. Everything is in build/images; NEARSIDE_SKIP_DEPS=1 installs no packages.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=$PWD/build/images
default_drills=(edge-killed origin-replica-killed origins-killed region-cut-off logs-gathered all-stopped)

. tests/support/docker.sh

say() { printf 'images: %s\n' "$*"; }

# The tree with a Dockerfile whose first stage has the programs instead of compiling them.
use_release() {
  local tree=$folder/tree out=$folder/built/out program
  rm -rf "$tree" "$folder/built"
  mkdir -p "$tree" "$out"
  for program in nearside nearside-edge nearside-geodns nearside-origin; do
    strip -o "$out/$program" "build/release/bin/$program"
  done
  g++ -std=c++20 -O2 -o "$folder/built/long_haul" deploy/docker/long_haul.cc
  mkdir "$folder/built/out-lib"
  [[ ! -d build/release/lib/nearside ]] || strip -o "$folder/built/out-lib/vaes.so" build/release/lib/nearside/vaes.so
  find "$folder/built/out" "$folder/built/out-lib" -type f -exec deploy/docker/packages-of.sh {} + \
    >"$folder/built/packages"
  printf 'FROM scratch\nCOPY . /\n' | docker build -q -t nearside-built -f - "$folder/built" >/dev/null
  cp -r deploy .dockerignore "$tree/"
  awk '/^FROM / { inside = / AS build$/ }
       inside { if (!told++) print "FROM nearside-built AS build\n"; next }
       { print }' deploy/docker/Dockerfile >"$tree/deploy/docker/Dockerfile"
  demo=$tree/deploy/docker
}

# All of it by the one command, from nothing but the images: no volumes, no folder for screenshots.
start_bare() {
  local began=$SECONDS compose=(docker-compose) pid
  ! docker compose version >/dev/null 2>&1 || compose=(docker compose)
  "$demo/demo.sh" down --volumes >"$folder/down.log" 2>&1
  [[ $demo != "$folder"/* ]] || rm -rf "$demo/output"
  (cd "$demo" && exec "${compose[@]}" up) >"$folder/bare.log" 2>&1 &
  pid=$!
  "$demo/demo.sh" ready
  say "\`${compose[*]} up\` alone: all is well after $((SECONDS - began)) s"
  "$demo/demo.sh" down --volumes >"$folder/down.log" 2>&1
  wait "$pid" || true
}

finish() {
  local code=$?
  if ((code != 0 && code != 77)); then
    docker ps -a --format '{{.Names}}: {{.Status}}' | grep -v '(healthy)' || true
    df -h "$folder" /var/lib/docker | sed 's/^/  /' || true
    say "the end of the newest log:"
    tail -n 12 "$(find "$folder" -maxdepth 1 -name '*.log' ! -name dockerd.log -printf '%T@ %p\n' | sort -n |
      awk 'END { print $2 }')" || true
  fi
  ((code == 77)) || "$demo/demo.sh" down --volumes >"$folder/down.log" 2>&1 || true
  end_daemon
  exit "$code"
}

main() {
  local source='' bare='' drills
  if [[ ${1:-} == --source ]]; then
    source=1
    shift
  fi
  drills=("$@")
  (($# > 0)) || { drills=("${default_drills[@]}") && bare=1; }
  mkdir -p "$folder"
  demo=$PWD/deploy/docker
  install_docker
  trap finish EXIT
  start_daemon
  get_base
  [[ -n $source ]] || use_release
  say "building"
  "$demo/demo.sh" up >"$folder/up.log" 2>&1
  tail -n 4 "$folder/up.log"
  [[ -z $source ]] || "$demo/demo.sh" visit
  "$demo/demo.sh" drills "${drills[@]}"
  say "${#drills[@]} drills passed"
  [[ -z $bare ]] || start_bare
}

main "$@"
