#include "cli/assets.h"

#include <sys/stat.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstring>

#include "cli/folder.h"
#include "http/uri.h"
#include "runtime/crypto.h"

namespace nearside::cli {
namespace {

std::string TargetOf(const AssetsOptions& options) {
  return "/v1/sites/" + EncodePath(options.site) + "/assets/" + EncodePath(options.path, "/");
}

/// A regular file's length. Error: kOperator cannot_read.
Result<uint64_t> LengthOf(const std::string& file) {
  struct stat about {};
  if (::stat(file.c_str(), &about) != 0) {
    return Fail(Fault::kOperator, "cannot_read", file + ": " + std::string(std::strerror(errno)));
  }
  if (!S_ISREG(about.st_mode)) {
    return Fail(Fault::kOperator, "cannot_read", file + ": expected a file");
  }
  return static_cast<uint64_t>(about.st_size);
}

void AddConditions(const AssetsOptions& options, HttpRequest* request) {
  if (options.only_new) request->fields.Set("if-none-match", "*");
  if (!options.match.empty()) request->fields.Set("if-match", options.match);
}

/// Where GetAsset writes: standard output, or a file beside the wanted one that takes its place at
/// the end, so that a download that breaks off leaves what was there.
class Download {
 public:
  explicit Download(const std::string& file)
      : file_(file), to_file_(!file.empty() && file != "-") {}
  ~Download() {
    if (out_ != nullptr && to_file()) std::fclose(out_);
    if (to_file() && !kept_) ::unlink(partial().c_str());
  }

  Status Open() {
    out_ = to_file() ? std::fopen(partial().c_str(), "wb") : stdout;
    return out_ != nullptr ? Status() : Failed();
  }
  Status Write(std::string_view piece) {
    return std::fwrite(piece.data(), 1, piece.size(), out_) == piece.size() ? Status() : Failed();
  }
  Status Keep() {
    if (!to_file()) return std::fflush(out_) == 0 ? Status() : Failed();
    const bool closed = std::fclose(std::exchange(out_, nullptr)) == 0;
    kept_ = closed && ::rename(partial().c_str(), file_.c_str()) == 0;
    return kept_ ? Status() : Failed();
  }

 private:
  bool to_file() const { return to_file_; }
  std::string partial() const { return file_ + ".part"; }
  Status Failed() const {
    return Fail(Fault::kOperator, "cannot_write",
                (to_file() ? file_ : "standard output") + ": " + std::string(std::strerror(errno)));
  }

  const std::string file_;
  const bool to_file_;
  std::FILE* out_ = nullptr;
  bool kept_ = false;
};

}  // namespace

Exit PutAsset(CommandContext& context, const AssetsOptions& options) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Result<uint64_t> bytes = LengthOf(options.file);
  if (!bytes) return context.Failed(bytes.error());
  Result<std::string> digest = HashFile(options.file);
  if (!digest) return context.Failed(digest.error());
  const std::string raw = HexDecode(*digest).value_or("");
  HttpRequest request;
  request.method = "PUT";
  request.target = TargetOf(options);
  request.file = options.file;
  request.file_bytes = *bytes;
  request.fields.Set(
      "repr-digest",
      "sha-256=:" + Base64Encode({reinterpret_cast<const uint8_t*>(raw.data()), raw.size()}) + ":");
  if (!options.content_type.empty()) request.fields.Set("content-type", options.content_type);
  if (!options.cache_control.empty()) request.fields.Set("cache-control", options.cache_control);
  std::string tags;
  for (const std::string& tag : options.tags) tags += (tags.empty() ? "" : " ") + tag;
  if (!tags.empty()) request.fields.Set("surrogate-key", tags);
  AddConditions(options, &request);
  Progress progress(context.terminal, "uploading", *bytes, 1);
  request.on_sent = [&](uint64_t n) { progress.AddBytes(n); };
  Result<HttpResponse> response = api->Send(std::move(request));
  if (!response) return context.Failed(response.error());
  progress.ItemDone();
  if (context.terminal.is_terminal()) progress.Finish();
  Result<Json> answer = ParseAnswer(response->body);
  if (!answer) return context.Failed(answer.error());
  context.terminal.Line(options.site + "/" + Printable(options.path) +
                        (response->status == 201 ? ": stored, " : ": replaced, ") +
                        HumanBytes(*bytes) + ", " + TextOf(*answer, "content_type") + ", " +
                        TextOf(*answer, "etag"));
  return Exit::kDone;
}

Exit GetAsset(CommandContext& context, const AssetsOptions& options) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Download download(options.file);
  if (Status opened = download.Open(); !opened) return context.Failed(opened.error());
  HttpRequest request;
  request.target = TargetOf(options);
  request.on_body = [&](std::string_view piece) { return download.Write(piece); };
  Result<HttpResponse> response = api->Send(std::move(request));
  if (!response) return context.Failed(response.error());
  if (Status kept = download.Keep(); !kept) return context.Failed(kept.error());
  return Exit::kDone;
}

Exit ListAssets(CommandContext& context, const AssetsOptions& options) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  TextTable table({"PATH", "SIZE", "TYPE", "CHANGED", "SHA-256"});
  Json all = Json::array();
  std::string after;
  do {
    Result<Json> page = api->Get("/v1/sites/" + EncodePath(options.site) +
                                 "/assets?limit=1000&prefix=" + EncodePath(options.prefix) +
                                 "&after=" + EncodePath(after));
    if (!page) return context.Failed(page.error());
    for (const Json& asset : ListOf(*page, "assets")) {
      table.Add({Printable(TextOf(asset, "path")),
                 HumanBytes(static_cast<uint64_t>(IntOf(asset, "bytes"))),
                 TextOf(asset, "content_type"), HumanTime(IntOf(asset, "modified")),
                 TextOf(asset, "sha256").substr(0, 12)});
      if (options.json) all.push_back(asset);
    }
    after = TextOf(*page, "next");
  } while (!after.empty());
  if (options.json) {
    context.terminal.Line(all.dump(2));
  } else {
    table.Print(context.terminal);
  }
  return Exit::kDone;
}

Exit RemoveAsset(CommandContext& context, const AssetsOptions& options) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  HttpRequest request;
  request.method = "DELETE";
  request.target = TargetOf(options) + "?wait=2s";
  AddConditions(options, &request);
  Result<HttpResponse> response = api->Send(std::move(request));
  if (!response) return context.Failed(response.error());
  Result<Json> answer = ParseAnswer(response->body);
  if (!answer) return context.Failed(answer.error());
  context.terminal.Line(options.site + "/" + Printable(options.path) + ": removed");
  return PrintReceipt(*answer, context.terminal);
}

}  // namespace nearside::cli
