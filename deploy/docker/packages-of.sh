#!/bin/sh
# Prints the packages that hold the shared libraries of the programs "$@", one a line.
set -eu

for program in "$@"; do
  ldd "$program"
done | awk '$3 ~ /^\// { print $3 }' | sort -u | while read -r library; do
  # /lib is /usr/lib on Debian 12, but dpkg knows a file by the name under which it was packed.
  dpkg-query --search "$library" 2>/dev/null || dpkg-query --search "/usr$library" 2>/dev/null ||
    dpkg-query --search "$(readlink -f "$library")"
done | cut -d: -f1 | sort -u
