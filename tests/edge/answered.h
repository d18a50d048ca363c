#pragma once

// A request and the origin's answer to it, as the policy sees them, and its decisions as text.

#include <string>
#include <utility>

#include "edge/policy.h"
#include "tests/edge/messages.h"

namespace nearside::edge {

/// The answer arrives at kNow.
struct Answered {
  http::RequestHead request = GetFor("https://www.demo.test/a");
  http::ResponseHead response{.status = 200, .fields = {}};
  milliseconds took{0};  ///< since the request was sent
  SiteSettings site = DefaultSite();

  Answered() = default;
  explicit Answered(http::Fields response_fields, int status = 200) {
    response = {.status = status, .fields = std::move(response_fields)};
  }
  Answered& To(http::Fields request_fields) {
    request.fields = std::move(request_fields);
    return *this;
  }
  Exchanged exchanged() const {
    return {.request = request,
            .response = response,
            .request_time = kNow - took,
            .response_time = kNow,
            .site = site};
  }
};

/// "60s age=5s swr=7s sie=2m must-revalidate guess": what is zero, false or the default is left
/// out.
inline std::string Describe(const Freshness& freshness) {
  std::string text = FormatDuration(freshness.lifetime);
  const auto add = [&text](std::string_view name, milliseconds span, milliseconds usual) {
    if (span != usual) text.append(" ").append(name).append("=").append(FormatDuration(span));
  };
  add("age", freshness.initial_age, {});
  add("swr", freshness.while_revalidate, {});
  add("sie", freshness.if_error, std::chrono::hours(24));
  if (freshness.must_revalidate) text += " must-revalidate";
  if (freshness.always_validate) text += " always-validate";
  if (freshness.heuristic) text += " guess";
  if (freshness.has_validator) text += " validator";
  return text;
}

/// "stored 60s …", or the reason why not.
inline std::string Describe(const StoreDecision& decision) {
  std::string text(ReasonName(decision.reason));
  if (decision.store()) text += " " + Describe(decision.freshness);
  return text;
}

inline std::string Decide(const Answered& answered) {
  return Describe(DecideStore(answered.exchanged()));
}

}  // namespace nearside::edge
