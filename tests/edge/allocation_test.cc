// Selecting a variant by its content coding, which every hit of a text does, takes no memory from
// the heap.

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "edge/cache_key.h"
#include "tests/edge/messages.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kCounts = false;  // the sanitizers' own operator new stays
#else
constexpr bool kCounts = true;
#endif

namespace {
thread_local size_t allocations = 0;
}  // namespace

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
void* operator new(size_t size) {
  ++allocations;
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
#endif

namespace nearside::edge {
namespace {

TEST(AllocationTest, SelectingByCodingTakesNoMemory) {
  const SiteSettings& site = DefaultSite();
  const http::Fields variants[] = {{{"accept-encoding", "=zstd"}},
                                   {{"accept-encoding", "gzip, zstd"}},
                                   {{"accept-encoding", "=br"}}};
  const http::Fields request = {{"user-agent", "a browser"},
                                {"cache-control", "max-age=0"},
                                {"accept-encoding", "gzip, deflate, br;q=1.0, zstd"}};
  const size_t before = allocations;
  Selector selector(request, site);
  size_t selected = 0;
  for (const http::Fields& variant : variants) selected += selector.Selects(variant) ? 1 : 0;
  if (kCounts) {
    EXPECT_EQ(allocations, before);
  }
  EXPECT_EQ(selected, 1u);
}

}  // namespace
}  // namespace nearside::edge
