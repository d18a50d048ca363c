// Selecting a variant by its content coding, which every hit of a text does, takes no memory from
// the heap.

#include <gtest/gtest.h>

#include "edge/cache_key.h"
#include "tests/edge/messages.h"
#include "tests/support/allocation_counter.h"

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
  const size_t before = test::Allocations();
  Selector selector(request, site);
  size_t selected = 0;
  for (const http::Fields& variant : variants) selected += selector.Selects(variant) ? 1 : 0;
  EXPECT_EQ(test::Allocations(), before);
  EXPECT_EQ(selected, 1u);
}

}  // namespace
}  // namespace nearside::edge
