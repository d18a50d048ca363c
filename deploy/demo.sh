#!/usr/bin/env bash
# The whole of Nearside on one machine: GeoDNS, three edges and an origin on loopback, with a real sample site.
#
#   deploy/demo.sh                       installs, builds, starts, publishes; stays until Ctrl-C
#   deploy/demo.sh ctl status            which processes of the running demo live
#   deploy/demo.sh ctl kill NAME         kill -9 one of geodns, frankfurt, virginia, tokyo, origin
#   deploy/demo.sh ctl stop NAME         SIGTERM: it finishes what it is at, then ends
#   deploy/demo.sh ctl start NAME        starts it again
#   deploy/demo.sh ctl reload NAME       SIGHUP: it reads its configuration anew
#
# Everything is kept in var/demo (or $NEARSIDE_STATE) and used again by the next start. Settings, by environment:
#
#   NEARSIDE_STATE              folder of state, certificates, tokens, logs
#   NEARSIDE_NET=127.0          first half of all addresses: edges at .1.1 .2.1 .3.1, GeoDNS and origin at .0.1
#   NEARSIDE_DNS_PORT=5300      NEARSIDE_DNS_ADMIN_PORT=7053
#   NEARSIDE_TLS_PORT=8443      NEARSIDE_HTTP_PORT=8080       NEARSIDE_ADMIN_PORT=7080      (edges)
#   NEARSIDE_API_PORT=9000      NEARSIDE_ORIGIN_ADMIN_PORT=7090                             (origin)
#   NEARSIDE_BIN                folder of executables to use; nothing is installed or built then
#   NEARSIDE_SKIP_DEPS=1        installs no packages
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
state=${NEARSIDE_STATE:-$root/var/demo}
network=${NEARSIDE_NET:-127.0}
dns_port=${NEARSIDE_DNS_PORT:-5300}
dns_admin_port=${NEARSIDE_DNS_ADMIN_PORT:-7053}
tls_port=${NEARSIDE_TLS_PORT:-8443}
http_port=${NEARSIDE_HTTP_PORT:-8080}
admin_port=${NEARSIDE_ADMIN_PORT:-7080}
api_port=${NEARSIDE_API_PORT:-9000}
origin_admin_port=${NEARSIDE_ORIGIN_ADMIN_PORT:-7090}
bin=${NEARSIDE_BIN:-$root/build/release/bin}

names=(geodns origin frankfurt virginia tokyo)
declare -A address=(
  [geodns]=$network.0.1 [origin]=$network.0.1
  [frankfurt]=$network.1.1 [virginia]=$network.2.1 [tokyo]=$network.3.1
)
declare -A daemon=([geodns]=nearside-geodns [origin]=nearside-origin
  [frankfurt]=nearside-edge [virginia]=nearside-edge [tokyo]=nearside-edge)
declare -A pids=()       # of the processes that this demo started and that live
declare -A log_began=()  # size of a log when its process was started last
ready_seconds=30
stop_seconds=10
python=/usr/bin/python3

bold='' red='' green='' plain=''
if [[ -t 1 ]]; then
  bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
fi

step() { printf '%s==>%s %s\n' "$green" "$plain" "$*"; }
warn() { printf '%sdemo:%s %s\n' "$red" "$plain" "$*" >&2; }
fail() {
  warn "$@"
  exit 1
}
usage() { sed -n '2,22s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

# Runs a long step in a process group of its own and waits, so that a signal to this script ends the step and
# all it has started at once.
step_pid=''
run_step() {
  local code=0
  set -m
  "$@" &
  step_pid=$!
  set +m
  wait "$step_pid" || code=$?
  step_pid=''
  return "$code"
}

abandon_step() {
  trap '' INT TERM HUP
  [[ -z $step_pid ]] || kill -TERM -- "-$step_pid" 2>/dev/null || true
  exit 130
}

# --- ready to start --------------------------------------------------------------------------------------------

install_and_build() {
  [[ -z ${NEARSIDE_BIN:-} ]] || return 0
  [[ -n ${NEARSIDE_SKIP_DEPS:-} ]] || "$root/deploy/install-deps.sh" --build --demo
  local log=$state/log/build.log
  step "building (log: $log)"
  run_step build "$log" || {
    tail -n 30 "$log" >&2
    fail "the build failed (log: $log)"
  }
}

build() {
  (
    cd "$root"
    [[ -f build/release/build.ninja ]] || cmake --preset release
    cmake --build --preset release --target nearside-edge nearside-geodns nearside-origin nearside
  ) 2>&1 | build_progress "$1"
}

# Keeps the build's output in a log; on a terminal one moving line shows how far it is.
build_progress() {
  local terminal=0 line
  [[ -t 1 ]] && terminal=1
  while IFS= read -r line; do
    printf '%s\n' "$line"
    if ((terminal)) && [[ $line == '['* ]]; then printf '\r\033[K  %.90s' "$line" >&3; fi
  done 3>&1 >"$1"
  ((terminal == 0)) || printf '\r\033[K'
}

require_executables() {
  local program
  for program in nearside-edge nearside-geodns nearside-origin nearside; do
    [[ -x $bin/$program ]] || fail "$bin/$program is not there; unset NEARSIDE_BIN to have it built"
  done
}

# One demo a state folder: the lock is held by this shell and ends with it.
lock_state() {
  exec {lock_fd}>>"$state/run/lock"
  if ! flock --nonblock "$lock_fd"; then
    local owner
    owner=$(cat "$state/run/demo.pid" 2>/dev/null || echo unknown)
    fail "a demo is running in $state already (pid $owner); end it by Ctrl-C there, or set NEARSIDE_STATE"
  fi
  echo $$ >"$state/run/demo.pid"
}

check_ports() {
  local taken name arguments=(
    udp "${address[geodns]}" "$dns_port" "GeoDNS" NEARSIDE_DNS_PORT
    tcp "${address[geodns]}" "$dns_port" "GeoDNS" NEARSIDE_DNS_PORT
    tcp "${address[geodns]}" "$dns_admin_port" "GeoDNS's admin pages" NEARSIDE_DNS_ADMIN_PORT
    tcp "${address[origin]}" "$api_port" "the origin's API" NEARSIDE_API_PORT
    tcp "${address[origin]}" "$tls_port" "the origin's visitors" NEARSIDE_TLS_PORT
    tcp "${address[origin]}" "$origin_admin_port" "the origin's admin pages" NEARSIDE_ORIGIN_ADMIN_PORT
  )
  for name in frankfurt virginia tokyo; do
    arguments+=(
      tcp "${address[$name]}" "$tls_port" "HTTPS at $name" NEARSIDE_TLS_PORT
      tcp "${address[$name]}" "$http_port" "HTTP at $name" NEARSIDE_HTTP_PORT
      tcp "${address[$name]}" "$admin_port" "$name's admin pages" NEARSIDE_ADMIN_PORT
    )
  done
  if ! taken=$("$python" "$root/deploy/demo/check_ports.py" "${arguments[@]}"); then
    warn "some ports are not free; nothing was started"
    printf '  %s\n' "${taken//$'\n'/$'\n  '}" >&2
    exit 1
  fi
}

make_tokens() {
  local token
  for token in admin fleet edge; do
    [[ -s $state/$token.token ]] || (umask 077 && openssl rand -hex 24 >"$state/$token.token")
  done
}

# True when the certificate is there and holds for another month.
certificate_holds() {
  [[ -s $1 ]] && openssl x509 -in "$1" -noout -checkend $((30 * 86400)) >/dev/null 2>&1
}

# A local authority that can vouch for names below demo.test only, and one server certificate.
make_certificates() {
  if ! certificate_holds "$state/ca.pem" || [[ ! -s $state/ca.key ]]; then
    step "making a local certificate authority"
    (umask 077 && openssl ecparam -name prime256v1 -genkey -noout -out "$state/ca.key")
    openssl req -x509 -new -key "$state/ca.key" -sha256 -days 3650 -subj "/CN=Nearside demo CA" -out "$state/ca.pem" \
      -addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign,cRLSign" \
      -addext "nameConstraints=critical,permitted;DNS:demo.test"
    rm -f "$state/cert.pem"
  fi
  certificate_holds "$state/cert.pem" && [[ -s $state/key.pem ]] && return
  step "making the server's certificate"
  (umask 077 && openssl ecparam -name prime256v1 -genkey -noout -out "$state/key.pem")
  openssl req -new -key "$state/key.pem" -subj "/CN=www.demo.test" -out "$state/run/cert.csr"
  openssl x509 -req -in "$state/run/cert.csr" -CA "$state/ca.pem" -CAkey "$state/ca.key" -sha256 -days 397 \
    -set_serial "0x$(openssl rand -hex 16)" -out "$state/cert.pem" -extfile <(
      echo "basicConstraints=critical,CA:FALSE"
      echo "keyUsage=critical,digitalSignature"
      echo "extendedKeyUsage=serverAuth"
      echo "subjectAltName=DNS:www.demo.test,DNS:demo.test,DNS:*.demo.test"
    ) 2>/dev/null
}

# The CC0 table of countries, from npm; once.
fetch_countries() {
  [[ -s $state/country.mmdb ]] && return
  step "fetching the CC0 country database"
  local package=@ip-location-db/geo-whois-asn-country-mmdb tarball
  tarball=$("$python" "$root/deploy/demo/fetch_npm.py" "$package" "$state/download") ||
    fail "the country database could not be fetched; try again with a network, or put an MMDB file of yours at" \
      "$state/country.mmdb"
  tar -xzf "$tarball" -O package/geo-whois-asn-country.mmdb >"$state/run/country.mmdb"
  mv "$state/run/country.mmdb" "$state/country.mmdb"
}

write_configuration() {
  local name
  fill_in "$root/deploy/demo/geodns.toml" geodns >"$state/etc/geodns.toml"
  fill_in "$root/deploy/demo/demo.test.zone" geodns >"$state/etc/demo.test.zone"
  fill_in "$root/deploy/demo/origin.toml" origin >"$state/etc/origin.toml"
  fill_in "$root/deploy/demo/client.toml" origin >"$state/etc/client.toml"
  for name in frankfurt virginia tokyo; do
    fill_in "$root/deploy/demo/edge.toml" "$name" >"$state/etc/$name.toml"
  done
}

fill_in() {
  sed -e "s|@NAME@|$2|g" -e "s|@ADDRESS@|${address[$2]}|g" -e "s|@STATE@|$state|g" \
    -e "s|@FRANKFURT@|${address[frankfurt]}|g" -e "s|@VIRGINIA@|${address[virginia]}|g" \
    -e "s|@TOKYO@|${address[tokyo]}|g" \
    -e "s|@DNS_ADDRESS@|${address[geodns]}|g" -e "s|@ORIGIN_ADDRESS@|${address[origin]}|g" \
    -e "s|@DNS_PORT@|$dns_port|g" -e "s|@DNS_ADMIN_PORT@|$dns_admin_port|g" -e "s|@TLS_PORT@|$tls_port|g" \
    -e "s|@HTTP_PORT@|$http_port|g" -e "s|@ADMIN_PORT@|$admin_port|g" -e "s|@API_PORT@|$api_port|g" \
    -e "s|@ORIGIN_ADMIN_PORT@|$origin_admin_port|g" "$1"
}

# --- the processes ---------------------------------------------------------------------------------------------

# Starts one daemon in a session of its own, so that Ctrl-C reaches this script alone; should the script be
# killed outright, the kernel ends the daemon.
start() {
  local name=$1 log=$state/log/$1.log
  log_began[$name]=$(stat -c %s "$log" 2>/dev/null || echo 0)
  setsid setpriv --pdeathsig TERM "$bin/${daemon[$name]}" --config "$state/etc/$name.toml" \
    {lock_fd}>&- {control_fd}>&- </dev/null >>"$log" 2>&1 &
  pids[$name]=$!
  echo "${pids[$name]}" >"$state/run/$name.pid"
}

log_since_start() {
  tail -c "+$((log_began[$1] + 1))" "$state/log/$1.log"
}

# True when the log of $1 says ready after its first $2 bytes.
says_ready() {
  grep -q 'event=ready' < <(tail -c "+$(($2 + 1))" "$state/log/$1.log")
}

# Waits for event=ready; false when the daemon ended or takes too long.
await_ready() {
  local name=$1 deadline=$((SECONDS + ready_seconds))
  until says_ready "$name" "${log_began[$name]}"; do
    if ! kill -0 "${pids[$name]}" 2>/dev/null || ((SECONDS > deadline)); then
      return 1
    fi
    sleep 0.05
  done
}

start_all() {
  local name
  step "starting ${names[*]}"
  for name in "${names[@]}"; do
    [[ ! -f $state/log/$name.log ]] || mv "$state/log/$name.log" "$state/log/$name.log.1"
    start "$name"
  done
  for name in "${names[@]}"; do
    if ! await_ready "$name"; then
      warn "$name did not become ready; its log ($state/log/$name.log) ends:"
      log_since_start "$name" | tail -n 15 | sed 's/^/  /' >&2
      exit 1
    fi
  done
}

# Called while the demo runs: says so when a process has ended, and goes on.
note_deaths() {
  local name code
  for name in "${!pids[@]}"; do
    kill -0 "${pids[$name]}" 2>/dev/null && continue
    code=0
    wait "${pids[$name]}" 2>/dev/null || code=$?
    local how="ended with exit code $code"
    ((code <= 128)) || how="was ended by SIG$(kill -l $((code - 128)))"
    warn "$name (pid ${pids[$name]}) $how; start it again: deploy/demo.sh ctl start $name"
    log_since_start "$name" | tail -n 5 | sed 's/^/  /' >&2
    unset "pids[$name]"
    rm -f "$state/run/$name.pid"
  done
}

stop_all() {
  trap '' INT TERM HUP
  local name deadline=$((SECONDS + stop_seconds))
  [[ ${#pids[@]} -eq 0 ]] || step "stopping ${!pids[*]}"
  for name in "${!pids[@]}"; do
    kill -TERM "${pids[$name]}" 2>/dev/null || true
  done
  for name in "${!pids[@]}"; do
    while kill -0 "${pids[$name]}" 2>/dev/null && ((SECONDS < deadline)); do
      sleep 0.05
    done
    if kill -KILL "${pids[$name]}" 2>/dev/null; then
      warn "$name did not end within $stop_seconds s of SIGTERM and was killed"
    fi
    wait "${pids[$name]}" 2>/dev/null || true
    rm -f "$state/run/$name.pid"
  done
  rm -f "$state/run/control" "$state/run/demo.pid"
}

# --- the site --------------------------------------------------------------------------------------------------

make_site() {
  step "assembling the sample site"
  run_step "$python" "$root/deploy/demo/make-site.py" "$state/site" --work "$state/download/site" \
    --network "$network" --dns-port "$dns_port" --tls-port "$tls_port" || fail "the site could not be made"
}

# The stamp lies beside the origin's data, so that an emptied origin is filled again.
publish_site() {
  local digest stamp=$state/origin/demo-site.digest
  digest=$(cd "$state/site" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
  if [[ -f $stamp && $(<"$stamp") == "$digest" ]]; then
    return
  fi
  step "publishing the site as www.demo.test"
  local code=0
  "$bin/nearside" --config "$state/etc/client.toml" publish "$state/site" --site demo --wait 10s \
    --host www.demo.test --host demo.test || code=$?
  # 3: published, but an edge of an earlier start has not confirmed; it catches up by itself.
  ((code == 0 || code == 3)) || fail "the site could not be published (exit code $code)"
  echo "$digest" >"$stamp"
}

print_invitation() {
  local short=${state#"$PWD/"} kdig="kdig @${address[geodns]} -p $dns_port www.demo.test A +short"
  local client="${bin#"$PWD/"}/nearside --config $short/etc/client.toml"
  local curl="curl -si --cacert $short/ca.pem --connect-to ::${address[tokyo]}:$tls_port"
  cat <<END

${bold}Nearside is running.${plain} In another terminal:

  ${bold}# who is nearest to Tokyo's university, to Germany, to Cornell?${plain}
  $kdig +subnet=133.11.0.0/16
  $kdig +subnet=84.128.0.0/16
  $kdig +subnet=128.84.0.0/16

  ${bold}# a page from Tokyo: a hit at once, as each edge has fetched what was published${plain}
  $curl https://www.demo.test/ | grep -i -E '^(HTTP|cache-status|age)'

  ${bold}# the fleet at a glance; forget a page everywhere, with a receipt${plain}
  $client status
  $client purge https://www.demo.test/

  ${bold}# a browser that is told where Frankfurt is and trusts this demo's certificate${plain}
  chromium --user-data-dir=\$(mktemp -d) --ignore-certificate-errors-spki-list=$(spki_pin) \\
    --host-resolver-rules='MAP www.demo.test:443 ${address[frankfurt]}:$tls_port' https://www.demo.test/

  ${bold}# a drill: Tokyo dies, Japan is led elsewhere, Tokyo comes back${plain}
  deploy/demo.sh ctl kill tokyo; sleep 3; $kdig +subnet=133.11.0.0/16
  deploy/demo.sh ctl start tokyo; sleep 3; $kdig +subnet=133.11.0.0/16

Logs: $short/log/    Certificate authority: $short/ca.pem    Ctrl-C ends everything.
END
}

# The digest by which Chromium can be told to accept the demo's certificate and no other.
spki_pin() {
  openssl x509 -in "$state/cert.pem" -noout -pubkey | openssl pkey -pubin -outform der |
    openssl dgst -sha256 -binary | base64
}

# --- commands to a running demo --------------------------------------------------------------------------------

# Serves what `ctl` writes into the pipe until a signal says to stop.
serve() {
  local command name
  while ((stopping == 0)); do
    note_deaths
    if read -r -t 0.3 -u "$control_fd" command name; then
      [[ $command == start && -n ${daemon[$name]:-} && -z ${pids[$name]:-} ]] || continue
      start "$name"
      if await_ready "$name"; then step "$name is ready again (pid ${pids[$name]})"; fi
    fi
  done
}

require_name() {
  [[ -n ${daemon[${1:-}]:-} ]] || fail "name one of: ${names[*]}"
}

running_pid() {
  local pid
  pid=$(cat "$state/run/$1.pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null && echo "$pid"
}

await_gone() {
  local deadline=$((SECONDS + ready_seconds))
  while running_pid "$1" >/dev/null; do
    ((SECONDS < deadline)) || fail "$1 still runs after $ready_seconds s"
    sleep 0.05
  done
}

control() {
  local verb=${1:-} name=${2:-} pid
  [[ -p $state/run/control ]] || fail "no demo is running in $state"
  case $verb in
    status)
      for name in "${names[@]}"; do
        if pid=$(running_pid "$name"); then echo "$name running pid=$pid"; else echo "$name stopped"; fi
      done
      ;;
    kill | stop | reload)
      require_name "$name"
      pid=$(running_pid "$name") || fail "$name does not run"
      case $verb in
        kill) kill -KILL "$pid" && await_gone "$name" ;;
        stop) kill -TERM "$pid" && await_gone "$name" ;;
        reload) kill -HUP "$pid" ;;
      esac
      ;;
    start)
      require_name "$name"
      start_by_control "$name"
      ;;
    *) usage && exit 2 ;;
  esac
}

start_by_control() {
  local name=$1 before deadline=$((SECONDS + ready_seconds))
  running_pid "$name" >/dev/null && return
  before=$(stat -c %s "$state/log/$name.log")
  # The demo takes note of a death within a third of a second; asking again until it has does no harm.
  until says_ready "$name" "$before"; do
    ((SECONDS < deadline)) || fail "$name did not become ready; see $state/log/$name.log"
    running_pid "$name" >/dev/null || echo "start $name" >"$state/run/control"
    sleep 0.2
  done
}

# ---------------------------------------------------------------------------------------------------------------

main() {
  case ${1:-} in
    ctl) shift && control "$@" && return ;;
    -h | --help) usage && return ;;
    '') ;;
    *) usage >&2 && exit 2 ;;
  esac
  mkdir -p "$state"/{run,log,etc,download,origin}
  state=$(cd "$state" && pwd)
  trap abandon_step INT TERM HUP
  lock_state
  install_and_build
  require_executables
  check_ports
  make_tokens
  make_certificates
  fetch_countries
  make_site
  write_configuration
  rm -f "$state/run/control"
  mkfifo -m 600 "$state/run/control"
  exec {control_fd}<>"$state/run/control"
  stopping=0
  trap 'stopping=1' INT TERM HUP
  trap stop_all EXIT
  start_all
  publish_site
  print_invitation
  echo "event=demo-ready state=$state url=https://www.demo.test:$tls_port/ dns=${address[geodns]}:$dns_port"
  serve
}

main "$@"
