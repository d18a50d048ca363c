# shellcheck shell=bash
# Docker for tests that need it: sourced, with `folder` (for logs) and `say` of the script that does. Where Docker
# cannot run, one line says why, and the exit code is 77. NEARSIDE_SKIP_DEPS=1 installs no packages.

: "${folder:?}"
base=debian:bookworm-slim
dockerd_pid=''

cannot() {
  say "Docker cannot run here, nothing was built: $*"
  exit 77
}

install_docker() {
  local program missing=''
  for program in dockerd docker-compose debootstrap iptables; do
    command -v "$program" >/dev/null || missing=1
  done
  [[ -n $missing ]] || return 0
  [[ -z ${NEARSIDE_SKIP_DEPS:-} ]] || cannot "docker.io, docker-compose, iptables or debootstrap is not installed"
  apt-get install -y --no-install-recommends docker.io docker-compose iptables debootstrap >"$folder/apt.log" 2>&1 ||
    cannot "its packages cannot be installed ($folder/apt.log)"
}

# Ours, ended by end_daemon, unless one answers already.
start_daemon() {
  # The builder that is in Debian's docker.io, where there is no newer one.
  docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0 COMPOSE_DOCKER_CLI_BUILD=0
  docker info >/dev/null 2>&1 && return
  dockerd >"$folder/dockerd.log" 2>&1 &
  dockerd_pid=$!
  for _ in $(seq 60); do
    docker info >/dev/null 2>&1 && return
    kill -0 "$dockerd_pid" 2>/dev/null || break
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

end_daemon() {
  [[ -n $dockerd_pid ]] || return 0
  kill "$dockerd_pid" 2>/dev/null || true
  wait "$dockerd_pid" 2>/dev/null || true
}
