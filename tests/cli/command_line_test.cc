// Every command against a real origin in the process.

#include "cli/command_line.h"

#include <atomic>
#include <filesystem>
#include <thread>

#include "runtime/crypto.h"
#include "tests/cli/command_run.h"
#include "tests/origin/origin_fixture.h"

namespace nearside::cli::test {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class CommandLineTest : public origin::test::OriginTest {
 protected:
  /// Runs "nearside" with the words of `command` behind what names the origin and the token.
  Outcome Nearside(const std::string& command) {
    return RunNearside("--config " + dir_.Write("client.toml", "") +
                       " --origin http://127.0.0.1:" + std::to_string(port()) + " --token-file " +
                       dir_.In("admin.token") + " " + command);
  }
  std::string Folder() const { return dir_.In("site"); }
  void WriteSite() {
    dir_.Write("site/index.html", "home");
    dir_.Write("site/docs/index.html", "docs");
    dir_.Write("site/app.5f3c1b2e.js", "js");
  }
  void PublishFirst() {
    WriteSite();
    const Outcome run = Nearside("publish " + Folder() + " --site demo --host www.demo.test");
    ASSERT_EQ(run.code, 0) << run.errors;
  }
  uint64_t LastEvent() { return node_->metadata->Log()->last.sequence; }
  void Report(const std::string& edge, uint64_t sequence) {
    const storage::LogPosition last = node_->metadata->Log()->last;
    ASSERT_TRUE(node_->fleet.Report(
        edge, {last.epoch, sequence},
        R"({"load":0.25,"requests":200,"hits":150,"hit_bytes":3,"miss_bytes":1,"address":"127.0.1.1"})",
        WallNow()));
  }
  static nlohmann::json PreparedJson(uint64_t sequence) {
    return {{"release", "2"}, {"seq", sequence}, {"state", "partly"},    {"held", 1},
            {"of", 2},        {"bytes", 6},      {"why", "wrong_bytes"}, {"ms", 20}};
  }
  /// An edge tells how far it is with what a release needs before its switch.
  void Prepare(const std::string& edge, uint64_t sequence) {
    const uint64_t epoch = node_->metadata->Log()->last.epoch;
    nlohmann::json preparing = PreparedJson(sequence);
    preparing["epoch"] = epoch;
    const nlohmann::json site = {{"site", "demo"}, {"preparing", preparing}};
    const nlohmann::json report = {{"epoch", epoch}, {"seq", sequence}, {"sites", {site}}};
    EXPECT_EQ(Fleet("POST /v1/edges/" + edge, report.dump()).status, 200);
  }
  /// An edge tells how far it is with the newest switch.
  void Prove(const std::string& edge, uint64_t sequence, const std::string& state,
             const std::string& digest) {
    const uint64_t epoch = node_->metadata->Log()->last.epoch;
    nlohmann::json site = {{"site", "demo"},  {"epoch", epoch}, {"seq", sequence},
                           {"state", state},  {"urls", 2},      {"same", state == "proved" ? 2 : 1},
                           {"digest", digest}};
    site["whole"] = {{"held", 7}, {"of", 8}};
    if (edge == "tokyo") {
      site["whole"]["missing"] = {{{"url", "/big.iso"}, {"why", "no room"}}};
    }
    if (edge == "frankfurt") site["prepared"] = PreparedJson(sequence - 1);
    if (state == "differs") site["differing"] = {{{"url", "/a"}, {"why", "other bytes"}}};
    const nlohmann::json report = {{"epoch", epoch}, {"seq", sequence}, {"sites", {site}}};
    EXPECT_EQ(Fleet("POST /v1/edges/" + edge, report.dump()).status, 200);
  }
};

TEST_F(CommandLineTest, PublishMakesTheSiteUploadsAndSwitches) {
  WriteSite();
  dir_.Write("site/.git/HEAD", "x");
  const Outcome run = Nearside("publish " + Folder() + " --site demo --host www.demo.test");
  EXPECT_EQ(run.code, 0) << run.errors;
  EXPECT_THAT(run.out, HasSubstr("left out 1 hidden name (.git)\n"));
  EXPECT_THAT(run.out, HasSubstr("uploading  3/3 files"));
  EXPECT_THAT(run.out, HasSubstr("release 1 of demo is active: 3 files, 3 changed\n"));
  EXPECT_THAT(run.out, HasSubstr("no edge has ever reported"));
  EXPECT_EQ(Visit("/").body, "home");
  EXPECT_EQ(Visit("/docs/").body, "docs");
  EXPECT_EQ(Visit("/app.5f3c1b2e.js").Field("cache-control"),
            "public, max-age=31536000, immutable");
}

TEST_F(CommandLineTest, PublishWaitsForTheProofOfEveryEdgeAndReceiptShowsItAgain) {
  PublishFirst();
  Report("frankfurt", LastEvent());
  Report("tokyo", LastEvent());
  dir_.Write("site/index.html", "home 2");
  const uint64_t wanted = LastEvent() + 2;  // the first one asks the edges to prepare
  const std::string two = origin::test::DigitsOf("home 2");
  const std::string digest = HexEncode(Sha256Of("/index.html " + two + "\n/ " + two + "\n"));
  std::thread edges([&] {
    while (LastEvent() < wanted - 1) std::this_thread::yield();
    Prepare("frankfurt", wanted - 1);
    Report("tokyo", wanted - 1);
    while (LastEvent() < wanted) std::this_thread::yield();
    while (node_->metadata->Receipts("demo", 10)->size() < 2) std::this_thread::yield();
    Prove("frankfurt", wanted, "proved", digest);
    Prove("tokyo", wanted, "proving", "");
    Prove("tokyo", wanted, "proved", digest);
  });
  const Outcome run = Nearside("publish " + Folder() + " --site demo --wait 20s");
  edges.join();
  EXPECT_EQ(run.code, 0) << run.out << run.errors;
  const size_t at = run.out.find("receipt 2: release 2 of demo, event " + std::to_string(wanted));
  ASSERT_NE(at, std::string::npos) << run.out;
  EXPECT_THAT(run.out, HasSubstr("EDGE       PREPARED  SWITCHED"));
  EXPECT_THAT(run.out, ContainsRegex("frankfurt +1/2 +[0-9.]+ m?s +[0-9.]+ m?s +7/8 +" +
                                     digest.substr(0, 12) + " +proved 2 URLs"));
  EXPECT_THAT(run.out, HasSubstr("tokyo: does not hold /big.iso: no room"));
  EXPECT_THAT(run.out, HasSubstr("contents at the edges before the switch: frankfurt 1 of 2 "
                                 "(wrong_bytes), tokyo none, after "));
  const Outcome again = Nearside("receipt 2");
  EXPECT_EQ(again.code, 0);
  EXPECT_EQ(again.out, run.out.substr(at));
  const Outcome json = Nearside("receipt 2 --json");
  EXPECT_EQ(json.code, 0);
  EXPECT_EQ(nlohmann::json::parse(json.out)["digest"], digest);
  EXPECT_EQ(Nearside("receipt 1").code, 0) << "there was no edge then";
  EXPECT_THAT(Nearside("receipt --site demo").out, StartsWith("RECEIPT  SITE  RELEASE"));
  EXPECT_EQ(Nearside("receipt 77").code, 1);
}

TEST_F(CommandLineTest, PublishEndsWith3WhenAnEdgeHasNotProvedIt) {
  WriteSite();
  Report("away", 0);
  ASSERT_TRUE(node_->fleet.Report("gone", {1, 1}, "{}", WallNow() - seconds(3600)));
  const Outcome run = Nearside("publish " + Folder() +
                               " --site demo --host www.demo.test --no-prepare --wait 50ms");
  EXPECT_EQ(run.code, 3) << run.out;
  EXPECT_THAT(run.out, HasSubstr("has not applied the switch yet"));
  EXPECT_THAT(run.out, HasSubstr("not reachable; it catches up"));
  Prove("away", LastEvent(), "differs", origin::test::DigitsOf("else"));
  const Outcome differs = Nearside("receipt 1");
  EXPECT_EQ(differs.code, 3);
  EXPECT_THAT(differs.out, HasSubstr("1 of 2 URLs are not as they should be"));
  EXPECT_THAT(differs.out, HasSubstr("away: differs /a: other bytes"));
  Prove("away", LastEvent(), "proved", origin::test::DigitsOf("else"));
  EXPECT_THAT(Nearside("receipt 1").out, HasSubstr("serves other bytes than the origin has"));
  EXPECT_EQ(Nearside("receipt 1 --json").code, 3);
  const Outcome unwatched = Nearside("publish " + Folder() + " --site demo --no-prepare --wait 0s");
  EXPECT_EQ(unwatched.code, 0);
  EXPECT_THAT(unwatched.out, HasSubstr("nearside receipt 2 shows"));
}

TEST_F(CommandLineTest, ASecondPublishSendsWhatIsNewAlone) {
  PublishFirst();
  const uint64_t stored = node_->counters.stored_blobs.load();
  dir_.Write("site/index.html", "home 2");
  std::filesystem::remove(dir_.In("site/docs/index.html"));
  const Outcome dry = Nearside("publish " + Folder() + " --site demo --dry-run");
  EXPECT_EQ(dry.code, 0) << dry.errors;
  EXPECT_EQ(dry.out,
            "~ index.html  (6 B)\n- docs/index.html\n"
            "2 files, 2 changes. Nothing was sent: this was a dry run.\n");
  EXPECT_EQ(Visit("/").body, "home");
  const Outcome run = Nearside("publish " + Folder() + " --site demo");
  EXPECT_THAT(run.out, HasSubstr("uploading  1/1 files"));
  EXPECT_EQ(node_->counters.stored_blobs.load(), stored + 1);
  EXPECT_EQ(Visit("/").body, "home 2");
  EXPECT_EQ(Visit("/docs/").status, 404);
  EXPECT_THAT(Nearside("publish " + Folder() + " --site demo").out, HasSubstr("nothing to upload"));
}

TEST_F(CommandLineTest, ManyFilesGoOverSeveralConnections) {
  for (int i = 0; i < 100; ++i) {
    dir_.Write("site/f" + std::to_string(i), std::string(static_cast<size_t>(1000 + i), 'x'));
  }
  const Outcome run =
      Nearside("publish " + Folder() + " --site demo --host www.demo.test --jobs 8");
  EXPECT_EQ(run.code, 0) << run.errors;
  EXPECT_EQ(Visit("/f99").body.size(), 1099u);
}

TEST_F(CommandLineTest, PublishSaysWhatIsWrongAndChangesNothing) {
  WriteSite();
  EXPECT_THAT(Nearside("publish " + Folder() + " --site demo").errors, HasSubstr("add --host"));
  EXPECT_THAT(Nearside("publish " + dir_.In("none") + " --site demo").errors, HasSubstr("none"));
  std::filesystem::create_directory(dir_.In("empty"));
  EXPECT_THAT(Nearside("publish " + dir_.In("empty") + " --site demo").errors,
              HasSubstr("holds no file"));
  std::filesystem::create_symlink("/etc/passwd", dir_.In("site/link"));
  const Outcome run = Nearside("publish " + Folder() + " --site demo --host www.demo.test");
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.errors, HasSubstr("site/link: a symbolic link that leaves the folder"));
  EXPECT_EQ(LastEvent(), 0u);
}

TEST_F(CommandLineTest, RulesAreReadBeforeAnythingIsSent) {
  WriteSite();
  dir_.Write("site/_redirects", "/old /new\n/a /b 999\n");
  for (const char* how : {" --dry-run", ""}) {
    const Outcome run = Nearside("publish " + Folder() + " --site demo --host www.demo.test" + how);
    EXPECT_EQ(run.code, 1);
    EXPECT_THAT(run.errors, HasSubstr("_redirects:2: \"999\" is no status"));
  }
  EXPECT_EQ(LastEvent(), 0u);
  dir_.Write("site/_redirects", "/old /docs/ 302\n");
  dir_.Write("site/_headers", "/*\n  Set-Cookie: a=b\n");
  EXPECT_THAT(Nearside("publish " + Folder() + " --site demo --dry-run").errors,
              HasSubstr("_headers:2: \"set-cookie\" cannot be set"));
  dir_.Write("site/_headers", "/*\n  X-A: b\n");
  const Outcome run = Nearside("publish " + Folder() + " --site demo --host www.demo.test");
  EXPECT_EQ(run.code, 0) << run.errors;
  EXPECT_EQ(Visit("/old").Field("location"), "/docs/");
  EXPECT_EQ(Visit("/").Field("x-a"), "b");
}

TEST_F(CommandLineTest, AWaitThatTheOriginWouldRefuseIsRefusedBeforeTheUpload) {
  WriteSite();
  const std::string publish = "publish " + Folder() + " --site demo --host www.demo.test --wait ";
  const Outcome run = Nearside(publish + "2m");
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(run.errors, HasSubstr("at most 1m"));
  EXPECT_EQ(node_->counters.stored_blobs.load(), 0u);
  EXPECT_EQ(Nearside(publish + "60s").code, 0);
}

TEST_F(CommandLineTest, HostsThatAreTheSameChangeNoSite) {
  PublishFirst();
  const uint64_t before = LastEvent();
  const Outcome run =
      Nearside("publish " + Folder() + " --site demo --host WWW.Demo.test --host www.demo.test");
  EXPECT_EQ(run.code, 0) << run.errors;
  const std::vector<storage::Event> events = node_->metadata->Events(before, 10).value();
  for (const storage::Event& event : events) {
    EXPECT_THAT(event.type, testing::AnyOf("prepare", "activate"));
  }
}

TEST_F(CommandLineTest, APathThatTheOriginRefusesIsNamed) {
  WriteSite();
  dir_.Write("site/back\\slash.txt", "x");
  const Outcome run = Nearside("publish " + Folder() + " --site demo --host www.demo.test");
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.errors, HasSubstr("backslash"));
}

TEST_F(CommandLineTest, ReleasesAndRollback) {
  PublishFirst();
  dir_.Write("site/index.html", "home 2");
  (void)Nearside("publish " + Folder() + " --site demo");
  const Outcome back = Nearside("rollback --site demo");
  EXPECT_EQ(back.code, 0) << back.errors;
  EXPECT_THAT(back.out,
              StartsWith("release 1 of demo is active again (before: 2), 1 file changed\n"));
  EXPECT_EQ(Visit("/").body, "home");
  const Outcome list = Nearside("releases --site demo");
  EXPECT_THAT(list.out, StartsWith("RELEASE  STATE   KIND       CREATED"));
  EXPECT_THAT(list.out, HasSubstr("\n2        past    published"));
  EXPECT_THAT(list.out, HasSubstr("\n1        active  published"));
  EXPECT_EQ(nlohmann::json::parse(Nearside("releases --site demo --json").out)["releases"].size(),
            2u);
  EXPECT_EQ(Nearside("rollback 2 --site demo").code, 0);
  EXPECT_EQ(Visit("/").body, "home 2");
  EXPECT_THAT(Nearside("rollback 99 --site demo").errors, HasSubstr("no release 99"));
}

TEST_F(CommandLineTest, RollbackWithoutAnEarlierReleaseSaysSo) {
  PublishFirst();
  const Outcome run = Nearside("rollback --site demo");
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.errors, HasSubstr("no release that was active before"));
}

TEST_F(CommandLineTest, PurgePrintsALineAnEdgeAndSucceedsWhenAllHaveConfirmed) {
  PublishFirst();
  Report("frankfurt", LastEvent());
  Report("tokyo", LastEvent());
  const uint64_t wanted = LastEvent() + 1;
  std::thread edges([&] {
    while (LastEvent() < wanted) std::this_thread::yield();
    Report("frankfurt", wanted);
    Report("tokyo", wanted);
  });
  const Outcome run = Nearside("purge /index.html --site demo --wait 20s");
  edges.join();
  EXPECT_EQ(run.code, 0) << run.out << run.errors;
  EXPECT_THAT(run.out, HasSubstr("frankfurt  " + std::to_string(wanted)));
  EXPECT_THAT(run.out, HasSubstr("tokyo      " + std::to_string(wanted)));
  EXPECT_THAT(run.out, testing::ContainsRegex(" m?s "));
  EXPECT_THAT(run.out, HasSubstr("confirmed"));
}

TEST_F(CommandLineTest, PurgeEndsWith3WhenAnEdgeHasNotConfirmed) {
  PublishFirst();
  Report("tokyo", 1);
  ASSERT_TRUE(node_->fleet.Report("gone", {1, 1}, "{}", WallNow() - seconds(3600)));
  const Outcome run = Nearside("purge https://www.demo.test/ --wait 50ms");
  EXPECT_EQ(run.code, 3);
  EXPECT_THAT(run.out, HasSubstr("has not confirmed event"));
  EXPECT_THAT(run.out, HasSubstr("not reachable since"));
  const Outcome json = Nearside("purge --tag t --site demo --wait 50ms --json");
  EXPECT_EQ(json.code, 3);
  EXPECT_EQ(nlohmann::json::parse(json.out)["complete"], false);
  EXPECT_EQ(Nearside("edges forget tokyo").code, 0);
  EXPECT_EQ(Nearside("edges forget gone").code, 0);
  EXPECT_EQ(Nearside("purge --prefix / --soft --site demo").code, 0);
}

TEST_F(CommandLineTest, APurgeOfNothingIsWrongUsage) {
  const Outcome run = Nearside("purge --site demo");
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(run.errors, HasSubstr("nothing to purge"));
  EXPECT_THAT(Nearside("purge https://other.test/").errors, HasSubstr("other.test"));
}

TEST_F(CommandLineTest, StatusIsOneScreen) {
  PublishFirst();
  Report("frankfurt", LastEvent());
  ASSERT_TRUE(node_->fleet.Report("tokyo", {1, 1}, "{}", WallNow() - seconds(3600)));
  ScriptedServer geodns({Answers(
      R"({"pops":[{"name":"frankfurt","addresses":["127.0.1.1"],"state":"up"},
        {"name":"virginia","addresses":["127.0.2.1"],"state":"down"}]})")});
  const Outcome run = Nearside("status --geodns " + geodns.url());
  EXPECT_EQ(run.code, 0) << run.errors;
  EXPECT_THAT(run.out, HasSubstr("   up   1 site   event 3\n"));
  EXPECT_THAT(run.out, HasSubstr("geodns   " + geodns.url() + "   up   2 points of presence\n"));
  EXPECT_THAT(run.out, HasSubstr("POP        STATE      DNS"));
  EXPECT_THAT(run.out, HasSubstr("frankfurt  up         up       0.25  200       75.0%  75.0%"));
  EXPECT_THAT(run.out, HasSubstr("tokyo      silent     unknown"));
  EXPECT_THAT(run.out, HasSubstr("virginia   no report  down"));
  EXPECT_THAT(run.out,
              HasSubstr("all edges: 200 requests, 75.0% hits, 75.0% of 4 B from the cache"));
}

TEST_F(CommandLineTest, StatusCallsAnEdgeUpOnlyWhenItReportsAndDnsDoesNotSayDown) {
  PublishFirst();
  const storage::LogPosition last = node_->metadata->Log()->last;
  const auto seen = [&](const std::string& edge, milliseconds ago) {
    ASSERT_TRUE(node_->fleet.Report(edge, last, "{}", WallNow() - ago));
  };
  seen("fresh", milliseconds(0));
  seen("ill", milliseconds(0));
  seen("late", seconds(8));  // reachable for the API: it waits 10 s
  ScriptedServer geodns({Answers(R"({"pops":[{"name":"ill","state":"down"}]})")});
  const Outcome run = Nearside("status --geodns " + geodns.url());
  EXPECT_THAT(run.out, HasSubstr("\nfresh  up         unknown"));
  EXPECT_THAT(run.out, HasSubstr("\nill    unhealthy  down"));
  EXPECT_THAT(run.out, HasSubstr("\nlate   silent     unknown"));
  EXPECT_THAT(run.out, HasSubstr("   up   1 point of presence\n"));
}

TEST_F(CommandLineTest, StatusShowsThePurgeLagInMilliseconds) {
  PublishFirst();
  Report("level", LastEvent());
  Report("behind", LastEvent() - 1);
  const Outcome run = Nearside("status");
  EXPECT_THAT(run.out, ContainsRegex("\nbehind  up .* 1 \\([0-9]+ ms\\) "));
  EXPECT_THAT(run.out, ContainsRegex("\nlevel   up .* 0 \\(0 ms\\) "));
}

TEST_F(CommandLineTest, EdgesAreListed) {
  EXPECT_THAT(Nearside("edges").out, HasSubstr("no edge has reported yet"));
  PublishFirst();
  Report("frankfurt", LastEvent());
  const Outcome run = Nearside("edges");
  EXPECT_EQ(run.code, 0) << run.errors;
  EXPECT_THAT(run.out, StartsWith("POP        STATE  DNS"));
  EXPECT_THAT(run.out, HasSubstr("\nfrankfurt  up     -"));
  EXPECT_EQ(Nearside("edges forget frankfurt").code, 0);
  EXPECT_THAT(Nearside("edges").out, HasSubstr("no edge has reported yet"));
  EXPECT_EQ(nlohmann::json::parse(Nearside("edges --json").out)["edges"].size(), 0u);
  EXPECT_EQ(Nearside("edges forget").code, 2);
  const Outcome unknown = Nearside("edges forget frankfurt");
  EXPECT_EQ(unknown.code, 1);
  EXPECT_THAT(unknown.errors, HasSubstr("no edge \"frankfurt\" has reported"));
}

TEST_F(CommandLineTest, ExplainPrintsWhatTheEdgeSays) {
  std::string head;
  {
    ScriptedServer edge({Answers(
        R"({"url":"https://a.test/x","site":"demo","key":"0f","purge_sequence":4,
            "key_parts":{"site":"demo","scheme":"https","authority":"a.test","target":"/x",
                         "asked_for":"/x?utm=1"},
            "request_fields":["accept: b"],"origins":[{"origin":"http://o:1","state":"up","may_be_asked_now":true}],"being_fetched":true,
            "responses":[{"selected_by":["accept: b"],"selected":true,"status":200,"body_bytes":7,
              "in_memory":true,"fetched_at":"Fri","drop_at":"Sat","validity":"valid",
              "purge_sequence":3,"tags":["t","\u009b"],
              "freshness":{"initial_age_s":10.0,"age_s":12.5,"lifetime_s":60.0,"ttl_s":47.5,
                "lifetime_from":"cache-control: max-age","stale_while_revalidate_s":9.0,
                "stale_while_revalidate_from":"x","stale_if_error_s":86400.0,
                "stale_if_error_from":"setting stale_if_error","has_validator":true}}],
            "a_request_now":{"action":"serve","reason":"fresh","because":"it is"}})",
        "200 OK", &head)});
    const Outcome run =
        RunNearside("--config " + dir_.Write("client.toml", "") +
                    " explain https://a.test/x --edge " + edge.url() + " -H Accept:b");
    EXPECT_EQ(run.code, 0) << run.errors;
    EXPECT_THAT(run.out,
                StartsWith("URL        https://a.test/x\nedge       " + edge.url() + "\n"));
    for (const char* line :
         {"key        0f\n", "made of    demo  https  a.test  /x\n", "asked for  /x?utm=1\n",
          "with       accept: b\n", "origin     http://o:1  up, may be asked now\n",
          "under way  it is being fetched\n",
          "RESPONSE                200     answers this request\n",
          "body                    7 B     in memory\n",
          "age                     12.5 s  10.0 s of it when it arrived, Fri\n",
          "lifetime                60.0 s  cache-control: max-age\n",
          "time to live            47.5 s  lifetime less age\n",
          "while the origin fails  24 h    setting stale_if_error\n",
          "also                            has a validator\n",
          "purges                  valid   fetched after 3 of them\n",
          "tags                            t  ??\n", "\na request now: serve (fresh): it is\n"}) {
      EXPECT_THAT(run.out, HasSubstr(line));
    }
  }
  EXPECT_THAT(head, StartsWith("GET /explain?url=https%3A%2F%2Fa.test%2Fx&header=Accept%3Ab "));
}

TEST_F(CommandLineTest, ExplainPrintsJsonOnDemand) {
  std::string head;
  {
    ScriptedServer edge({Answers("{\"url\":\"u\",\"fields\":[\"x: \xc2\x9b\"]}", "200 OK", &head)});
    const std::string settings = dir_.Write("client.toml", "edge = \"" + edge.url() + "\"\n");
    const Outcome run =
        RunNearside("--config " + settings + " explain https://a.test/x?b=1&c=2 --json");
    EXPECT_EQ(run.code, 0) << run.errors;
    EXPECT_EQ(run.out, "{\n  \"url\": \"u\",\n  \"fields\": [\n    \"x: \\u009b\"\n  ]\n}\n");
  }
  EXPECT_THAT(head,
              StartsWith("GET /explain?url=https%3A%2F%2Fa.test%2Fx%3Fb%3D1%26c%3D2 HTTP/1.1"));
}

TEST_F(CommandLineTest, ExplainSaysWhyTheEdgeRefuses) {
  ScriptedServer edge(
      {Answers(R"({"error":"no site of this edge has the host \"a.test\""})", "404 Not Found"),
       Answers("nothing here", "404 Not Found")});
  const std::string command = "explain https://a.test/ --edge " + edge.url();
  const Outcome refused = Nearside(command);
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.errors, HasSubstr(": no site of this edge has the host \"a.test\""));
  EXPECT_THAT(
      Nearside(command).errors,
      HasSubstr("/explain answered 404 without JSON: is this the admin address of an edge?"));
  const Outcome unnamed = Nearside("explain https://a.test/");
  EXPECT_EQ(unnamed.code, 2);
  EXPECT_THAT(unnamed.errors, HasSubstr("no edge is named: expected --edge http"));
}

TEST_F(CommandLineTest, CheckFailsUnlessAllIsWell) {
  PublishFirst();
  EXPECT_THAT(Nearside("check").out, HasSubstr("FAIL  edges: none has ever reported\n"));
  Report("frankfurt", LastEvent());
  const Outcome well = Nearside("check");
  EXPECT_EQ(well.code, 0) << well.out;
  EXPECT_THAT(well.out,
              HasSubstr("answers and takes the token, 1 site\nok    edge frankfurt: up\n"));
  ScriptedServer geodns({Answers(R"({"pops":[{"name":"tokyo","state":"down"}]})")});
  const Outcome down = Nearside("check --geodns " + geodns.url());
  EXPECT_EQ(down.code, 1);
  EXPECT_THAT(down.out, HasSubstr("FAIL  geodns: tokyo is down\n"));
  Report("behind", LastEvent() - 1);
  ASSERT_TRUE(node_->fleet.Report("gone", {1, 1}, "{}", WallNow() - seconds(3600)));
  const Outcome edges = Nearside("check");
  EXPECT_EQ(edges.code, 1);
  EXPECT_THAT(edges.out, HasSubstr("FAIL  edge behind: up, 1 event behind\n"));
  EXPECT_THAT(edges.out, HasSubstr("FAIL  edge gone: silent, not seen for 60 min\n"));
  dir_.Write("admin.token", "another-token-0123456");
  EXPECT_THAT(Nearside("check").out, HasSubstr("FAIL  origin: "));
}

TEST_F(CommandLineTest, CheckOfGeodnsAloneNeedsNoToken) {
  const std::string config = "--config " + dir_.Write("client.toml", "") + " check";
  ScriptedServer geodns({Answers(R"({"pops":[{"name":"tokyo","state":"up"}]})")});
  const Outcome run = RunNearside(config + " --geodns " + geodns.url());
  EXPECT_EQ(run.code, 0) << run.errors;
  EXPECT_THAT(run.out, StartsWith("      origin: not asked, as no token is named"));
  EXPECT_THAT(run.out, HasSubstr("ok    geodns: tokyo is up\n"));
  EXPECT_EQ(RunNearside(config).code, 1) << "that nothing can be looked at is not well";
}

TEST_F(CommandLineTest, StatusAsJsonHasAllParts) {
  PublishFirst();
  Report("frankfurt", LastEvent());
  const nlohmann::json json = nlohmann::json::parse(Nearside("status --json").out);
  EXPECT_EQ(json["origin"]["edges"][0]["name"], "frankfurt");
  EXPECT_EQ(json["sites"][0]["name"], "demo");
  EXPECT_FALSE(json.contains("geodns"));
}

TEST_F(CommandLineTest, StatusOfGeodnsAloneNeedsNoToken) {
  const std::string config = "--config " + dir_.Write("client.toml", "") + " status";
  const std::string answer = R"({"pops":[{"name":"tokyo","state":"down"}]})";
  ScriptedServer geodns({Answers(answer), Answers(answer)});
  const Outcome run = RunNearside(config + " --geodns " + geodns.url());
  EXPECT_EQ(run.code, 0) << run.errors;
  EXPECT_THAT(run.out, StartsWith("origin   not asked, as no token is named"));
  EXPECT_THAT(run.out, HasSubstr("\ntokyo  -      down"));
  const Outcome json = RunNearside(config + " --json --geodns " + geodns.url());
  EXPECT_EQ(nlohmann::json::parse(json.out).dump(), R"({"geodns":)" + answer + "}");
  EXPECT_EQ(RunNearside(config).code, 1) << "then it is the origin that is asked";
}

TEST_F(CommandLineTest, StatusOfADeadOriginSaysSoAndFails) {
  const uint16_t dead = port();
  Stop();
  const Outcome run = RunNearside("--config " + dir_.Write("client.toml", "") +
                                  " --origin http://127.0.0.1:" + std::to_string(dead) +
                                  " --token-file " + dir_.In("admin.token") + " status");
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.out, HasSubstr("DOWN"));
  EXPECT_THAT(run.errors, HasSubstr("Connection refused"));
}

TEST_F(CommandLineTest, StatusTellsAnOriginThatRefusesItsTokenFromADeadOne) {
  const Outcome run = RunNearside("--config " + dir_.Write("client.toml", "") +
                                  " --origin http://127.0.0.1:" + std::to_string(port()) +
                                  " --token-file " + dir_.Write("wrong.token", "0123") + " status");
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.out, HasSubstr("up, but refuses this client"));
  EXPECT_THAT(run.errors, HasSubstr("--token-file"));
  ScriptedServer other({Answers("nothing here", "404 Not Found")});
  const Outcome stranger = RunNearside("--origin " + other.url() + " --token-file " +
                                       dir_.In("admin.token") + " status");
  EXPECT_THAT(stranger.out, HasSubstr("DOWN")) << "it is no origin that answers";
}

TEST_F(CommandLineTest, TheHelpOfACommandIsItsOwnAndMistypedOnesAreNamed) {
  EXPECT_THAT(Nearside("sites --help").out, HasSubstr("nearside sites put demo --host"));
  EXPECT_THAT(Nearside("check --help").out, Not(HasSubstr("Examples")));
  EXPECT_THAT(Nearside("--help").out, HasSubstr("nearside publish ./public --site demo"));
  EXPECT_EQ(Nearside("sites list").code, 0);
  EXPECT_EQ(Nearside("token ls").code, 0);
  const Outcome wrong = Nearside("stauts");
  EXPECT_EQ(wrong.code, 2);
  EXPECT_THAT(wrong.errors, HasSubstr("\"stauts\" is no command; did you mean \"status\"?"));
}

TEST_F(CommandLineTest, SingleAssets) {
  PublishFirst();
  const std::string file = dir_.Write("a.txt", "text");
  const Outcome put = Nearside("assets put " + file + " x/a%20b.txt --site demo --tag t1 --tag t2");
  EXPECT_EQ(put.code, 0) << put.errors;
  EXPECT_THAT(put.out, HasSubstr("demo/x/a%20b.txt: stored, 4 B, text/plain"));
  EXPECT_EQ(Nearside("assets get x/a%20b.txt --site demo").out,
            "");  // to stdout, which is not `out`
  EXPECT_EQ(Nearside("assets get x/a%20b.txt " + dir_.In("back.txt") + " --site demo").code, 0);
  EXPECT_EQ(dir_.Read("back.txt"), "text");
  EXPECT_THAT(Nearside("assets ls x/ --site demo").out, HasSubstr("x/a%20b.txt  4 B   text/plain"));
  EXPECT_EQ(nlohmann::json::parse(Nearside("assets ls --site demo --json").out).size(), 4u);
  EXPECT_THAT(Nearside("assets put " + file + " x/a%20b.txt --site demo --only-new").errors,
              HasSubstr("entity tag"));
  EXPECT_EQ(Nearside("assets rm x/a%20b.txt --site demo --if-match \"wrong\"").code, 1);
  EXPECT_EQ(Nearside("assets rm x/a%20b.txt --site demo").code, 0);
  EXPECT_THAT(Nearside("assets rm x/a%20b.txt --site demo").errors, HasSubstr("has no asset"));
}

TEST_F(CommandLineTest, AFailedDownloadLeavesTheOldFile) {
  PublishFirst();
  dir_.Write("old.txt", "old");
  EXPECT_EQ(Nearside("assets get none " + dir_.In("old.txt") + " --site demo").code, 1);
  EXPECT_EQ(dir_.Read("old.txt"), "old");
  EXPECT_FALSE(std::filesystem::exists(dir_.In("old.txt.part")));
}

TEST_F(CommandLineTest, Sites) {
  EXPECT_EQ(Nearside("sites put demo --host www.demo.test").code, 0);
  EXPECT_THAT(Nearside("sites ls").out, HasSubstr("demo  none"));
  EXPECT_EQ(Nearside("sites quota demo").out, "site demo: 0 B, no limit; 0 files, no limit\n");
  EXPECT_EQ(Nearside("sites quota demo --bytes 10GiB --files 5000").out,
            "site demo: 0 B of 10.7 GB; 0 files of 5000\n");
  EXPECT_EQ(Nearside("sites put demo --host www.demo.test").code, 0);
  EXPECT_EQ(Nearside("sites quota demo --files 0").out,
            "site demo: 0 B of 10.7 GB; 0 files, no limit\n");
  EXPECT_EQ(Nearside("sites quota demo --bytes 0").out,
            "site demo: 0 B, no limit; 0 files, no limit\n");
  EXPECT_EQ(Nearside("sites quota demo --bytes much").code, 1);
  EXPECT_EQ(Nearside("sites rm demo").code, 0);
  EXPECT_THAT(Nearside("sites rm demo").errors, HasSubstr("no site \"demo\""));
}

TEST_F(CommandLineTest, AWrongTokenSaysWhatToDo) {
  dir_.Write("admin.token", "another-token-0123456");
  const Outcome run = Nearside("sites ls");
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.errors, HasSubstr("token is not known"));
  EXPECT_THAT(run.errors, HasSubstr("--token-file"));
}

TEST_F(CommandLineTest, SettingsComeFromTheFileAndOptionsWin) {
  const std::string config =
      dir_.Write("client.toml", "origin = \"http://127.0.0.1:" + std::to_string(port()) +
                                    "\"\ntoken_file = \"" + dir_.In("admin.token") + "\"\n");
  EXPECT_EQ(RunNearside("--config " + config + " sites ls").code, 0);
  EXPECT_EQ(RunNearside("sites ls --config " + config).code, 0);
  EXPECT_THAT(RunNearside("--config " + config + " --origin https://x.test sites ls").errors,
              HasSubstr("cannot reach https://x.test:443"));
  EXPECT_THAT(RunNearside("--config " + dir_.Write("bad.toml", "nonsense") + " sites ls").errors,
              HasSubstr("bad.toml:1"));
}

TEST_F(CommandLineTest, HelpTeachesByExamples) {
  const Outcome run = RunNearside("--help");
  EXPECT_EQ(run.code, 0);
  for (const char* text :
       {"publish", "purge", "status", "rollback", "Examples:", "client.toml", "Exit codes"}) {
    EXPECT_THAT(run.out, HasSubstr(text));
  }
  EXPECT_THAT(RunNearside("purge --help").out,
              HasSubstr("nearside purge --tag product-7 --site demo"));
  EXPECT_THAT(RunNearside("publish --help").out, HasSubstr(".well-known"));
  EXPECT_THAT(RunNearside("--version").out, StartsWith("nearside "));
}

TEST_F(CommandLineTest, WrongUsageIs2AndPointsToHelp) {
  for (const char* command : {"", "nonsense", "publish", "purge --wait 2", "releases", "assets",
                              "status --what", "publish x --site demo --jobs 0"}) {
    const Outcome run = RunNearside(command);
    EXPECT_EQ(run.code, 2) << command;
    EXPECT_THAT(run.errors, HasSubstr("--help")) << command;
    EXPECT_THAT(run.out, Not(HasSubstr("Usage"))) << command;
  }
}

TEST_F(CommandLineTest, ATokenIsMadeListedUsedAndRevoked) {
  PublishFirst();
  const std::string file = dir_.In("ci.token");
  const Outcome made =
      Nearside("token create ci --site demo --scope read,purge --expires 90d --save " + file);
  ASSERT_EQ(made.code, 0) << made.errors;
  EXPECT_THAT(made.out, ContainsRegex("scopes +read,purge\n"));
  EXPECT_THAT(made.out, HasSubstr("token      in " + file));
  EXPECT_THAT(made.out, ContainsRegex("S3 secret +not shown\n"));
  const auto listed = nlohmann::json::parse(Nearside("token list --json").out)["tokens"];
  ASSERT_EQ(listed.size(), 1u);
  const std::string id = listed[0]["id"];
  EXPECT_THAT(Nearside("token list").out, ContainsRegex(id + " +ci +demo +read,purge +active"));
  const auto purge = [&] {
    return RunNearside("--config " + dir_.In("client.toml") +
                       " --origin http://127.0.0.1:" + std::to_string(port()) + " --token-file " +
                       file + " purge /a --site demo --wait 0s");
  };
  EXPECT_EQ(purge().code, 0) << purge().errors;
  const Outcome revoked = Nearside("token revoke " + id);
  EXPECT_EQ(revoked.code, 0) << revoked.errors;
  EXPECT_THAT(revoked.out, HasSubstr(id));
  const Outcome refused = purge();
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.errors, HasSubstr("was revoked"));
  EXPECT_THAT(Nearside("token list").out, HasSubstr("revoked"));
}

TEST_F(CommandLineTest, AnAccountIsMadeGrantedListedAndRemoved) {
  MakeSite();
  MakeSite("shop", "www.shop.test");
  const std::string file = dir_.Write("password", "correct horse battery staple\n");
  const Outcome made = Nearside(
      "account create Alice@example.org --site demo --scope read,publish "
      "--password-file " +
      file);
  ASSERT_EQ(made.code, 0) << made.errors;
  EXPECT_EQ(made.out, "account alice@example.org may do read,publish of demo\n");
  EXPECT_EQ(Nearside("account grant alice@example.org --site shop --scope admin").out,
            "account alice@example.org may do read,publish of demo; admin of shop\n");
  EXPECT_EQ(Nearside("account grant alice@example.org --site demo").out,
            "account alice@example.org may do read of demo; admin of shop\n");
  EXPECT_EQ(Nearside("account grant alice@example.org --all-sites").out,
            "account alice@example.org may do read of all; read of demo; admin of shop\n");
  for (const char* which : {"--all-sites", "--site shop"}) {
    EXPECT_EQ(Nearside("account withdraw alice@example.org " + std::string(which)).code, 0);
  }
  EXPECT_THAT(Nearside("account list").out,
              ContainsRegex("alice@example.org +read of demo .*auth.token_file +never"));
  const auto listed = nlohmann::json::parse(Nearside("account list --json").out)["accounts"];
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0]["name"], "alice@example.org");
  EXPECT_THAT(Nearside("account password alice@example.org --password-file " + file).out,
              HasSubstr("has another password"));
  EXPECT_THAT(Nearside("account sign-out alice@example.org").out,
              HasSubstr("is signed out everywhere"));
  EXPECT_EQ(Nearside("account remove alice@example.org").code, 0);
  const Outcome gone = Nearside("account remove alice@example.org");
  EXPECT_EQ(gone.code, 1);
  EXPECT_THAT(gone.errors, HasSubstr("there is no account \"alice@example.org\""));
  dir_.Write("password", "password");
  const Outcome weak = Nearside("account create bob --password-file " + file);
  EXPECT_EQ(weak.code, 1);
  EXPECT_THAT(weak.errors, HasSubstr("tried first"));
  EXPECT_EQ(Nearside("account grant bob").code, 2);
  EXPECT_EQ(Nearside("account grant bob --site demo --all-sites").code, 2);
}

TEST_F(CommandLineTest, ATokenThatIsNotSavedIsPrintedOnce) {
  const Outcome made = Nearside("token create watch --all-sites --scope read");
  ASSERT_EQ(made.code, 0) << made.errors;
  EXPECT_THAT(made.out, ContainsRegex("token +nst_[0-9a-f]{20}_"));
  EXPECT_THAT(made.out, ContainsRegex("site +all\n"));
  EXPECT_THAT(made.out, ContainsRegex("expires +never\n"));
  const Outcome json = Nearside("token create watch --all-sites --json");
  EXPECT_THAT(nlohmann::json::parse(json.out)["token"].get<std::string>(), StartsWith("nst_"));
  EXPECT_TRUE(nlohmann::json::parse(json.out)["s3"].contains("secret_access_key"));
  const Outcome saved =
      Nearside("token create watch --all-sites --json --save " + dir_.In("watch.token"));
  const auto shown = nlohmann::json::parse(saved.out);
  EXPECT_FALSE(shown.contains("token"));
  EXPECT_FALSE(shown["s3"].contains("secret_access_key"));
  EXPECT_TRUE(shown["s3"].contains("access_key_id"));
}

TEST_F(CommandLineTest, ATokenThatCannotBeKeptIsRevoked) {
  const Outcome run = Nearside("token create ci --all-sites --save " + dir_.In("none/ci.token"));
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.errors, HasSubstr("is revoked"));
  const auto listed = nlohmann::json::parse(Nearside("token list --json").out)["tokens"];
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0]["state"], "revoked");
}

TEST_F(CommandLineTest, WrongTokenCommandsSayWhatWasExpected) {
  const std::pair<const char*, const char*> rows[] = {
      {"token create ci", "--site NAME or --all-sites"},
      {"token create ci --site demo --all-sites", "--site"},
      {"token create ci --site demo --scope root", "read"},
      {"token create ci --site demo --expires soon", "90d"},
      {"token create --site demo", "name"},
      {"token", "--help"},
  };
  for (const auto& [command, expected] : rows) {
    const Outcome run = Nearside(command);
    EXPECT_EQ(run.code, 2) << command << run.out;
    EXPECT_THAT(run.errors, HasSubstr(expected)) << command;
  }
  EXPECT_EQ(Nearside("token create ci --site none").code, 1);
  EXPECT_THAT(RunNearside("token --help").out, HasSubstr("Scopes: read"));
  EXPECT_THAT(RunNearside("audit --help").out, HasSubstr("WHO is the token's name"));
}

TEST_F(CommandLineTest, JobsAreShownAndDeadOnesRetried) {
  EXPECT_THAT(Nearside("jobs").errors, HasSubstr("storage.queue"));
  storage_ = "queue = \"lmdb:" + dir_.In("queue") + "\"\n";
  Restart("[jobs]\nattempts = 1\n");
  EXPECT_THAT(Nearside("jobs").out, HasSubstr("No job waits or runs."));
  const storage::NewJob jobs[] = {
      {"compress", "a", R"({"sha256":"00","site":"demo","path":"app.js"})", {}},
      {"compress", "b", "", {}}};
  ASSERT_TRUE(node_->jobs->Put(jobs));
  const storage::LeasedJob leased = **node_->jobs->Lease(std::chrono::minutes(1));
  ASSERT_TRUE(node_->jobs->Fail(leased.lease, "the disk is sad").value());
  const Outcome waiting = Nearside("jobs");
  EXPECT_EQ(waiting.code, 0) << waiting.errors;
  EXPECT_THAT(waiting.out, HasSubstr("compress: 1 waiting, 0 running, 1 dead\n"));
  EXPECT_THAT(waiting.out, ContainsRegex("2 +compress +waiting +0 .* b +-"));
  EXPECT_THAT(waiting.out, Not(HasSubstr("app.js")));
  EXPECT_THAT(Nearside("jobs --dead").out,
              ContainsRegex("1 +compress +dead +1 .* demo app.js +the disk is sad"));
  EXPECT_EQ(nlohmann::json::parse(Nearside("jobs --dead --json").out)["jobs"].size(), 1u);
  const Outcome retried = Nearside("jobs retry 1");
  EXPECT_EQ(retried.code, 0) << retried.errors;
  EXPECT_THAT(retried.out, HasSubstr("Job 1 begins anew: demo app.js"));
  EXPECT_THAT(Nearside("jobs --dead").out, HasSubstr("No job is dead."));
  EXPECT_EQ(Nearside("jobs retry 1").code, 1);
  EXPECT_EQ(Nearside("jobs retry x").code, 2);
  EXPECT_EQ(Nearside("jobs retry").code, 2);
}

TEST_F(CommandLineTest, TheAuditShowsWhoDidWhat) {
  PublishFirst();
  const Outcome audit = Nearside("audit --site demo");
  ASSERT_EQ(audit.code, 0) << audit.errors;
  EXPECT_THAT(audit.out, HasSubstr("WHO"));
  EXPECT_THAT(audit.out,
              ContainsRegex("auth.token_file +127.0.0.1 +demo +release_activated +release="));
  const auto all = nlohmann::json::parse(Nearside("audit --json").out);
  const auto rest = nlohmann::json::parse(Nearside("audit --json --after 1").out);
  EXPECT_EQ(rest["audit"].size() + 1, all["audit"].size());
  EXPECT_EQ(nlohmann::json::parse(Nearside("audit --json --limit 1").out)["audit"].size(), 1u);
}

}  // namespace
}  // namespace nearside::cli::test
