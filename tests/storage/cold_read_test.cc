// Reads that go to the disk: shared, overtaken, refused, hanging, failing.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/storage/lmdb_store_fixture.h"

namespace nearside::storage {
namespace {

/// A place in every file that pread(2) fails at, or hangs.
class BadSector {
 public:
  void Break(off_t offset) {
    const std::lock_guard lock(mutex_);
    offset_ = offset;
  }
  void Hang(off_t offset) {
    const std::lock_guard lock(mutex_);
    offset_ = offset;
    hangs_ = true;
  }
  void Mend() {
    const std::lock_guard lock(mutex_);
    offset_ = -1;
    hangs_ = false;
    changed_.notify_all();
  }
  void AwaitHanging() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return hanging_ > 0; });
  }
  bool Read(off_t offset, size_t bytes) {
    std::unique_lock lock(mutex_);
    if (offset_ < offset || offset_ >= offset + static_cast<off_t>(bytes)) return true;
    if (!hangs_) return false;
    ++hanging_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !hangs_; });
    --hanging_;
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  off_t offset_ = -1;
  int hanging_ = 0;
  bool hangs_ = false;
};
BadSector bad_sector;

}  // namespace
}  // namespace nearside::storage

/// Comes before the C library's.
extern "C" ssize_t pread(int descriptor, void* out, size_t bytes, off_t offset) {
  if (nearside::storage::bad_sector.Read(offset, bytes)) {
    return syscall(SYS_pread64, descriptor, out, bytes, offset);
  }
  errno = EIO;
  return -1;
}

namespace nearside::storage {
namespace {

class ColdReadTest : public LmdbStoreFixture {};

TEST_F(ColdReadTest, AChunkThatTheDiskCannotReadIsAFailureAndItsObjectRemoved) {
  Open();
  const std::string body = BodyOf("a", 300'000);
  PutOne("a", 300'000);
  PutOne("b", 300'000);
  store_.reset();
  Open();
  bad_sector.Break(PlaceOf(In("chunks.mdb"), body.substr(2 * kChunkBytes, 64)));
  EXPECT_EQ(Asked("a", 300'000), "error read_failed");
  EXPECT_EQ(store_->Stats().checksum_failures, 0u);
  EXPECT_EQ(Asked("a", 300'000), "miss");
  EXPECT_EQ(Asked("b", 300'000), "body");
  store_->Flush();
  EXPECT_EQ(store_->Stats().disk_objects, 1u);
  EXPECT_EQ(store_->Stats().removed_by[static_cast<size_t>(Removal::kBroken)], 1u);
  ASSERT_NE(PutOne("a", 300'000), nullptr) << "it is fetched anew";
  Reopen();
  EXPECT_EQ(Asked("a", 300'000), "body") << "elsewhere";
  EXPECT_FALSE(store_->Stats().pass_through);
  bad_sector.Mend();
}

TEST_F(ColdReadTest, WhatMemoryEvictedBeforeItWasWrittenIsFoundAmongWhatWaits) {
  options_.memory = ByteSize{70'000};
  Open();
  for (int i = 0; i < 20; ++i) {
    const std::string name = std::to_string(i);
    ASSERT_NE(PutOne(name, 200'000), nullptr);
    EXPECT_EQ(Asked(name, 200'000), "body") << i;
  }
}

/// Holds the reader threads inside the decoder until the test lets them go.
class Gate {
 public:
  std::unique_ptr<const HeadPayload> Decode(const Head& head) {
    std::unique_lock lock(mutex_);
    ++inside_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    return DecodeTestPayload(head);
  }
  void WaitForReader() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return inside_ > 0; });
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  int inside() const {
    const std::lock_guard lock(mutex_);
    return inside_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int inside_ = 0;
  bool open_ = false;
};

TEST_F(ColdReadTest, ReadsBeyondTheQueueAreRefusedAndServiceGoesOn) {
  Open();
  for (int i = 0; i < 10; ++i) PutOne(std::to_string(i), 1000);
  store_.reset();
  options_.reader_threads = 1;
  options_.read_queue = 4;
  Gate gate;
  store_ = OpenStore(options_, [&](const Head& head) { return gate.Decode(head); });
  TestExecutor executor;
  int found = 0;
  int refused = 0;
  const auto load = [&](int i) {
    store_->Load(KeyOf(std::to_string(i)), executor,
                 [&](HeadRef head) { ++(head != nullptr ? found : refused); });
  };
  load(0);
  gate.WaitForReader();
  for (int i = 1; i < 10; ++i) load(i);
  // The reader hangs; what is in RAM and what is refused is answered all the same.
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(executor.RunOne());
  EXPECT_EQ(refused, 5);
  EXPECT_EQ(found, 0);
  EXPECT_EQ(store_->Stats().reads_refused, 5u);
  EXPECT_EQ(store_->Stats().read_queue_length, 4u);
  EXPECT_EQ(store_->Find(KeyOf("9")), nullptr);
  store_->Remove(KeyOf("9"));
  store_->Flush();  // the writer is not held up
  gate.Open();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(executor.RunOne());
  EXPECT_EQ(found, 5);
  EXPECT_EQ(store_->Stats().read_queue_length, 0u);
}

TEST_F(ColdReadTest, AReadThatHangsIsAnsweredAsAMissAndTheNextAtOnce) {
  Open();
  for (const char* name : {"a", "b", "c"}) PutOne(name, 1000);
  store_.reset();
  options_.reader_threads = 1;
  options_.read_timeout = seconds(2);
  Gate gate;
  store_ = OpenStore(options_, [&](const Head& head) { return gate.Decode(head); });
  TestExecutor executor;
  std::vector<HeadRef> answers;
  const auto load = [&](const char* name) {
    store_->Load(KeyOf(name), executor, [&](HeadRef head) { answers.push_back(std::move(head)); });
  };
  load("a");
  gate.WaitForReader();
  load("b");
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(executor.RunOne());
  EXPECT_TRUE(FlushUntil(*store_, [&] { return store_->Stats().reads_timed_out == 2; }))
      << "the one that hangs and the one behind it";
  // Nobody waits for a reader that has been given up.
  load("c");
  EXPECT_EQ(store_->Stats().reads_refused, 1u);
  ASSERT_TRUE(executor.RunOne());
  EXPECT_THAT(answers, testing::ElementsAre(nullptr, nullptr, nullptr));
  gate.Open();
  ASSERT_TRUE(FlushUntil(*store_, [&] {
    load("a");
    return executor.RunOne() && answers.back() != nullptr;
  })) << "it reads again once the disk does";
  EXPECT_EQ(executor.waiting(), 0u) << "what hung has been answered once";
}

TEST_F(ColdReadTest, AReadThatWasGivenUpDoesNotAnswerTheNextOneOfItsKey) {
  Open();
  PutOne("a", 1000);
  store_.reset();
  options_.reader_threads = 2;
  options_.read_timeout = seconds(2);
  Gate gate;
  std::atomic<int> decoded{0};
  store_ = OpenStore(options_, [&](const Head& head) {
    return decoded++ == 0 ? gate.Decode(head) : DecodeTestPayload(head);
  });
  TestExecutor executor;
  HeadRef first;
  store_->Load(KeyOf("a"), executor, [&](HeadRef head) { first = std::move(head); });
  gate.WaitForReader();
  ASSERT_TRUE(executor.RunOne());
  EXPECT_EQ(first, nullptr);
  HeadRef second;
  store_->Load(KeyOf("a"), executor, [&](HeadRef head) { second = std::move(head); });
  ASSERT_TRUE(executor.RunOne());
  ASSERT_NE(second, nullptr);
  gate.Open();
  store_->Remove(KeyOf("a"));
  const CacheTimes times = store_->Times();
  store_.reset();  // the one that hung has ended
  EXPECT_EQ(executor.waiting(), 0u);
  EXPECT_EQ(decoded, 2);
  EXPECT_EQ(times.cold_reads->Read().count(), 2u) << "an answer each";
}

TEST_F(ColdReadTest, LoadsOfOneKeyShareOneReadAndOneHead) {
  Open();
  PutOne("a", 1000);
  store_.reset();
  Gate gate;
  store_ = OpenStore(options_, [&](const Head& head) { return gate.Decode(head); });
  TestExecutor executor;
  std::vector<HeadRef> heads;
  for (int i = 0; i < 10; ++i) {
    store_->Load(KeyOf("a"), executor, [&](HeadRef head) { heads.push_back(head); });
  }
  gate.Open();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(executor.RunOne());
  EXPECT_THAT(heads, testing::Each(testing::AllOf(testing::NotNull(), heads.front())));
  EXPECT_EQ(gate.inside(), 1);
}

TEST_F(ColdReadTest, AHeadReadBeforeAReplacementIsNotBroughtBackAfterIt) {
  for (const bool remove : {false, true}) {
    Open();
    PutOne("a", 1000);
    store_.reset();
    Gate gate;
    std::atomic<int> calls{0};
    store_ = OpenStore(options_, [&](const Head& head) {
      return calls++ == 0 ? gate.Decode(head) : DecodeTestPayload(head);
    });
    TestExecutor executor;
    HeadRef loaded;
    store_->Load(KeyOf("a"), executor, [&](HeadRef head) { loaded = std::move(head); });
    gate.WaitForReader();  // the old head has been read and is being decoded
    HeadRef replacement;
    if (remove) {
      store_->Remove(KeyOf("a"));
    } else {
      replacement = Put(*store_, "a", "replacement");
    }
    store_->Flush();
    gate.Open();
    ASSERT_TRUE(executor.RunOne());
    EXPECT_EQ(loaded, replacement);
    EXPECT_EQ(Ask(*store_, "a", "replacement"), remove ? "miss" : "body");
    store_.reset();
  }
}

TEST_F(ColdReadTest, LoadsThatWaitWhenTheStoreClosesAreAnswered) {
  Open();
  for (int i = 0; i < 5; ++i) PutOne(std::to_string(i), 100'000);
  store_.reset();
  options_.reader_threads = 1;
  Gate gate;
  store_ = OpenStore(options_, [&](const Head& head) { return gate.Decode(head); });
  TestExecutor executor;
  int answers = 0;
  for (int i = 0; i < 5; ++i) {
    store_->Load(KeyOf(std::to_string(i)), executor, [&](HeadRef) { ++answers; });
  }
  gate.Open();
  store_.reset();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(executor.RunOne());
  EXPECT_EQ(answers, 5);
}

TEST_F(ColdReadTest, AReadThatHangsInTheDiskDoesNotKeepTheStoreFromClosing) {
  Open();
  const std::string body = BodyOf("a", 100'000);
  PutOne("a", 100'000);
  store_.reset();
  std::atomic<int> decoded{0};
  store_ = OpenStore(options_, [&](const Head& read) {
    ++decoded;
    return DecodeTestPayload(read);
  });
  bad_sector.Hang(PlaceOf(In("chunks.mdb"), body.substr(0, 64)));
  const HeadRef found = FindOrLoad(*store_, "a");
  ASSERT_NE(found, nullptr);
  std::string answer;
  auto executor = std::make_unique<TestExecutor>();
  auto counted = std::make_shared<int>(0);  // as a client that is gone by the time the disk answers
  store_->LoadChunk(found, 0, *executor, [&answer, counted](Result<ChunkRef> chunk) {
    answer = chunk ? "chunk" : chunk.error().reason;
  });
  bad_sector.AwaitHanging();
  ASSERT_NE(PutOne("b", 100'000), nullptr);
  const int decoded_before = decoded;
  store_.reset();
  ASSERT_TRUE(executor->RunOne());
  EXPECT_EQ(answer, "read_failed");
  EXPECT_EQ(executor->waiting(), 0u);
  executor.reset();
  EXPECT_EQ(counted.use_count(), 1) << "nothing of the client's stays with the read";
  EXPECT_EQ(OpenError(), "operator in_use") << "its files are in use as long as the read hangs";
  bad_sector.Mend();
  const MonoTime deadline = MonoNow() + seconds(30);
  while (OpenError() != "opened" && MonoNow() < deadline) std::this_thread::yield();
  Open();
  ASSERT_NE(store_, nullptr);
  EXPECT_EQ(Asked("a", 100'000), "body");
  EXPECT_EQ(Asked("b", 100'000), "body") << "the writer was stopped in order";
  EXPECT_EQ(decoded, decoded_before) << "the decoder's owner may be gone";
}

}  // namespace
}  // namespace nearside::storage
