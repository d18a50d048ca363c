#!/usr/bin/env bash
# Runs the public suite for HTTP caches, from a checkout of https://github.com/http-tests/cache-tests in which
# `npm install` has been run, against nearside-edge as a plain reverse proxy: one site for every host,
# set_cookie = "store".
#
#   tests/conformance/run.sh CHECKOUT [--optimal N] [--bin FOLDER] [--checks]
#
#   --optimal N   fails when fewer optional cases than these pass (100)
#   --bin FOLDER  where nearside-edge is (build/release/bin)
#   --checks      says of each case that asks for no particular answer what the answer was
#
# Needs node. Exit code: 0 when every required case passes and enough optional ones; 1 when not; 2 when it cannot run.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
suite='' optimal=100 bin=$root/build/release/bin checks=''
wait_tenths=300

fail() {
  echo "conformance: $*" >&2
  exit 2
}
usage() { sed -n '2,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

# wait_for FILE WHAT PID: until a line of the file has WHAT in it, or the process has ended.
wait_for() {
  local tenths
  for ((tenths = 0; tenths < wait_tenths; tenths++)); do
    grep -qs -e "$2" "$1" && return
    kill -0 "$3" 2>/dev/null || break
    sleep 0.1
  done
  cat "$1" >&2
  fail "no line with \"$2\""
}

free_port() {
  node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => {
    console.log(s.address().port); s.close() })'
}

while (($# > 0)); do
  case $1 in
    --optimal) optimal=${2:-} && shift ;;
    --bin) bin=${2:-} && shift ;;
    --checks) checks=--checks ;;
    -h | --help) usage && exit 0 ;;
    -*) usage >&2 && exit 2 ;;
    *) suite=$1 ;;
  esac
  shift
done
[[ -n $suite ]] || { usage >&2 && exit 2; }
[[ $optimal =~ ^[0-9]+$ ]] || fail "--optimal: a number was expected, not \"$optimal\""
suite=$(cd "$suite" 2>/dev/null && pwd) || fail "no such folder: $suite"
[[ -f $suite/test-engine/cli.mjs ]] || fail "$suite is no checkout of cache-tests"
[[ -d $suite/node_modules/undici ]] || fail "run \"npm install\" in $suite first"
[[ -x $bin/nearside-edge ]] || fail "no nearside-edge in $bin: build it, or name its folder with --bin"
command -v node >/dev/null || fail "node is needed"

state=$(mktemp -d)
pids=()
# shellcheck disable=SC2317  # by the trap
finish() {
  ((${#pids[@]} == 0)) || { kill "${pids[@]}" && wait "${pids[@]}"; } 2>/dev/null
  rm -rf "$state"
}
trap finish EXIT

# The suite's server and client take their settings from where npm puts them.
export npm_config_protocol=http npm_config_pidfile=$state/server.pid npm_package_config_id=''
(cd "$suite" && npm_config_port=0 exec node test-engine/server/server.mjs) >"$state/server.log" 2>&1 &
pids+=($!)
wait_for "$state/server.log" 'Listening on' "$!"
origin_port=$(sed -n 's|^Listening on .*:\([0-9]*\)/$|\1|p' "$state/server.log")

edge_port=$(free_port) || fail "no port is free"
cat >"$state/edge.toml" <<TOML
[edge]
name = "edge"
workers = 1
[[listen]]
address = "127.0.0.1:$edge_port"
[cache]
path = "$state/cache"
disk = "256MiB"
memory = "64MiB"
[[site]]
name = "suite"
hosts = ["*"]
origins = ["http://127.0.0.1:$origin_port"]
set_cookie = "store"
TOML
"$bin/nearside-edge" --config "$state/edge.toml" >"$state/edge.log" 2>&1 &
pids+=($!)
wait_for "$state/edge.log" 'event=ready' "$!"

(cd "$suite" && npm_config_base=http://127.0.0.1:$edge_port node --no-warnings test-engine/cli.mjs) \
  >"$state/results.json" 2>"$state/client.log" || {
  cat "$state/client.log" >&2
  fail "the suite did not run to its end"
}
kill -0 "${pids[1]}" 2>/dev/null || {
  cat "$state/edge.log" >&2
  fail "nearside-edge did not survive the suite"
}
node "$root/tests/conformance/score.mjs" "$suite" "$state/results.json" "$optimal" $checks
