#include "runtime/settings.h"

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace nearside::settings {
namespace {

using std::chrono::milliseconds;

struct Check {
  std::string url;
  milliseconds interval{};
  int rise = 0;
};

struct Listen {
  std::string address;
  bool tls = false;
  Origin where;
};

struct Cache {
  std::string path;
  ByteSize disk;
  milliseconds keep{};
  double share = 0;
  Origin where;
};

struct Edge {
  std::string name;
  std::string policy;
  int workers = 7;
  uint16_t port = 0;
  int64_t serial = 0;
  std::optional<int> limit;
  std::optional<milliseconds> linger;
  std::vector<std::string> hosts;
  std::vector<std::string> countries;
  std::vector<int64_t> asns;
  std::vector<double> location;
  Cache cache;
  std::optional<Check> check;
  std::vector<Listen> listen;
};

std::string WithoutColon(std::string_view text) {
  return text.find(':') == std::string_view::npos ? "an address like \"127.0.0.1:80\"" : "";
}

Table CacheTable() {
  Table table;
  table.Where(&Cache::where)
      .Key("path", &Cache::path, {.required = true})
      .Key("disk", &Cache::disk, {.fallback = "1GiB", .least = "64MiB", .most = "16TiB"})
      .Key("keep", &Cache::keep, {.fallback = "1d", .least = "1s", .most = "1y"})
      .Key("share", &Cache::share, {.fallback = "0.5", .least = "0", .most = "1"})
      .Check<Cache>([](const Cache& cache) {
        return cache.path == cache.where.file ? "path must not be the settings file itself" : "";
      });
  return table;
}

Table CheckTable() {
  Table table;
  table.Key("url", &Check::url, {.required = true})
      .Key("interval", &Check::interval, {.fallback = "1s"})
      .Key("rise", &Check::rise, {.fallback = "2", .least = "1"});
  return table;
}

Table ListenTable() {
  Table table;
  table.Where(&Listen::where)
      .Key("address", &Listen::address, {.required = true, .check = WithoutColon})
      .Key("tls", &Listen::tls, {.fallback = "false"});
  return table;
}

Table EdgeTable() {
  Table table;
  table.Key("name", &Edge::name, {.fallback = "edge", .least = "1", .most = "8"})
      .Key("policy", &Edge::policy, {.fallback = "bypass", .one_of = {"bypass", "store"}})
      .Key("workers", &Edge::workers, {.least = "1", .most = "64"})
      .Key("port", &Edge::port, {.fallback = "53"})
      .Key("serial", &Edge::serial, {})
      .Key("limit", &Edge::limit, {.most = "9"})
      .Key("linger", &Edge::linger, {})
      .Key("hosts", &Edge::hosts, {.fallback = "a.test, b.test", .most = "2"})
      .Key("countries", &Edge::countries, {.fallback = "[]", .one_of = {"DE", "JP"}})
      .Key("asns", &Edge::asns, {.fallback = "64512"})
      .Key("location", &Edge::location, {.fallback = "50.11, 8", .least = "2", .most = "2"})
      .Sub("cache", &Edge::cache, {}, CacheTable())
      .Sub("check", &Edge::check, {}, CheckTable())
      .Each("listen", &Edge::listen, {.most = "3"}, ListenTable());
  return table;
}

/// The errors of a file, or "ok".
std::string Read(std::string_view text, Edge* edge) {
  const Status status = EdgeTable().ReadText(text, "edge.toml", edge);
  if (status) return "ok";
  EXPECT_EQ(status.error().fault, Fault::kOperator);
  EXPECT_EQ(status.error().reason, "bad_settings");
  return status.error().message;
}

std::string Read(std::string_view text) {
  Edge edge;
  return Read(text, &edge);
}

TEST(SettingsTest, WhatTheFileDoesNotSayHasItsDefault) {
  Edge edge;
  ASSERT_EQ(Read("cache.path = 'var'", &edge), "ok");
  EXPECT_EQ(edge.name, "edge");
  EXPECT_EQ(edge.policy, "bypass");
  EXPECT_EQ(edge.workers, 7) << "no default: the struct's own";
  EXPECT_EQ(edge.port, 53);
  EXPECT_EQ(edge.serial, 0);
  EXPECT_EQ(edge.limit, std::nullopt);
  EXPECT_EQ(edge.linger, std::nullopt);
  EXPECT_EQ(edge.hosts, (std::vector<std::string>{"a.test", "b.test"}));
  EXPECT_EQ(edge.countries, std::vector<std::string>());
  EXPECT_EQ(edge.asns, std::vector<int64_t>{64512});
  EXPECT_EQ(edge.location, (std::vector<double>{50.11, 8}));
  EXPECT_EQ(edge.cache.disk, 1_GiB);
  EXPECT_EQ(edge.cache.keep, std::chrono::hours(24));
  EXPECT_EQ(edge.cache.share, 0.5);
  EXPECT_FALSE(edge.check);
  EXPECT_TRUE(edge.listen.empty());
}

TEST(SettingsTest, EveryTypeIsRead) {
  Edge edge;
  ASSERT_EQ(Read(R"(
name = "größe"
policy = "store"
workers = 64
port = 65535
serial = -9223372036854775808
limit = 9
linger = "1m30s"
hosts = ["*"]
countries = ["DE", "JP"]
asns = [1, 4294967295]
location = [-33, 18.42]
check = { url = "http://x", interval = "250ms", rise = 1 }

[cache]
path = '../var/edge'
disk = "64MiB"
keep = "1y"
share = 1

[[listen]]
address = "127.0.0.1:80"
[[listen]]
address = "[::1]:443"
tls = true
)",
                 &edge),
            "ok");
  EXPECT_EQ(edge.name, "größe");
  EXPECT_EQ(edge.policy, "store");
  EXPECT_EQ(edge.workers, 64);
  EXPECT_EQ(edge.port, 65535);
  EXPECT_EQ(edge.serial, std::numeric_limits<int64_t>::min());
  EXPECT_EQ(edge.limit, 9);
  EXPECT_EQ(edge.linger, std::chrono::seconds(90));
  EXPECT_EQ(edge.hosts, std::vector<std::string>{"*"});
  EXPECT_EQ(edge.countries, (std::vector<std::string>{"DE", "JP"}));
  EXPECT_EQ(edge.asns, (std::vector<int64_t>{1, 4294967295}));
  EXPECT_EQ(edge.location, (std::vector<double>{-33, 18.42}));
  ASSERT_TRUE(edge.check);
  EXPECT_EQ(edge.check->url, "http://x");
  EXPECT_EQ(edge.check->interval, milliseconds(250));
  EXPECT_EQ(edge.check->rise, 1);
  EXPECT_EQ(edge.cache.path, "../var/edge");
  EXPECT_EQ(edge.cache.disk, 64_MiB);
  EXPECT_EQ(edge.cache.share, 1.0);
  EXPECT_EQ(edge.cache.where.file, "edge.toml");
  EXPECT_EQ(edge.cache.where.line, 15);
  ASSERT_EQ(edge.listen.size(), 2u);
  EXPECT_EQ(edge.listen[0].where.line, 21);
  EXPECT_FALSE(edge.listen[0].tls);
  EXPECT_EQ(edge.listen[1].address, "[::1]:443");
  EXPECT_TRUE(edge.listen[1].tls);
  EXPECT_EQ(edge.listen[1].where.line, 23);
}

TEST(SettingsTest, ErrorsFoundLaterNameTheLineOfTheirKey) {
  Edge edge;
  ASSERT_EQ(Read("\n[cache]\ndisk = '64MiB'\npath = 'a'\n[[listen]]\naddress = ':1'\n", &edge),
            "ok");
  EXPECT_EQ(edge.cache.where.Of("path"), "edge.toml:4: cache.path");
  EXPECT_EQ(edge.cache.where.Of("share"), "edge.toml:2: cache.share") << "not written: its table";
  EXPECT_EQ(edge.listen.at(0).where.Of("address"), "edge.toml:6: listen.address");
  const Error busy{Fault::kSelf, "EADDRINUSE", "another program uses it"};
  const Error told = edge.listen[0].where.Refuse("address", busy).value();
  EXPECT_EQ(told.ToString(), "edge.toml:6: listen.address: another program uses it (EADDRINUSE)");
  EXPECT_EQ(told.fault, Fault::kOperator);
}

TEST(SettingsTest, WhatTakesARestartIsCompared) {
  struct Socket {
    std::string address;
    bool tls = false;
  };
  struct Daemon {
    int workers = 0;
    std::vector<Socket> listen;
    RestartValues restart;
  };
  Table listen;
  listen.Key("address", &Socket::address, {.required = true, .restart = true});
  listen.Key("tls", &Socket::tls, {.fallback = "false"});
  Table root;
  root.Key("workers", &Daemon::workers, {.fallback = "2", .restart = true});
  root.Each("listen", &Daemon::listen, {}, std::move(listen));
  root.KeepRestartValues(&Daemon::restart);
  const auto read = [&root](std::string_view text) {
    Daemon daemon;
    EXPECT_TRUE(root.ReadText(text, "a.toml", &daemon));
    return daemon.restart;
  };
  const RestartValues before = read("[[listen]]\naddress = 'a'\n[[listen]]\naddress = 'b'\n");
  EXPECT_TRUE(ChangedKeys(before, read("workers = 2\n[[listen]]\naddress = 'a'\ntls = true\n"
                                       "[[listen]]\naddress = 'b'\n"))
                  .empty())
      << "a default that is written, and a key that a reload can change";
  EXPECT_EQ(ChangedKeys(before, read("workers = 3\n[[listen]]\naddress = 'b'\n")),
            (std::vector<std::string>{"listen.address", "workers"}));
  EXPECT_NE(root.Document("a").find("Takes a restart."), std::string::npos);
}

TEST(SettingsTest, TheSameStructureInlineOrDotted) {
  Edge edge;
  ASSERT_EQ(Read("cache = { path = 'a' }\nlisten = [{ address = ':1' },\n{ address = ':2' }]\n"
                 "check.url = 'u'\ncheck.rise = 3",
                 &edge),
            "ok");
  EXPECT_EQ(edge.cache.path, "a");
  EXPECT_EQ(edge.listen.at(1).address, ":2");
  EXPECT_EQ(edge.listen.at(1).where.line, 3);
  EXPECT_EQ(edge.check->rise, 3);
}

struct Row {
  std::string_view text;
  std::string_view error;
};

// Line 1 of each file is a good [cache], or empty, so that a wrong key stands alone on line 2.
void ExpectErrors(std::initializer_list<Row> rows) {
  for (const Row& row : rows) {
    const bool has_path = row.text.starts_with("cache.path");
    const std::string first = has_path ? "# nothing\n" : "cache.path = 'var'\n";
    EXPECT_EQ(Read(first + std::string(row.text)), "edge.toml:2: " + std::string(row.error))
        << row.text;
  }
}

TEST(SettingsTest, AWrongValueSaysWhatWasExpectedAndWhatThereWas) {
  ExpectErrors(
      {{"name = 5", "name: expected text of 1 to 8 bytes, got 5"},
       {"name = ''", "name: expected text of 1 to 8 bytes, got \"\""},
       {"name = 'frankfurt'", "name: expected text of 1 to 8 bytes, got \"frankfurt\""},
       {R"(name = "a\u0000b")", R"(name: expected text of 1 to 8 bytes, got "a\u0000b")"},
       {"policy = 'stroe'", "policy: expected one of \"bypass\", \"store\", got \"stroe\""},
       {"policy = true", "policy: expected one of \"bypass\", \"store\", got true"},
       {"workers = 0", "workers: expected a whole number from 1 to 64, got 0"},
       {"workers = 65", "workers: expected a whole number from 1 to 64, got 65"},
       {"workers = '4'", "workers: expected a whole number from 1 to 64, got \"4\""},
       {"workers = 1.0", "workers: expected a whole number from 1 to 64, got 1.0"},
       {"port = -1", "port: expected a whole number from 0 to 65535, got -1"},
       {"port = 65536", "port: expected a whole number from 0 to 65535, got 65536"},
       {"port = []", "port: expected a whole number, got an empty list"},
       {"serial = 2026-11-20", "serial: expected a whole number, got a date or time"},
       {"limit = -3000000000",
        "limit: expected a whole number from -2147483648 to 9, got -3000000000"},
       {"limit = 10", "limit: expected a whole number of at most 9, got 10"},
       {"linger = 5", "linger: expected a duration like \"2s\", got 5"},
       {"linger = '5'", "linger: expected a duration like \"2s\", got \"5\""},
       {"linger = '5 s'", "linger: expected a duration like \"2s\", got \"5 s\""}});
}

TEST(SettingsTest, AWrongListSaysWhichElement) {
  ExpectErrors(
      {{"hosts = 'a'", "hosts: expected a list of at most 2 texts, got \"a\""},
       {"hosts = ['a', 5]", "hosts: expected text in this list, got 5"},
       {"hosts = ['a', 'b', 'c']", "hosts: expected a list of at most 2 texts, got a list of 3"},
       {"countries = ['DE', 'de']", "countries: expected one of \"DE\", \"JP\", got \"de\""},
       {"asns = [1.5]", "asns: expected a whole number in this list, got 1.5"},
       {"location = [50.11]", "location: expected a list of 2 numbers, got a list of 1"},
       {"location = [1, nan]", "location: expected a number in this list, got nan"},
       {"location = ['N', 1]", "location: expected a number in this list, got \"N\""}});
}

TEST(SettingsTest, AWrongSizeDurationOrShareNamesItsRange) {
  ExpectErrors(
      {{"cache.disk = 7", "cache.disk: expected a size like \"1GiB\", got 7"},
       {"cache.disk = '7'", "cache.disk: expected a size like \"1GiB\", got \"7\""},
       {"cache.disk = '1s'", "cache.disk: expected a size like \"1GiB\", got \"1s\""},
       {"cache.disk = '1MiB'", "cache.disk: expected a size from 64MiB to 16TiB, got \"1MiB\""},
       {"cache.disk = '17TiB'", "cache.disk: expected a size from 64MiB to 16TiB, got \"17TiB\""},
       {"cache.keep = '0s'", "cache.keep: expected a duration from 1s to 1y, got \"0s\""},
       {"cache.share = 1.5", "cache.share: expected a number from 0 to 1, got 1.5"},
       {"cache.share = inf", "cache.share: expected a number from 0 to 1, got inf"}});
}

TEST(SettingsTest, AWrongTableSaysWhatOneLooksLike) {
  ExpectErrors(
      {{"check = 5", "check: expected a table, got 5"},
       {"check = {url = 'u', rise = 0}",
        "check.rise: expected a whole number of at least 1, got 0"},
       {"listen = {address = ':1'}",
        "listen: expected a list of at most 3 tables ([[listen]]), got a table"},
       {"check = {url = 'u', rise = 3000000000}",
        "check.rise: expected a whole number from 1 to 2147483647, got 3000000000"},
       {"listen = [5]", "listen: expected a list of at most 3 tables ([[listen]]), got 5"},
       {"listen = [{address = '1'}]",
        "listen.address: expected an address like \"127.0.0.1:80\", got \"1\""},
       {"listen = [{address = ':', tls = 1}]", "listen.tls: expected true or false, got 1"},
       {"listen = [{address=':'}, {address=':'}, {address=':'}, {address=':'}]",
        "listen: expected a list of at most 3 tables ([[listen]]), got a list of 4"},
       {"cache.path = 'edge.toml'", "cache: path must not be the settings file itself"}});
}

TEST(SettingsTest, ALongTextIsNotRepeated) {
  EXPECT_EQ(Read("cache.path = 'v'\nname = '" + std::string(81, 'x') + "'"),
            "edge.toml:2: name: expected text of 1 to 8 bytes, got text of 81 bytes");
}

TEST(SettingsTest, AnUnknownKeyRefusesAndTheNearestIsNamed) {
  const Row rows[] = {
      {"wrokers = 1", "wrokers: unknown key; did you mean \"workers\"?"},
      {"nmae = 'x'", "nmae: unknown key; did you mean \"name\"?"},
      {"Policy = 'x'", "Policy: unknown key; did you mean \"policy\"?"},
      {"host = 'x'", "host: unknown key; did you mean \"hosts\"?"},
      {"cache.dsk = '1GiB'", "cache.dsk: unknown key; did you mean \"disk\"?"},
      {"cache.memory = '1GiB'", "cache.memory: unknown key; known here: path, disk, keep, share"},
      {"check = {url = 'u', fall = 2}", "check.fall: unknown key; known here: url, interval, rise"},
      {"[[lissten]]\naddress = ':1'", "lissten: unknown key; did you mean \"listen\"?"},
      {"[[listen]]\nadress = ':1'\naddress = ':1'",
       "listen.adress: unknown key; did you mean \"address\"?"},
      {"'' = 1",
       "\"\": unknown key; known here: name, policy, workers, port, serial, limit, linger, "
       "hosts, countries, asns, location, cache, check, listen"},
  };
  for (const Row& row : rows) {
    const std::string line = row.error.starts_with("listen.adress") ? "3" : "2";
    EXPECT_EQ(Read("cache.path = 'var'\n" + std::string(row.text)),
              "edge.toml:" + line + ": " + std::string(row.error));
  }
}

TEST(SettingsTest, WhatIsMissingNamesTheTablesLine) {
  const Row rows[] = {
      {"", "edge.toml:1: cache.path: missing; expected text that is not empty"},
      {"\n\n[cache]\ndisk = '1GiB'",
       "edge.toml:3: cache.path: missing; expected text that is not empty"},
      {"[cache]\npath = ''", "edge.toml:2: cache.path: expected text that is not empty, got \"\""},
      {"[cache]\npath = 'v'\n[[listen]]\naddress = ':1'\n\n[[listen]]\ntls = true",
       "edge.toml:6: listen.address: missing; expected text that is not empty"},
      {"[cache]\npath = 'v'\n[check]",
       "edge.toml:3: check.url: missing; expected text that is not empty"},
  };
  for (const Row& row : rows) EXPECT_EQ(Read(row.text), row.error);
}

TEST(SettingsTest, AllErrorsAreReportedInTheOrderOfTheirLines) {
  EXPECT_EQ(Read("port = 'x'\nnmae = 'x'\nworkers = 0\n[[listen]]\n[cache]\ndisk = 1\n"),
            "edge.toml:1: port: expected a whole number, got \"x\"\n"
            "edge.toml:2: nmae: unknown key; did you mean \"name\"?\n"
            "edge.toml:3: workers: expected a whole number from 1 to 64, got 0\n"
            "edge.toml:4: listen.address: missing; expected text that is not empty\n"
            "edge.toml:5: cache.path: missing; expected text that is not empty\n"
            "edge.toml:6: cache.disk: expected a size like \"1GiB\", got 1");
}

TEST(SettingsTest, WhatIsNoTomlNamesLineAndColumn) {
  const Row rows[] = {
      {"a = 1\na = 2",
       "edge.toml:2: not TOML at column 5: key-value pair: "
       "cannot redefine existing integer 'a'"},
      {"[cache]\n\n[cache]",
       "edge.toml:3: not TOML at column 1: table header: cannot redefine existing table 'cache'"},
      {"name = ", "edge.toml:1: not TOML at column 8: key-value pair: encountered end-of-file"},
      {"name = \"x\nport = 1",
       "edge.toml:1: not TOML at column 10: string: unescaped control characters other than TAB "
       "(U+0009) are explicitly prohibited"},
  };
  for (const Row& row : rows) EXPECT_EQ(Read(row.text), row.error);
}

TEST(SettingsTest, EveryShortFileAndGarbageIsAnErrorAndNeverACrash) {
  const std::string good = "name = \"é\"\n[cache]\npath = 'v' # c\n[[listen]]\naddress = ':1'\n";
  ASSERT_EQ(Read(good), "ok");
  for (size_t size = 0; size < good.size(); ++size) {
    const std::string result = Read(good.substr(0, size));
    EXPECT_TRUE(result == "ok" || result.starts_with("edge.toml:")) << result;
  }
  uint32_t seed = 20261120;
  for (int round = 0; round < 2000; ++round) {
    std::string bad = good;
    for (int change = 0; change < 3; ++change) {
      seed = seed * 1664525 + 1013904223;
      bad[(seed >> 8) % bad.size()] = static_cast<char>(seed >> 24);
    }
    const std::string result = Read(bad);
    EXPECT_TRUE(result == "ok" || result.starts_with("edge.toml:")) << seed << result;
  }
  EXPECT_TRUE(Read("a = " + std::string(10'000, '[')).starts_with("edge.toml:1: not TOML"));
}

struct Counts {
  std::vector<Listen> listen;
  std::optional<Check> check;
  Cache cache;
  std::vector<std::string> names;
};

TEST(SettingsTest, ARequiredTableOrListMustBeThere) {
  Table table;
  table.Each("listen", &Counts::listen, {.required = true}, ListenTable())
      .Sub("check", &Counts::check, {.required = true}, CheckTable())
      .Sub("cache", &Counts::cache, {.required = true}, CacheTable())
      .Key("names", &Counts::names, {.required = true});
  Counts counts;
  EXPECT_EQ(table.ReadText("", "f", &counts).error().message,
            "f:1: listen: missing; expected a list of at least 1 table ([[listen]])\n"
            "f:1: check: missing; expected a table\n"
            "f:1: cache: missing; expected a table\n"
            "f:1: names: missing; expected a list of at least 1 text");
  EXPECT_EQ(table
                .ReadText("listen = []\nnames = []\n[check]\nurl = 'u'\n[cache]\npath = 'p'", "f",
                          &counts)
                .error()
                .message,
            "f:1: listen: expected a list of at least 1 table ([[listen]]), got an empty list\n"
            "f:2: names: expected a list of at least 1 text, got an empty list");
}

TEST(SettingsTest, AFileIsReadFromDisk) {
  const test::TempDir folder;
  const std::string path = folder.Write("edge.toml", "[cache]\npath = 'v'\ndisk = 1");
  Edge edge;
  EXPECT_EQ(EdgeTable().ReadFile(path, &edge).error().message,
            path + ":3: cache.disk: expected a size like \"1GiB\", got 1");
  folder.Write("edge.toml", "[cache]\npath = 'v'");
  EXPECT_TRUE(EdgeTable().ReadFile(path, &edge));
  EXPECT_EQ(edge.cache.path, "v");
  EXPECT_EQ(edge.cache.where.file, path);
}

TEST(SettingsTest, AnUnreadableOrHugeFileIsTheOperatorsToMend) {
  const test::TempDir folder;
  Edge edge;
  const Status missing = EdgeTable().ReadFile(folder.In("none"), &edge);
  EXPECT_EQ(missing.error().fault, Fault::kOperator);
  EXPECT_EQ(missing.error().ToString(),
            folder.In("none") + ": cannot open: No such file or directory (bad_settings)");
  const std::string huge = folder.Write("huge", std::string(4 * 1024 * 1024 + 1, '\n'));
  EXPECT_EQ(EdgeTable().ReadFile(huge, &edge).error().message, huge + ": larger than 4MiB");
}

TEST(SettingsDeathTest, ARowThatContradictsItselfIsABug) {
  Table table;
  table.Key("name", &Edge::name, {});
  EXPECT_DEATH(table.Key("name", &Edge::policy, {}), "setting name has two rows");
  EXPECT_DEATH(table.Key("a", &Edge::workers, {.fallback = "x"}), "setting default:1: a: ");
  EXPECT_DEATH(table.Key("a", &Edge::workers, {.fallback = "0", .least = "1"}),
               "setting default:1: a: expected a whole number of at least 1, got 0");
  EXPECT_DEATH(table.Key("a", &Edge::workers, {.least = "1s"}), "\"1s\" is no bound for its type");
  EXPECT_DEATH(table.Key("a", &Edge::workers, {.least = "2", .most = "1"}), "the wrong way round");
  EXPECT_DEATH(table.Key("a", &Edge::port, {.most = "65536"}), "bounds do not fit its C.. type");
  EXPECT_DEATH(table.Key("a", &Edge::policy, {.fallback = "x", .one_of = {"y", "z"}}),
               "expected one of \"y\", \"z\", got \"x\"");
  EXPECT_DEATH(table.Key("a", &Edge::name, {.required = true, .fallback = "x"}),
               "is required and has a default");
}

}  // namespace
}  // namespace nearside::settings
