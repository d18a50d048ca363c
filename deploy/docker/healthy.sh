#!/bin/bash
# Whether a daemon is well: nearside-healthy ADDRESS PORT [PATH=/healthz] asks there. For health checks of containers.
set -eu

exec 3<>"/dev/tcp/$1/$2"
printf 'GET %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n\r\n' "${3:-/healthz}" "$1" "$2" >&3
read -r -t 3 status <&3
echo "$status"
[[ $status == "HTTP/1.1 200 "* ]]
