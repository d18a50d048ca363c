#include "tests/edge/model_history.h"

#include <algorithm>
#include <iterator>

#include "http/date.h"
#include "runtime/clock.h"

namespace nearside::edge::model {
namespace {

using Reader = TapeReader;

/// What stands between bars and line ends; EMPTY is nothing.
class Words {
 public:
  explicit Words(std::string_view text) {
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min({text.find(" | ", begin), text.find('\n', begin), text.size()});
      const std::string_view word = text.substr(begin, end - begin);
      if (!word.empty()) words_.push_back(word == "EMPTY" ? "" : word);
      begin = end + (text.substr(end).starts_with(" | ") ? 3 : 1);
    }
  }
  size_t size() const { return words_.size(); }
  std::string_view operator[](size_t index) const { return words_[index]; }

 private:
  std::vector<std::string_view> words_;
};

const Words kResponseDirectives(R"(
max-age=60 | max-age=0 | max-age=5 | max-age=3600 | max-age="60" | MAX-AGE=10
max-age=2147483647 | max-age=2147483648 | max-age=4294967297
max-age=99999999999999999999 | max-age=-1 | max-age=1.5 | max-age | max-age= | max-age =5
max-age= 5 | max-age="5 | max-age='5' | max-age=0060 | max-age=+5 | max-age=60;x
max-age=60 5 | s-maxage=60 | s-maxage=0 | s-maxage=5 | S-MaxAge=10 | s-maxage=x | s-maxage
s-maxage="60" | s-maxage=2147483649 | no-store | No-Store | no-store="x" | no-cache
NO-CACHE | no-cache="x-a" | no-cache="X-A, x-b" | no-cache=x-b | no-cache=""
no-cache="a b" | no-cache= | no-cache="x-a,," | no-cache="x-a, b c" | private | PRIVATE
private="x-a" | private=x-b | private="set-cookie" | private="etag" | private=""
private=", ," | private="x-a, b c" | private="last-modified" | private="x-a | public
Public | public=1 | must-revalidate | proxy-revalidate | must-understand | immutable
no-transform | stale-while-revalidate=10 | stale-while-revalidate=0
stale-while-revalidate=60 | stale-while-revalidate=x | stale-while-revalidate
stale-if-error=10 | stale-if-error=0 | stale-if-error=3600 | stale-if-error=x
STALE-IF-ERROR=60 | stale-if-error="5" | foo | foo=bar | foo="max-age=1, no-store"
foo="a\", no-store, " | =5 | = | no-store x | only-if-cached | max-stale=5
community="UCI" | "no-store" | no-stored | EMPTY | x="\\")");

const Words kTargetedDirectives(R"(
max-age=60 | max-age=0 | max-age=5 | max-age=3600 | max-age="60" | max-age=1.5
max-age=-5 | max-age | max-age=tok | max-age=(1 2) | Max-Age=60 | max-age=60;p=1;q
max-age=999999999999999 | max-age=1000000000000000 | s-maxage=10 | s-maxage=0 | no-store
no-store=?0 | no-store=?1 | no-cache | no-cache="x-a" | no-cache=?0 | no-cache="x-a, b c"
private | private="x-a" | private=x-a | private=?0 | private=("x-a") | private="x-a, x-b"
public | must-revalidate | must-understand | stale-while-revalidate=10 | stale-if-error=10
foo=:aGk=: | foo=@12 | foo=%"a" | foo="a, no-store" | & | EMPTY | max-age =5 | foo="\""
foo="\a" | none | proxy-revalidate | a=1.2345 | *x)");

const Words kRequestDirectives(R"(
no-cache | max-age=0 | max-age=5 | max-age=60 | max-age=x | max-age="5" | max-age
max-age=2147483648 | min-fresh=0 | min-fresh=5 | min-fresh=60 | min-fresh=x | max-stale
max-stale=0 | max-stale=5 | max-stale=3600 | max-stale=x | stale-if-error=5
stale-if-error=99999 | only-if-cached | no-store | No-Cache | immutable
foo="no-cache, x" | max-stale="5" | MIN-FRESH=10 | stale-while-revalidate=99
must-revalidate | EMPTY)");

const Words kRanges(R"(
0-4 | 0- | -1 | -5 | 5-9 | 9- | 9-9 | 0-0 | 10- | 10-20 | -0 | -10 | -999 | 3-999 | 2-5 | 007-8
4-18446744073709551615 | 18446744073709551616- | 0-99999999999999999999999 | 1-2 | 4-3)");

const Words kWholeRanges(R"(
bytes=0-0,2-2,4-4 | BYTES=0-1 | bytes=a-b | bytes= | bytes | bytes=0-1;x | lines=0-4 | bytes =0-1
bytes=0-1, | bytes=,0-1 | bytes=0-,0-,0- | bytes=0-5,3-8 | bytes=0-5,3-8,7-9 | bytes=-5,0-1 | EMPTY
bytes=1 | bytes=-1-2 | bytes=- | bytes=0-1,x
bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,0-0,1-1,2-2)");

constexpr int64_t kSpans[] = {0,      1000,      1,          999,       4000,   5000,
                              5001,   10'000,    55'000,     60'000,    60'001, 65'000,
                              70'000, 3'600'000, 86'400'000, 90'000'000};
constexpr int64_t kDelays[] = {0, 0, 0, 1000, 2500, 60'000, -30'000, 1};
constexpr int kStatuses[] = {200, 200, 200, 200, 200, 404, 301, 203, 204, 302, 410, 500, 501,
                             503, 201, 299, 418, 103, 304, 405, 308, 429, 451, 599, 400, 403};
constexpr std::string_view kTags[] = {"\"a\"", "W/\"a\"", "\"b\"", "W/\"b\"", "\"a\"", "\"a\""};
constexpr std::string_view kAges[] = {
    "0",     "5",      "30",  "60", "99999",  "2147483648", "99999999999999999999", "abc", "-1",
    "5, 30", "30;a=b", "1.0", "",   "30 , 5", "007"};
constexpr std::string_view kVaries[] = {
    "accept", "Accept, cookie",  "cookie,ACCEPT",     "*",  "accept, *",
    "",       "x-forwarded-for", "Forwarded, accept", "x-*"};
constexpr std::pair<std::string_view, std::string_view> kRareLines[] = {{"set-cookie", "a=b"},
                                                                        {"pragma", "no-cache"},
                                                                        {"via", "1.1 mid"},
                                                                        {"surrogate-key", "t"},
                                                                        {"warning", "110"}};
const Words kBrokenDates(R"(
0 | -1 | EMPTY | now | Thu, 99 Jan 2027 08:00:00 GMT | Fri, 15 Jan 2027 8:01:00 GMT
Fri, 15 Jan 2027 08:01:00 UTC | Fri, 15 Jan 2027 24:01:00 GMT | 1800000060
Fri, 15 Jan 2027 08:01:00 GMT, x | Fri, 31 Dec 9999 23:59:59 GMT
Thu, 01 Jan 1970 00:00:00 GMT | Mon, 15 Jan 2029 08:01:00 GMT | Thu Jan  1 00:00:00 1970
Sunday, 06-Nov-94 08:49:37 GMT | Wednesday, 20-Nov-76 00:00:00 GMT)");
constexpr int64_t kDateOffsets[] = {0, 0, -1, -10, -60, -3600, 10, 86'400};
constexpr int64_t kExpiryOffsets[] = {60, 0, 10, -60, 3600, 1, -100'000, 100'000'000};
constexpr int64_t kModifiedOffsets[] = {-100, -10, -1000, -86'400 * 20, 100, 0, -15};

/// A date in one of the three forms, and in any case.
std::string DateText(Reader& reader, int64_t seconds) {
  constexpr std::string_view kDays[] = {"Thursday", "Friday",  "Saturday", "Sunday",
                                        "Monday",   "Tuesday", "Wednesday"};
  const std::string fixed = http::FormatDate(FromUnixMillis(seconds * 1000));
  const std::string clock = fixed.substr(17, 8), month = fixed.substr(8, 3);
  const std::string day = fixed.substr(5, 2), year = fixed.substr(12, 4);
  const std::string_view weekday = kDays[static_cast<size_t>((seconds / 86'400) % 7)];
  switch (reader.Below(6)) {
    case 3:
      return std::string(weekday) + ", " + day + "-" + month + "-" + year.substr(2) + " " + clock +
             " GMT";
    case 4:
      return fixed.substr(0, 3) + " " + month + " " + (day[0] == '0' ? " " + day.substr(1) : day) +
             " " + clock + " " + year;
    case 5:
      return Lowered(fixed);
    default:
      return fixed;
  }
}

std::string DateNear(Reader& reader, std::span<const int64_t> offsets, int64_t at) {
  if (reader.Below(5) == 4) return std::string(reader.Of(kBrokenDates));
  return DateText(reader, at / 1000 + reader.Of(offsets));
}

std::string SomeOf(Reader& reader, const Words& directives) {
  constexpr std::string_view kSeparators[] = {", ", ",", " ,\t", ", ,"};
  std::string value(reader.Of(directives));
  for (size_t more = reader.Below(4); more > 0; --more) {
    value += reader.Of(kSeparators);
    value += reader.Of(directives);
  }
  return value;
}

/// One line of a response; those that say most come most often.
Line ResponseLine(Reader& reader, int64_t at) {
  constexpr std::string_view kOthers[] = {"x-a",
                                          "x-b",
                                          "X-C",
                                          "content-type",
                                          "content-length",
                                          "content-encoding",
                                          "content-language",
                                          "content-range",
                                          "content-location",
                                          "proxy-authenticate",
                                          "proxy-authentication-info",
                                          "cache-status"};
  constexpr std::string_view kValues[] = {"1", "2"};
  switch (reader.Below(20)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
      return {"cache-control", SomeOf(reader, kResponseDirectives)};
    case 6:
    case 7:
      return {"cdn-cache-control", SomeOf(reader, kTargetedDirectives)};
    case 8:
      return {"nearside-cache-control", SomeOf(reader, kTargetedDirectives)};
    case 9:
    case 10:
      return {"expires", DateNear(reader, kExpiryOffsets, at)};
    case 11:
    case 12:
      return {"date", DateNear(reader, kDateOffsets, at)};
    case 13:
      return {"last-modified", DateNear(reader, kModifiedOffsets, at)};
    case 14:
    case 15:
      return {"etag", std::string(reader.Of(kTags))};
    case 16:
      return {"age", std::string(reader.Of(kAges))};
    case 17:
      return {"vary", std::string(reader.Of(kVaries))};
    case 18: {
      const auto [name, value] = reader.Of(kRareLines);
      return {std::string(name), std::string(value)};
    }
    default: {
      const std::string name = Lowered(reader.Of(kOthers));
      return {name, std::string(reader.Of(kValues))};
    }
  }
}

Line RequestLine(Reader& reader) {
  constexpr std::string_view kPragmas[] = {"no-cache", "x, NO-CACHE", "foo"};
  switch (reader.Below(8)) {
    case 5:
      return {"pragma", std::string(reader.Of(kPragmas))};
    case 6:
      return {"authorization", "Bearer x"};
    case 7:
      return {"cookie", "a=b"};
    default:
      return {"cache-control", SomeOf(reader, kRequestDirectives)};
  }
}

/// One of what the responses so far have said under this name, or `other`.
std::string SeenValue(Reader& reader, const Lines& seen, std::string_view name,
                      std::string_view other) {
  std::vector<std::string> values;
  for (const Line& line : seen) {
    if (line.first == name) values.push_back(line.second);
  }
  const size_t chosen = reader.Below(values.size() + 2);
  if (values.empty() || chosen > values.size()) return std::string(other);
  return values[std::min(chosen, values.size() - 1)];
}

std::string TagCondition(Reader& reader, const Lines& seen) {
  constexpr std::string_view kOthers[] = {"\"b\"", "*", "W/\"a\"", "\"a\"", "a", "", "\"a\", x"};
  std::string value = SeenValue(reader, seen, "etag", reader.Of(kOthers));
  if (reader.Below(4) == 3) value = "\"z\", " + value;
  return value;
}

/// A date that was seen, or one a second beside it.
std::string DateCondition(Reader& reader, const Lines& seen, int64_t at) {
  constexpr std::string_view kNames[] = {"last-modified", "last-modified", "date"};
  constexpr int64_t kBeside[] = {0, 0, 0, 1000, -1000, -86'400'000};
  const std::string text =
      SeenValue(reader, seen, reader.Of(kNames), http::FormatDate(FromUnixMillis(at)));
  const int64_t beside = reader.Of(kBeside);
  const auto date = DateMillis(text, at);
  if (!date || beside == 0) return text;
  return http::FormatDate(FromUnixMillis(*date + beside));
}

std::string RangeValue(Reader& reader) {
  if (reader.Below(3) > 0) {
    std::string value = "bytes=" + std::string(reader.Of(kRanges));
    for (size_t more = reader.Below(4) / 2; more > 0; --more) {
      value += ", " + std::string(reader.Of(kRanges));
    }
    return value;
  }
  return std::string(reader.Of(kWholeRanges));
}

/// What a client says of a copy of its own, or of the part that it wants.
Lines ConditionsFrom(Reader& reader, const Lines& seen, int64_t at) {
  Lines lines;
  for (size_t more = reader.Below(4); more > 0; --more) {
    switch (reader.Below(10)) {
      case 0:
      case 1:
        lines.emplace_back("if-none-match", TagCondition(reader, seen));
        break;
      case 2:
      case 3:
        lines.emplace_back("if-modified-since", DateCondition(reader, seen, at));
        break;
      case 4:
        lines.emplace_back("if-match", TagCondition(reader, seen));
        break;
      case 5:
        lines.emplace_back("if-unmodified-since", DateCondition(reader, seen, at));
        break;
      default:
        if (HasField(lines, "range")) break;
        lines.emplace_back("range", RangeValue(reader));
        if (reader.Below(3) == 2) {
          lines.emplace_back("if-range", reader.Below(2) == 1 ? DateCondition(reader, seen, at)
                                                              : TagCondition(reader, seen));
        }
    }
  }
  return lines;
}

Choices SiteFrom(const Tape& tape, bool* hashed_name) {
  constexpr int64_t kDefaults[] = {0, 30'000, 0, 1500};
  constexpr int64_t kNegatives[] = {5000, 0, 60'000};
  constexpr int64_t kWindows[] = {0, 7000, 60'000, 86'400'000};
  Reader reader(tape);
  Choices site;
  site.default_ttl = reader.Of(kDefaults);
  site.negative_ttl = reader.Of(kNegatives);
  site.stale_while_revalidate = reader.Of(kWindows);
  site.stale_if_error = reader.Of(kWindows);
  site.keep = reader.Of(kWindows);
  site.stores_cookies = reader.Below(2) == 1;
  *hashed_name = reader.Below(4) == 3;
  return site;
}

/// `seen`: the lines of all responses so far.
Step StepFrom(const Tape& tape, int64_t after, const Lines& seen) {
  constexpr Step::Kind kKinds[] = {
      Step::Kind::kAsk,   Step::Kind::kFetch,    Step::Kind::kFetch,
      Step::Kind::kFetch, Step::Kind::kAsk,      Step::Kind::kAsk,
      Step::Kind::kAsk,   Step::Kind::kValidate, Step::Kind::kValidate};
  Reader reader(tape);
  Step step;
  step.kind = reader.Of(kKinds);
  step.at = after + reader.Of(kSpans);
  for (size_t lines = reader.Below(3); lines > 0; --lines) {
    step.request.push_back(RequestLine(reader));
  }
  if (step.kind == Step::Kind::kAsk) {
    constexpr uint64_t kBodies[] = {10, 1, 0, 1000, 10, 6};
    step.soft_purged = reader.Below(6) == 5;
    step.conditions = ConditionsFrom(reader, seen, step.at);
    step.body_bytes = reader.Of(kBodies);
    if (reader.Below(5) == 4) step.method = "HEAD";
    return step;
  }
  step.took = reader.Of(kDelays);
  step.status = step.kind == Step::Kind::kValidate ? 304 : reader.Of(kStatuses);
  for (size_t lines = reader.Below(7); lines > 0; --lines) {
    step.response.push_back(ResponseLine(reader, step.at));
  }
  return step;
}

std::string TextOf(const Lines& lines) {
  std::string text;
  for (const Line& line : lines) text += "      " + line.first + ": " + line.second + "\n";
  return text;
}

}  // namespace

History HistoryFrom(std::span<const Tape> tapes, int64_t start) {
  History history;
  if (tapes.empty()) return history;
  history.site = SiteFrom(tapes.front(), &history.hashed_name);
  int64_t now = start;
  Lines seen;
  for (const Tape& tape : tapes.subspan(1)) {
    const Step& step = history.steps.emplace_back(StepFrom(tape, now, seen));
    seen.insert(seen.end(), step.response.begin(), step.response.end());
    now = step.at;
  }
  return history;
}

std::ostream& operator<<(std::ostream& out, const Step& step) {
  out << "  " << FormatIsoTime(FromUnixMillis(step.at)) << " ";
  switch (step.kind) {
    case Step::Kind::kAsk:
      return out << "of " << step.body_bytes << " bytes is asked by " << step.method
                 << (step.soft_purged ? ", soft-purged\n" : "\n") << TextOf(step.request)
                 << TextOf(step.conditions);
    case Step::Kind::kFetch:
    case Step::Kind::kValidate:
      out << "gets, after " << step.took << " ms, to\n" << TextOf(step.request);
      return out << "    " << step.status << "\n" << TextOf(step.response);
  }
  return out;
}

std::ostream& operator<<(std::ostream& out, const History& history) {
  const Choices& site = history.site;
  out << "a site with default_ttl=" << site.default_ttl << "ms negative_ttl=" << site.negative_ttl
      << "ms stale_while_revalidate=" << site.stale_while_revalidate
      << "ms stale_if_error=" << site.stale_if_error << "ms keep=" << site.keep
      << "ms set_cookie=" << (site.stores_cookies ? "store" : "bypass")
      << (history.hashed_name ? ", a name with a hash\n" : "\n");
  for (const Step& step : history.steps) out << step;
  return out;
}

}  // namespace nearside::edge::model
