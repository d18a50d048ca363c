#include "cli/command_line.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <functional>
#include <optional>

#include "cli/accounts.h"
#include "cli/assets.h"
#include "cli/audit.h"
#include "cli/check.h"
#include "cli/command.h"
#include "cli/drain.h"
#include "cli/examples.h"
#include "cli/explain.h"
#include "cli/explain_dns.h"
#include "cli/jobs.h"
#include "cli/publish.h"
#include "cli/purge.h"
#include "cli/receipt.h"
#include "cli/releases.h"
#include "cli/reload.h"
#include "cli/rollback.h"
#include "cli/sites.h"
#include "cli/status.h"
#include "cli/steer.h"
#include "cli/tokens.h"
#include "runtime/daemon.h"
#include "runtime/signals.h"
#include "runtime/units.h"
#include "runtime/usage.h"

namespace nearside::cli {
namespace {

/// The origin refuses to wait longer, but only after a publish has uploaded everything.
constexpr seconds kLongestWait{60};
/// Edges keep what they have prepared for an hour.
constexpr seconds kLongestPatience{1800};

/// Checks --wait while the command line is parsed.
std::string CheckWait(const std::string& text) {
  const Result<milliseconds> wait = ParseDuration(text);
  if (wait && *wait <= kLongestWait) return "";
  return "expected a duration like 2s or 500ms, at most " + FormatDuration(kLongestWait) +
         ", got \"" + text + "\"";
}

/// Checks --prepare in the same way.
std::string CheckPatience(const std::string& text) {
  const Result<milliseconds> patience = ParseDuration(text);
  if (patience && *patience >= milliseconds(0) && *patience <= kLongestPatience) return "";
  return "expected a duration like 30s or 10m, at most " + FormatDuration(kLongestPatience) +
         ", got \"" + text + "\"";
}

/// Checks --expires in the same way.
std::string CheckLife(const std::string& text) {
  const Result<milliseconds> life = ParseDuration(text);
  if (life && *life > milliseconds(0)) return "";
  return "expected a duration like 90d or 12h, got \"" + text + "\"";
}

/// The command line being built, and what was chosen.
struct CommandLine {
  explicit CommandLine(Terminal& t) : terminal(t) {}

  Terminal& terminal;
  CLI::App app{"The command-line client of Nearside: publish sites, purge, see how the fleet is.",
               "nearside"};
  GlobalOptions global;
  PublishOptions publish;
  PurgeOptions purge;
  ReleasesOptions releases;
  RollbackOptions rollback;
  ReceiptOptions receipt;
  AssetsOptions assets;
  SitesOptions sites;
  StatusOptions status;
  TokensOptions tokens;
  AccountsOptions accounts;
  AuditOptions audit;
  JobsOptions jobs;
  ExplainOptions explain;
  ExplainDnsOptions explain_dns;
  DrainOptions drain;
  SteerOptions steer;
  CheckOptions check;
  ReloadOptions reload;
  std::string edge;
  bool edges_json = false;
  std::function<Exit(CommandContext&)> chosen;

  CLI::App* Command(CLI::App* parent, const char* name, const char* what,
                    std::function<Exit(CommandContext&)> run) {
    CLI::App* command = parent->add_subcommand(name, what);
    command->fallthrough();  // --origin may stand behind the command
    for (const auto& [word, other] :
         {std::pair("ls", "list"), {"list", "ls"}, {"rm", "remove"}, {"remove", "rm"}}) {
      if (std::string_view(name) == word) command->alias(other);
    }
    // The innermost command's callback comes first: "edges forget" is not "edges".
    command->callback([this, run = std::move(run)] {
      if (!chosen) chosen = run;
    });
    return command;
  }
  static void Site(CLI::App* command, std::string* site) {
    command->add_option("--site", *site, "The site's name")->type_name("NAME")->required();
  }
  static void Wait(CLI::App* command, std::string* wait) {
    command->add_option("--wait", *wait, "How long to wait for the edges to confirm")
        ->type_name("DURATION")
        ->capture_default_str()
        ->check(CheckWait);
  }

  void AddGlobal();
  void AddPublish();
  void AddPurge();
  void AddReleases();
  void AddReceipt();
  void AddAssets();
  void AddSites();
  void AddTokens();
  void AddAccounts();
  void AddAudit();
  void AddJobs();
  void AddStatus();
  void AddEdges();
  void AddLooks();
  void AddExplain();
  void AddSteering();
  void AddGeodns();
};

void CommandLine::AddGlobal() {
  app.require_subcommand(1);
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.set_help_all_flag("--help-all", "Print the help of every command and exit");
  app.set_version_flag("--version", "nearside " + std::string(Version()),
                       "Print the version and exit");
  app.add_option("--origin", global.origin, "The origin's API, as http://127.0.0.1:9000")
      ->type_name("URL");
  app.add_option("--ca", global.ca, "Authorities of its certificate, for https:// (PEM)")
      ->type_name("FILE");
  app.add_option("--token-file", global.token_file,
                 "File with the bearer token of the API, or of GeoDNS")
      ->type_name("FILE");
  app.add_option("--config", global.config, "Settings instead of ~/.config/nearside/client.toml")
      ->type_name("FILE");
}

void CommandLine::AddPublish() {
  CLI::App* command = Command(&app, "publish", "Publish a folder as a new release of a site",
                              [this](CommandContext& c) { return Publish(c, publish); });
  command->footer(kPublishExamples);
  command->add_option("folder", publish.folder, "The folder")->type_name("DIR")->required();
  Site(command, &publish.site);
  command
      ->add_option("--host", publish.hosts, "Make the site, with these hosts, or change its hosts")
      ->type_name("HOST");
  command->add_flag("--dry-run", publish.dry_run, "Say what would change, send nothing");
  command->add_option("--jobs", publish.jobs, "Uploads at once")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  command
      ->add_option("--prepare", publish.prepare,
                   "Before the switch, wait so long for edges to fetch what changes")
      ->type_name("DURATION")
      ->capture_default_str()
      ->check(CheckPatience);
  command->add_flag("--no-prepare", publish.no_prepare, "Switch at once");
  Wait(command, &publish.wait);
}

void CommandLine::AddPurge() {
  CLI::App* command = Command(&app, "purge", "Make every edge forget, and see which has",
                              [this](CommandContext& c) { return Purge(c, purge); });
  command->footer(kPurgeExamples);
  command->add_option("url", purge.urls, "URLs, absolute or beginning with /")->type_name("URL");
  command->add_option("--prefix", purge.prefixes, "Everything below a folder")->type_name("/PATH/");
  command->add_option("--tag", purge.tags, "Everything with this tag")->type_name("TAG");
  command->add_flag("--all", purge.all, "The whole site");
  command->add_option("--site", purge.site, "The site's name; not needed with absolute URLs")
      ->type_name("NAME");
  command->add_flag("--soft", purge.soft, "Keep copies, but validate them before their next use");
  command->add_flag("--json", purge.json, "Print the receipt as JSON");
  Wait(command, &purge.wait);
}

void CommandLine::AddReleases() {
  CLI::App* list = Command(&app, "releases", "List a site's releases",
                           [this](CommandContext& c) { return ListReleases(c, releases); });
  list->footer(kReleasesExamples);
  Site(list, &releases.site);
  list->add_option("--limit", releases.limit, "At most so many")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  list->add_flag("--json", releases.json, "Print JSON");
  CLI::App* back = Command(&app, "rollback", "Activate an earlier release",
                           [this](CommandContext& c) { return Rollback(c, rollback); });
  back->footer(kReleasesExamples);
  back->add_option("release", rollback.release, "Its number; without one, the release before")
      ->type_name("ID");
  Site(back, &rollback.site);
  Wait(back, &rollback.wait);
}

void CommandLine::AddReceipt() {
  CLI::App* show = Command(&app, "receipt", "What each edge has proved of a release",
                           [this](CommandContext& c) { return ShowReceipt(c, receipt); });
  show->footer(kReceiptExamples);
  show->add_option("id", receipt.id,
                   "Its number, as publish prints it; without one, they are listed")
      ->type_name("ID");
  show->add_option("--site", receipt.site, "List only those of this site")->type_name("NAME");
  show->add_option("--limit", receipt.limit, "List at most so many")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  show->add_flag("--json", receipt.json, "Print JSON");
}

void CommandLine::AddAssets() {
  CLI::App* group = app.add_subcommand("assets", "Single files of a site's active release");
  group->fallthrough();
  group->require_subcommand(1);
  group->footer(kAssetsExamples);
  CLI::App* put = Command(group, "put", "Store a file",
                          [this](CommandContext& c) { return PutAsset(c, assets); });
  put->add_option("file", assets.file, "The file")->type_name("FILE")->required();
  put->add_option("path", assets.path, "Where it is to stand, as docs/a.pdf")
      ->type_name("PATH")
      ->required();
  put->add_option("--content-type", assets.content_type, "Instead of the extension's")
      ->type_name("TYPE");
  put->add_option("--cache-control", assets.cache_control, "Instead of the name's")
      ->type_name("VALUE");
  put->add_option("--tag", assets.tags, "Tags for purges")->type_name("TAG");
  put->add_flag("--only-new", assets.only_new, "Fail when something stands there already");
  CLI::App* get = Command(group, "get", "Fetch a file",
                          [this](CommandContext& c) { return GetAsset(c, assets); });
  get->add_option("path", assets.path, "The asset's path")->type_name("PATH")->required();
  get->add_option("file", assets.file, "Where to write it; without one, standard output")
      ->type_name("FILE");
  CLI::App* list = Command(group, "ls", "List files",
                           [this](CommandContext& c) { return ListAssets(c, assets); });
  list->add_option("prefix", assets.prefix, "Only paths that begin so")->type_name("PREFIX");
  list->add_flag("--json", assets.json, "Print JSON");
  CLI::App* remove = Command(group, "rm", "Remove a file, at the edges too",
                             [this](CommandContext& c) { return RemoveAsset(c, assets); });
  remove->add_option("path", assets.path, "The asset's path")->type_name("PATH")->required();
  for (CLI::App* command : {put, get, list, remove}) Site(command, &assets.site);
  for (CLI::App* command : {put, remove}) {
    command->add_option("--if-match", assets.match, "Only when this entity tag stands there")
        ->type_name("ETAG");
  }
}

void CommandLine::AddSites() {
  CLI::App* group = app.add_subcommand("sites", "The sites of the origin");
  group->fallthrough();
  group->require_subcommand(1);
  group->footer(kSitesExamples);
  CLI::App* list =
      Command(group, "ls", "List them", [this](CommandContext& c) { return ListSites(c, sites); });
  list->add_flag("--json", sites.json, "Print JSON");
  CLI::App* put = Command(group, "put", "Make a site, or change its hosts",
                          [this](CommandContext& c) { return PutSite(c, sites); });
  put->add_option("--host", sites.hosts, "Its hosts")->type_name("HOST")->required();
  CLI::App* quota = Command(group, "quota", "What a site may hold, and holds; or set it",
                            [this](CommandContext& c) { return SiteQuota(c, sites); });
  quota
      ->add_option("--bytes", sites.quota_bytes,
                   "Contents of its kept releases and uploads; 0: all")
      ->type_name("SIZE");
  quota->add_option("--files", sites.quota_files, "Files of a release; 0: any number")
      ->type_name("N");
  CLI::App* remove = Command(group, "rm", "Delete a site with all its releases",
                             [this](CommandContext& c) { return RemoveSite(c, sites); });
  for (CLI::App* command : {put, quota, remove}) {
    command->add_option("name", sites.name, "The site's name")->type_name("NAME")->required();
  }
}

void CommandLine::AddTokens() {
  CLI::App* group = app.add_subcommand("token", "Who may do what: tokens for people and programs");
  group->fallthrough();
  group->require_subcommand(1);
  group->footer(kTokenExamples);
  CLI::App* create = Command(group, "create", "Make a token and show its secret, this once",
                             [this](CommandContext& c) { return CreateToken(c, tokens); });
  create->footer(kTokenExamples);
  create->add_option("name", tokens.name, "For those who will read the list: ci, watch")
      ->type_name("NAME")
      ->required();
  CLI::Option* site = create->add_option("--site", tokens.site, "The one site it is for");
  site->type_name("NAME");
  create->add_flag("--all-sites", tokens.every_site, "It is for every site")->excludes(site);
  create->add_option("--scope", tokens.scopes, "What it may do; several by commas")
      ->type_name("SCOPE")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::IsMember({"read", "publish", "purge", "admin"}));
  create->add_option("--expires", tokens.life, "When it ends, as 90d; without, never")
      ->type_name("DURATION")
      ->check(CheckLife);
  create
      ->add_option("--save", tokens.save,
                   "Write the token to this file, for your eyes alone, and show no secret")
      ->type_name("FILE");
  CLI::App* list = Command(group, "list", "List tokens, without their secrets",
                           [this](CommandContext& c) { return ListTokens(c, tokens); });
  for (CLI::App* command : {create, list}) {
    command->add_flag("--json", tokens.json, "Print JSON");
  }
  CLI::App* revoke = Command(group, "revoke", "From now on it opens nothing",
                             [this](CommandContext& c) { return RevokeToken(c, tokens); });
  revoke->add_option("id", tokens.id, "Its id, as the list shows it")->type_name("ID")->required();
}

void CommandLine::AddAccounts() {
  CLI::App* group = app.add_subcommand("account", "People who sign in on the origin's pages");
  group->fallthrough();
  group->require_subcommand(1);
  group->footer(kAccountExamples);
  const auto named = [&](const char* word, const char* what,
                         Exit (*run)(CommandContext&, const AccountsOptions&)) {
    CLI::App* command =
        Command(group, word, what, [this, run](CommandContext& c) { return run(c, accounts); });
    command->add_option("name", accounts.name, "E-mail address or name")
        ->type_name("NAME")
        ->required();
    return command;
  };
  CLI::App* create = named("create", "Make an account", CreateAccount);
  CLI::App* grant = named("grant", "Say what it may do to a site", GrantAccount);
  CLI::App* withdraw = named("withdraw", "It may do nothing to a site any more", WithdrawGrant);
  CLI::App* password =
      named("password", "Give it another password; signs it out everywhere", SetAccountPassword);
  named("sign-out", "Sign it out everywhere", SignOutAccount);
  named("remove", "Remove it", RemoveAccount);
  for (CLI::App* command : {create, grant, withdraw}) {
    CLI::Option* site = command->add_option("--site", accounts.site, "The one site");
    site->type_name("NAME");
    command->add_flag("--all-sites", accounts.every_site, "Every site")->excludes(site);
  }
  for (CLI::App* command : {create, grant}) {
    command->add_option("--scope", accounts.scopes, "What it may do; several by commas")
        ->type_name("SCOPE")
        ->delimiter(',')
        ->capture_default_str()
        ->check(CLI::IsMember({"read", "publish", "purge", "admin"}));
  }
  for (CLI::App* command : {create, password}) {
    command
        ->add_option("--password-file", accounts.password_file,
                     "Take the password from its first line; without, it is asked for, or read "
                     "from standard input")
        ->type_name("FILE");
  }
  CLI::App* list = Command(group, "list", "List them",
                           [this](CommandContext& c) { return ListAccounts(c, accounts); });
  list->add_flag("--json", accounts.json, "Print JSON");
}

void CommandLine::AddAudit() {
  CLI::App* show = Command(&app, "audit", "Who changed what, when and from where",
                           [this](CommandContext& c) { return ShowAudit(c, audit); });
  show->footer(kAuditExamples);
  show->add_option("--site", audit.site, "Only of this site")->type_name("NAME");
  show->add_option("--limit", audit.limit, "At most so many")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  show->add_option("--after", audit.after, "What comes behind this number; without, the newest")
      ->type_name("SEQ");
  show->add_flag("--json", audit.json, "Print JSON");
}

void CommandLine::AddJobs() {
  CLI::App* group = Command(&app, "jobs", "Work of the origin that nobody waits for",
                            [this](CommandContext& c) { return ListJobs(c, jobs); });
  group->footer(kJobsExamples);
  group->require_subcommand(0, 1);
  group->add_flag("--dead", jobs.dead, "Those that failed for good");
  group->add_option("--limit", jobs.limit, "At most so many")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  group->add_flag("--json", jobs.json, "Print JSON");
  CLI::App* retry = Command(group, "retry", "Begin a dead one anew",
                            [this](CommandContext& c) { return RetryJob(c, jobs); });
  retry->add_option("id", jobs.id, "Its number")->type_name("ID")->required();
}

void CommandLine::AddStatus() {
  CLI::App* show = Command(&app, "status", "Points of presence, health, hit ratio, purge lag",
                           [this](CommandContext& c) { return ShowStatus(c, status); });
  show->add_option("--geodns", status.geodns, "Admin address of GeoDNS, as http://127.0.0.1:7053")
      ->type_name("URL");
  show->add_flag("--json", status.json, "Print JSON");
}

void CommandLine::AddEdges() {
  CLI::App* group = Command(&app, "edges", "List the edges that report to the origin",
                            [this](CommandContext& c) { return ListEdges(c, edges_json); });
  group->require_subcommand(0, 1);
  group->add_flag("--json", edges_json, "Print JSON");
  CLI::App* forget = Command(group, "forget", "Forget an edge that is gone for good",
                             [this](CommandContext& c) { return ForgetEdge(c, edge); });
  forget->add_option("name", edge, "The edge's name")->type_name("NAME")->required();
}

void CommandLine::AddExplain() {
  CLI::App* why =
      Command(&app, "explain", "What an edge would do with a URL, or GeoDNS with a name",
              [this](CommandContext& c) {
                if (!explain.url.empty()) return Explain(c, explain);
                if (explain_dns.name.empty()) {
                  c.terminal.Error(
                      "expected a URL, or --dns with --client; --help "
                      "shows how it is used");
                  return Exit::kUsage;
                }
                explain_dns.json = explain.json;
                return ExplainDns(c, explain_dns);
              });
  why->footer(kExplainExamples);
  CLI::Option* url = why->add_option("url", explain.url, "The URL, absolute")->type_name("URL");
  why->add_option("--edge", explain.edge, "Admin address of the edge, as http://127.0.1.1:7080")
      ->type_name("URL");
  why->add_option("-H,--header", explain.headers, "A field of the request, as 'Accept: text/html'")
      ->type_name("FIELD")
      ->allow_extra_args(false);
  CLI::Option* name =
      why->add_option("--dns", explain_dns.name, "A name, to explain GeoDNS's answer")
          ->type_name("NAME");
  CLI::Option* client =
      why->add_option("--client", explain_dns.client, "Who asks: 192.0.2.1, 192.0.2.0/24")
          ->type_name("ADDRESS");
  name->needs(client)->excludes(url);
  why->add_option("--geodns", explain_dns.geodns,
                  "Admin address of GeoDNS, as http://127.0.0.1:7053")
      ->type_name("URL");
  why->add_flag("--json", explain.json, "Print all of it as JSON");
}

void CommandLine::AddSteering() {
  for (const bool drained : {true, false}) {
    CLI::App* command =
        Command(&app, drained ? "drain" : "undrain",
                drained ? "Send no new clients to a point of presence" : "Send it clients again",
                [this, drained](CommandContext& c) { return Drain(c, drain, drained); });
    command->footer(kDrainExamples);
    command->add_option("pop", drain.pop, "Its name in geodns.toml")->type_name("POP")->required();
    command->add_option("--geodns", drain.geodns, "Admin address of a GeoDNS server; once for each")
        ->type_name("URL")
        ->allow_extra_args(false);
    command->add_flag("--json", drain.json, "Print JSON");
  }
  CLI::App* what = Command(&app, "steer", "Who would go where without a point of presence",
                           [this](CommandContext& c) { return Steer(c, steer); });
  what->footer(kSteerExamples);
  what->add_option("--without", steer.without, "A point of presence that is away")
      ->type_name("POP")
      ->allow_extra_args(false);
  what->add_option("--load", steer.loads, "A point of presence with a load, as frankfurt:1.4")
      ->type_name("POP:LOAD")
      ->allow_extra_args(false);
  what->add_option("--name", steer.name, "The steered name; not needed when there is only one")
      ->type_name("NAME");
  what->add_option("--countries", steer.countries, "Countries to list, those that move most")
      ->type_name("N")
      ->capture_default_str();
  what->add_option("--geodns", steer.geodns, "Admin address of GeoDNS, as http://127.0.0.1:7053")
      ->type_name("URL");
  what->add_flag("--json", steer.json, "Print JSON");
}

void CommandLine::AddLooks() {
  CLI::App* well = Command(&app, "check", "Whether origin, edges and DNS are well; exits 1 if not",
                           [this](CommandContext& c) { return Check(c, check); });
  well->add_option("--geodns", check.geodns, "Admin address of GeoDNS, as http://127.0.0.1:7053")
      ->type_name("URL");
}

void CommandLine::AddGeodns() {
  CLI::App* again =
      Command(&app, "reload", "Make GeoDNS read its settings, zones and databases again",
              [this](CommandContext& c) { return Reload(c, reload); });
  again->footer(kReloadExamples);
  again->add_option("--geodns", reload.geodns, "Admin address of GeoDNS, as http://127.0.0.1:7053")
      ->type_name("URL");
  again->add_flag("--json", reload.json, "Print JSON");
}

Exit Run(CommandLine& line) {
  const std::string path = line.global.config.empty() ? ClientSettingsPath() : line.global.config;
  Result<ClientSettings> settings = ReadClientSettings(path);
  if (!settings) {
    line.terminal.Error(settings.error().message);
    return Exit::kFailed;
  }
  if (!line.global.origin.empty()) settings->origin = line.global.origin;
  if (!line.global.ca.empty()) settings->ca = line.global.ca;
  if (!line.global.token_file.empty()) {
    settings->token_file = settings->geodns_token_file = line.global.token_file;
  }
  CommandContext context{std::move(*settings), line.terminal};
  return line.chosen(context);
}

}  // namespace

int RunCommandLine(int argc, const char* const* argv, std::FILE* out, std::FILE* errors) {
  Terminal terminal(out, errors);
  CommandLine line(terminal);
  line.AddGlobal();
  line.AddPublish();
  line.AddPurge();
  line.AddReleases();
  line.AddReceipt();
  line.AddAssets();
  line.AddSites();
  line.AddTokens();
  line.AddAccounts();
  line.AddAudit();
  line.AddJobs();
  line.AddStatus();
  line.AddEdges();
  line.AddExplain();
  line.AddLooks();
  line.AddSteering();
  line.AddGeodns();
  line.app.footer(kExamples);  // commands would inherit one that stands before them
  try {
    line.app.parse(argc, argv);
  } catch (const CLI::CallForVersion& version) {
    terminal.Line(version.what());
    return static_cast<int>(Exit::kDone);
  } catch (const CLI::CallForAllHelp&) {
    terminal.Line(line.app.help("", CLI::AppFormatMode::All));
    return static_cast<int>(Exit::kDone);
  } catch (const CLI::CallForHelp&) {
    terminal.Line(line.app.help());
    return static_cast<int>(Exit::kDone);
  } catch (const CLI::ParseError& error) {
    terminal.Error(UsageError(line.app, error));
    return static_cast<int>(Exit::kUsage);
  }
  return static_cast<int>(Run(line));
}

}  // namespace nearside::cli
