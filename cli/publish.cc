#include "cli/publish.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "cli/folder.h"
#include "cli/receipt.h"
#include "http/fields.h"
#include "http/site_rules.h"
#include "runtime/clock.h"
#include "runtime/file.h"
#include "runtime/units.h"

namespace nearside::cli {
namespace {

constexpr milliseconds kPreparationPoll{100};

/// As the origin keeps them, so that a list that means the same is the same.
std::vector<std::string> NormalHosts(std::vector<std::string> hosts) {
  for (std::string& host : hosts) host = http::LowerName(host);
  std::sort(hosts.begin(), hosts.end());
  hosts.erase(std::unique(hosts.begin(), hosts.end()), hosts.end());
  return hosts;
}

/// Makes the site, or sets its hosts, when the command line names some.
Status EnsureSite(OriginApi& api, const PublishOptions& options) {
  if (options.hosts.empty()) return {};
  const Json body = {{"hosts", options.hosts}};
  const std::string target = "/v1/sites/" + EncodePath(options.site);
  Result<Json> there = api.Get(target);
  if (there) {
    std::vector<std::string> now;
    for (const Json& host : ListOf(*there, "hosts")) {
      if (host.is_string()) now.push_back(host.get<std::string>());
    }
    if (NormalHosts(std::move(now)) == NormalHosts(options.hosts)) return {};
  }
  Result<Json> put = api.Put(target, body);
  return put ? Status() : Status(unexpected(std::move(put.error())));
}

/// The API's advice is about the API; here another option does it.
Error WithHint(Error error, const PublishOptions& options) {
  if (error.reason == "no_such_site") {
    error.message = "there is no site \"" + options.site +
                    "\": add --host www.example.com to make it with that host";
  }
  return error;
}

/// `_headers` and `_redirects`, as the origin will read them. Error: kClient bad_rules.
Status CheckRules(const std::vector<FolderFile>& files) {
  http::SiteRules rules;
  for (const FolderFile& file : files) {
    if (!http::IsRulesFile(file.path)) continue;
    Result<std::string> text = ReadFile(file.source, {http::kRuleFileBytes});
    if (!text) return unexpected(std::move(text.error()));
    if (Status good = http::ReadRulesFile(file.path, *text, &rules); !good) return good;
  }
  return {};
}

Status HashFiles(std::vector<FolderFile>* files, Terminal& terminal, int jobs) {
  uint64_t bytes = 0;
  for (const FolderFile& file : *files) bytes += file.bytes;
  Progress progress(terminal, "hashing", bytes, files->size());
  std::atomic<size_t> next{0};
  std::mutex mutex;
  Status failed;
  std::vector<std::thread> threads;
  for (int i = 0; i < jobs; ++i) {
    threads.emplace_back([&] {
      for (size_t at = next++; at < files->size(); at = next++) {
        FolderFile& file = (*files)[at];
        Result<std::string> digest = HashFile(file.source);
        if (!digest) {
          std::lock_guard lock(mutex);
          if (failed) failed = unexpected(std::move(digest.error()));
          next = files->size();
          return;
        }
        file.sha256 = std::move(*digest);
        progress.AddBytes(file.bytes);
        progress.ItemDone();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (terminal.is_terminal()) progress.Finish();
  return failed;
}

Json ManifestOf(const std::vector<FolderFile>& files) {
  Json assets = Json::array();
  for (const FolderFile& file : files) {
    assets.push_back({{"path", file.path}, {"sha256", file.sha256}, {"bytes", file.bytes}});
  }
  return {{"assets", std::move(assets)}};
}

/// One file for each of the digests.
std::vector<const FolderFile*> FilesOf(const std::vector<FolderFile>& files, const Json& digests) {
  std::unordered_map<std::string, const FolderFile*> by_digest;
  for (const FolderFile& file : files) by_digest.emplace(file.sha256, &file);
  std::vector<const FolderFile*> found;
  for (const Json& digest : digests) {
    if (!digest.is_string()) continue;
    const auto it = by_digest.find(digest.get<std::string>());
    if (it != by_digest.end()) found.push_back(it->second);
  }
  return found;
}

/// A connection that broke, an origin that is started again or has too much to do.
bool MayPass(const Error& error) {
  static constexpr std::string_view kPassing[] = {"busy", "body_cut_off", "body_timeout"};
  return error.fault == Fault::kOrigin ||
         std::find(std::begin(kPassing), std::end(kPassing), error.reason) != std::end(kPassing);
}

/// Tried a few times: by its digest a content is the same however often it is sent.
Status UploadOne(OriginApi& api, const FolderFile& file, Progress& progress) {
  constexpr milliseconds kWaits[] = {milliseconds(200), milliseconds(1000), milliseconds(3000)};
  uint64_t shown = 0;  // bytes of it that the bar has; it never goes back
  for (size_t tries = 0;; ++tries) {
    uint64_t sent = 0;
    HttpRequest request;
    request.method = "PUT";
    request.target = "/v1/blobs/" + file.sha256;
    request.file = file.source;
    request.file_bytes = file.bytes;
    request.on_sent = [&](uint64_t bytes) {
      sent += bytes;
      if (sent <= shown) return;
      progress.AddBytes(sent - shown);
      shown = sent;
    };
    Result<HttpResponse> response = api.Send(std::move(request));
    if (response) return {};
    if (response.error().reason == "digest_mismatch") {
      return Fail(Fault::kClient, "file_changed",
                  file.path + " changed while it was being published; publish again");
    }
    if (tries == std::size(kWaits) || !MayPass(response.error())) {
      return unexpected(std::move(response.error()).In(file.path));
    }
    std::this_thread::sleep_for(kWaits[tries]);
  }
}

/// Uploads over `jobs` connections; the first failure stops all.
Status Upload(OriginApi& api, const std::vector<const FolderFile*>& files, Terminal& terminal,
              int jobs) {
  uint64_t bytes = 0;
  for (const FolderFile* file : files) bytes += file->bytes;
  Progress progress(terminal, "uploading", bytes, files.size());
  std::atomic<size_t> next{0};
  std::mutex mutex;
  Status failed;
  std::vector<std::thread> threads;
  for (int i = 0; i < std::min<int>(jobs, static_cast<int>(files.size())); ++i) {
    threads.emplace_back([&] {
      OriginApi own = api.Another();
      for (size_t at = next++; at < files.size(); at = next++) {
        Status uploaded = UploadOne(own, *files[at], progress);
        if (!uploaded) {
          std::lock_guard lock(mutex);
          if (failed) failed = std::move(uploaded);
          next = files.size();
          return;
        }
        progress.ItemDone();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  progress.Finish();
  return failed;
}

/// How far the edges are, in a few words: "frankfurt 12 of 12, tokyo waiting".
std::string PreparationText(const Json& preparation) {
  std::string text;
  for (const Json& edge : ListOf(preparation, "edges")) {
    const std::string state = TextOf(edge, "state");
    text += (text.empty() ? "" : ", ") + Printable(TextOf(edge, "name")) + " ";
    if (!edge.contains("held")) {
      text += state == "none" ? "none" : BoolOf(edge, "reachable") ? "waiting" : "not reachable";
    } else if (state == "off") {
      text += "off";
    } else {
      text += std::to_string(IntOf(edge, "held")) + " of " + std::to_string(IntOf(edge, "of"));
      if (!TextOf(edge, "why").empty()) text += " (" + Printable(TextOf(edge, "why")) + ")";
    }
  }
  return text;
}

/// Edges fetch what the release changes; what they do not have in time comes with the switch.
Status Prepare(OriginApi& api, const std::string& release, milliseconds patience,
               Terminal& terminal) {
  Result<Json> asked = api.Post(release + "/prepare", Json::object());
  // An origin of an earlier version has no such thing.
  if (!asked && asked.error().reason == "no_such_route") return {};
  if (!asked) return unexpected(std::move(asked.error()));
  const std::string target = release + "/prepare?seq=" + std::to_string(IntOf(*asked, "seq"));
  const MonoTime begun = MonoNow();
  while (true) {
    Result<Json> preparation = api.Get(target);
    if (!preparation) return unexpected(std::move(preparation.error()));
    const bool over = BoolOf(*preparation, "complete");
    if (!over && MonoNow() - begun < patience) {
      std::this_thread::sleep_for(kPreparationPoll);
      continue;
    }
    const std::string text = PreparationText(*preparation);
    if (text.empty()) return {};
    terminal.Line("contents at the edges before the switch: " + text + ", after " +
                  HumanDuration(std::chrono::duration_cast<milliseconds>(MonoNow() - begun)));
    return {};
  }
}

/// Path → digest of what is active now.
Result<std::map<std::string, std::string>> ActiveAssets(OriginApi& api, const std::string& site) {
  std::map<std::string, std::string> assets;
  std::string after;
  while (true) {
    Result<Json> page =
        api.Get("/v1/sites/" + EncodePath(site) + "/assets?limit=10000&after=" + EncodePath(after));
    if (!page) return unexpected(std::move(page.error()));
    for (const Json& asset : ListOf(*page, "assets")) {
      assets[TextOf(asset, "path")] = TextOf(asset, "sha256");
    }
    after = TextOf(*page, "next");
    if (after.empty()) return assets;
  }
}

Exit DryRun(CommandContext& context, OriginApi& api, const PublishOptions& options,
            const std::vector<FolderFile>& files) {
  Result<std::map<std::string, std::string>> active = ActiveAssets(api, options.site);
  if (!active && active.error().reason == "no_such_site" && !options.hosts.empty()) {
    active = std::map<std::string, std::string>();
  }
  if (!active) return context.Failed(WithHint(active.error(), options));
  Terminal& terminal = context.terminal;
  std::unordered_set<std::string> published;
  size_t changes = 0;
  for (const FolderFile& file : files) {
    published.insert(file.path);
    const auto old = active->find(file.path);
    if (old != active->end() && old->second == file.sha256) continue;
    ++changes;
    const std::string line = Printable(file.path) + "  (" + HumanBytes(file.bytes) + ")";
    terminal.Line(old == active->end() ? terminal.Paint(Colour::kGreen, "+ " + line)
                                       : terminal.Paint(Colour::kYellow, "~ " + line));
  }
  for (const auto& [path, digest] : *active) {
    if (published.contains(path)) continue;
    ++changes;
    terminal.Line(terminal.Paint(Colour::kRed, "- " + Printable(path)));
  }
  terminal.Line(Count(files.size(), "file") + ", " + Count(changes, "change") +
                ". Nothing was sent: this was a dry run.");
  return Exit::kDone;
}

Result<Json> SendRelease(OriginApi& api, const PublishOptions& options,
                         const std::vector<FolderFile>& files, Terminal& terminal) {
  const std::string releases = "/v1/sites/" + EncodePath(options.site) + "/releases";
  Result<Json> release = api.Post(releases, ManifestOf(files));
  if (!release) return release;
  const std::vector<const FolderFile*> missing = FilesOf(files, ListOf(*release, "missing"));
  if (missing.empty()) {
    terminal.Line("nothing to upload: the origin has all contents");
  } else if (Status sent = Upload(api, missing, terminal, options.jobs); !sent) {
    return unexpected(std::move(sent.error()));
  }
  const std::string own = releases + "/" + EncodePath(TextOf(*release, "id"));
  const milliseconds patience = ParseDuration(options.prepare).value_or(milliseconds(0));
  if (!options.no_prepare && patience > milliseconds(0)) {
    if (Status prepared = Prepare(api, own, patience, terminal); !prepared) {
      return unexpected(std::move(prepared.error()));
    }
  }
  return api.Post(own + "/activate", Json::object());
}

}  // namespace

Exit Publish(CommandContext& context, const PublishOptions& options) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Result<Folder> folder = WalkFolder(options.folder);
  if (!folder) return context.Failed(folder.error());
  Terminal& terminal = context.terminal;
  if (folder->files.empty()) {
    return context.Failed(
        Error{Fault::kOperator, "empty_folder", options.folder + ": holds no file to publish"});
  }
  if (!folder->skipped.empty()) {
    terminal.Line(terminal.Paint(Colour::kDim, "left out " +
                                                   Count(folder->skipped.size(), "hidden name") +
                                                   " (" + Printable(folder->skipped.front()) +
                                                   (folder->skipped.size() > 1 ? ", …)" : ")")));
  }
  if (Status good = CheckRules(folder->files); !good) return context.Failed(good.error());
  if (Status hashed = HashFiles(&folder->files, terminal, options.jobs); !hashed) {
    return context.Failed(hashed.error());
  }
  if (options.dry_run) return DryRun(context, *api, options, folder->files);
  if (Status ensured = EnsureSite(*api, options); !ensured) return context.Failed(ensured.error());
  Result<Json> activation = SendRelease(*api, options, folder->files, terminal);
  if (!activation) return context.Failed(WithHint(activation.error(), options));
  terminal.Line("release " + TextOf(*activation, "release") + " of " + options.site +
                " is active: " + Count(folder->files.size(), "file") + ", " +
                std::to_string(IntOf(*activation, "changed")) + " changed");
  return AwaitReceipt(context, *api, *activation, options.wait);
}

}  // namespace nearside::cli
