#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "runtime/crypto.h"
#include "runtime/result.h"

namespace nearside {

/// SHA-256 of a stream whose beginning may have been hashed by another process, days ago: what
/// stands between two bytes can be written down. One thread at a time.
class ResumableSha256 {
 public:
  ResumableSha256();
  ~ResumableSha256();
  ResumableSha256(ResumableSha256&&) noexcept;
  ResumableSha256& operator=(ResumableSha256&&) noexcept;

  /// Behind `bytes` bytes, from what Save gave there. Error: kSelf bad_hash_state.
  static Result<ResumableSha256> Restore(std::string_view saved, uint64_t bytes);

  void Update(std::span<const uint8_t> bytes);
  /// Hexadecimal digits: at most 190, which hold up to 63 of the last bytes.
  std::string Save() const;
  /// The digest of all so far; the object then starts anew.
  Sha256Digest Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nearside
