#!/usr/bin/env bash
# What takes longer than CI has: run by hand, for some hours; figures go to docs/ with their date.
#
#   tests/long.sh [tidy] [policy] [sim] [storage] [churn] [objects] [system] [fuzz] [operate] [images]    all by default
#
#   tidy     clang-tidy over every source
#   policy   three million random histories through the caching policy and its model, a hundred thousand through an edge
#   sim      50,000 seeds of the simulated fleet (NEARSIDE_SIM_SEEDS), other ones each day
#   storage  200 SIGKILLs of the cache's store, 100 of the origin's metadata, thousands of modelled power cuts
#   churn    an hour of churn on a store of 10 GiB (NEARSIDE_CHURN_SECONDS), and all hit ratios
#   objects  ten million small objects: RAM by the object, start, purges (16 GB of disk)
#   system   the system tests with hundreds of kills, gigabyte uploads, thousands of bent requests, three times;
#            once more with asan, those included that tests/run.sh leaves out there
#   fuzz     30 minutes of fuzzing (NEARSIDE_FUZZ_SECONDS)
#   operate  every command of docs/operate.md, on five servers with systemd (Docker)
#   images   the demo's images as users build them, from the source, and every drill (Docker)
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
failed=0

say() { printf '==> %s (%s)\n' "$*" "$(date +%H:%M:%S)"; }

build_release() { cmake --preset release >/dev/null && cmake --build --preset release; }

long_policy() {
  build_release || return 1
  NEARSIDE_LONG=1 ctest --test-dir build/release --tests-regex '^edge_(policy|site)_model_test$' \
    --output-on-failure --verbose
}

long_sim() {
  build_release || return 1
  NEARSIDE_SIM_SEEDS=${NEARSIDE_SIM_SEEDS:-50000} build/release/tests/sim_test --gtest_filter='SimTest.*' \
    --first="$(date +%Y%m%d000000)"
}

long_storage() {
  build_release || return 1
  NEARSIDE_LONG=1 ctest --test-dir build/release --tests-regex '^storage_(kill|power_cut)_test$' --output-on-failure \
    --verbose || return 1
  NEARSIDE_LONG=1 build/release/tests/storage_state_test --gtest_filter='*MetadataCollectionKillTest.*'
}

# Figures are printed and kept in build/long/.
long_churn() {
  build_release || return 1
  mkdir -p build/long
  build/release/tests/hit_ratio | tee build/long/hit_ratio.txt || return 1
  build/release/tests/store_churn build/long/churn --fresh --probe --seconds "${NEARSIDE_CHURN_SECONDS:-3600}" --json |
    tee build/long/store_churn.txt
}

long_objects() {
  local code=0
  { build_release && mkdir -p build/long; } || return 1
  build/release/tests/store_lookup build/long/objects --objects 10000000 --body 300 --disk 102400 --sparse |
    tee build/long/store_lookup.txt || code=1
  rm -rf build/long/objects
  return "$code"
}

long_system() {
  build_release || return 1
  NEARSIDE_LONG=1 ctest --test-dir build/release --label-regex system --output-on-failure --timeout 3600 \
    --repeat-until-fail 3 || return 1
  cmake --preset asan >/dev/null && cmake --build --preset asan || return 1
  ctest --test-dir build/asan --label-regex system --output-on-failure
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

# Where Docker cannot run, their line says so, and that is no failure.
long_operate() {
  local code=0
  build_release || return 1
  tests/operate.sh || code=$?
  ((code == 0 || code == 77))
}

long_images() {
  local code=0 drills
  mapfile -t drills < <(deploy/docker/drills.py --list | awk '{ print $1 }')
  tests/images.sh --source "${drills[@]}" || code=$?
  ((code == 0 || code == 77))
}

parts=("$@")
((${#parts[@]} > 0)) || parts=(tidy policy sim storage churn objects system fuzz operate images)
for part in "${parts[@]}"; do
  case $part in
    tidy) say tidy && { tests/tidy/run-clang-tidy.sh || failed=1; } ;;
    policy) say policy && { long_policy || failed=1; } ;;
    sim) say sim && { long_sim || failed=1; } ;;
    storage) say storage && { long_storage || failed=1; } ;;
    churn) say churn && { long_churn || failed=1; } ;;
    objects) say objects && { long_objects || failed=1; } ;;
    system) say system && { long_system || failed=1; } ;;
    fuzz) say fuzz && { long_fuzz || failed=1; } ;;
    operate) say operate && { long_operate || failed=1; } ;;
    images) say images && { long_images || failed=1; } ;;
    *)
      sed -n '2,17s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 2
      ;;
  esac
done
((failed == 0)) || say "something failed, see above"
exit "$failed"
