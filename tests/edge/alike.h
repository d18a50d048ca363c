#pragma once

// What tests of two models have in common: random histories, smaller ones of what fails.

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>

namespace nearside::edge {

/// Of the usual run: the same histories each day, so that what a random one finds is found by the
/// long run and not by whoever has changed something else; others where RC_PARAMS asks for them.
inline rc::detail::TestParams ParamsOfRun(int usual, int long_run) {
  rc::detail::TestParams params = rc::detail::configuration().testParams;
  const char* wanted = std::getenv("NEARSIDE_LONG");
  const bool is_long = wanted != nullptr && std::string_view(wanted) == "1";
  if (!is_long && std::getenv("RC_PARAMS") == nullptr) params.seed = 9110;
  params.maxSuccess = is_long ? long_run : usual;
  return params;
}

/// Plays histories by `params` until `difference_in` has something to say of one.
template <typename History, typename DifferenceIn>
void ExpectNoDifference(const rc::Gen<History>& histories, const rc::detail::TestParams& params,
                        const DifferenceIn& difference_in) {
  SCOPED_TRACE("RC_PARAMS=\"seed=" + std::to_string(params.seed) + "\"");
  const rc::detail::TestResult result = rc::detail::checkTestable(
      [&] {
        const std::string difference = difference_in(*histories);
        if (!difference.empty()) RC_FAIL(difference);
      },
      rc::detail::TestMetadata(), params);
  std::ostringstream text;
  rc::detail::printResultMessage(result, text);
  ASSERT_TRUE(result.is<rc::detail::SuccessResult>()) << text.str();
}

}  // namespace nearside::edge
