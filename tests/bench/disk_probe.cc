#include "tests/bench/disk_probe.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <random>
#include <vector>

#include "tests/bench/bench_store.h"

namespace nearside::bench {
namespace {

constexpr size_t kFileBytes = size_t{512} << 20;
constexpr size_t kPieceBytes = 64 << 10;
constexpr size_t kPageBytes = 4 << 10;
constexpr int kRounds = 150;

Status Failed(const std::string& path) {
  return Fail(Fault::kOperator, "disk_failed", path + ": " + std::strerror(errno));
}

/// A file that goes with this.
class ProbeFile {
 public:
  explicit ProbeFile(std::string path) : path_(std::move(path)) {
    file_ = open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  }
  ~ProbeFile() {
    if (file_ >= 0) close(file_);
    unlink(path_.c_str());
  }
  ProbeFile(const ProbeFile&) = delete;
  ProbeFile& operator=(const ProbeFile&) = delete;

  /// Writes it whole once, so that later writes only replace blocks that it has.
  bool Fill() {
    std::vector<char> block(1 << 20, 'x');
    for (size_t at = 0; file_ >= 0 && at < kFileBytes; at += block.size()) {
      if (!Put(block, at)) return false;
    }
    return file_ >= 0 && fsync(file_) == 0;
  }
  /// `count` writes of `block` at random places, then a sync: how long they took.
  bool Scatter(int count, const std::vector<char>& block, DurationHistogram* taken) {
    std::uniform_int_distribution<size_t> place(0, kFileBytes / block.size() - 1);
    const MonoTime begun = MonoNow();
    for (int i = 0; i < count; ++i) {
      if (!Put(block, place(random_) * block.size())) return false;
    }
    if (fdatasync(file_) != 0) return false;
    taken->Record(MonoNow() - begun);
    return true;
  }

 private:
  bool Put(const std::vector<char>& block, size_t at) {
    return pwrite(file_, block.data(), block.size(), static_cast<off_t>(at)) ==
           static_cast<ssize_t>(block.size());
  }

  const std::string path_;
  int file_ = -1;
  std::mt19937_64 random_{1};
};

}  // namespace

Status ProbeDisk(const std::string& folder, DiskProbe* probe) {
  std::filesystem::create_directories(folder);
  ProbeFile file(folder + "/probe");
  if (!file.Fill()) return Failed(folder + "/probe");
  const std::vector<char> piece(kPieceBytes, 'p');
  const std::vector<char> page(kPageBytes, 'p');
  for (int round = 0; round < kRounds; ++round) {
    if (!file.Scatter(DiskProbe::kPieces, piece, &probe->pieces) ||
        !file.Scatter(DiskProbe::kPages, page, &probe->pages)) {
      return Failed(folder + "/probe");
    }
  }
  return {};
}

std::string DiskProbe::ToText() const {
  const auto row = [](const DurationHistogram& taken) {
    const auto reading = taken.Read();
    char text[96];
    std::snprintf(text, sizeof(text), "%.1f ms (p99 %.1f, max %.1f)",
                  InMilliseconds(reading.Quantile(0.5)), InMilliseconds(reading.Quantile(0.99)),
                  InMilliseconds(reading.max()));
    return std::string(text);
  };
  return "the disk alone, a sync each: " + std::to_string(kPieces) + " pieces of 64 KiB " +
         row(pieces) + ", " + std::to_string(kPages) + " pages of 4 KiB " + row(pages);
}

}  // namespace nearside::bench
