#pragma once

// The policies that hit_ratio compares: LRU, SIEVE, S3-FIFO as published, and storage::RamTier.

#include <cstdint>
#include <memory>
#include <vector>

namespace nearside::bench {

/// A cache of objects by number. One thread.
class Policy {
 public:
  virtual ~Policy() = default;
  /// Asks for the object and, on a miss, puts it in. `bytes` are the object's own. Whether it was
  /// there.
  virtual bool Ask(uint32_t object, uint32_t bytes) = 0;
};

/// What RamTier counts for an entry beyond its charge: every policy is given the same.
uint64_t OverheadBytes();

/// `objects`: numbers are below it.
std::unique_ptr<Policy> MakeLru(uint64_t limit_bytes, uint32_t objects);
/// Zhang, Yang, Yue, Vigfusson, Rashmi, "SIEVE is simpler than LRU", NSDI'24.
std::unique_ptr<Policy> MakeSieve(uint64_t limit_bytes, uint32_t objects);
/// Yang et al., SOSP'23, by bytes as in the authors' simulator: small queue 10 %, promotion at two
/// accesses, a ghost of as many bytes' names as the main queue holds.
std::unique_ptr<Policy> MakeS3Fifo(uint64_t limit_bytes, uint32_t objects);
/// The edge's own tier with whole objects, as the store in memory drives it. No body is allocated.
std::unique_ptr<Policy> MakeOurs(uint64_t limit_bytes, uint32_t objects);
/// The same with heads and chunks apart, as the store on disk drives it: a hit has all of them.
/// Chunks are allocated, not written to.
std::unique_ptr<Policy> MakeOursInChunks(uint64_t limit_bytes, uint32_t objects);

}  // namespace nearside::bench
