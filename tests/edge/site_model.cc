#include "tests/edge/site_model.h"

#include <algorithm>
#include <set>

namespace nearside::edge::model {
namespace {

/// docs/decisions/caching.md: "do not share" is remembered so long.
constexpr int64_t kAloneFor = 120 * kSecond;
const std::string kVia = "1.1 frankfurt";

/// docs/configuration.md, slice, where a site says nothing.
constexpr size_t kUsualPartBytes = 4 << 20;

bool IsRead(const Request& request) { return request.method == "GET" || request.method == "HEAD"; }

/// RFC 5861 §4.
bool IsFailure(int status) {
  return status == 500 || status == 502 || status == 503 || status == 504;
}

/// RFC 9110 §9.2.1: what is not known to be safe is not.
bool IsSafe(const std::string& method) {
  const std::set<std::string> safe = {"GET", "HEAD", "OPTIONS", "TRACE"};
  return safe.count(method) > 0;
}

Lines WithoutConditions(const Lines& fields) {
  return Without(fields, {"if-match", "if-none-match", "if-modified-since", "if-unmodified-since",
                          "if-range", "range"});
}

/// RFC 9111 §4.1: members of its lines, whatever stands between them.
std::optional<std::string> SelectingValue(const Lines& request, const std::string& name) {
  if (!HasField(request, name)) return std::nullopt;
  std::string value;
  for (const std::string& member : ListMembers(JoinedValue(request, name))) value += member + ",";
  return value;
}

bool Matches(const std::map<std::string, std::optional<std::string>>& selecting,
             const Lines& request) {
  return std::all_of(selecting.begin(), selecting.end(), [&](const auto& field) {
    return SelectingValue(request, field.first) == field.second;
  });
}

Lines WithArrival(Lines fields, const std::string& date) {
  for (Line& line : fields) {
    if (line.second == kTimeOfArrival) line.second = date;
  }
  return fields;
}

/// RFC 3986 §5.2, of what the histories have. "" for another origin.
std::string PathOf(const std::string& reference, const std::string& base) {
  const std::string origin = "https://www.demo.test";
  std::string path = reference;
  if (Lowered(path).starts_with(origin)) {
    path.erase(0, origin.size());
    if (path.starts_with(":443")) path.erase(0, 4);
  } else if (path.starts_with("//www.demo.test/")) {
    path.erase(0, std::string("//www.demo.test").size());
  } else if (path.find("//") != std::string::npos) {
    return "";
  }
  path = path.substr(0, path.find('#'));
  if (path.empty()) return base;
  if (path[0] == '?') return base.substr(0, base.find('?')) + path;
  if (path[0] != '/') return path[0] == ':' ? "" : "/" + path;
  return path;
}

/// RFC 9110 §14.1.2: the one suffix length that a range asks for, if it does no more than that.
std::optional<size_t> SuffixLength(const std::string& range) {
  const size_t equals = range.find('=');
  if (Lowered(range.substr(0, equals)) != "bytes") return std::nullopt;
  const std::vector<std::string> specs = ListMembers(range.substr(equals + 1));
  if (specs.size() != 1 || specs.front().front() != '-') return std::nullopt;
  const std::string digits = specs.front().substr(1);
  constexpr size_t kMostDigits = 15;
  const bool is_number = digits.find_first_not_of("0123456789") == std::string::npos;
  if (digits.empty() || !is_number || digits.size() > kMostDigits) return std::nullopt;
  return std::stoull(digits);
}

std::string PartsText(const std::vector<Part>& parts, const Reply& whole) {
  const std::string length = "/" + std::to_string(whole.body.size());
  const std::string type = FirstValue(whole.fields, "content-type").value_or("");
  std::string text;
  for (const Part& part : parts) {
    text += type + "|bytes " + std::to_string(part.first) + "-" + std::to_string(part.last) +
            length + "|" + whole.body.substr(part.first, part.last - part.first + 1) + "\n";
  }
  return text;
}

/// Its beginning, and its length.
std::string Short(const std::string& body) {
  constexpr size_t kMost = 40;
  if (body.size() <= kMost) return body;
  return body.substr(0, kMost) + "... of " + std::to_string(body.size());
}

std::string TextOf(const Kept& kept) {
  std::string text;
  const Terms& terms = kept.terms;
  for (const int64_t number : {terms.received, terms.initial_age, terms.lifetime}) {
    text += std::to_string(number) + " ";
  }
  for (const Line& line : kept.fields) text += line.first + ":" + line.second + "\n";
  return text;
}

/// All that there is of it: equal texts are equal caches.
std::string TextOf(const Cache& cache) {
  std::string text;
  for (const auto& [path, resource] : cache.resources) {
    text +=
        path + " " + std::to_string(resource.alone_until) + (resource.varies ? " varies\n" : "\n");
    for (const auto& [length, until] : resource.tails_alone_until) {
      text += std::to_string(length) + " alone until " + std::to_string(until) + "\n";
    }
    if (const auto& tail = resource.tail) {
      text += "the last " + std::to_string(tail->length) + " " + TextOf(tail->kept) +
              Short(tail->body) + "\n";
    }
    for (const Cache::Stored& stored : resource.stored) {
      text += TextOf(stored.kept);
      for (const auto& [name, value] : stored.selecting) text += name + "=" + value.value_or("-");
      text += Short(*stored.body) + (stored.in_parts ? "parts\n" : "\n");
    }
  }
  return text;
}

/// So that caches which differ in what is over are one.
void ForgetWhatIsOver(int64_t now, Cache* cache) {
  for (auto& [path, resource] : cache->resources) {
    if (resource.alone_until <= now) resource.alone_until = 0;
    std::erase_if(resource.tails_alone_until,
                  [now](const auto& mark) { return mark.second <= now; });
  }
}

}  // namespace

Reply Told(Reply reply, bool asked) {
  // §5.1: what the origin was asked for has an Age if that came with one; one of 0 says nothing.
  if (asked) std::erase(reply.fields, Line{"age", "0"});
  // What the edge says by itself is its own matter.
  if (reply.status == 504) return {.status = 504, .fields = {}, .body = ""};
  const std::set<std::string> names = {"age",      "cache-control", "content-location",
                                       "location", "content-range", "etag",
                                       "vary",     "last-modified", "x-version"};
  std::erase_if(reply.fields, [&](const Line& line) { return names.count(line.first) == 0; });
  std::stable_sort(reply.fields.begin(), reply.fields.end(),
                   [](const Line& a, const Line& b) { return a.first < b.first; });
  return reply;
}

/// One cache, one request.
struct SiteModel::Turn {
  const Choices& site;
  const std::optional<size_t> in_parts;
  const Request& request;
  const Origin& origin;
  const int64_t now;
  const std::string date;  ///< of an arrival now
  const Cache& before;
  std::vector<Outcome> outcomes;

  const Cache::Resource& resource() const {
    static const Cache::Resource none;
    const auto found = before.resources.find(request.path);
    return found == before.resources.end() ? none : found->second;
  }

  void Play() {
    if (!IsRead(request)) return Change();
    const std::set<size_t> chosen = Choose();
    if (chosen.empty() && !ShowTail()) Forward(std::nullopt, nullptr);
    for (const size_t index : chosen) Consider(index);
  }

  /// RFC 9111 §4, §4.1: the most recent of those that suit, by their Date; of several that are,
  /// any.
  std::set<size_t> Choose() const {
    std::set<size_t> chosen;
    int64_t newest = 0;
    const std::vector<Cache::Stored>& all = resource().stored;
    for (size_t i = 0; i < all.size(); ++i) {
      if (!Matches(all[i].selecting, request.fields)) continue;
      const int64_t made =
          FirstDate(all[i].kept.fields, "date", now).value_or(all[i].kept.terms.received);
      if (!chosen.empty() && made < newest) continue;
      if (made > newest) chosen.clear();
      newest = std::max(newest, made);
      chosen.insert(i);
    }
    return chosen;
  }

  // ---- the last bytes alone

  /// How many of them are asked for as such (docs/decisions/caching.md): without a condition, and
  /// no more than a part has.
  std::optional<size_t> LastBytesWanted() const {
    const auto range = FirstValue(request.fields, "range");
    if (request.method != "GET" || !range) return std::nullopt;
    for (const Line& line : request.fields) {
      if (line.first.starts_with("if-")) return std::nullopt;
    }
    const auto length = SuffixLength(*range);
    const bool fits = length && *length > 0 && *length <= in_parts.value_or(kUsualPartBytes);
    return fits ? length : std::nullopt;
  }

  /// RFC 9111 §3.3, §3.4: what is stored of it is this very range. While it may be shown without
  /// asking; it is not validated, nor shown behind anybody's back.
  bool ShowTail() {
    const auto length = LastBytesWanted();
    const std::optional<Cache::Tail>& tail = resource().tail;
    if (!length || !tail || tail->length != *length) return false;
    const Terms& terms = tail->kept.terms;
    const bool shown = Use(request.fields, terms, false, now).action == Action::kServe;
    if (!shown) return false;
    Outcome outcome = TailAnswer(tail->kept, tail->body, terms.Age(now));
    outcome.shows_tail = true;
    Emit(std::move(outcome), false, before);
    return true;
  }

  /// False: the whole came instead, or has to be asked for.
  bool FetchTail(const Cache& from) {
    const auto length = LastBytesWanted();
    if (!length) return false;
    Request asked = Asked(std::nullopt);
    asked.fields.emplace_back("range", "bytes=-" + std::to_string(*length));
    const auto remembered = from.resources.find(request.path);
    if (remembered != from.resources.end()) {
      const auto& alone = remembered->second.tails_alone_until;
      if (const auto until = alone.find(*length); until != alone.end() && now < until->second) {
        PassOn(from);
      }
    }
    const Reply reply = origin(asked);
    const std::string told = FirstValue(reply.fields, "content-range").value_or("");
    // All there is of it is the whole (§3.3); what varies is not kept alone.
    const bool alone =
        reply.status == 206 && !told.starts_with("bytes 0-") && !HasField(reply.fields, "vary");
    if (!alone) return false;
    Cache after = from;
    Cache::Resource& there = after.resources[request.path];
    // It is stored as the 200 would be that it is a part of.
    Exchange exchange = ExchangeOf(reply);
    exchange.status = 200;
    const Storing storing = Store(exchange);
    Kept kept = model::Keep(exchange, storing, kVia);
    kept.status = 206;
    if (storing.forbidden.empty() && there.stored.empty() && !there.varies) {
      there.tail = {.length = *length, .kept = kept, .body = reply.body};
    }
    if (storing.for_nobody || IsNeverFresh(storing.terms)) {
      there.tails_alone_until[*length] = now + kAloneFor;
    }
    const auto age = AgeToTell(kept, reply);
    Emit(TailAnswer(kept, reply.body, age >= kSecond ? age : std::nullopt), true, std::move(after));
    return true;
  }

  Outcome TailAnswer(const Kept& kept, const std::string& body, std::optional<int64_t> age) const {
    Reply reply{.status = 206, .fields = WithArrival(kept.fields, date), .body = body};
    if (age) reply.fields.emplace_back("age", std::to_string(*age / kSecond));
    return Only(std::move(reply));
  }

  // ---- what is stored of it as a whole

  void Consider(size_t index) {
    const Cache::Stored& stored = resource().stored[index];
    const Using use = Use(request.fields, stored.kept.terms, /*soft_purged=*/false, now);
    if (use.action == Action::kValidate) return Forward(index, nullptr);
    const Outcome served = AnswerFrom(stored.kept, *stored.body, stored.kept.terms.Age(now));
    if (stored.in_parts && !served.reply.body.empty()) AskForParts(index, served, use.action);
    if (use.action == Action::kServe) return Emit(served, false, before);
    Forward(index, &served);
  }

  /// RFC 9111 §3.3, §3.4: what is missing comes from the origin, if that has still the same.
  void AskForParts(size_t index, const Outcome& served, Action action) {
    if (CacheControlOf(request.fields).Has("only-if-cached")) {
      const Outcome refused = Only({.status = 504, .fields = {}, .body = ""});
      if (action == Action::kServeAndValidate) Forward(index, &refused);
      return Emit(refused, false, before);
    }
    const Reply now_there = origin(Asked(std::nullopt));
    const Lines& kept = resource().stored[index].kept.fields;
    const bool same =
        now_there.status == 200 && FirstValue(now_there.fields, "etag") == FirstValue(kept, "etag");
    if (same) Emit(served, true, before);
    if (!same || CacheControlOf(request.fields).Has("no-store")) PassOn(before);
    if (same) return;
    // What has been sent of the one cannot go on with the other. What was refused to this request
    // may still be there for others.
    Outcome cut;
    cut.cut = true;
    Emit(cut, true, before);
    if (action == Action::kServeAndValidate) Forward(index, &cut);
    Cache after = before;
    EraseStored(index, &after);
    Emit(cut, true, after);
    if (!FetchTail(after)) TakeWhole(std::nullopt, nullptr, now_there, after);
  }

  // ---- to the origin

  /// `instead`: what the client has been told already, while this is done behind.
  void Forward(std::optional<size_t> index, const Outcome* instead) {
    const bool stored_only = CacheControlOf(request.fields).Has("only-if-cached");
    if (stored_only && instead == nullptr) {
      return Emit(Only({.status = 504, .fields = {}, .body = ""}), false, before);
    }
    const bool validates = index && resource().stored[*index].kept.terms.has_validator;
    // docs/decisions/caching.md: HEAD on a miss is passed on; so is what is not shared.
    if (request.method == "HEAD" && !index) return PassOn(before);
    if (!index && FetchTail(before)) return;
    // §4.3.5: a HEAD that something stored could answer is sent as GET.
    const bool tells = index && request.method == "HEAD";
    const bool alone = now < resource().alone_until && !validates && !tells;
    // A part that may not be stored is asked for as the client did, be it the first of a copy that
    // has its parts.
    const bool of_parts = index && resource().stored[*index].in_parts;
    const bool part = in_parts && (of_parts || HasField(request.fields, "range"));
    if ((alone || part) && instead == nullptr) {
      Cache marked = before;
      if (part) marked.resources[request.path].alone_until = now + kAloneFor;
      PassOn(marked);
      if (part && index) {
        EraseStored(*index, &marked);
        PassOn(marked);
      }
    }
    Reply reply = origin(Asked(validates ? index : std::nullopt));
    if (reply.status != 304) return TakeWhole(index, instead, reply, before);
    TakeNotModified(*index, instead, reply);
  }

  /// §4.3.1.
  Request Asked(std::optional<size_t> validated) const {
    Request asked = {
        .method = "GET", .path = request.path, .fields = WithoutConditions(request.fields)};
    if (!validated) return asked;
    const Lines& kept = resource().stored[*validated].kept.fields;
    if (const auto tag = FirstValue(kept, "etag")) asked.fields.emplace_back("if-none-match", *tag);
    if (const auto modified = FirstValue(kept, "last-modified")) {
      asked.fields.emplace_back("if-modified-since", *modified);
    }
    return asked;
  }

  Exchange ExchangeOf(const Reply& reply) const {
    return {.hashed_name = false,
            .request = request.fields,
            .status = reply.status,
            .response = reply.fields,
            .request_time = now,
            .response_time = now,
            .site = site};
  }

  void PassOn(const Cache& after) {
    Reply reply = origin(request);
    const int64_t age = Store(ExchangeOf(reply)).terms.Age(now) / kSecond;
    if (HasField(reply.fields, "age")) {
      reply.fields = Without(reply.fields, {"age"});
      if (age > 0) reply.fields.emplace_back("age", std::to_string(age));
    }
    if (request.method == "HEAD") reply.body.clear();
    Emit(Only(std::move(reply)), true, after);
  }

  /// §4.3.3.
  void TakeWhole(std::optional<size_t> index, const Outcome* instead, const Reply& reply,
                 const Cache& from) {
    const Exchange exchange = ExchangeOf(reply);
    const Storing storing = Store(exchange);
    const Kept kept = model::Keep(exchange, storing, kVia);
    Cache after = from;
    const bool fails = IsFailure(reply.status);
    const bool displaces = !fails || !index || !MayShow(resource().stored[*index].kept.terms);
    const bool stores = storing.forbidden.empty() && displaces;
    if (stores) Put(request, kept, reply.body, &after);
    const bool never_shared = storing.for_nobody || IsNeverFresh(storing.terms);
    if (never_shared) {
      after.resources[request.path].alone_until = now + kAloneFor;
      // It may have been asked for as the last bytes.
      const auto length = LastBytesWanted();
      if (length && !index) {
        after.resources[request.path].tails_alone_until[*length] = now + kAloneFor;
      }
    }
    const bool withdrawn = storing.for_nobody && (storing.forbidden.count(Reason::kPrivate) > 0 ||
                                                  storing.forbidden.count(Reason::kNoStore) > 0);
    const Outcome answer = AnswerTo(index, kept, reply);
    if (stores && in_parts && reply.body.size() > *in_parts) {
      Emit(instead != nullptr ? *instead : answer, true, from);
      after.resources[request.path].stored.front().in_parts = true;
      const Outcome found = AnswerFrom(kept, reply.body, AgeToTell(kept, reply));
      if (instead == nullptr) Emit(found, true, after);
    }
    if (!withdrawn || CacheControlOf(request.fields).Has("no-store")) {
      Emit(instead != nullptr ? *instead : answer, true, after);
    }
    if (!withdrawn) return;
    if (index) EraseStored(*index, &after);
    Emit(instead != nullptr ? *instead : answer, true, std::move(after));
  }

  Outcome AnswerTo(std::optional<size_t> index, const Kept& kept, const Reply& reply) const {
    if (IsFailure(reply.status) && index) {
      const Cache::Stored& stored = resource().stored[*index];
      if (MayServeStaleOnError(request.fields, stored.kept.terms, false, now)) {
        return AnswerFrom(stored.kept, *stored.body, stored.kept.terms.Age(now));
      }
    }
    // §5.1: this one the origin has made, unless it says otherwise.
    const int64_t age = HasField(reply.fields, "age") ? kept.terms.Age(now) : 0;
    Outcome answer =
        AnswerFrom(kept, reply.body, age >= kSecond ? std::optional(age) : std::nullopt);
    // RFC 9110 §14.2: of what is still arriving.
    answer.or_whole = true;
    return answer;
  }

  /// §5.1: of what the origin has made, or validated, for this request, unless it says otherwise.
  std::optional<int64_t> AgeToTell(const Kept& kept, const Reply& reply) const {
    if (!HasField(reply.fields, "age")) return std::nullopt;
    return kept.terms.Age(now);
  }

  /// Whether a request that asks for nothing special could be shown it.
  bool MayShow(const Terms& terms) const {
    return Use({}, terms, false, now).action != Action::kValidate ||
           MayServeStaleOnError({}, terms, false, now);
  }

  /// §4.3.4.
  void TakeNotModified(size_t index, const Outcome* instead, const Reply& reply) {
    const Cache::Stored& stored = resource().stored[index];
    const Freshening fresh = Freshen(stored.kept, ExchangeOf(reply), kVia);
    Cache after = before;
    if (!fresh.about) {
      EraseStored(index, &after);
      return TakeWhole(std::nullopt, instead, origin(Asked(std::nullopt)), after);
    }
    if (IsNeverFresh(fresh.kept.terms)) {
      after.resources[request.path].alone_until = now + kAloneFor;
    }
    if (fresh.storing.forbidden.empty()) {
      after.resources[request.path].stored[index].kept = fresh.kept;
    } else if (fresh.storing.for_nobody) {
      EraseStored(index, &after);
    }
    const Outcome answer = AnswerFrom(fresh.kept, *stored.body, AgeToTell(fresh.kept, reply));
    Emit(instead != nullptr ? *instead : answer, true, std::move(after));
  }

  // ---- §4.4

  void Change() {
    const Reply reply = origin(request);
    const bool changes = !IsSafe(request.method) && reply.status >= 200 && reply.status < 400;
    if (!changes) return Emit(Only(reply), true, before);
    // What else of the origin goes along is a cache's to choose: a purge of a path takes what it
    // has with a query, this answer among it, and is made only where something is stored.
    for (const bool with_queries : {false, true}) {
      Cache after = before;
      Invalidate(request.path, with_queries, &after);
      bool takes_own = false;
      for (const char* name : {"location", "content-location"}) {
        const auto reference = FirstValue(reply.fields, name);
        if (!reference) continue;
        const std::string path = PathOf(*reference, request.path);
        Invalidate(path, with_queries, &after);
        takes_own = takes_own || (with_queries && request.path.starts_with(path + "?"));
      }
      if (takes_own) Emit(Only(reply), true, after);
      KeepForLaterGets(reply, &after);
      Emit(Only(reply), true, std::move(after));
    }
  }

  static void Invalidate(const std::string& path, bool with_queries, Cache* cache) {
    if (path.empty()) return;
    for (auto& [other, resource] : cache->resources) {
      const bool covered = other == path || (with_queries && other.starts_with(path + "?"));
      if (!covered) continue;
      resource.stored.clear();
      resource.tail.reset();
      resource.varies = false;
    }
  }

  /// RFC 9110 §9.3.3.
  void KeepForLaterGets(const Reply& reply, Cache* after) const {
    const Exchange exchange = ExchangeOf(reply);
    const Storing storing = Store(exchange);
    const auto shows = FirstValue(reply.fields, "content-location");
    if (request.method == "POST" && reply.status == 200 && storing.forbidden.empty() &&
        !storing.terms.guessed && !HasField(reply.fields, "vary") && shows &&
        PathOf(*shows, request.path) == request.path) {
      Put({}, model::Keep(exchange, storing, kVia), reply.body, after);
    }
  }

  // ---- what is stored

  static bool IsNeverFresh(const Terms& terms) {
    if (terms.validate_always) return true;
    return terms.lifetime <= 0 && (terms.never_stale || terms.while_revalidate <= 0);
  }

  void EraseStored(size_t index, Cache* cache) const {
    std::vector<Cache::Stored>& stored = cache->resources[request.path].stored;
    stored.erase(stored.begin() + static_cast<std::ptrdiff_t>(index));
  }

  /// In place of those that the same requests select; without Vary of all, and of those without one
  /// (docs/conformance.md, §4.1).
  void Put(const Request& by, const Kept& kept, const std::string& body, Cache* cache) const {
    Cache::Stored stored{
        .kept = kept, .body = std::make_shared<const std::string>(body), .selecting = {}};
    for (const std::string& name : ListMembers(JoinedValue(kept.fields, "vary"))) {
      stored.selecting[Lowered(name)] = SelectingValue(by.fields, Lowered(name));
    }
    Cache::Resource& resource = cache->resources[request.path];
    resource.varies = !stored.selecting.empty();
    resource.tail.reset();  // docs/decisions/caching.md: what else comes takes its place
    std::vector<Cache::Stored>& all = resource.stored;
    std::erase_if(all, [&](const Cache::Stored& old) {
      return stored.selecting.empty() || old.selecting.empty() || old.selecting == stored.selecting;
    });
    all.insert(all.begin(), std::move(stored));
  }

  // ---- what is sent

  Outcome AnswerFrom(const Kept& kept, const std::string& body, std::optional<int64_t> age) const {
    Reply whole{.status = kept.status, .fields = WithArrival(kept.fields, date), .body = body};
    if (age) whole.fields.emplace_back("age", std::to_string(*age / kSecond));
    const Answering answering = Answer(request.method, request.fields,
                                       {.status = kept.status,
                                        .fields = whole.fields,
                                        .body_bytes = body.size(),
                                        .received = kept.terms.received},
                                       now);
    Outcome outcome = Only(Worded(answering, whole));
    if (request.method == "HEAD") whole.body.clear();
    outcome.or_whole = answering.or_whole;
    outcome.whole = std::move(whole);
    return outcome;
  }

  Reply Worded(const Answering& answering, const Reply& whole) const {
    Reply reply = whole;
    reply.status = answering.status;
    if (request.method == "HEAD") reply.body.clear();
    if (answering.status == whole.status) return reply;
    std::erase_if(reply.fields, [&](const Line& line) {
      if (line.first == "age") return false;
      if (answering.status >= 400) return line.first != "etag";
      const bool told = answering.status == 304 && line.first == "last-modified";
      return !told && !IsSentWith(answering, line.first);
    });
    if (answering.status >= 400) reply.fields.emplace_back("cache-control", "no-store");
    const std::string content_range = ContentRangeOf(answering, whole.body.size());
    if (!content_range.empty()) reply.fields.emplace_back("content-range", content_range);
    reply.body.clear();
    if (answering.parts.size() == 1) {
      const Part& part = answering.parts.front();
      reply.body = whole.body.substr(part.first, part.last - part.first + 1);
    } else if (!answering.parts.empty()) {
      reply.body = PartsText(answering.parts, whole);
    }
    return reply;
  }

  static Outcome Only(Reply reply) {
    Outcome outcome;
    outcome.reply = std::move(reply);
    return outcome;
  }

  void Emit(Outcome outcome, bool asked, Cache after) {
    outcome.asked = asked;
    outcome.after = std::move(after);
    outcomes.push_back(std::move(outcome));
  }
};

std::string SiteModel::Play(const Request& request, const Seen& seen, const Origin& origin,
                            int64_t now) {
  std::vector<Cache> next;
  std::set<std::string> known;
  std::set<std::string> expected;
  for (Cache& cache : caches_) {
    ForgetWhatIsOver(now, &cache);
    Turn turn{.site = site_,
              .in_parts = in_parts_,
              .request = request,
              .origin = origin,
              .now = now,
              .date = "",
              .before = cache,
              .outcomes = {}};
    turn.Play();
    for (Outcome& outcome : turn.outcomes) {
      const bool as_it_is = Told(outcome.reply, seen.asked) == seen.reply;
      const bool as_whole = outcome.or_whole && outcome.reply.status == 206 &&
                            Told(outcome.whole, seen.asked) == seen.reply;
      const bool as_seen = seen.cut ? outcome.cut : !outcome.cut && (as_it_is || as_whole);
      if (outcome.asked == seen.asked && as_seen) {
        tails_shown_ += outcome.shows_tail ? 1 : 0;
        if (known.insert(TextOf(outcome.after)).second) next.push_back(std::move(outcome.after));
      } else if (!outcome.cut) {
        expected.insert(
            Text({.reply = Told(std::move(outcome.reply), outcome.asked), .asked = outcome.asked}));
      }
    }
  }
  if (next.empty()) {
    std::string text;
    for (const std::string& one : expected) text += one;
    return text.empty() ? "has no answer\n" : text;
  }
  caches_ = std::move(next);
  return "";
}

std::string Text(const Seen& seen) {
  std::string text = seen.asked ? "asks the origin: " : "does not ask: ";
  text += std::to_string(seen.reply.status) + "\n";
  for (const Line& line : seen.reply.fields)
    text += "    " + line.first + ": " + line.second + "\n";
  return text + "    |" + Short(seen.reply.body) + "|\n";
}

}  // namespace nearside::edge::model
