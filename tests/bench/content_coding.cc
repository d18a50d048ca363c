// What encoding a body costs, on one thread: megabytes a second and the size that is left, for each
// coding as the edge uses it. Prints; asserts nothing.
//
//   content_coding FILE...     each read whole, encoded in pieces of 64 KiB as they come from an
//   origin
//
// Run it alone on the machine; the figures in docs/ are of the release preset.

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "edge/content_coding.h"
#include "runtime/file.h"

namespace nearside::edge {
namespace {

constexpr size_t kPiece = 64 << 10;
constexpr int kRounds = 7;

/// The thread's own time, so that what else the machine does counts less.
double ThreadSeconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

/// The encoded size.
size_t Encode(http::Coding coding, std::string_view body, bool stream) {
  const auto body_bytes = stream ? std::nullopt : std::optional<uint64_t>(body.size());
  auto encoder = ContentEncoder::Make(coding, body_bytes).value();
  size_t size = 0;
  const auto count = [&size](std::span<const uint8_t> piece) { size += piece.size(); };
  const auto step = stream ? ContentEncoder::Step::kFlush : ContentEncoder::Step::kMore;
  while (!body.empty()) {
    const std::string_view piece = body.substr(0, kPiece);
    const auto* data = reinterpret_cast<const uint8_t*>(piece.data());
    if (!encoder->Encode({data, piece.size()}, step, count)) return 0;
    body.remove_prefix(piece.size());
  }
  return encoder->Encode({}, ContentEncoder::Step::kFinish, count) ? size : 0;
}

void Measure(const std::string& name, const std::string& body) {
  std::printf("%s, %zu bytes\n", name.c_str(), body.size());
  for (const auto coding : {http::Coding::kGzip, http::Coding::kZstd, http::Coding::kBr}) {
    for (const bool stream : {false, true}) {
      std::vector<double> times;
      size_t size = 0;
      for (int round = 0; round < kRounds; ++round) {
        const double start = ThreadSeconds();
        size = Encode(coding, body, stream);
        times.push_back(ThreadSeconds() - start);
      }
      std::sort(times.begin(), times.end());
      const double median = times[times.size() / 2];
      std::printf("  %-4s %-7s %7.1f MB/s  %8.0f us  %5.1f %% of the size\n",
                  std::string(http::CodingName(coding)).c_str(), stream ? "flushed" : "",
                  static_cast<double>(body.size()) / 1e6 / median, median * 1e6,
                  100.0 * static_cast<double>(size) / static_cast<double>(body.size()));
    }
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
  }
  return 0;
}
