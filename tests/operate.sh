#!/usr/bin/env bash
# Walks docs/operate.md, command by command, on five servers with systemd: containers that have the package of
# build/release and nothing else of ours (tests/operate.py). Some 15 minutes.
#
# Installs Docker and the writer of the places' table where they are missing, and starts Docker's daemon where none
# answers. Where Docker, or systemd in it, cannot run, one line says why, and the exit code is 77. Everything is in
# build/operate; NEARSIDE_SKIP_DEPS=1 installs no packages; NEARSIDE_KEEP=1 leaves the servers running.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=$PWD/build/operate
image=nearside-plain-server
. tests/support/docker.sh

say() { printf 'operate: %s\n' "$*"; }

# What a provider gives: Debian with systemd and sshd. Root reaches root from everywhere, by a key of this image alone.
build_servers() {
  docker build -q -t "$image" - >"$folder/server.log" <<'END'
FROM debian:bookworm-slim
RUN apt-get update \
  && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
       dbus iproute2 logrotate openssh-client openssh-server systemd systemd-sysv \
  && ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519 \
  && cp ~/.ssh/id_ed25519.pub ~/.ssh/authorized_keys \
  && printf 'Host *\n  StrictHostKeyChecking accept-new\n' >/etc/ssh/ssh_config.d/servers.conf
STOPSIGNAL SIGRTMIN+3
CMD ["/sbin/init"]
END
  docker build -q -t "$image-world" - >"$folder/world.log" <<END
FROM $image
RUN apt-get update \\
  && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \\
       bind9-dnsutils ca-certificates curl knot openssl pebble python3 unbound
END
}

build_package() {
  rm -rf "$folder/package"
  cpack --config build/release/CPackConfig.cmake -B "$folder/package" >"$folder/cpack.log" 2>&1 ||
    { tail -n 20 "$folder/cpack.log" && return 1; }
  package=$(find "$folder/package" -maxdepth 1 -name 'nearside_*.deb')
}

# For deploy/docker/places.pl, which runs here.
install_writer() {
  perl -MMaxMind::DB::Writer::Tree -e 1 2>/dev/null && return
  [[ -z ${NEARSIDE_SKIP_DEPS:-} ]] || { say "libmaxmind-db-writer-perl is not installed" && return 1; }
  apt-get install -y --no-install-recommends libmaxmind-db-writer-perl >"$folder/writer.log" 2>&1
}

main() {
  local code=0
  mkdir -p "$folder"
  install_docker
  install_writer
  trap end_daemon EXIT
  start_daemon
  get_base
  build_servers
  build_package
  python3 tests/operate.py "$package" "$image" || code=$?
  ((code != 77)) || cannot "systemd does not start in a container"
  exit "$code"
}

main
