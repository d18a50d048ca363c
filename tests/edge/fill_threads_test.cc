// Fills among threads: run under tsan.

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <condition_variable>
#include <future>
#include <thread>

#include "edge/fill.h"
#include "tests/edge/fake_store.h"
#include "tests/edge/patterns.h"
#include "tests/net/loop_thread.h"

namespace nearside::edge {
namespace {

Key256 MixedKeyOf(size_t n) {
  Key256 key;
  for (size_t i = 0; i < key.bytes.size(); ++i) {
    key.bytes[i] = static_cast<uint8_t>(n * 131 >> i % 8) + static_cast<uint8_t>(i);
  }
  key.bytes[0] = static_cast<uint8_t>(n);
  key.bytes[1] = static_cast<uint8_t>(n >> 8);
  return key;
}

TEST(FillThreadsTest, OfManyThreadsExactlyOneLeadsEachKey) {
  constexpr size_t kThreads = 8, kKeys = 2000;
  auto table = std::make_unique<FillTable>();
  const FakeStore store;
  std::vector<std::atomic<int>> leaders(kKeys);
  std::vector<std::atomic<Fill*>> fills(kKeys);
  std::atomic<size_t> strangers{0};
  std::barrier begin(kThreads);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      begin.arrive_and_wait();
      for (size_t k = 0; k < kKeys; ++k) {
        const FillTable::Claim claim = table->ClaimFill(MixedKeyOf(k), kChunkBytes, store, {});
        if (claim.lead) ++leaders[k];
        Fill* expected = nullptr;
        if (!fills[k].compare_exchange_strong(expected, claim.fill.get()) &&
            expected != claim.fill.get()) {
          ++strangers;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t k = 0; k < kKeys; ++k) EXPECT_EQ(leaders[k], 1) << k;
  EXPECT_EQ(strangers, 0u);
  EXPECT_EQ(table->size(), kKeys);
}

/// Reads a whole fill on a loop of its own, some bytes at a time.
class LoopReader {
 public:
  LoopReader(std::shared_ptr<Fill> fill, size_t step) : step_(step) {
    thread_.Call([&] {
      reader_ = std::make_unique<FillReader>(std::move(fill), thread_.loop(), [this] { Read(); });
      Read();
    });
  }
  ~LoopReader() {
    thread_.Call([&] { reader_.reset(); });
  }
  std::string Result() { return done_.get_future().get(); }

 private:
  void Read() {
    if (over_) return;
    while (true) {
      const Fill::Piece piece = reader_->fill()->Look(text_.size());
      if (piece.state == Fill::Piece::State::kNotYet) return;
      if (piece.state != Fill::Piece::State::kReady) {
        over_ = true;
        if (piece.state == Fill::Piece::State::kFailed) text_ += " failed";
        return done_.set_value(std::move(text_));
      }
      const size_t offset = text_.size() % kChunkBytes;
      const size_t size = std::min(step_, piece.valid - offset);
      text_.append(reinterpret_cast<const char*>(piece.chunk->data()) + offset, size);
      reader_->Advance(text_.size());
    }
  }
  const size_t step_;
  std::string text_;
  bool over_ = false;
  std::promise<std::string> done_;
  net::LoopThread thread_;
  std::unique_ptr<FillReader> reader_;
};

TEST(FillThreadsTest, ReadersOnOtherThreadsGetEveryByteWhileTheFillWaitsForThem) {
  constexpr uint64_t kWindow = 2 * kChunkBytes, kBody = 40 * kChunkBytes + 11;
  auto fill = std::make_shared<Fill>(MixedKeyOf(1), kWindow, 0);
  std::mutex mutex;
  std::condition_variable changed;
  bool paused = false;
  int pauses = 0;
  fill->SetResume([&] {
    std::lock_guard lock(mutex);
    paused = false;
    changed.notify_one();
  });
  std::vector<std::unique_ptr<LoopReader>> readers;
  for (const size_t step : {100'000, 7001, 16'384}) {
    readers.push_back(std::make_unique<LoopReader>(fill, step));
  }
  FillHead head;
  head.shared = true;
  fill->SetHead(std::move(head));
  const std::string body = Pattern(kBody);
  for (size_t sent = 0; sent < kBody;) {
    const size_t size = std::min<size_t>(10'007, kBody - sent);
    fill->Append(AsBytes(std::string_view(body).substr(sent, size)));
    sent += size;
    std::unique_lock lock(mutex);
    paused = true;  // before asking: the answer may come at once
    lock.unlock();
    if (!fill->ShouldPause()) continue;
    ++pauses;
    lock.lock();
    ASSERT_TRUE(changed.wait_for(lock, std::chrono::seconds(60), [&] { return !paused; }));
  }
  fill->Finish(nullptr);
  for (auto& reader : readers) EXPECT_TRUE(reader->Result() == body);
  EXPECT_GT(pauses, 0);
  readers.clear();
  fill->SetResume(nullptr);
}

TEST(FillThreadsTest, ReadersThatLeaveAtAnyMomentDisturbNobody) {
  constexpr uint64_t kBody = 6 * kChunkBytes;
  for (int round = 0; round < 20; ++round) {
    auto fill = std::make_shared<Fill>(MixedKeyOf(1), uint64_t{1} << 30, 0);
    std::atomic<int> abandoned{0};
    fill->SetAbandoned([&] { ++abandoned; });
    LoopReader stays(fill, 5000);
    std::thread comes_and_goes([&] {
      for (int i = 0; i < 5; ++i) LoopReader(fill, 1000);
    });
    FillHead head;
    head.shared = true;
    fill->SetHead(std::move(head));
    const std::string body = Pattern(kBody);
    for (size_t sent = 0; sent < kBody; sent += 16'380) {
      fill->Append(AsBytes(std::string_view(body).substr(sent, 16'380)));
    }
    fill->Finish(nullptr);
    EXPECT_TRUE(stays.Result() == body);
    comes_and_goes.join();
    EXPECT_EQ(abandoned, 0);
    fill->SetAbandoned(nullptr);
  }
}

}  // namespace
}  // namespace nearside::edge
