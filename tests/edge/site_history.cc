#include "tests/edge/site_history.h"

#include <algorithm>

#include "http/date.h"
#include "runtime/clock.h"

namespace nearside::edge::model {
namespace {

constexpr std::string_view kPaths[] = {"/a", "/a", "/a", "/b", "/a?x"};
constexpr std::string_view kControls[] = {"max-age=60",
                                          "max-age=60",
                                          "max-age=5",
                                          "max-age=3600",
                                          "max-age=0",
                                          "no-cache",
                                          "max-age=60, must-revalidate",
                                          "s-maxage=60",
                                          "max-age=5, stale-while-revalidate=60",
                                          "max-age=5, stale-if-error=3600",
                                          "max-age=5, stale-if-error=0",
                                          "max-age=5, proxy-revalidate",
                                          "private",
                                          "no-store",
                                          "public",
                                          ""};
constexpr std::string_view kVaries[] = {"",       "",       "",        "",  "x-kind",
                                        "X-Kind", "x-kind", "x-other", "*", "x-other, x-kind"};
constexpr int kStatuses[] = {200, 200, 200, 200, 200, 200, 200, 200, 404, 301, 203, 410};
constexpr std::string_view kAsked[] = {"no-cache",
                                       "max-age=0",
                                       "max-age=30",
                                       "min-fresh=5",
                                       "max-stale",
                                       "max-stale=5",
                                       "no-store",
                                       "only-if-cached",
                                       "only-if-cached, max-stale",
                                       "stale-if-error=99999"};
constexpr std::string_view kKinds[] = {"k1", "k1", "k2", " k1 ,", "k2, k1", ""};
constexpr std::string_view kRanges[] = {
    "bytes=0-4",      "bytes=-3",         "bytes=5-",  "bytes=99-", "bytes=-0",
    "bytes=0-0,-1",   "bytes=4-99",       "lines=1-2", "bytes=3-1", "bytes=0-2, 8-9",
    "bytes=0-,0-,0-", "bytes=12-20, 50-", "bytes=-99", "bytes=99-"};
/// Of the last bytes alone.
constexpr std::string_view kEnds[] = {"bytes=-3",  "bytes=-3",   "bytes=-3",
                                      "bytes=-4",  "bytes=-14",  "BYTES=-3",
                                      "bytes=-13", "bytes=-003", "bytes=-0"};
constexpr std::string_view kFarEnds[] = {"bytes=-10",    "bytes=-10",    "bytes=-010",   "bytes=-9",
                                         "bytes=-65520", "bytes=-65521", "bytes=-140000"};
constexpr std::string_view kFarRanges[] = {
    "bytes=0-9",        "bytes=70000-70009",       "bytes=65000-66000", "bytes=-10",
    "bytes=139995-",    "bytes=131000-131100",     "bytes=500000-",     "bytes=-0",
    "bytes=0-1, -1",    "bytes=100000-100001,5-6", "bytes=60000-",      "bytes=0-",
    "bytes=65519-65520"};
constexpr std::string_view kReferences[] = {"/b",
                                            "https://www.demo.test/b",
                                            "http://www.demo.test/b",
                                            "https://other.test/b",
                                            "//www.demo.test/a?x",
                                            "b#top",
                                            "?x",
                                            "",
                                            "HTTPS://WWW.demo.test:443/b",
                                            "https://www.demo.test:8443/b",
                                            "/a"};
/// What is stored has the millisecond in which it came: two of one millisecond are not told apart.
constexpr int64_t kSpans[] = {1, 1, 1000, 4000, 6000, 10'000, 61'000, 70'000, 130'000, 4'000'000};

/// What clients may have kept of earlier answers.
struct Copies {
  bool in_parts = false;
  bool ends = false;  ///< and they look at the ends of pages above all
  std::vector<std::string> tags;
  std::vector<int64_t> dates;
  int version = 0;
};

std::string DateText(int64_t at) { return http::FormatDate(FromUnixMillis(at)); }

/// Longer than two parts, with a strong tag.
void MakeLong(Copies* copies, Page* page) {
  constexpr size_t kLength = 140'000;
  const auto number = static_cast<uint32_t>(copies->version);
  // Each place and each version has letters of its own, by a multiplicative hash.
  size_t at = page->body.size();
  page->body.resize(kLength);
  for (; at < kLength; ++at) {
    const uint32_t hash = static_cast<uint32_t>(at) * 2'654'435'761U;
    page->body[at] = static_cast<char>('a' + ((hash >> 13) + number) % 26);
  }
  if (HasField(page->fields, "etag")) copies->tags.pop_back();
  page->fields = Without(page->fields, {"etag"});
  copies->tags.push_back("\"v" + std::to_string(number) + "\"");
  page->fields.emplace_back("etag", copies->tags.back());
}

Page PageFrom(TapeReader& reader, int64_t now, Copies* copies) {
  const std::string version = "v" + std::to_string(++copies->version);
  Page page{.status = reader.Of(kStatuses), .body = version + ":0123456789", .fields = {}};
  page.fields = {{"x-version", version}, {"content-type", "application/octet-stream"}};
  const auto add = [&page](std::string_view name, std::string_view value) {
    if (!value.empty()) page.fields.emplace_back(name, value);
  };
  add("cache-control", reader.Of(kControls));
  if (!copies->ends || reader.OneIn(3)) add("vary", reader.Of(kVaries));
  const size_t tag = reader.Below(5);
  if (tag < 4) {
    copies->tags.push_back((tag == 3 ? "W/\"" : "\"") + version + "\"");
    add("etag", copies->tags.back());
  }
  if (const size_t modified = reader.Below(4); modified < 2) {
    copies->dates.push_back((now / kSecond - (modified == 0 ? 1000 : 0)) * kSecond);
    add("last-modified", DateText(copies->dates.back()));
  }
  if (reader.OneIn(8)) page.date_back = 30 * kSecond;
  if (reader.OneIn(8)) add("age", "30");
  page.heeds_conditions = !reader.OneIn(6);
  page.heeds_ranges = !reader.OneIn(3);
  if (copies->in_parts) MakeLong(copies, &page);
  return page;
}

std::string TagFrom(TapeReader& reader, const Copies& copies) {
  if (copies.tags.empty() || reader.OneIn(8)) return reader.OneIn(2) ? "*" : "\"other\"";
  // The latest is the likeliest.
  const size_t back = std::min(reader.Below(3) * reader.Below(2), copies.tags.size() - 1);
  const std::string& tag = copies.tags[copies.tags.size() - 1 - back];
  return reader.OneIn(4) ? "\"other\", " + tag : tag;
}

std::string DateFrom(TapeReader& reader, const Copies& copies, int64_t now) {
  constexpr int64_t kBeside[] = {0, 0, 0, 1000, -1000};
  const int64_t at =
      copies.dates.empty() || reader.OneIn(6) ? now : copies.dates[copies.dates.size() - 1];
  return DateText(at + reader.Of(kBeside));
}

void AddConditions(TapeReader& reader, const Copies& copies, int64_t now, Lines* fields) {
  switch (reader.Below(12)) {
    case 7:
      fields->emplace_back("if-none-match", TagFrom(reader, copies));
      break;
    case 8:
      fields->emplace_back("if-modified-since", DateFrom(reader, copies, now));
      break;
    case 9:
      fields->emplace_back("if-match", TagFrom(reader, copies));
      break;
    case 10:
      fields->emplace_back("if-unmodified-since", DateFrom(reader, copies, now));
      break;
    case 11:
      fields->emplace_back("if-none-match", TagFrom(reader, copies));
      fields->emplace_back("if-modified-since", DateFrom(reader, copies, now));
      break;
    default:
      break;
  }
  if (!reader.OneIn(4)) return;
  if (copies.in_parts) {
    fields->emplace_back("range", reader.Of(kFarRanges));
  } else {
    fields->emplace_back("range", reader.Of(kRanges));
  }
  if (!reader.OneIn(3)) return;
  fields->emplace_back("if-range",
                       reader.OneIn(2) ? DateFrom(reader, copies, now) : TagFrom(reader, copies));
}

Request RequestFrom(TapeReader& reader, const Copies& copies, int64_t now) {
  Request request{.method = "GET", .path = std::string(reader.Of(kPaths)), .fields = {}};
  if (copies.ends && !reader.OneIn(3)) {
    request.fields.emplace_back("range", copies.in_parts ? reader.Of(kFarEnds) : reader.Of(kEnds));
    if (reader.OneIn(4)) request.fields.emplace_back("cache-control", reader.Of(kAsked));
    return request;
  }
  if (reader.OneIn(2)) request.fields.emplace_back("x-kind", reader.Of(kKinds));
  if (reader.OneIn(6)) request.fields.emplace_back("x-other", reader.Of(kKinds));
  if (reader.OneIn(4)) request.method = "HEAD";
  const bool ranged = copies.in_parts && reader.OneIn(2);
  if (reader.OneIn(4)) request.fields.emplace_back("cache-control", reader.Of(kAsked));
  AddConditions(reader, copies, now, &request.fields);
  if (ranged && !HasField(request.fields, "range")) {
    request.fields.emplace_back("range", reader.Of(kFarRanges));
  }
  return request;
}

void MakeChange(TapeReader& reader, SiteStep* step) {
  constexpr std::string_view kMethods[] = {"POST", "PUT", "DELETE", "PATCH", "FROB", "OPTIONS"};
  constexpr int kAnswers[] = {204, 200, 200, 201, 303, 400, 404, 500};
  constexpr std::string_view kLifetimes[] = {"max-age=60", "no-store", "public"};
  step->request.method = reader.Of(kMethods);
  step->request.fields = {};
  step->change.status = reader.Of(kAnswers);
  Lines& fields = step->change.fields;
  fields = {{"x-version", "changed"}};
  if (reader.OneIn(3)) fields.emplace_back("location", reader.Of(kReferences));
  if (reader.OneIn(3)) fields.emplace_back("content-location", reader.Of(kReferences));
  if (reader.OneIn(3)) {
    fields.emplace_back("content-location", step->request.path);
    fields.emplace_back("cache-control", reader.Of(kLifetimes));
  }
}

SiteStep StepFrom(const Tape& tape, int64_t now, Copies* copies) {
  TapeReader reader(tape);
  SiteStep step;
  step.span = reader.Of(kSpans);
  now += step.span;
  if (reader.OneIn(3)) {
    const std::string path(reader.Of(kPaths));
    const Page plain = PageFrom(reader, now, copies);
    const Page other = reader.OneIn(2) ? PageFrom(reader, now, copies) : plain;
    step.published.emplace_back(path, std::array{plain, other});
  }
  if (reader.OneIn(6) && !copies->in_parts) step.fails = reader.OneIn(2) ? 503 : 0;
  step.request = RequestFrom(reader, *copies, now);
  if (reader.OneIn(6)) MakeChange(reader, &step);
  return step;
}

std::string TextOf(const Lines& lines, std::string_view before) {
  std::string text;
  for (const Line& line : lines) {
    text += std::string(before) + line.first + ": " + line.second + "\n";
  }
  return text;
}

}  // namespace

SiteHistory SiteHistoryFrom(std::span<const Tape> tapes, int64_t start) {
  constexpr int64_t kWindows[] = {0, 7000, 86'400'000};
  SiteHistory history;
  if (tapes.empty()) return history;
  TapeReader reader(tapes.front());
  history.site.stale_while_revalidate = reader.Of(kWindows);
  history.site.stale_if_error = reader.Of(kWindows);
  history.site.negative_ttl = 5000;
  history.site.keep = 86'400'000;
  history.site.default_ttl = reader.OneIn(3) ? 30'000 : 0;
  history.in_parts = reader.OneIn(8);
  Copies copies;
  copies.in_parts = history.in_parts;
  copies.ends = reader.OneIn(4);
  int64_t now = start;
  // There is something from the beginning.
  SiteStep first;
  for (const std::string_view path : {"/a", "/b", "/a?x"}) {
    const Page page = PageFrom(reader, now, &copies);
    first.published.emplace_back(path, std::array{page, page});
  }
  history.steps.push_back(std::move(first));
  for (const Tape& tape : tapes.subspan(1)) {
    history.steps.push_back(StepFrom(tape, now, &copies));
    now += history.steps.back().span;
  }
  return history;
}

void World::Take(const SiteStep& step) {
  for (const auto& [path, pages] : step.published) pages_[path] = pages;
  fails_ = step.fails.value_or(fails_);
  change_ = step.change;
}

Reply World::Answer(const Request& request, int64_t now) const {
  if (request.method != "GET" && request.method != "HEAD") {
    Reply reply{.status = change_.status,
                .fields = change_.fields,
                .body = change_.status == 204 ? "" : "changed"};
    reply.fields.emplace_back("date", DateText(now));
    return reply;
  }
  if (fails_ != 0) return {.status = fails_, .fields = {{"x-version", "none"}}, .body = "fails"};
  const bool other = JoinedValue(request.fields, "x-kind").find("k1") != std::string::npos;
  const Page& page = pages_.at(request.path)[other ? 1 : 0];
  Reply reply{.status = page.status, .fields = page.fields, .body = page.body};
  reply.fields.emplace_back("date", DateText(now - page.date_back));
  Lines heeded = request.fields;
  if (!page.heeds_ranges) heeded = Without(heeded, {"range"});
  if (!page.heeds_conditions) {
    heeded =
        Without(heeded, {"if-match", "if-none-match", "if-modified-since", "if-unmodified-since"});
  }
  const Answering answering = model::Answer(request.method, heeded,
                                            {.status = page.status,
                                             .fields = page.fields,
                                             .body_bytes = page.body.size(),
                                             .received = now},
                                            now);
  if (answering.status == page.status || answering.parts.size() > 1) return reply;
  reply.status = answering.status;
  const std::string content_range = ContentRangeOf(answering, page.body.size());
  if (!content_range.empty()) reply.fields.emplace_back("content-range", content_range);
  if (answering.status == 304) reply.fields = Without(reply.fields, {"x-version"});
  if (answering.status >= 400) reply.fields = Without(reply.fields, {"cache-control"});
  reply.body.clear();
  if (answering.parts.empty()) return reply;
  const Part& part = answering.parts.front();
  reply.body = page.body.substr(part.first, part.last - part.first + 1);
  return reply;
}

std::ostream& operator<<(std::ostream& out, const SiteStep& step) {
  out << "after " << step.span << " ms\n";
  if (step.fails) out << "  the origin " << (*step.fails != 0 ? "fails\n" : "is well\n");
  for (const auto& [path, pages] : step.published) {
    for (const Page& page : pages) {
      if (&page != pages.data() && page.body == pages[0].body) continue;
      out << "  the origin has " << path << (&page == pages.data() ? " " : " for k1 ")
          << page.status << " " << page.body.substr(0, 16)
          << (page.date_back != 0 ? ", Date 30 s back" : "")
          << (page.heeds_conditions ? "" : ", heeds no conditions")
          << (page.heeds_ranges ? "\n" : ", heeds no ranges\n") << TextOf(page.fields, "      ");
    }
  }
  out << "  " << step.request.method << " " << step.request.path << "\n"
      << TextOf(step.request.fields, "    ");
  if (step.request.method != "GET" && step.request.method != "HEAD") {
    out << "    is answered " << step.change.status << "\n" << TextOf(step.change.fields, "      ");
  }
  return out;
}

std::ostream& operator<<(std::ostream& out, const SiteHistory& history) {
  const Choices& site = history.site;
  out << "a site with default_ttl=" << site.default_ttl
      << "ms stale_while_revalidate=" << site.stale_while_revalidate
      << "ms stale_if_error=" << site.stale_if_error << "ms"
      << (history.in_parts ? ", of long files\n" : "\n");
  for (const SiteStep& step : history.steps) out << step;
  return out;
}

}  // namespace nearside::edge::model
