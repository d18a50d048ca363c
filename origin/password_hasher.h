#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "runtime/result.h"

namespace nearside::origin {

/// How hard passwords are hashed, and how much of it happens at once: each hash takes so much
/// memory and, by design, tens to hundreds of milliseconds of a core.
struct HashSettings {
  uint64_t memory_bytes = 64 << 20;
  int passes = 3;
  size_t at_once = 2;
  size_t most_waiting = 8;  ///< more are refused at once
};

/// Argon2id (RFC 9106) by libsodium, whose one home this is. Any thread; blocks for as long as a
/// hash and those before it take.
class PasswordHasher {
 public:
  explicit PasswordHasher(const HashSettings& settings);

  /// With a salt of its own and all that checking it needs: "$argon2id$v=19$m=65536,t=3,p=1$…".
  /// Errors: kSelf hashing_busy, out_of_memory.
  Result<std::string> Hash(std::string_view password);
  /// Whether the hash is of the password. A hash of "" is nobody's, and takes as long as any other.
  /// Errors: those of Hash.
  Result<bool> IsRight(const std::string& hash, std::string_view password);
  /// Whether it was made by other settings: hash the password anew while it is at hand.
  bool IsOld(const std::string& hash) const;

  size_t busy() const;
  size_t waiting() const;
  uint64_t hashes() const { return hashes_.load(std::memory_order_relaxed); }
  uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

 private:
  class Turn;

  const HashSettings settings_;
  const std::string nobody_;  ///< a hash of no password
  mutable std::mutex mutex_;
  std::condition_variable done_;
  size_t busy_ = 0;
  size_t waiting_ = 0;
  std::atomic<uint64_t> hashes_{0};
  std::atomic<uint64_t> refused_{0};
};

}  // namespace nearside::origin
