#pragma once

// What tests of two models have in common: random histories, smaller ones of what fails.

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <sstream>
#include <string>

namespace nearside::edge {

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
