// What becomes of sessions when their disk fails for a moment.

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "storage/session_store.h"
#include "tests/storage/disk_faults.h"
#include "tests/support/temp_dir.h"

namespace nearside::storage {
namespace {

class SessionStoreFaultTest : public testing::Test {
 protected:
  std::string Make(const std::string& account) {
    Result<std::string> id = store_->Create({account, 1, ""});
    return id.value_or("");
  }
  bool IsThere(const std::string& id) {
    const auto found = store_->Find(id);
    return found && *found;
  }
  nearside::test::TempDir dir_;
  std::unique_ptr<SessionStore> store_ =
      SessionStore::Open("lmdb:" + dir_.In("sessions"), SessionOptions()).value();
};

/// LMDB gives the environment up then: every later write fails until it is opened anew.
TEST_F(SessionStoreFaultTest, AMetaPageThatCannotBeWrittenCostsThatOneSession) {
  const std::string before = Make("alice");
  {
    DiskFault fault({.file = StoreFile::kSessions, .call = DiskCall::kMetaWrite, .times = 1});
    (void)Make("bob");
    EXPECT_EQ(fault.failures(), 1u);
  }
  EXPECT_TRUE(IsThere(before));
  const std::string after = Make("carol");
  EXPECT_NE(after, "");
  EXPECT_TRUE(IsThere(after));
  EXPECT_TRUE(store_->Remove(SessionKeyOf(before)));
  EXPECT_FALSE(IsThere(before));
}

TEST_F(SessionStoreFaultTest, ItIsOpenedAnewUnderThoseWhoRead) {
  const std::string kept = Make("alice");
  std::atomic<bool> stop{false};
  std::atomic<int> gone{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] {
      while (!stop) {
        if (const auto found = store_->Find(kept); found && !*found) ++gone;
      }
    });
  }
  for (int i = 0; i < 3; ++i) {
    DiskFault fault({.file = StoreFile::kSessions, .call = DiskCall::kMetaWrite, .times = 1});
    (void)Make("bob");
    fault.End();
    // Tried again after a second at most.
    std::string after;
    for (int tries = 0; after.empty() && tries < 1000; ++tries) {
      after = Make("carol");
      if (after.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    EXPECT_NE(after, "");
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(gone.load(), 0);
  EXPECT_TRUE(IsThere(kept));
}

}  // namespace
}  // namespace nearside::storage
