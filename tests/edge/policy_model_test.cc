// The policy against a model of its own subject (cache_model.h): random histories of responses,
// requests and validations through both. A difference is a bug in one of them, and the RFC says in
// which. NEARSIDE_LONG=1 makes thousands of histories millions, and random ones;
// RC_PARAMS="seed=…" repeats a run.

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>

#include "edge/answer.h"
#include "tests/edge/alike.h"
#include "tests/edge/answer_model.h"
#include "tests/edge/answered.h"
#include "tests/edge/model_history.h"

namespace nearside::edge {
namespace {

using model::History;
using model::Step;
using model::Tape;
using storage::Validity;

const std::string kVia = "1.1 frankfurt";

http::Fields FieldsOf(const model::Lines& lines) {
  http::Fields fields;
  for (const model::Line& line : lines) fields.Add(line.first, line.second);
  return fields;
}

/// By name: where lines of different names stand to each other means nothing.
std::string Sorted(model::Lines lines) {
  std::stable_sort(lines.begin(), lines.end(),
                   [](const model::Line& a, const model::Line& b) { return a.first < b.first; });
  return TextOf(FieldsOf(lines));
}
model::Lines LinesOf(const http::Fields& fields) {
  model::Lines lines;
  for (const http::FieldLine& line : fields.lines()) lines.emplace_back(line.name, line.value);
  return lines;
}
std::string Sorted(const http::Fields& fields) { return Sorted(LinesOf(fields)); }
/// With the time of arrival as a date.
model::Lines KeptLines(const model::Kept& kept) {
  model::Lines lines = kept.fields;
  for (model::Line& line : lines) {
    if (line.second != model::kTimeOfArrival) continue;
    line.second = http::FormatDate(FromUnixMillis(kept.terms.received));
  }
  return lines;
}
std::string Sorted(const model::Kept& kept) { return Sorted(KeptLines(kept)); }

/// The windows of a response that is never served stale mean nothing.
std::string Text(const Freshness& terms, WallTime drop_at) {
  const auto span = [](std::string_view name, milliseconds value) {
    return std::string(name) + "=" + std::to_string(value.count()) + "ms ";
  };
  std::string text = span("lifetime", terms.lifetime) + span("age", terms.initial_age);
  if (!terms.must_revalidate && !terms.always_validate) {
    text += span("swr", terms.while_revalidate) + span("sie", terms.if_error);
  }
  if (terms.must_revalidate) text += "must-revalidate ";
  if (terms.always_validate) text += "always-validate ";
  if (terms.heuristic) text += "guess ";
  if (terms.has_validator) text += "validator ";
  return text + "from " + FormatIsoTime(terms.response_time) + " to " + FormatIsoTime(drop_at);
}

Freshness FreshnessOf(const model::Terms& terms) {
  return {.response_time = FromUnixMillis(terms.received),
          .initial_age = milliseconds(terms.initial_age),
          .lifetime = milliseconds(terms.lifetime),
          .while_revalidate = milliseconds(terms.while_revalidate),
          .if_error = milliseconds(terms.if_error),
          .must_revalidate = terms.never_stale,
          .always_validate = terms.validate_always,
          .heuristic = terms.guessed,
          .has_validator = terms.has_validator};
}

std::string Names(const std::set<Reason>& reasons) {
  std::string text;
  for (const Reason reason : reasons) {
    text += text.empty() ? "" : " or ";
    text += ReasonName(reason);
  }
  return text;
}

SiteSettings SiteOf(const model::Choices& choices) {
  SiteSettings site = DefaultSite();
  site.default_ttl = milliseconds(choices.default_ttl);
  site.negative_ttl = milliseconds(choices.negative_ttl);
  site.stale_while_revalidate = milliseconds(choices.stale_while_revalidate);
  site.stale_if_error = milliseconds(choices.stale_if_error);
  site.keep = milliseconds(choices.keep);
  site.set_cookie = choices.stores_cookies ? "store" : "bypass";
  return site;
}

/// How often each decision was reached, over all histories.
std::map<std::string, int>& Reached() {
  static std::map<std::string, int> reached;
  return reached;
}

/// Plays a history to both.
class Comparison {
 public:
  explicit Comparison(const History& history)
      : choices_(history.site), site_(SiteOf(choices_)), hashed_name_(history.hashed_name) {
    if (hashed_name_) request_.target = "/app.3f9c1b2e.js";
  }

  /// Where they part, a line each; empty while they agree.
  std::string Play(const Step& step) {
    differences_.clear();
    request_.fields = FieldsOf(step.request);
    if (step.kind == Step::Kind::kFetch) Fetch(step);
    if (step.kind == Step::Kind::kAsk && ours_) Ask(step);
    if (step.kind == Step::Kind::kValidate && ours_) Validate(step);
    return differences_;
  }

 private:
  void Compare(std::string_view what, const std::string& ours, const std::string& theirs) {
    if (ours == theirs) return;
    differences_.append(what).append("\n  policy: ").append(ours).append("\n  model:  ");
    differences_.append(theirs).append("\n");
  }

  model::Exchange ForModel(const Step& step) const {
    return {.hashed_name = hashed_name_,
            .request = step.request,
            .status = step.status,
            .response = step.response,
            .request_time = step.at - step.took,
            .response_time = step.at,
            .site = choices_};
  }
  Exchanged ForPolicy(const Step& step) {
    response_ = {.status = step.status, .fields = FieldsOf(step.response)};
    return {.request = request_,
            .response = response_,
            .request_time = FromUnixMillis(step.at - step.took),
            .response_time = FromUnixMillis(step.at),
            .site = site_};
  }

  void CompareStoring(const StoreDecision& ours, const model::Storing& theirs) {
    ++Reached()["store: " + std::string(ReasonName(ours.reason))];
    const bool stores = theirs.forbidden.empty();
    const bool alike = ours.store() ? stores : theirs.forbidden.count(ours.reason) > 0;
    if (!alike) {
      Compare("to store", std::string(ReasonName(ours.reason)),
              stores ? "stored" : Names(theirs.forbidden));
    } else if (stores) {
      Compare("terms", Text(ours.freshness, ours.drop_at),
              Text(FreshnessOf(theirs.terms), FromUnixMillis(theirs.drop_at)));
    }
  }

  void Fetch(const Step& step) {
    const Exchanged exchanged = ForPolicy(step);
    const model::Exchange exchange = ForModel(step);
    const StoreDecision decision = DecideStore(exchanged);
    const model::Storing storing = model::Store(exchange);
    CompareStoring(decision, storing);
    Compare("for nobody", decision.unshareable ? "yes" : "no", storing.for_nobody ? "yes" : "no");
    auto made = MakeStored(exchanged, decision, "https://www.demo.test/a", kVia);
    model::Kept kept = model::Keep(exchange, storing, kVia);
    Compare("fields", Sorted(made->fields), Sorted(kept));
    if (!decision.store() || !storing.forbidden.empty()) return;
    Compare("withheld", Sorted(WithheldFields(exchanged, decision)),
            Sorted(model::Withheld(exchange)));
    Keep(*made, std::move(kept));
  }

  void Ask(const Step& step) {
    constexpr std::string_view kActions[] = {"serve ", "serve and validate ", "validate "};
    const WallTime now = FromUnixMillis(step.at);
    const auto validity = step.soft_purged ? Validity::kStale : Validity::kValid;
    const UseDecision use = DecideUse(request_, *ours_, validity, now);
    const model::Using theirs = model::Use(step.request, theirs_.terms, step.soft_purged, step.at);
    const auto action = std::string(kActions[static_cast<size_t>(use.action)]);
    ++Reached()["use: " + std::string(ReasonName(use.reason))];
    if (theirs.reasons.count(use.reason) == 0 ||
        static_cast<int>(use.action) != static_cast<int>(theirs.action)) {
      Compare("to use", action + std::string(ReasonName(use.reason)),
              std::string(kActions[static_cast<size_t>(theirs.action)]) + Names(theirs.reasons));
    }
    Compare("age", std::to_string(use.age.count()), std::to_string(theirs_.terms.Age(step.at)));
    Compare("time to live", std::to_string(use.time_to_live.count()),
            std::to_string(theirs_.terms.lifetime - theirs_.terms.Age(step.at)));
    const bool may = MayServeOnError(request_, *ours_, validity, now);
    ++Reached()[may ? "on error: stale" : "on error: error"];
    const bool they_may =
        model::MayServeStaleOnError(step.request, theirs_.terms, step.soft_purged, step.at);
    Compare("on error", may ? "served" : "not served", they_may ? "served" : "not served");
    Compare("on error, purged",
            MayServeOnError(request_, *ours_, Validity::kGone, now) ? "served" : "not served",
            "not served");
    Answer(step);
  }

  /// "206 [0-4] bytes 0-4/10".
  static std::string Worded(int status, const std::vector<model::Part>& parts,
                            std::string_view content_range) {
    std::string text = std::to_string(status) + " ";
    for (const model::Part& part : parts) {
      text.append("[" + std::to_string(part.first) + "-" + std::to_string(part.last) + "] ");
    }
    return text.append(content_range);
  }

  /// What is sent of what is stored, whether or not the policy would let it.
  void Answer(const Step& step) {
    http::RequestHead request = request_;
    request.method = step.method;
    request.fields = FieldsOf(step.conditions);
    const Selection ours = Select(request, *ours_, step.body_bytes, FromUnixMillis(step.at));
    const model::Answering theirs = model::Answer(step.method, step.conditions,
                                                  {.status = theirs_.status,
                                                   .fields = KeptLines(theirs_),
                                                   .body_bytes = step.body_bytes,
                                                   .received = theirs_.terms.received},
                                                  step.at);
    ++Reached()["answer: " + std::to_string(ours.status) + (ours.ranges.empty() ? "" : " parts")];
    if (theirs.or_whole && ours.status == 200) return;
    std::vector<model::Part> parts;
    for (const http::ByteRange& range : ours.ranges) parts.push_back({range.first, range.last});
    if (ours.status == 206 && parts.empty()) parts = {{ours.span.first, ours.span.end - 1}};
    Compare("the answer", Worded(ours.status, parts, ours.content_range),
            Worded(theirs.status, theirs.parts, ContentRangeOf(theirs, step.body_bytes)));
    if (ours.status == theirs.status && !ours.whole()) {
      CompareLines(ours, theirs, step.body_bytes);
    }
  }

  void CompareLines(const Selection& ours, const model::Answering& theirs, uint64_t body_bytes) {
    const std::string type(ours_->fields.Get("content-type").value_or(""));
    const model::Lines sent =
        LinesOf(ours.ranges.empty()
                    ? PartialFields(*ours_, ours)
                    : MultipartFields(*ours_, Multipart(ours.ranges, body_bytes, type, "b")));
    for (const model::Line& line : KeptLines(theirs_)) {
      if (!IsSentWith(theirs, line.first)) continue;
      const bool is_sent = std::find(sent.begin(), sent.end(), line) != sent.end();
      if (!is_sent) Compare("a line of the answer", "", line.first + ": " + line.second);
    }
    Compare("content-range", model::JoinedValue(sent, "content-range"),
            ContentRangeOf(theirs, body_bytes));
    if (theirs.status < 400) return;
    Compare("the refusal's cache-control", model::JoinedValue(sent, "cache-control"), "no-store");
    Compare("the refusal's expires", model::JoinedValue(sent, "expires"), "");
  }

  void Validate(const Step& step) {
    const Exchanged exchanged = ForPolicy(step);
    StoreDecision decision;
    const auto fresh = Freshened(*ours_, exchanged, kVia, &decision);
    model::Freshening freshening = model::Freshen(theirs_, ForModel(step), kVia);
    CompareStoring(decision, freshening.storing);
    ++Reached()["304: " + std::string(ReasonName(decision.reason))];
    if (!decision.store() || !freshening.storing.forbidden.empty()) {
      if (decision.unshareable) ours_.reset();
      return;
    }
    Compare("fields", Sorted(fresh->fields), Sorted(freshening.kept));
    Keep(*fresh, std::move(freshening.kept));
  }

  /// By way of the disk.
  void Keep(const StoredResponse& ours, model::Kept theirs) {
    ours_ = DecodeStored(EncodeStored(ours));
    theirs_ = std::move(theirs);
  }

  const model::Choices choices_;
  const SiteSettings site_;
  const bool hashed_name_;
  http::RequestHead request_ = GetFor("https://www.demo.test/a");
  http::ResponseHead response_;
  std::unique_ptr<StoredResponse> ours_;
  model::Kept theirs_;
  std::string differences_;
};

/// The first difference; empty when there is none.
std::string DifferenceIn(const History& history) {
  Comparison comparison(history);
  for (size_t i = 0; i < history.steps.size(); ++i) {
    const std::string difference = comparison.Play(history.steps[i]);
    if (!difference.empty()) return "step " + std::to_string(i + 1) + ": " + difference;
  }
  return "";
}

rc::Gen<History> Histories() {
  constexpr int kSteps = 12;  // the site's tape among them
  constexpr size_t kNumbers = 48;
  const auto tape = rc::gen::resize(
      rc::kNominalSize, rc::gen::container<Tape>(kNumbers, rc::gen::arbitrary<uint16_t>()));
  return rc::gen::map(rc::gen::resize(kSteps, rc::gen::container<std::vector<Tape>>(tape)),
                      [](const std::vector<Tape>& tapes) {
                        return model::HistoryFrom(tapes, ToUnixMillis(kNow) + 250);
                      });
}

/// Histories that go nowhere prove nothing.
void ExpectEveryDecisionReached() {
  for (const Reason reason :
       {Reason::kStored, Reason::kNoStore, Reason::kPrivate, Reason::kSetCookie,
        Reason::kAuthorization, Reason::kUncacheableStatus, Reason::kNoFreshness,
        Reason::kVaryStar}) {
    EXPECT_GT(Reached()["store: " + std::string(ReasonName(reason))], 0) << ReasonName(reason);
    EXPECT_GT(Reached()["304: " + std::string(ReasonName(reason))], 0) << ReasonName(reason);
  }
  EXPECT_GT(Reached()["store: " + std::string(ReasonName(Reason::kCookie))], 0);
  for (const Reason reason : {Reason::kFresh, Reason::kStaleWhileRevalidate, Reason::kMaxStale,
                              Reason::kExpired, Reason::kResponseNoCache, Reason::kSoftPurged,
                              Reason::kRequestNoCache, Reason::kRequestMaxAge}) {
    EXPECT_GT(Reached()["use: " + std::string(ReasonName(reason))], 0) << ReasonName(reason);
  }
  for (const std::string_view answer : {"200", "206", "206 parts", "304", "412", "416", "404"}) {
    EXPECT_GT(Reached()["answer: " + std::string(answer)], 0) << answer;
  }
  EXPECT_GT(Reached()["on error: stale"], 0);
  EXPECT_GT(Reached()["on error: error"], 0);
}

TEST(PolicyModelTest, BothDecideAlike) {
  const rc::detail::TestParams params = ParamsOfRun(3000, 3'000'000);
  ASSERT_NO_FATAL_FAILURE(ExpectNoDifference(Histories(), params, DifferenceIn));
  ExpectEveryDecisionReached();
}

}  // namespace
}  // namespace nearside::edge
