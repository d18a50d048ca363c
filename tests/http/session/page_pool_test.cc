#include "http/session/page_pool.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <set>
#include <vector>

namespace nearside::http {
namespace {

constexpr size_t kPages = 5;

size_t ResidentPages(void* block) {
  unsigned char pages[kPages];
  EXPECT_EQ(mincore(block, kPages * PagePool::kPageBytes, pages), 0);
  size_t resident = 0;
  for (const unsigned char page : pages) resident += page & 1;
  return resident;
}

size_t ResidentPages(const std::vector<void*>& blocks) {
  size_t resident = 0;
  for (void* block : blocks) resident += ResidentPages(block);
  return resident;
}

class PagePoolTest : public testing::Test {
 protected:
  static constexpr size_t kBlocks = 300;

  std::vector<void*> TakeAndTouch(size_t count) {
    std::vector<void*> blocks;
    for (size_t i = 0; i < count; ++i) {
      blocks.push_back(pool_.Take());
      std::memset(blocks.back(), 'x', pool_.block_bytes());
    }
    return blocks;
  }
  void FreeAll(const std::vector<void*>& blocks) {
    for (void* block : blocks) pool_.Free(block);
  }
  void TrimAll() {
    pool_.BeginTrim();
    while (pool_.Trim()) {
    }
  }

  PagePool pool_{kPages};
};

TEST_F(PagePoolTest, FreeBlocksKeepTheirPagesForThoseWhoComeSoon) {
  for (int burst = 0; burst < 3; ++burst) {
    const std::vector<void*> blocks = TakeAndTouch(kBlocks);
    EXPECT_EQ(std::set<void*>(blocks.begin(), blocks.end()).size(), kBlocks);
    FreeAll(blocks);
    TrimAll();
    EXPECT_EQ(ResidentPages(blocks), kPages * kBlocks) << "since the last time all were wanted";
    EXPECT_TRUE(pool_.HasSurplus());
  }
}

TEST_F(PagePoolTest, FreeBlocksGiveThemBackWhenNobodyWantsThem) {
  const std::vector<void*> blocks = TakeAndTouch(kBlocks);
  FreeAll(blocks);
  TrimAll();
  const std::vector<void*> wanted = TakeAndTouch(100);  // meanwhile
  FreeAll(wanted);
  TrimAll();
  EXPECT_EQ(ResidentPages(blocks), kPages * (100 + PagePool::kKeptWarm));
  EXPECT_EQ(ResidentPages(wanted), kPages * 100) << "the others have been free for longer";
  TrimAll();
  EXPECT_EQ(ResidentPages(blocks), kPages * PagePool::kKeptWarm);
  EXPECT_FALSE(pool_.HasSurplus());
  TrimAll();
  EXPECT_EQ(ResidentPages(blocks), kPages * PagePool::kKeptWarm);
}

TEST_F(PagePoolTest, FreeBlocksAreTrimmedSomeAtATime) {
  const std::vector<void*> blocks = TakeAndTouch(kBlocks);
  FreeAll(blocks);
  pool_.BeginTrim();
  pool_.BeginTrim();
  EXPECT_TRUE(pool_.Trim());
  EXPECT_EQ(ResidentPages(blocks), kPages * (kBlocks - PagePool::kMostTrimmed));
  const std::vector<void*> wanted = TakeAndTouch(kBlocks - PagePool::kMostTrimmed - 10);
  FreeAll(wanted);
  EXPECT_FALSE(pool_.Trim()) << "but for ten all have been wanted meanwhile";
  EXPECT_EQ(ResidentPages(wanted), kPages * wanted.size());
  EXPECT_EQ(ResidentPages(blocks), kPages * wanted.size());
}

TEST_F(PagePoolTest, HasItsBlocksAlone) {
  std::set<void*> blocks;
  PagePool other(1);
  for (int i = 0; i < 1000; ++i) {
    blocks.insert(pool_.Take());
    EXPECT_FALSE(pool_.Has(other.Take()));
  }
  EXPECT_EQ(blocks.size(), 1000u);
  for (void* block : blocks) {
    EXPECT_TRUE(pool_.Has(block));
    EXPECT_FALSE(other.Has(block));
    EXPECT_FALSE(pool_.Has(static_cast<char*>(block) + 16));
  }
  EXPECT_FALSE(pool_.Has(nullptr));
  for (void* block : blocks) pool_.Free(block);
  std::set<void*> again;
  for (int i = 0; i < 1000; ++i) again.insert(pool_.Take());
  EXPECT_EQ(again, blocks);
}

}  // namespace
}  // namespace nearside::http
