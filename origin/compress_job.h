#pragma once

// The job that encodes one content beforehand, once for each coding, so that no answer waits for an
// encoder and none is larger than it has to be. The results are blobs that are kept with the
// content (storage/blob_variant.h) and served by origin/visitor.cc.

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "http/accept_encoding.h"
#include "runtime/result.h"
#include "storage/asset.h"
#include "storage/blob_store.h"
#include "storage/job_queue.h"
#include "storage/metadata.h"

namespace nearside::origin {

inline constexpr std::string_view kCompressKind = "compress";
inline constexpr std::array kPrecompressed = {http::Coding::kBr, http::Coding::kZstd,
                                              http::Coding::kGzip};

/// Whether what stands at a path may be sent in a coding of ours: text that has none already and
/// does not say no-transform, without a digest of its own. Pure; sizes are the caller's to look at.
bool IsPrecompressible(const storage::Asset& asset);

/// The job of the content of `asset`, which stands in `site`: one a content, whoever names it.
storage::NewJob CompressJob(const std::string& site, const storage::Asset& asset);

/// Called again and again by what takes long; an error ends it at once, and is its result.
using KeepGoing = std::function<Status()>;

/// What one job has done.
struct Compressed {
  uint64_t variants = 0;  ///< made; 0: all were there, or the content is gone
  uint64_t in_bytes = 0;
  uint64_t out_bytes = 0;  ///< of those that are kept
};

/// Does it; what an earlier attempt has done stays done. A content that was collected meanwhile
/// needs nothing. Any thread; blocks for seconds. Errors: kSelf bad_job, those of blobs and
/// metadata, encoding_failed, and those of `keep_going`.
Result<Compressed> DoCompressJob(const storage::Job& job, storage::Metadata& metadata,
                                 storage::BlobStore& blobs, const KeepGoing& keep_going);

}  // namespace nearside::origin
