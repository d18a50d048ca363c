#include "http/session/page_pool.h"

#include <sys/mman.h>

#include <algorithm>

namespace nearside::http {

PagePool::~PagePool() {
  for (uint8_t* slab : slabs_) munmap(slab, slab_bytes());
}

void* PagePool::Take() {
  if (free_.empty() && !AddSlab()) return nullptr;
  void* block = free_.back();
  free_.pop_back();
  if (warm_ > 0) --warm_;
  least_warm_ = std::min(least_warm_, warm_);
  return block;
}

void PagePool::Free(void* block) {
  free_.push_back(block);
  ++warm_;
}

bool PagePool::IsInSlab(const void* block) const {
  const auto* at = static_cast<const uint8_t*>(block);
  const auto behind = std::upper_bound(slabs_.begin(), slabs_.end(), at);
  return behind != slabs_.begin() && at < *(behind - 1) + slab_bytes();
}

void PagePool::BeginTrim() {
  surplus_ = least_warm_ - std::min(least_warm_, kKeptWarm);
  least_warm_ = warm_;
}

bool PagePool::Trim() {
  surplus_ = std::min(surplus_, least_warm_);  // the others have been wanted meanwhile
  const size_t count = std::min(surplus_, kMostTrimmed);
  // Those that have been free for longest.
  const size_t first = free_.size() - warm_;
  for (size_t i = first; i < first + count; ++i) GiveBackPages(free_[i], block_bytes_);
  warm_ -= count;
  least_warm_ -= count;
  surplus_ -= count;
  return surplus_ > 0;
}

void PagePool::GiveBackPages(void* begin, size_t bytes) { madvise(begin, bytes, MADV_DONTNEED); }

bool PagePool::AddSlab() {
  void* mapped = mmap(nullptr, slab_bytes(), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return false;
  madvise(mapped, slab_bytes(), MADV_NOHUGEPAGE);  // one large page would be many blocks
  auto* slab = static_cast<uint8_t*>(mapped);
  slabs_.insert(std::upper_bound(slabs_.begin(), slabs_.end(), slab), slab);
  // Room for all that may come back, so that Free never allocates.
  free_.reserve(slabs_.size() * kBlocksASlab);
  for (size_t i = kBlocksASlab; i > 0; --i) free_.push_back(slab + (i - 1) * block_bytes_);
  return true;
}

}  // namespace nearside::http
