#!/bin/sh
# The way between the regions: every container's default gateway is this one's address .254, and what crosses from one
# network to another takes as long as $1 says (long_haul.cc). Needs NET_ADMIN and /dev/net/tun.
set -eu

links=$1
ip tuntap add mode tun name haul0
ip link set haul0 up
# Only what comes in from a region goes through the device; what comes out of it takes the ordinary way.
ip route add 10.77.0.0/16 dev haul0 table 100
ip -4 -o addr show | while read -r _ name _ address _; do
  case $address in
    10.77.*)
      ip addr add "${address%.*}.254/24" dev "$name"
      ip rule add iif "$name" lookup 100
      ;;
  esac
done
exec long_haul haul0 "$links"
