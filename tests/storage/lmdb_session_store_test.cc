#include "storage/lmdb_session_store.h"

#include <sys/stat.h>

#include <filesystem>

#include "tests/storage/session_store_contract.h"
#include "tests/support/temp_dir.h"

namespace nearside::storage::test {
namespace {

using ::testing::HasSubstr;

class LmdbEngine final : public SessionEngine {
 public:
  std::unique_ptr<SessionStore> Open(const SessionOptions& options) override {
    auto store = SessionStore::Open("lmdb:" + dir_.In("sessions"), options);
    EXPECT_TRUE(store) << store.error().ToString();
    return store ? std::move(*store) : nullptr;
  }
  std::string Content() override { return dir_.Read("sessions/sessions.lmdb"); }

 private:
  nearside::test::TempDir dir_;
};

INSTANTIATE_TEST_SUITE_P(Lmdb, SessionStoreContract, testing::Values([] {
                           return std::unique_ptr<SessionEngine>(new LmdbEngine);
                         }));

class LmdbSessionStoreTest : public testing::Test {
 protected:
  Result<std::unique_ptr<SessionStore>> Open() {
    return SessionStore::Open("lmdb:" + dir_.In("sessions"), SessionOptions());
  }
  nearside::test::TempDir dir_;
};

TEST_F(LmdbSessionStoreTest, OtherUrlsAreRefused) {
  for (const char* url : {"", "lmdb:", "redis://localhost", "sessions"}) {
    const auto store = SessionStore::Open(url, SessionOptions());
    ASSERT_FALSE(store) << url;
    EXPECT_EQ(store.error().reason, "bad_url");
    EXPECT_THAT(store.error().message, HasSubstr("lmdb:"));
  }
}

TEST_F(LmdbSessionStoreTest, AFolderThatCannotBeMadeIsTheOperators) {
  dir_.Write("sessions", "a file");
  const auto store = Open();
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().fault, Fault::kOperator);
  EXPECT_EQ(store.error().reason, "cannot_open");
  EXPECT_THAT(store.error().message, HasSubstr(dir_.In("sessions")));
}

TEST_F(LmdbSessionStoreTest, TheFileIsItsOwnersAlone) {
  ASSERT_TRUE(Open());
  struct stat file {};
  ASSERT_EQ(stat(dir_.In("sessions/sessions.lmdb").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600u);
}

TEST_F(LmdbSessionStoreTest, ADamagedFileIsPutAsideAndAllSignInAgain) {
  dir_.Write("sessions/sessions.lmdb", std::string(64 << 10, 'x'));
  auto store = Open();
  ASSERT_TRUE(store) << store.error().ToString();
  const std::string id = (*store)->Create({"alice", 1, ""}).value();
  EXPECT_TRUE((*store)->Find(id).value());
  EXPECT_EQ(dir_.Read("sessions/sessions.lmdb.damaged").size(), size_t{64 << 10});
}

TEST_F(LmdbSessionStoreTest, SpaceOfSessionsThatAreGoneIsUsedAgain) {
  auto store = Open().value();
  const auto fill = [&] {
    for (int account = 0; account < 20; ++account) {
      for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(
            store->Create({"account-" + std::to_string(account), 1, std::string(400, 'n')}));
      }
    }
    for (int account = 0; account < 20; ++account) {
      ASSERT_EQ(store->RemoveAll("account-" + std::to_string(account)).value(), 20u);
    }
  };
  fill();
  const auto bytes = std::filesystem::file_size(dir_.In("sessions/sessions.lmdb"));
  for (int i = 0; i < 3; ++i) fill();
  EXPECT_LE(std::filesystem::file_size(dir_.In("sessions/sessions.lmdb")), bytes * 3 / 2);
  EXPECT_EQ(store->Count().value(), 0u);
}

}  // namespace
}  // namespace nearside::storage::test
