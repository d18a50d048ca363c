#include <gtest/gtest.h>

#include "runtime/settings.h"

namespace nearside::settings {
namespace {

struct Rule {
  std::vector<std::string> countries;
};
struct Steer {
  std::string policy;
  std::vector<Rule> rules;
};
struct Probe {
  std::string url;
};
struct Zone {
  std::string name;
  std::vector<Steer> steer;
  std::optional<Probe> check;
};
struct DocumentCache {
  ByteSize disk;
  std::chrono::milliseconds keep{};
};
struct Root {
  int threads = 1;
  std::vector<double> location;
  bool fast = false;
  DocumentCache cache;
  std::vector<Zone> zone;
};

Table RootTable() {
  Table rule;
  rule.Key("countries", &Rule::countries, {.fallback = "[]", .prose = "ISO codes."});
  Table steer;
  steer.Key("policy", &Steer::policy,
            {.fallback = "nearest", .one_of = {"nearest", "weighted"}, .prose = "How to choose."});
  steer.Each("rule", &Steer::rules, {.most = "9", .prose = "First match wins."}, std::move(rule));
  Table probe;
  probe.Key("url", &Probe::url, {.required = true, .prose = "Asked | for 200."});
  Table zone;
  zone.Key("name", &Zone::name, {.required = true, .most = "255", .prose = "Its apex."});
  zone.Each("steer", &Zone::steer, {.prose = "Names that move."}, std::move(steer));
  zone.Sub("check", &Zone::check, {.prose = "Absent: always up."}, std::move(probe));
  Table cache;
  cache.Key("disk", &DocumentCache::disk,
            {.fallback = "1GiB", .least = "64MiB", .most = "16TiB", .prose = "Space."});
  cache.Key("keep", &DocumentCache::keep, {.fallback = "1d", .least = "1s", .prose = "Time."});
  Table root;
  root.Key("threads", &Root::threads, {.prose = "Default: one a core."});
  root.Key("location", &Root::location, {.fallback = "50.11, 8.68", .least = "2", .most = "2"});
  root.Key("fast", &Root::fast, {.fallback = "true"});
  root.Sub("cache", &Root::cache, {.required = true, .prose = "The cache."}, std::move(cache));
  root.Each("zone", &Root::zone, {.least = "1", .prose = "What is served."}, std::move(zone));
  return root;
}

TEST(SettingsDocumentTest, EveryTableHasAHeadingAndEveryKeyARow) {
  EXPECT_EQ(RootTable().Document("geodns.toml"), R"(# geodns.toml

| key | type | default | range | meaning |
|---|---|---|---|---|
| `threads` | whole number | none |  | Default: one a core. |
| `location` | list of numbers | `[50.11, 8.68]` | 2 of them |  |
| `fast` | true or false | `true` |  |  |

## [cache]

The cache. Required.

| key | type | default | range | meaning |
|---|---|---|---|---|
| `disk` | size | `"1GiB"` | 64MiB to 16TiB | Space. |
| `keep` | duration | `"1d"` | at least 1s | Time. |

## [[zone]]

What is served. There must be at least 1 of them.

| key | type | default | range | meaning |
|---|---|---|---|---|
| `name` | text | required | at most 255 bytes | Its apex. |

### [[zone.steer]]

Names that move.

| key | type | default | range | meaning |
|---|---|---|---|---|
| `policy` | text | `"nearest"` | "nearest" or "weighted" | How to choose. |

#### rule = [{ … }]

First match wins. There must be at most 9 of them.

| key | type | default | range | meaning |
|---|---|---|---|---|
| `countries` | list of texts | `[]` |  | ISO codes. |

### check = { … }

Absent: always up.

| key | type | default | range | meaning |
|---|---|---|---|---|
| `url` | text | required |  | Asked \| for 200. |
)");
}

}  // namespace
}  // namespace nearside::settings
