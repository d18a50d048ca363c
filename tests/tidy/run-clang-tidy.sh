#!/usr/bin/env bash
# clang-tidy over the product's sources: slow, so by hand or from tests/long.sh.
#
#   tests/tidy/run-clang-tidy.sh [--changed] [FILE...]     --changed: what differs from the last commit
#
# Compile commands come from build/dev, configured when absent.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[[ -f build/dev/compile_commands.json ]] || cmake --preset dev >/dev/null
if [[ ${1:-} == --changed ]]; then
  mapfile -t files < <(git diff --name-only HEAD -- '*.cc' && git ls-files --others --exclude-standard -- '*.cc')
elif (($# > 0)); then
  files=("$@")
else
  mapfile -t files < <(find runtime net dns http storage edge geodns origin cli -name '*.cc' | sort)
fi
if ((${#files[@]} == 0)); then
  echo "clang-tidy: nothing to look at"
  exit 0
fi
echo "clang-tidy: ${#files[@]} files"
printf '%s\0' "${files[@]}" |
  xargs -0 -n 4 -P "$(nproc)" clang-tidy-14 -p build/dev --quiet --extra-arg=-Wno-unknown-warning-option
