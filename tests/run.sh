#!/usr/bin/env bash
# Installs what is needed, builds every preset, runs every test, and ends with one line of totals.
#
#   tests/run.sh           release (unit, system, tidy), asan (unit, half of system), tsan (threads), fuzz (60 s in
#                          all), and the demo's images with six drills, where Docker can run (tests/images.sh)
#   tests/run.sh --quick   release alone
#
# Logs: build/test-logs/. Exit code: 0 when nothing failed and nothing was skipped. NEARSIDE_SKIP_DEPS=1 installs no
# packages; NEARSIDE_FUZZ_SECONDS is the time of all fuzzers together; NEARSIDE_ALLOW_SKIPS=1 lets tests be skipped.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
logs=$PWD/build/test-logs
fuzz_seconds=${NEARSIDE_FUZZ_SECONDS:-60}
# Of tests at once: half of the time of two on two cores is waiting.
jobs=$(($(nproc) + 1))
# Names of functions in what clang's sanitizers report.
export ASAN_SYMBOLIZER_PATH=/usr/lib/llvm-14/bin/llvm-symbolizer
# Folders whose code runs on several threads.
threaded='^(net|http_session|storage_cache|storage_fault|edge|runtime)_test$'

say() { printf '==> %s (%s)\n' "$*" "$(date +%H:%M:%S)"; }

# A step that is no test of its own: counted as one failure when it fails.
record() {
  local name=$1 code=$2 log=$3
  printf '%s\t%s\t%s\n' "$name" "$code" "$log" >>"$logs/steps.tsv"
}

# build PRESET [TARGETS...]: false, and recorded, when it fails.
build() {
  local preset=$1 log=$logs/$1.build.log code=0
  shift
  say "building $preset"
  { cmake --preset "$preset" && cmake --build --preset "$preset" ${1:+--target "$@"}; } >"$log" 2>&1 || code=$?
  record "build of $preset" "$code" "$log"
  if ((code != 0)); then
    grep -E -A 5 'error:|CMake Error|FAILED:' "$log" | head -n 40
  fi
  return "$code"
}

# run_tests PRESET CTEST-OPTIONS...: one JUnit file a preset, one XML file a test program. Recorded in any case: a
# preset that ran no test is a failure. Outputs are kept whole: totals.py reads their last lines.
run_tests() {
  local preset=$1 code=0
  shift
  say "testing $preset"
  mkdir -p "$logs/$preset"
  GTEST_OUTPUT="xml:$logs/$preset/" ctest --test-dir "build/$preset" --output-junit "$logs/$preset.junit.xml" \
    --output-on-failure --no-tests=error --test-output-size-passed 10000000 --test-output-size-failed 10000000 \
    --parallel "$jobs" "$@" >"$logs/$preset.test.log" 2>&1 || code=$?
  record "tests of $preset" "$code" "$logs/$preset.test.log"
  tail -n 3 "$logs/$preset.test.log" | sed 's/^/    /'
}

# Every fuzz target gets an equal share of the time; what it finds stays beside its log.
run_fuzzers() {
  local target targets share log code
  mapfile -t targets < <(find build/fuzz -type f -executable -name '*_fuzz' | sort)
  if ((${#targets[@]} == 0)); then
    record "fuzz targets" 1 "$logs/fuzz.build.log"
    return
  fi
  share=$((fuzz_seconds / ${#targets[@]}))
  ((share > 0)) || share=1
  say "fuzzing ${#targets[@]} targets, $share s each"
  mkdir -p "$logs/fuzz"
  for target in "${targets[@]}"; do
    log=$logs/fuzz/$(basename "$target").log
    code=0
    mkdir -p "build/fuzz-corpus/$(basename "$target")"
    "$target" -max_total_time="$share" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
      -artifact_prefix="$logs/fuzz/" "build/fuzz-corpus/$(basename "$target")" >"$log" 2>&1 || code=$?
    record "fuzz $(basename "$target")" "$code" "$log"
  done
}

# Counted as one test; where Docker cannot run, one line says so.
run_images() {
  local code=0
  say "building the demo's images, and six drills in them"
  tests/images.sh >"$logs/images.log" 2>&1 || code=$?
  if ((code == 77)); then
    grep 'cannot run' "$logs/images.log"
    return
  fi
  record "images and drills" "$code" "$logs/images.log"
}

main() {
  local quick=0
  case ${1:-} in
    --quick) quick=1 ;;
    '') ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 2 ;;
  esac
  rm -rf "$logs"
  mkdir -p "$logs"
  if [[ -z ${NEARSIDE_SKIP_DEPS:-} ]]; then
    deploy/install-deps.sh --build --test --demo || record "install-deps" 1 "-"
  fi
  build release && run_tests release
  if ((quick == 0)); then
    build asan && run_tests asan --label-exclude 'tidy|long'
    build tsan net_test http_session_test storage_cache_test storage_fault_test edge_test runtime_test &&
      run_tests tsan --tests-regex "$threaded"
    build fuzz fuzzers && run_fuzzers
    run_images
  fi
  /usr/bin/python3 tests/support/totals.py "$logs"
}

main "$@"
