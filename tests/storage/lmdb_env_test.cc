#include "storage/lmdb_env.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "runtime/text_bytes.h"
#include "tests/support/temp_dir.h"

namespace nearside::storage {
namespace {

std::string T(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

class LmdbEnvTest : public testing::Test {
 protected:
  std::string file() const { return folder_.In("test.mdb"); }
  std::unique_ptr<LmdbEnv> OpenEnv(uint64_t map_bytes = 4 << 20) {
    auto env = LmdbEnv::Open({.file = file(), .map_bytes = map_bytes});
    EXPECT_TRUE(env) << (env ? "" : env.error().ToString());
    return env ? std::move(*env) : nullptr;
  }
  LmdbTable MakeTable(LmdbEnv& env) {
    auto txn = env.BeginWrite();
    const LmdbTable table = txn->MakeTable("t").value();
    EXPECT_TRUE(txn->Commit());
    return table;
  }
  void Put(LmdbEnv& env, LmdbTable table, std::string_view key, std::string_view value) {
    auto txn = env.BeginWrite();
    ASSERT_TRUE(txn->Put(table, AsBytes(key), AsBytes(value)));
    ASSERT_TRUE(txn->Commit());
  }
  test::TempDir folder_;
};

TEST_F(LmdbEnvTest, CommittedRowsAreThereAfterReopening) {
  {
    auto env = OpenEnv();
    Put(*env, MakeTable(*env), "key", "value");
  }
  auto env = OpenEnv();
  const LmdbTable table = MakeTable(*env);
  auto txn = env->BeginRead();
  const auto value = txn->Get(table, AsBytes("key"));
  ASSERT_TRUE(value && *value);
  EXPECT_EQ(T(**value), "value");
  EXPECT_EQ(txn->Get(table, AsBytes("other")).value(), std::nullopt);
}

TEST_F(LmdbEnvTest, ATransactionThatIsNotCommittedLeavesNothing) {
  auto env = OpenEnv();
  const LmdbTable table = MakeTable(*env);
  {
    auto txn = env->BeginWrite();
    ASSERT_TRUE(txn->Put(table, AsBytes("key"), AsBytes("value")));
  }
  EXPECT_EQ(env->BeginRead()->Get(table, AsBytes("key")).value(), std::nullopt);
}

TEST_F(LmdbEnvTest, CursorsWalkInOrderAndEraseWhatTheyStandOn) {
  auto env = OpenEnv();
  const LmdbTable table = MakeTable(*env);
  for (const char* key : {"b", "d", "a", "c"}) Put(*env, table, key, key);
  auto txn = env->BeginWrite();
  {
    auto cursor = txn->Open(table);
    EXPECT_EQ(T(cursor->First().value()->key), "a");
    EXPECT_EQ(T(cursor->AtOrAfter(AsBytes("bb")).value()->key), "c");
    ASSERT_TRUE(cursor->Erase());
    EXPECT_EQ(T(cursor->Next().value()->key), "d");
    EXPECT_EQ(T(cursor->Previous().value()->key), "b");
    EXPECT_EQ(T(cursor->Last().value()->key), "d");
    EXPECT_EQ(cursor->Next().value(), std::nullopt);
  }
  EXPECT_EQ(txn->Entries(table), 3u);
  EXPECT_TRUE(txn->Erase(table, AsBytes("a")).value());
  EXPECT_FALSE(txn->Erase(table, AsBytes("a")).value());
}

TEST_F(LmdbEnvTest, AFullMapIsAnErrorAndTheMapGoesOn) {
  auto env = OpenEnv(256 << 10);
  const LmdbTable table = MakeTable(*env);
  {
    auto txn = env->BeginWrite();
    const Status full = txn->Put(table, AsBytes("key"), AsBytes(std::string(512 << 10, 'x')));
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().reason, "map_full");
    EXPECT_FALSE(IsDamage(full.error()));
  }
  Put(*env, table, "key", "small");
}

TEST_F(LmdbEnvTest, ASnapshotPinsWhatIsFreedAfterIt) {
  auto env = OpenEnv();
  const LmdbTable table = MakeTable(*env);
  Put(*env, table, "key", std::string(1 << 20, 'x'));
  auto reader = env->BeginRead();
  const uint64_t snapshot = reader->id();
  {
    auto txn = env->BeginWrite();
    ASSERT_TRUE(txn->Erase(table, AsBytes("key")).value());
    ASSERT_TRUE(txn->Commit());
  }
  // Some commits later the pages would be free for all but the reader.
  for (int i = 0; i < 3; ++i) Put(*env, table, "other", std::to_string(i));
  const LmdbSpace pinned = env->MeasureSpace().value();
  EXPECT_GE(pinned.pinned_pages, 256u);
  EXPECT_GE(pinned.pinned_by_readers, 256u);
  ASSERT_TRUE(env->OldestReader());
  EXPECT_EQ(env->OldestReader()->snapshot, snapshot);
  EXPECT_EQ(env->OldestReader()->pid, getpid());
  reader->Reset();
  const LmdbSpace freed = env->MeasureSpace().value();
  EXPECT_EQ(freed.pinned_by_readers, 0u);
  EXPECT_LT(freed.pinned_pages, 10u);
  EXPECT_GE(freed.listed_pages, 256u);
  EXPECT_GE(freed.free(), pinned.free() + 256u);
  EXPECT_EQ(freed.map_pages * freed.page_bytes, 4u << 20);
}

TEST_F(LmdbEnvTest, CopyTakesValuesOfAnySizeAndOfAWriterToo) {
  auto env = OpenEnv();
  const LmdbTable table = MakeTable(*env);
  for (const size_t size : {1u, 100u, 3000u, 65520u, 300000u}) {
    const std::string body = std::string(size / 2, 'a') + std::string(size - size / 2, 'b');
    Put(*env, table, std::to_string(size), body);
    std::string copy(size, '\0');
    auto* out = reinterpret_cast<uint8_t*>(copy.data());
    {
      const auto txn = env->BeginRead();
      ASSERT_TRUE(txn->Copy(**txn->Get(table, AsBytes(std::to_string(size))), out));
      EXPECT_EQ(copy == body, true) << size;
    }
    // Half of these pages are in the writer's memory and not in the file yet.
    auto txn = env->BeginWrite();
    ASSERT_TRUE(txn->Put(table, AsBytes("new"), AsBytes(body + body)));
    copy.assign(size * 2, '\0');
    out = reinterpret_cast<uint8_t*>(copy.data());
    ASSERT_TRUE(txn->Copy(**txn->Get(table, AsBytes("new")), out));
    EXPECT_EQ(copy == body + body, true) << size;
    ASSERT_TRUE(txn->Copy(**txn->Get(table, AsBytes(std::to_string(size))), out));
    EXPECT_EQ(copy.substr(0, size) == body, true) << size;
  }
}

TEST_F(LmdbEnvTest, APageThatCannotBeReadIsAnErrorAndNoSignal) {
  auto env = OpenEnv();
  const LmdbTable table = MakeTable(*env);
  const std::string body(200'000, 'x');
  Put(*env, table, "key", body);
  const auto txn = env->BeginRead();
  const Bytes value = **txn->Get(table, AsBytes("key"));
  // The pages of the map behind a file's end raise SIGBUS, as those above a bad sector do.
  std::ifstream stream(file(), std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(stream)), {});
  std::filesystem::resize_file(file(), bytes.find(body) / 4096 * 4096 + 4096);
  std::string copy(body.size(), '\0');
  const Status read = txn->Copy(value, reinterpret_cast<uint8_t*>(copy.data()));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().reason, "EIO");
  EXPECT_FALSE(IsDamage(read.error()));
}

TEST_F(LmdbEnvTest, APanicIsNoDamage) {
  EXPECT_TRUE(IsPanic({.reason = "panic"}));
  EXPECT_FALSE(IsDamage({.reason = "panic"}));
  EXPECT_FALSE(IsPanic({.reason = "damaged"}));
  EXPECT_TRUE(IsDamage({.reason = "damaged"}));
}

TEST_F(LmdbEnvTest, ResetAndRenewSeeNewerRows) {
  auto env = OpenEnv();
  const LmdbTable table = MakeTable(*env);
  auto reader = env->BeginRead();
  Put(*env, table, "key", "value");
  EXPECT_EQ(reader->Get(table, AsBytes("key")).value(), std::nullopt);
  reader->Reset();
  ASSERT_TRUE(reader->Renew());
  EXPECT_TRUE(reader->Get(table, AsBytes("key")).value().has_value());
}

TEST_F(LmdbEnvTest, GarbageIsDamage) {
  std::ofstream(file()) << std::string(16 << 10, 'g');
  const auto env = LmdbEnv::Open({.file = file(), .map_bytes = 1 << 20});
  ASSERT_FALSE(env);
  EXPECT_TRUE(IsDamage(env.error())) << env.error().ToString();
}

TEST_F(LmdbEnvTest, AFileIsUnusedUntilItsSecondCommit) {
  EXPECT_TRUE(IsUnused(file())) << "missing";
  std::ofstream(file()) << "";
  EXPECT_TRUE(IsUnused(file()));
  std::ofstream(file()) << std::string(20'000, '\0');
  EXPECT_TRUE(IsUnused(file())) << "blocks that were given but never written";
  std::ofstream(file()) << std::string(20'000, 'g');
  EXPECT_FALSE(IsUnused(file())) << "who knows what that was";
  std::filesystem::remove(file());
  {
    auto env = OpenEnv();
    EXPECT_TRUE(IsUnused(file()));
    const LmdbTable table = MakeTable(*env);
    EXPECT_TRUE(IsUnused(file())) << "a table and nothing in it";
    Put(*env, table, "key", "value");
  }
  EXPECT_FALSE(IsUnused(file()));
}

TEST_F(LmdbEnvTest, AFileShorterThanItsPagesIsDamage) {
  {
    auto env = OpenEnv();
    Put(*env, MakeTable(*env), "key", std::string(1 << 20, 'x'));
  }
  std::filesystem::resize_file(file(), 64 << 10);
  const auto env = LmdbEnv::Open({.file = file(), .map_bytes = 4 << 20});
  ASSERT_FALSE(env);
  EXPECT_TRUE(IsDamage(env.error())) << env.error().ToString();
}

TEST_F(LmdbEnvTest, ReserveGivesTheFileItsBlocks) {
  auto env = OpenEnv();
  const Status reserved = env->Reserve();
  if (!reserved) GTEST_SKIP() << reserved.error().ToString();
  EXPECT_EQ(std::filesystem::file_size(file()), 4u << 20);
}

}  // namespace
}  // namespace nearside::storage
