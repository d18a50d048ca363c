#include "origin/compress_job.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "http/cache_control.h"
#include "http/content_coding.h"
#include "http/fields.h"
#include "http/media_type.h"

namespace nearside::origin {
namespace {

/// Encoded between two looks at whether to go on: a fraction of a second.
constexpr size_t kCompressPiece = 64 << 10;
constexpr size_t kPathShown = 200;

/// A coding's stream over a content; nullopt when it is not smaller. Nothing is kept then.
Result<std::optional<storage::StoredBlob>> EncodeBlob(const storage::BlobReader& content,
                                                      http::Coding coding,
                                                      storage::BlobStore& blobs,
                                                      const KeepGoing& keep_going) {
  auto encoder = http::ContentEncoder::Make(coding, content.size(), http::Effort::kBest);
  if (!encoder) return unexpected(std::move(encoder.error()));
  auto writer = blobs.Begin();
  if (!writer) return unexpected(std::move(writer.error()));
  Status written;
  const auto sink = [&](std::span<const uint8_t> bytes) {
    if (written) written = (*writer)->Append(bytes);
  };
  std::vector<uint8_t> piece(kCompressPiece);
  for (uint64_t at = 0;;) {
    if (Status may = keep_going(); !may) return unexpected(std::move(may.error()));
    Result<size_t> n = content.ReadAt(at, piece);
    if (!n) return unexpected(std::move(n.error()));
    at += *n;
    const bool last = *n == 0 || at >= content.size();
    const auto step =
        last ? http::ContentEncoder::Step::kFinish : http::ContentEncoder::Step::kMore;
    Status encoded = (*encoder)->Encode(std::span(piece).first(*n), step, sink);
    if (encoded) encoded = written;
    if (!encoded) return unexpected(std::move(encoded.error()));
    if ((*writer)->bytes() >= content.size()) return std::nullopt;
    if (last) break;
  }
  Result<storage::StoredBlob> stored = (*writer)->Commit({});
  if (!stored) return unexpected(std::move(stored.error()));
  return *stored;
}

Result<storage::BlobId> ContentOf(const storage::Job& job) {
  const auto json = nlohmann::json::parse(job.payload, nullptr, /*allow_exceptions=*/false);
  const bool named = json.is_object() && json.contains("sha256") && json["sha256"].is_string();
  Result<storage::BlobId> content =
      storage::ParseBlobName(named ? json["sha256"].get<std::string>() : std::string());
  if (content) return content;
  return Fail(Fault::kSelf, "bad_job", "the job names no content by its SHA-256");
}

}  // namespace

bool IsPrecompressible(const storage::Asset& asset) {
  if (!http::IsCompressible(asset.content_type)) return false;
  http::Fields fields;
  for (const auto& [name, value] : asset.headers) fields.Add(name, value);
  // A digest that somebody has set is of other bytes than a coding's.
  for (const char* name :
       {"content-encoding", "content-md5", "digest", "content-digest", "repr-digest"}) {
    if (fields.Has(name)) return false;
  }
  return !http::ParseCacheControl(fields).no_transform;
}

storage::NewJob CompressJob(const std::string& site, const storage::Asset& asset) {
  const std::string name = storage::BlobName(asset.blob);
  const nlohmann::ordered_json payload = {
      {"sha256", name}, {"site", site}, {"path", asset.path.substr(0, kPathShown)}};
  return {
      .kind = std::string(kCompressKind),
      .key = std::string(kCompressKind) + ":" + name,
      .payload = payload.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)};
}

Result<Compressed> DoCompressJob(const storage::Job& job, storage::Metadata& metadata,
                                 storage::BlobStore& blobs, const KeepGoing& keep_going) {
  Result<storage::BlobId> content = ContentOf(job);
  if (!content) return unexpected(std::move(content.error()));
  Compressed done;
  Result<std::optional<uint64_t>> known = metadata.FindBlob(*content);
  if (!known) return unexpected(std::move(known.error()));
  if (!*known) return done;
  Result<std::vector<storage::BlobVariant>> there = metadata.Variants(*content);
  if (!there) return unexpected(std::move(there.error()));
  auto reader = blobs.Read(*content);
  if (!reader) return unexpected(std::move(reader.error()));
  if ((*reader)->size() != **known) {
    return Fail(Fault::kSelf, "blob_truncated",
                "blob " + storage::BlobName(*content) + " has another length than metadata says");
  }
  for (const http::Coding coding : kPrecompressed) {
    const std::string name(http::CodingName(coding));
    if (std::any_of(there->begin(), there->end(),
                    [&](const storage::BlobVariant& v) { return v.coding == name; })) {
      continue;
    }
    auto stored = EncodeBlob(**reader, coding, blobs, keep_going);
    if (!stored) return unexpected(std::move(stored.error()));
    storage::BlobVariant variant{.coding = name, .blob = {}, .bytes = 0};
    if (*stored) {
      variant.blob = (*stored)->id;
      variant.bytes = (*stored)->bytes;
    }
    const Status added = metadata.AddVariant(*content, variant, blobs);
    if (!added && added.error().reason == "no_such_blob") return done;  // collected meanwhile
    if (!added) return unexpected(Error(added.error()));
    ++done.variants;
    done.in_bytes += **known;
    done.out_bytes += variant.bytes;
  }
  return done;
}

}  // namespace nearside::origin
