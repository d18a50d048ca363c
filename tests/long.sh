#!/usr/bin/env bash
# What takes longer than CI has: run by hand, for an hour or so; figures go to docs/ with their date.
#
#   tests/long.sh [tidy] [system] [fuzz]      all three by default
#
#   tidy     clang-tidy over every source
#   system   the system tests with hundreds of kills, gigabyte uploads, thousands of bent requests, three times
#   fuzz     30 minutes of fuzzing (NEARSIDE_FUZZ_SECONDS)
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
failed=0

say() { printf '==> %s (%s)\n' "$*" "$(date +%H:%M:%S)"; }

long_system() {
  cmake --preset release >/dev/null && cmake --build --preset release || return 1
  NEARSIDE_LONG=1 ctest --test-dir build/release --label-regex system --output-on-failure --timeout 3600 \
    --repeat-until-fail 3
}

long_fuzz() {
  local target share log
  cmake --preset fuzz >/dev/null && cmake --build --preset fuzz || return 1
  mapfile -t targets < <(find build/fuzz -type f -executable -name '*_fuzz' | sort)
  ((${#targets[@]} > 0)) || return 1
  share=$((${NEARSIDE_FUZZ_SECONDS:-1800} / ${#targets[@]}))
  mkdir -p build/fuzz-found
  for target in "${targets[@]}"; do
    log=build/fuzz-found/$(basename "$target").log
    mkdir -p "build/fuzz-corpus/$(basename "$target")"
    "$target" -max_total_time="$share" -timeout=10 -rss_limit_mb=2048 -artifact_prefix=build/fuzz-found/ \
      "build/fuzz-corpus/$(basename "$target")" >"$log" 2>&1 || {
      tail -n 30 "$log"
      return 1
    }
  done
}

parts=("$@")
((${#parts[@]} > 0)) || parts=(tidy system fuzz)
for part in "${parts[@]}"; do
  case $part in
    tidy) say tidy && { tests/tidy/run-clang-tidy.sh || failed=1; } ;;
    system) say system && { long_system || failed=1; } ;;
    fuzz) say fuzz && { long_fuzz || failed=1; } ;;
    *)
      sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 2
      ;;
  esac
done
((failed == 0)) || say "something failed, see above"
exit "$failed"
