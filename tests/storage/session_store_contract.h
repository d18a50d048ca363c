#pragma once

// What every engine of SessionStore keeps to. An engine's test includes this and says how it is
// opened:
//
//   INSTANTIATE_TEST_SUITE_P(Lmdb, SessionStoreContract, testing::Values(MakeLmdbEngine));

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "runtime/crypto.h"
#include "storage/session_store.h"

namespace nearside::storage::test {

/// One store, opened by one process at a time or by several.
class SessionEngine {
 public:
  virtual ~SessionEngine() = default;
  /// The same store each time. A process opens it once.
  virtual std::unique_ptr<SessionStore> Open(const SessionOptions& options) = 0;
  /// All bytes that the engine keeps, as far as a test can read them.
  virtual std::string Content() = 0;
};

class SessionStoreContract
    : public testing::TestWithParam<std::function<std::unique_ptr<SessionEngine>()>> {
 protected:
  void SetUp() override { engine_ = GetParam()(); }

  SessionOptions Options() {
    SessionOptions options;
    options.idle = std::chrono::minutes(60);
    options.life = std::chrono::hours(10);
    options.clock = [this] { return FromUnixMillis(now_ms_.load()); };
    return options;
  }
  SessionStore& Open(SessionOptions options) {
    store_.reset();
    store_ = engine_->Open(options);
    return *store_;
  }
  SessionStore& Open() { return Open(Options()); }
  /// The id of a new session.
  std::string Make(const std::string& account = "alice", const std::string& note = "") {
    Result<std::string> id = store_->Create({account, 7, note});
    EXPECT_TRUE(id) << id.error().ToString();
    return id.value_or("");
  }
  bool IsThere(const std::string& id) {
    Result<std::optional<Session>> session = store_->Find(id);
    EXPECT_TRUE(session) << session.error().ToString();
    return session && session->has_value();
  }
  void Pass(milliseconds time) { now_ms_ += time.count(); }
  /// The notes of an account's sessions, the newest first.
  std::string Notes(const std::string& account) {
    std::string text;
    const std::vector<Session> sessions = store_->List(account).value();
    for (const Session& session : sessions) text += session.note + " ";
    return text;
  }

  std::atomic<int64_t> now_ms_{1'800'000'000'000};
  std::unique_ptr<SessionEngine> engine_;
  std::unique_ptr<SessionStore> store_;
};

TEST_P(SessionStoreContract, ASessionIsFoundByItsIdAlone) {
  Open();
  const std::string id = Make("alice", "Firefox");
  EXPECT_TRUE(IsSessionId(id));
  const Session session = store_->Find(id).value().value();
  EXPECT_EQ(session.account, "alice");
  EXPECT_EQ(session.generation, 7);
  EXPECT_EQ(session.note, "Firefox");
  EXPECT_EQ(session.key, SessionKeyOf(id));
  EXPECT_EQ(ToUnixMillis(session.created), now_ms_.load());
  EXPECT_EQ(session.expires - session.created, std::chrono::minutes(60));
  for (const std::string& other :
       {std::string(), std::string("x"), id + "x", id.substr(1), std::string(43, 'A'),
        HexEncode(session.key.bytes), std::string(43, '\0')}) {
    EXPECT_FALSE(IsThere(other)) << other;
  }
}

TEST_P(SessionStoreContract, IdsAreNotKept) {
  Open();
  const std::string id = Make("alice", "a note that is kept");
  store_.reset();
  const std::string content = engine_->Content();
  EXPECT_NE(content.find("a note that is kept"), std::string::npos);
  EXPECT_EQ(content.find(id), std::string::npos);
  EXPECT_EQ(content.find(id.substr(0, 16)), std::string::npos);
}

TEST_P(SessionStoreContract, UseMovesTheExpiryUntilTheEndOfLife) {
  Open();
  const std::string used = Make();
  const std::string idle = Make();
  for (int i = 0; i < 19; ++i) {
    Pass(std::chrono::minutes(30));
    EXPECT_TRUE(IsThere(used)) << i;
  }
  EXPECT_FALSE(IsThere(idle));
  const Session last = store_->Find(used).value().value();
  EXPECT_EQ(last.expires - last.created, std::chrono::hours(10));
  Pass(std::chrono::minutes(30) - milliseconds(1));
  EXPECT_TRUE(IsThere(used));
  Pass(milliseconds(1));
  EXPECT_FALSE(IsThere(used));
}

TEST_P(SessionStoreContract, AnIdleSessionEndsOnTime) {
  Open();
  const std::string id = Make();
  Pass(std::chrono::minutes(60) - milliseconds(1));
  EXPECT_THAT(store_->List("alice").value(), testing::SizeIs(1));
  Pass(milliseconds(1));
  EXPECT_FALSE(IsThere(id));
  EXPECT_THAT(store_->List("alice").value(), testing::IsEmpty());
}

TEST_P(SessionStoreContract, AShortIdleTimeIsMovedByUseAsWell) {
  SessionOptions options = Options();
  options.idle = seconds(2);
  Open(options);
  const std::string id = Make();
  for (int i = 0; i < 10; ++i) {
    Pass(seconds(1));
    EXPECT_TRUE(IsThere(id)) << i;
  }
  Pass(seconds(2));
  EXPECT_FALSE(IsThere(id));
}

TEST_P(SessionStoreContract, UsesOutliveTheStoreThatNotedThem) {
  Open();
  const std::string id = Make();
  Pass(std::chrono::minutes(50));
  EXPECT_TRUE(IsThere(id));
  Open();
  Pass(std::chrono::minutes(50));
  EXPECT_TRUE(IsThere(id));
}

/// What a store lists is what it has for all.
TEST_P(SessionStoreContract, AUseIsThereForOthersAtOnceUnlessThereAreMany) {
  Open();
  const std::string id = Make();
  Pass(std::chrono::minutes(5));
  EXPECT_TRUE(IsThere(id));
  EXPECT_EQ(ToUnixMillis(store_->List("alice").value().at(0).used), now_ms_.load());
  const std::string other = Make();
  Pass(std::chrono::minutes(1));
  EXPECT_TRUE(IsThere(other));
  Pass(milliseconds(500));
  EXPECT_TRUE(IsThere(id));  // not written by itself, so soon
  EXPECT_LT(ToUnixMillis(store_->List("alice").value().at(1).used), now_ms_.load());
}

TEST_P(SessionStoreContract, AUseDoesNotBringBackWhatWasRemoved) {
  Open();
  const std::string id = Make();
  Pass(std::chrono::minutes(5));
  EXPECT_TRUE(IsThere(id));  // a use is noted
  ASSERT_TRUE(store_->Remove(SessionKeyOf(id)));
  const std::string other = Make();
  Pass(std::chrono::minutes(5));
  EXPECT_TRUE(IsThere(other));  // and uses are written
  Pass(seconds(2));
  EXPECT_TRUE(IsThere(other));
  EXPECT_FALSE(IsThere(id));
  EXPECT_EQ(store_->Count().value(), 1u);
}

TEST_P(SessionStoreContract, ARemovedSessionIsGoneForGood) {
  Open();
  const std::string id = Make("alice", "gone");
  const std::string kept = Make("alice", "kept");
  ASSERT_TRUE(store_->Remove(SessionKeyOf(id)));
  ASSERT_TRUE(store_->Remove(SessionKeyOf(id)));
  ASSERT_TRUE(store_->Remove(Key256()));
  EXPECT_FALSE(IsThere(id));
  Open();
  EXPECT_FALSE(IsThere(id));
  EXPECT_TRUE(IsThere(kept));
  EXPECT_EQ(Notes("alice"), "kept ");
}

TEST_P(SessionStoreContract, AllSessionsOfOneAccountGoAndNoOthers) {
  Open();
  const std::string kept = Make("alice", "kept");
  Make("alice");
  Make("alice");
  // Names that begin alike are other accounts.
  const std::string others[] = {Make("alic"), Make("alice2"), Make("bob")};
  EXPECT_EQ(store_->RemoveAll("alice", SessionKeyOf(kept)).value(), 2u);
  EXPECT_EQ(Notes("alice"), "kept ");
  EXPECT_TRUE(IsThere(kept));
  EXPECT_EQ(store_->RemoveAll("alice", std::nullopt).value(), 1u);
  EXPECT_EQ(store_->RemoveAll("alice", std::nullopt).value(), 0u);
  EXPECT_FALSE(IsThere(kept));
  for (const std::string& id : others) EXPECT_TRUE(IsThere(id));
  EXPECT_EQ(store_->Count().value(), 3u);
}

TEST_P(SessionStoreContract, AnAccountKeepsThoseThatWereUsedLast) {
  SessionOptions options = Options();
  options.most_of_account = 3;
  Open(options);
  const std::string first = Make("alice", "1");
  const std::string second = Make("alice", "2");
  const std::string third = Make("alice", "3");
  Pass(std::chrono::minutes(10));
  EXPECT_TRUE(IsThere(first));
  Pass(std::chrono::minutes(10));
  EXPECT_TRUE(IsThere(third));
  Pass(seconds(2));
  EXPECT_TRUE(IsThere(third));  // and the uses are written
  const std::string other = Make("bob");
  const std::string fourth = Make("alice", "4");
  EXPECT_FALSE(IsThere(second));
  for (const std::string& id : {first, third, fourth, other}) EXPECT_TRUE(IsThere(id));
}

TEST_P(SessionStoreContract, WhenTheStoreIsFullThoseThatHaveEndedMakeRoomAndNobodyElse) {
  SessionOptions options = Options();
  options.most = 3;
  Open(options);
  const std::string old = Make("a");
  Pass(std::chrono::minutes(40));
  const std::string later = Make("b");
  const std::string last = Make("c");
  const Result<std::string> refused = store_->Create({"d", 1, ""});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "too_many_sessions");
  EXPECT_EQ(refused.error().fault, Fault::kSelf);
  for (const std::string& id : {later, last}) EXPECT_TRUE(IsThere(id));
  Pass(std::chrono::minutes(30));
  EXPECT_TRUE(IsThere(Make("d")));
  EXPECT_FALSE(IsThere(old));
  for (const std::string& id : {later, last}) EXPECT_TRUE(IsThere(id));
}

TEST_P(SessionStoreContract, ASweepTakesThoseThatHaveEndedAndNoOthers) {
  Open();
  for (int i = 0; i < 5; ++i) Make("a" + std::to_string(i));
  Pass(std::chrono::minutes(30));
  const std::string kept = Make("b");
  EXPECT_EQ(store_->Sweep(100).value(), 0u);
  Pass(std::chrono::minutes(30));
  EXPECT_EQ(store_->Sweep(2).value(), 2u);
  EXPECT_EQ(store_->Count().value(), 4u);
  EXPECT_EQ(store_->Sweep(100).value(), 3u);
  EXPECT_EQ(store_->Count().value(), 1u);
  EXPECT_TRUE(IsThere(kept));
}

TEST_P(SessionStoreContract, ASweepWritesTheUsesThatWereNoted) {
  Open();
  const std::string id = Make();
  Pass(std::chrono::minutes(59));
  EXPECT_TRUE(IsThere(id));
  Pass(std::chrono::minutes(2));
  EXPECT_EQ(store_->Sweep(100).value(), 0u);
  EXPECT_TRUE(IsThere(id));
}

TEST_P(SessionStoreContract, ValuesAreBoundedAndMayHoldAnything) {
  Open();
  std::string any;
  for (int i = 0; i < 256; ++i) any += static_cast<char>(i);
  EXPECT_EQ(store_->Find(Make("alice", any)).value()->note, any);
  EXPECT_EQ(store_->Find(Make("alice", std::string(5000, 'n'))).value()->note,
            std::string(kSessionNoteBytes, 'n'));
  EXPECT_TRUE(IsThere(Make(std::string(kSessionAccountBytes, 'a'))));
  for (const std::string& account :
       {std::string(), std::string(kSessionAccountBytes + 1, 'a'), std::string("a\0b", 3)}) {
    const Result<std::string> refused = store_->Create({account, 1, ""});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, "bad_session");
  }
}

TEST_P(SessionStoreContract, ManyThreadsMakeFindAndRemoveAtOnce) {
  Open();
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      const std::string account = "account-" + std::to_string(t);
      for (int i = 0; i < 10; ++i) {
        const Result<std::string> id = store_->Create({account, t, ""});
        const auto found = id ? store_->Find(*id) : Result<std::optional<Session>>(std::nullopt);
        if (!found || !*found || (*found)->account != account) ++wrong;
        if (i % 2 == 0 && id && !store_->Remove(SessionKeyOf(*id))) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_EQ(store_->Count().value(), 40u);
}

TEST_P(SessionStoreContract, AnotherProcessSeesEachChangeAtOnceAndItsDeathHurtsNobody) {
  int to_child[2];
  int to_parent[2];
  ASSERT_EQ(pipe(to_child) | pipe(to_parent), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // Says whether it finds the id that it is told; then makes sessions until it is killed.
    auto store = engine_->Open(Options());
    char id[43];
    for (int i = 0; i < 2; ++i) {
      if (read(to_child[0], id, sizeof id) != sizeof id) _exit(1);
      const auto found = store->Find(std::string_view(id, sizeof id));
      const char answer = !found ? 'e' : *found ? 'y' : 'n';
      if (write(to_parent[1], &answer, 1) != 1) _exit(1);
    }
    for (int i = 0;; ++i) {
      const auto made = store->Create({"child-" + std::to_string(i), 1, ""});
      if (!made || write(to_parent[1], made->data(), made->size()) < 0) _exit(1);
    }
  }
  Open();
  const std::string id = Make();
  const auto seen = [&] {
    char answer = 0;
    EXPECT_EQ(write(to_child[1], id.data(), id.size()), static_cast<ssize_t>(id.size()));
    EXPECT_EQ(read(to_parent[0], &answer, 1), 1);
    return answer;
  };
  EXPECT_EQ(seen(), 'y');
  ASSERT_TRUE(store_->RemoveAll("alice", std::nullopt));
  EXPECT_EQ(seen(), 'n');
  std::vector<std::string> told;
  while (told.size() < 50) {
    std::string made(43, '\0');
    ASSERT_EQ(read(to_parent[0], made.data(), made.size()), 43);
    told.push_back(made);
  }
  kill(child, SIGKILL);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  for (const int end : {to_child[0], to_child[1], to_parent[1]}) close(end);
  // What it had said it had made is there, and so are we.
  for (size_t i = 0; i < told.size(); ++i) EXPECT_TRUE(IsThere(told[i])) << i;
  close(to_parent[0]);
  EXPECT_TRUE(IsThere(Make()));
  EXPECT_TRUE(store_->Sweep(100));
}

}  // namespace nearside::storage::test
