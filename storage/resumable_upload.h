#pragma once

// Uploads that come in several goes, one behind the other: how far each has come. The bytes are a
// PartialBlob (storage/blob_store.h) of the same name as the upload; what stands here is true of
// bytes that are on the disk already. Who changes an upload that is not done holds its PartialBlob,
// so that of several, in whichever process, one does.
//
//   open ──all bytes are there──▶ sealed ──asset put──▶ done ──expires──▶ gone

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/clock.h"
#include "storage/asset.h"

namespace nearside::storage {

enum class ResumableState {
  kOpen,
  kSealed,  ///< whole, with its digest in `asset.blob`: the asset is to be put
  kDone,    ///< kept for a client that has not heard the answer
};

struct ResumableUpload {
  std::string id;  ///< random: who knows it may add to it
  std::string site;
  Asset asset;  ///< what it is to become; `blob` and `bytes` once it is sealed
  /// Conditions of the put, by field name.
  std::vector<std::pair<std::string, std::string>> conditions;
  std::string metadata;                 ///< opaque, as the client sent it
  std::optional<BlobId> expected = {};  ///< the digest that the whole must have
  std::optional<uint64_t> length = {};  ///< of the whole, once it is known
  uint64_t offset = 0;                  ///< bytes that are there
  std::string hash;                     ///< opaque: of the bytes that are there
  ResumableState state = ResumableState::kOpen;
  WallTime expires;
};

/// How many may be open, or sealed.
struct ResumableLimits {
  uint64_t of_site = 0;
  uint64_t in_all = 0;
};

}  // namespace nearside::storage
