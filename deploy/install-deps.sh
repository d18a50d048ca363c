#!/usr/bin/env bash
# Installs, by apt on Debian 12, what Nearside needs to be built, tested and demonstrated. Nothing is asked,
# nothing is done (in well under a second) when all of it is there.
#
#   deploy/install-deps.sh                     everything
#   deploy/install-deps.sh --build [--test] [--demo]   only these parts
#   deploy/install-deps.sh --list [PARTS]      prints the packages and installs nothing

# shellcheck disable=SC2034  # the three lists are read by name, in main
set -euo pipefail

# Compilers and libraries. Poco's CMake files ask for the headers of zlib, PCRE and SQLite, which libpoco-dev
# brings along; GoogleTest belongs here because the presets configure the tests too.
build_packages=(
  cmake g++ ninja-build pkg-config
  libbrotli-dev libc-ares-dev libcli11-dev libexpected-dev libfmt-dev libjemalloc-dev liblmdb-dev libmaxminddb-dev
  libnghttp2-dev
  libpoco-dev libsodium-dev libspdlog-dev libssl-dev libtomlplusplus-dev libxxhash-dev libzstd-dev nlohmann-json3-dev
  zlib1g-dev libboost1.74-dev libgmock-dev libgtest-dev libldns-dev librapidcheck-dev
)
# The module of TLS ciphers (net/vaes_module.cc), for processors of one kind.
[[ $(uname -m) != x86_64 ]] || build_packages+=(libipsec-mb-dev)
# Clients (four of them of S3), the browser with its certificate store, formatters, and the compiler of sanitizers and
# fuzzers.
test_packages=(
  awscli bind9-dnsutils ca-certificates chromium clang-14 clang-format-14 clang-tidy-14 curl dnsperf iproute2
  knot-dnsutils libclang-rt-14-dev libjpeg-turbo-progs libmaxmind-db-writer-perl libnss3-tools llvm-14
  nghttp2-client openssl procps python3 python3-boto3 python3-cryptography python3-dnspython rclone s3cmd shellcheck
  unbound webp
)
# Certificates, the sample site's pictures, and the commands that the demo prints.
demo_packages=(
  ca-certificates curl iproute2 knot-dnsutils libjpeg-turbo-progs openssl python3 webp
)

usage() {
  sed -n '2,8s/^# \{0,1\}//p' "$0"
}

say() {
  echo "install-deps: $*"
}

fail() {
  echo "install-deps: $*" >&2
  exit 1
}

# Prints the packages of "$@" that are not installed, one a line.
missing_of() {
  local installed
  installed=$(dpkg-query --show --showformat '${Status} ${Package}\n' "$@" 2>/dev/null |
    sed -n 's/^[a-z]* ok installed //p') || true
  comm -23 <(printf '%s\n' "$@" | sort -u) <(sort -u <<<"$installed")
}

require_debian_12() {
  local id='' version='' name='an unknown system'
  if [[ -r /etc/os-release ]]; then
    id=$(. /etc/os-release && echo "${ID:-}")
    version=$(. /etc/os-release && echo "${VERSION_ID:-}")
    name=$(. /etc/os-release && echo "${PRETTY_NAME:-$ID}")
  fi
  if [[ $id != debian || $version != 12 ]] || ! command -v apt-get >/dev/null; then
    fail "this is $name; packages are known for Debian 12 (bookworm) only.
  Install the equivalents of these by hand, then run the build again with NEARSIDE_SKIP_DEPS=1:
  $*"
  fi
}

# How to become root: nothing, or sudo. Fails when neither is possible.
find_root() {
  as_root=()
  if [[ $(id -u) -ne 0 ]]; then
    command -v sudo >/dev/null || fail "installing packages needs root: run this as root, or install sudo"
    sudo -n true 2>/dev/null || say "installing packages needs root; sudo may ask for your password"
    as_root=(sudo)
  fi
  as_root+=(env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a LC_ALL=C)
}

# One moving line on a terminal, nothing elsewhere; everything goes to the log.
show_progress() {
  local terminal=0
  [[ -t 1 ]] && terminal=1
  awk -v log_file="$1" -v terminal="$terminal" '
    { print >> log_file }
    terminal && /^(Get:|Unpacking |Setting up )/ { printf "\r\033[K  %.76s", $0; fflush() }
    END { if (terminal) printf "\r\033[K" }'
}

# What apt says when the mirror is out of reach.
unreachable='Temporary failure resolving|Could not connect|Failed to fetch'
unreachable+='|Unable to locate package|installation candidate'

install_packages() {
  local log apt_options
  log=$(mktemp "${TMPDIR:-/tmp}/nearside-install-deps.XXXXXX.log")
  apt_options=(-o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
  say "installing $# packages (log: $log)"
  printf '  %s\n' "$(echo "$@" | fold -s -w 90 | sed '2,$s/^/  /')"
  # A broken third-party source must not stop us; a mirror out of reach shows itself in the next step.
  "${as_root[@]}" apt-get "${apt_options[@]}" update 2>&1 | show_progress "$log" || true
  if ! "${as_root[@]}" apt-get "${apt_options[@]}" install -y --no-install-recommends "$@" 2>&1 |
    show_progress "$log"; then
    tail -n 15 "$log" | sed 's/^/  /' >&2
    if grep -qE "$unreachable" "$log"; then
      fail "apt could not get the packages: is there a network, and does /etc/apt list a Debian 12 mirror? (log: $log)"
    fi
    fail "apt failed (log: $log)"
  fi
  rm -f "$log"
}

main() {
  local parts=() list=0 packages=() missing
  for argument in "$@"; do
    case $argument in
      --build | --test | --demo) parts+=("${argument#--}") ;;
      --list) list=1 ;;
      -h | --help) usage && exit 0 ;;
      *) usage >&2 && fail "unknown argument: $argument" ;;
    esac
  done
  [[ ${#parts[@]} -gt 0 ]] || parts=(build test demo)
  for part in "${parts[@]}"; do
    local -n named="${part}_packages"
    packages+=("${named[@]}")
    # Another Node (nvm, NodeSource) serves as well, and Debian's would clash with it.
    if [[ $part == test ]] && ! { command -v node && command -v npm; } >/dev/null; then
      packages+=(nodejs npm)
    fi
  done
  mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
  if [[ $list -eq 1 ]]; then
    printf '%s\n' "${packages[@]}"
    exit 0
  fi
  command -v dpkg-query >/dev/null || require_debian_12 "${packages[@]}"
  mapfile -t missing < <(missing_of "${packages[@]}")
  if [[ ${#missing[@]} -eq 0 ]]; then
    say "all ${#packages[@]} packages are installed"
    exit 0
  fi
  require_debian_12 "${packages[@]}"
  find_root
  install_packages "${missing[@]}"
  mapfile -t missing < <(missing_of "${packages[@]}")
  [[ ${#missing[@]} -eq 0 ]] || fail "still missing after the installation: ${missing[*]}"
  say "done"
}

main "$@"
