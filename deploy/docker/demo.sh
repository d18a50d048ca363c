#!/usr/bin/env bash
# Nearside in three regions, in containers: builds, starts, publishes, visits, breaks things, and prints what happened.
#
#   deploy/docker/demo.sh               all of it; the demo goes on running afterwards
#   deploy/docker/demo.sh up            builds the images and starts everything
#   deploy/docker/demo.sh ready         waits until all is up that `docker-compose up` has begun, for 90 s at most
#   deploy/docker/demo.sh visit         a browser in each region: page, times, screenshots in deploy/docker/output
#   deploy/docker/demo.sh drills [NAME...]   breaks things (drills.py --list names them)
#   deploy/docker/demo.sh status        the fleet at a glance
#   deploy/docker/demo.sh find TEXT     all lines of all containers with it: a request's id, a URL
#   deploy/docker/demo.sh down          ends everything; with --volumes its data too
#
# Needs Docker with compose (docker-compose 1.29 or the plugin) and python3; about 4 GiB of disk. While it runs:
# https://localhost:8443 is an edge, localhost:5301 a name server, http://localhost:9090 Prometheus.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
regions=(frankfurt virginia tokyo)
origin_address=10.77.1.21
ready_seconds=90

bold='' red='' green='' plain=''
if [[ -t 1 ]]; then
  bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
fi

step() { printf '%s==>%s %s\n' "$green" "$plain" "$*"; }
fail() {
  printf '%sdemo:%s %s\n' "$red" "$plain" "$*" >&2
  exit 1
}

find_compose() {
  command -v docker >/dev/null || fail "docker is not here; on Debian: apt-get install docker.io docker-compose"
  docker info >/dev/null 2>&1 || fail "docker does not answer: does its daemon run, and may this user talk to it?"
  if docker compose version >/dev/null 2>&1; then
    compose=(docker compose)
  elif command -v docker-compose >/dev/null; then
    compose=(docker-compose)
  else
    fail "docker compose is not here; on Debian: apt-get install docker-compose"
  fi
  compose+=(--project-directory "$here" -f "$here/docker-compose.yml")
}

up() {
  step "building the images (the first time takes a while: it compiles)"
  "${compose[@]}" --profile drill build
  step "starting"
  local began=$SECONDS
  "${compose[@]}" up -d
  step "every container is started after $((SECONDS - began)) s"
  await_published "$began"
  step "ready after $((SECONDS - began)) s, \`up\` included"
}

ready() {
  local began=$SECONDS
  await_published "$began"
  await_healthy "$began"
}

# The service `publish` runs once, when every edge is healthy; its last lines are the receipt. $1: when `up` began.
await_published() {
  local id state code deadline=$(($1 + ready_seconds))
  while true; do
    id=$("${compose[@]}" ps -aq publish 2>/dev/null | head -n 1)
    state=$([[ -z $id ]] || docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$id")
    [[ $state != exited* ]] || break
    if ((SECONDS > deadline)); then
      "${compose[@]}" ps
      fail "after $ready_seconds s the site is not published; \`docker-compose logs\` in $here tells more"
    fi
    sleep 0.5
  done
  code=${state#exited }
  docker logs "$id" 2>&1 | tail -n 12 | sed 's/^/    /'
  # 3: published, but an edge of an earlier start has not confirmed; it catches up by itself.
  ((code == 0 || code == 3)) || fail "the site could not be published (exit code $code)"
}

# Whatever has a health check is healthy, the rest runs or has done its work. $1: when `up` began.
await_healthy() {
  local states unwell deadline=$(($1 + ready_seconds))
  local state='{{if .Health}}{{.Health.Status}}{{else}}{{.Status}} {{.ExitCode}}{{end}}'
  while true; do
    states=$("${compose[@]}" ps -aq | xargs docker inspect --format "{{.Name}} {{with .State}}$state{{end}}")
    # 3 of `publish`: see above.
    unwell=$(grep -vE ' (healthy|running 0|exited [03])$' <<<"$states" || true)
    [[ -n $unwell ]] || break
    ((SECONDS <= deadline)) || fail "after $ready_seconds s not well:"$'\n'"$unwell"
    sleep 0.5
  done
  step "$(wc -l <<<"$states") containers are well"
}

visitor() { "${compose[@]}" exec -T "visitor-$1" "${@:2}"; }

# One line of JSON in, one row out. $1 region, $2 through the edge, $3 direct.
row_of() {
  python3 - "$@" <<'END'
import json, sys

region, edge, direct = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
page = edge["responses"][0]
member = page["cache_status"].split(";")[0].strip('"')
print(f"| {region} | {member} ({page['address']}) | {edge['protocol']} | {edge['first_byte_ms']:.0f} ms | "
      f"{edge['load_ms']:.0f} ms | {direct['load_ms']:.0f} ms |")
problems = [problem for problem in edge["problems"]]
if not member.startswith(region) or edge["protocol"] != "h2" or problems:
    sys.exit(f"{region}: served by {member} over {edge['protocol']}, problems: {problems}")
END
}

visit() {
  local region twin through direct rows=() failed=0 number=1 url=https://www.demo.test/
  mkdir -p "$here/output"
  # The visitors' user writes screenshots there.
  chmod 0777 "$here/output" || fail "$here/output belongs to somebody else: remove it, or run this as that user"
  step "a browser in each region (fresh profile, cold at the visitor; medians of three)"
  for region in "${regions[@]}"; do
    # Both edges of the region have the page before it is measured: answers name them in turn.
    for twin in 11 12; do visitor "$region" visit.py --direct "10.77.$number.$twin" "$url" >/dev/null; done
    number=$((number + 1))
    through=$(visitor "$region" visit.py --runs 3 --screenshot "/output/$region.png" "$url")
    direct=$(visitor "$region" visit.py --runs 3 --direct "$origin_address" "$url")
    rows+=("$(row_of "$region" "$through" "$direct")") || failed=1
  done
  echo
  echo "| visitor in | served by | over | first byte | page loaded | the same, past the edges |"
  echo "|---|---|---|---|---|---|"
  printf '%s\n' "${rows[@]}"
  echo
  echo "Screenshots: $here/output/"
  return "$failed"
}

find_lines() {
  [[ -n ${1:-} ]] || fail "find what? A request's id, as an error page or an access log shows it, or a part of a URL"
  "${compose[@]}" exec -T logs grep -hF -- "$1" /var/log/nearside/all.log
}

status() {
  "${compose[@]}" exec -T edge-frankfurt-1 nearside --config=/shared/client.toml status
}

main() {
  local verb=${1:-all}
  case $verb in
    -h | --help) sed -n '2,15s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 0 ;;
    all | up | ready | visit | drills | status | find | down) ;;
    *) fail "there is no \"$verb\"; --help tells what there is" ;;
  esac
  shift || true
  find_compose
  case $verb in
    all)
      local code=0
      up
      visit || code=1
      step "${bold}drills${plain}"
      python3 "$here/drills.py" || code=1
      exit "$code"
      ;;
    drills) python3 "$here/drills.py" "$@" ;;
    find) find_lines "$@" ;;
    down) "${compose[@]}" --profile drill down "$@" ;;
    *) "$verb" ;;
  esac
}

main "$@"
