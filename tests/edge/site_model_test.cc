// A whole edge against a model of a whole cache (site_model.h): random histories of a site, each
// request of which is answered by both. NEARSIDE_LONG=1 makes thousands of histories many more, and
// random ones; RC_PARAMS="seed=…" repeats a run.

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <sstream>

#include "tests/edge/alike.h"
#include "tests/edge/messages.h"
#include "tests/edge/site_history.h"
#include "tests/edge/turned_edge.h"

namespace nearside::edge {
namespace {

using model::SiteHistory;
using model::SiteStep;
using model::Tape;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kHistories = 400;
#else
constexpr int kHistories = 2000;
#endif
/// Behind any real clock: what drops things by that one finds nothing to drop.
constexpr int64_t kStart = 4'102'444'800'000;
/// The shortest slices that there are: one chunk.
constexpr size_t kPartBytes = 65'520;

model::Lines LinesOf(const http::Fields& fields) {
  model::Lines lines;
  for (const http::FieldLine& line : fields.lines()) lines.emplace_back(line.name, line.value);
  return lines;
}

http::Fields FieldsOf(const model::Lines& lines) {
  http::Fields fields;
  for (const model::Line& line : lines) fields.Add(line.first, line.second);
  return fields;
}

std::string LinesOfSite(const SiteHistory& history) {
  const model::Choices& site = history.site;
  const auto line = [](std::string_view name, int64_t ms) {
    return std::string(name) + " = \"" + std::to_string(ms) + "ms\"\n";
  };
  return line("default_ttl", site.default_ttl) + line("negative_ttl", site.negative_ttl) +
         line("stale_while_revalidate", site.stale_while_revalidate) +
         line("stale_if_error", site.stale_if_error) + line("keep", site.keep) +
         (history.in_parts ? "slice = \"64KiB\"\n" : "");
}

/// RFC 9110 §14.6, as the model writes parts: "type|content-range|bytes", a line each.
std::string PartsOf(const std::string& body, const std::string& type) {
  const std::string mark = "boundary=";
  const std::string delimiter = "--" + type.substr(type.find(mark) + mark.size());
  std::string text;
  size_t at = body.find(delimiter);
  while (at != std::string::npos && body.compare(at + delimiter.size(), 2, "--") != 0) {
    const size_t head = at + delimiter.size() + 2;
    const size_t content = body.find("\r\n\r\n", head) + 4;
    const size_t next = body.find("\r\n" + delimiter, content);
    if (next == std::string::npos) return "a part without end";
    std::string part_type, range;
    std::istringstream lines(body.substr(head, content - 4 - head));
    for (std::string line; std::getline(lines, line);) {
      if (!line.empty() && line.back() == '\r') line.pop_back();
      const std::string name = model::Lowered(line.substr(0, line.find(':')));
      const std::string value = model::Trimmed(line.substr(line.find(':') + 1));
      if (name == "content-type") part_type = value;
      if (name == "content-range") range = value;
    }
    text += part_type + "|" + range + "|" + body.substr(content, next - content) + "\n";
    at = next + 2;
  }
  return text;
}

std::map<std::string, int>& Reached() {
  static std::map<std::string, int> reached;
  return reached;
}

/// Plays a history to both.
class Comparison {
 public:
  explicit Comparison(const SiteHistory& history)
      : model_(history.site, history.in_parts ? std::optional(kPartBytes) : std::nullopt),
        edge_(LinesOfSite(history), FromUnixMillis(kStart),
              [this](const http::RequestHead& request) { return Origin(request); }) {}

  ~Comparison() { Reached()["last bytes alone"] += model_.tails_shown(); }

  std::string Play(const SiteStep& step) {
    edge_.Pass(milliseconds(step.span));
    world_.Take(step);
    asked_ = false;
    http::RequestHead request =
        RequestFor(step.request.method, "https://www.demo.test" + step.request.path,
                   FieldsOf(step.request.fields));
    const TurnedEdge::Answer answer = edge_.Ask(std::move(request));
    const model::Seen seen{.reply = Told(answer, asked_), .asked = asked_, .cut = !answer.whole};
    Count(step, seen, answer);
    const std::string expected = model_.Play(
        step.request, seen,
        [this](const model::Request& asked) { return world_.Answer(asked, Now()); }, Now());
    if (expected.empty()) return "";
    return "the edge " + Text(seen) + "  (" + answer.fields.Joined("cache-status") +
           ")\nthe model " + expected;
  }

 private:
  int64_t Now() const { return ToUnixMillis(edge_.wall_now()); }

  TurnedEdge::Reply Origin(const http::RequestHead& request) {
    asked_ = true;
    model::Request asked{
        .method = request.method, .path = request.target, .fields = LinesOf(request.fields)};
    model::Reply reply = world_.Answer(asked, Now());
    return {
        .status = reply.status, .fields = FieldsOf(reply.fields), .body = std::move(reply.body)};
  }

  static model::Reply Told(const TurnedEdge::Answer& answer, bool asked) {
    model::Reply reply{
        .status = answer.status, .fields = LinesOf(answer.fields), .body = answer.body};
    const std::string type = answer.fields.Joined("content-type");
    if (type.starts_with("multipart/byteranges")) reply.body = PartsOf(reply.body, type);
    return model::Told(std::move(reply), asked);
  }

  static void Count(const SiteStep& step, const model::Seen& seen,
                    const TurnedEdge::Answer& answer) {
    const std::string how = seen.asked ? "asked " : "hit ";
    ++Reached()[how + step.request.method + " " + std::to_string(answer.status)];
  }

  model::SiteModel model_;
  model::World world_;
  TurnedEdge edge_;
  bool asked_ = false;
};

std::string DifferenceIn(const SiteHistory& history) {
  Comparison comparison(history);
  for (size_t i = 0; i < history.steps.size(); ++i) {
    const std::string difference = comparison.Play(history.steps[i]);
    if (difference.empty()) continue;
    std::ostringstream text;
    text << "step " << i + 1 << " of\n" << history << difference;
    return text.str();
  }
  return "";
}

rc::Gen<SiteHistory> Histories() {
  constexpr int kSteps = 16;  // the site's tape among them
  constexpr size_t kNumbers = 40;
  const auto tape = rc::gen::resize(
      rc::kNominalSize, rc::gen::container<Tape>(kNumbers, rc::gen::arbitrary<uint16_t>()));
  return rc::gen::map(
      rc::gen::resize(kSteps, rc::gen::container<std::vector<Tape>>(tape)),
      [](const std::vector<Tape>& tapes) { return model::SiteHistoryFrom(tapes, kStart); });
}

/// Histories that go nowhere prove nothing.
void ExpectEveryAnswerReached() {
  for (const std::string_view answer :
       {"hit GET 200",     "hit GET 206",    "hit GET 304",   "hit GET 412",      "hit GET 416",
        "hit GET 404",     "hit GET 504",    "hit HEAD 200",  "hit HEAD 304",     "asked GET 200",
        "asked GET 206",   "asked GET 304",  "asked GET 412", "asked GET 416",    "asked GET 503",
        "asked HEAD 200",  "asked POST 200", "asked PUT 204", "asked DELETE 404", "asked FROB 200",
        "last bytes alone"}) {
    EXPECT_GT(Reached()[std::string(answer)], 0) << answer;
  }
}

TEST(SiteModelTest, BothAnswerAlike) {
  const rc::detail::TestParams params = ParamsOfRun(kHistories, 100'000);
  ASSERT_NO_FATAL_FAILURE(ExpectNoDifference(Histories(), params, DifferenceIn));
  ExpectEveryAnswerReached();
}

}  // namespace
}  // namespace nearside::edge
