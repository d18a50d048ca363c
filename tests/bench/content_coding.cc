// What encoding a body costs, on one thread: megabytes a second and the size that is left, for each
// coding as the edge uses it and as jobs of the origin do; and how long an event loop is held up by
// it, with the encoder on the loop and with the edge's threads. Prints; asserts nothing.
//
//   content_coding FILE...     each read whole, encoded in pieces of 64 KiB as they come from an
//   origin
//
// Run it alone on the machine; the figures in docs/ are of the release preset.

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "edge/body_encoder.h"
#include "edge/node.h"
#include "http/content_coding.h"
#include "runtime/cpu_time.h"
#include "runtime/executor.h"
#include "runtime/file.h"
#include "storage/cache_store.h"

namespace nearside::edge {
namespace {

constexpr size_t kPiece = 64 << 10;
constexpr int kRounds = 7;

double ThreadSeconds() { return std::chrono::duration<double>(ThreadCpuTime()).count(); }

/// How a body is encoded.
struct Manner {
  const char* name;
  bool stream = false;
  http::Effort effort = http::Effort::kQuick;
};
constexpr Manner kManners[] = {{""}, {"flushed", true}, {"best", false, http::Effort::kBest}};

/// The encoded size.
size_t Encode(http::Coding coding, std::string_view body, const Manner& manner) {
  const bool stream = manner.stream;
  const auto body_bytes = stream ? std::nullopt : std::optional<uint64_t>(body.size());
  auto encoder = http::ContentEncoder::Make(coding, body_bytes, manner.effort).value();
  size_t size = 0;
  const auto count = [&size](std::span<const uint8_t> piece) { size += piece.size(); };
  const auto step = stream ? http::ContentEncoder::Step::kFlush : http::ContentEncoder::Step::kMore;
  while (!body.empty()) {
    const std::string_view piece = body.substr(0, kPiece);
    const auto* data = reinterpret_cast<const uint8_t*>(piece.data());
    if (!encoder->Encode({data, piece.size()}, step, count)) return 0;
    body.remove_prefix(piece.size());
  }
  return encoder->Encode({}, http::ContentEncoder::Step::kFinish, count) ? size : 0;
}

void Measure(const std::string& name, const std::string& body) {
  std::printf("%s, %zu bytes\n", name.c_str(), body.size());
  for (const auto coding : {http::Coding::kGzip, http::Coding::kZstd, http::Coding::kBr}) {
    for (const Manner& manner : kManners) {
      std::vector<double> times;
      size_t size = 0;
      for (int round = 0; round < kRounds; ++round) {
        const double start = ThreadSeconds();
        size = Encode(coding, body, manner);
        times.push_back(ThreadSeconds() - start);
      }
      std::sort(times.begin(), times.end());
      const double median = times[times.size() / 2];
      std::printf("  %-4s %-7s %7.1f MB/s  %8.0f us  %5.1f %% of the size\n",
                  std::string(http::CodingName(coding)).c_str(), manner.name,
                  static_cast<double>(body.size()) / 1e6 / median, median * 1e6,
                  100.0 * static_cast<double>(size) / static_cast<double>(body.size()));
    }
  }
}

/// A loop of the bench's own thread, which measures each of its turns.
class Turns final : public Executor {
 public:
  void Post(std::function<void()> task) override {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    posted_.notify_one();
  }
  void Time(const std::function<void()>& turn) {
    const double start = ThreadSeconds();
    turn();
    const double spent = ThreadSeconds() - start;
    longest_ = std::max(longest_, spent);
    all_ += spent;
  }
  /// Runs what is there; waits for it if `wait`.
  void Run(bool wait) {
    std::unique_lock lock(mutex_);
    if (wait) posted_.wait(lock, [this] { return !tasks_.empty(); });
    while (!tasks_.empty()) {
      const std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      Time(task);
      lock.lock();
    }
  }
  double longest() const { return longest_; }
  double all() const { return all_; }

 private:
  std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<std::function<void()>> tasks_;
  double longest_ = 0;
  double all_ = 0;
};

/// On the loop, piece by piece: the longest call.
double LongestOnLoop(http::Coding coding, std::string_view body) {
  Turns turns;
  auto encoder = http::ContentEncoder::Make(coding, body.size()).value();
  for (; !body.empty(); body.remove_prefix(std::min(kPiece, body.size()))) {
    const auto* data = reinterpret_cast<const uint8_t*>(body.data());
    turns.Time([&] {
      (void)encoder->Encode({data, std::min(kPiece, body.size())},
                            http::ContentEncoder::Step::kMore, [](std::span<const uint8_t>) {});
    });
  }
  turns.Time([&] {
    (void)encoder->Encode({}, http::ContentEncoder::Step::kFinish, [](std::span<const uint8_t>) {});
  });
  return turns.longest();
}

/// As a fetch does it: the longest turn that is left to the loop, and all of them.
std::pair<double, double> TurnsWithThreads(Node& node, metrics::Cells& cells, http::Coding coding,
                                           std::string_view body) {
  Turns turns;
  std::unique_ptr<BodyEncoder> encoder;
  bool finished = false;
  std::vector<uint8_t> kept;
  const auto take = [&](const Status&, std::span<const uint8_t> encoded, BodyEncoder::Step step) {
    kept.insert(kept.end(), encoded.begin(), encoded.end());  // as a fill keeps them
    finished = step == BodyEncoder::Step::kFinish;
  };
  encoder = BodyEncoder::Begin(
      node, cells, turns, {.coding = coding, .body_bytes = body.size(), .most = 1, .threads = 1},
      take);
  for (; !body.empty(); body.remove_prefix(std::min(kPiece, body.size()))) {
    const auto* data = reinterpret_cast<const uint8_t*>(body.data());
    const size_t size = std::min(kPiece, body.size());
    turns.Time([&] { encoder->Encode({data, size}, BodyEncoder::Step::kMore); });
    turns.Run(/*wait=*/false);
    while (encoder->is_behind()) turns.Run(/*wait=*/true);
  }
  turns.Time([&] { encoder->Encode({}, BodyEncoder::Step::kFinish); });
  while (!finished) turns.Run(/*wait=*/true);
  return {turns.longest(), turns.all()};
}

/// Medians of the rounds, in microseconds of the loop's CPU time.
void MeasureTurns(const std::string& body) {
  storage::CacheOptions options;
  auto store = storage::CacheStore::Open(options, [](const storage::Head&) { return nullptr; });
  Node node("bench", std::move(*store), std::move(*LineLog::Open("off")));
  metrics::Cells* cells = node.registry.MakeCells();
  const auto median = [](std::vector<double> times) {
    std::sort(times.begin(), times.end());
    return times[times.size() / 2] * 1e6;
  };
  for (const auto coding : {http::Coding::kGzip, http::Coding::kZstd, http::Coding::kBr}) {
    std::vector<double> on_loop, longest, all;
    for (int round = 0; round < kRounds; ++round) {
      on_loop.push_back(LongestOnLoop(coding, body));
      const auto turns = TurnsWithThreads(node, *cells, coding, body);
      longest.push_back(turns.first);
      all.push_back(turns.second);
    }
    std::printf("  %-4s longest turn of the loop: %6.0f us, with threads %6.0f us (all %6.0f us)\n",
                std::string(http::CodingName(coding)).c_str(), median(on_loop), median(longest),
                median(all));
  }
}

}  // namespace
}  // namespace nearside::edge

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const auto body = nearside::ReadFile(argv[i], nearside::ByteSize{1 << 30});
    if (!body) {
      std::fprintf(stderr, "%s\n", body.error().ToString().c_str());
      return 1;
    }
    nearside::edge::Measure(argv[i], *body);
    nearside::edge::MeasureTurns(*body);
  }
  return 0;
}
