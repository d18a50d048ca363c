#include "tests/storage/disk_model.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

namespace nearside::storage {

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kSector = 512;

void WriteSparse(const std::string& path, const std::string& bytes) {
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  bool written = descriptor >= 0 && ftruncate(descriptor, static_cast<off_t>(bytes.size())) == 0;
  const std::string zeros(kPage, '\0');
  for (size_t at = 0; written && at < bytes.size(); at += kPage) {
    const size_t length = std::min(kPage, bytes.size() - at);
    if (std::memcmp(bytes.data() + at, zeros.data(), length) == 0) continue;
    written = pwrite(descriptor, bytes.data() + at, length, static_cast<off_t>(at)) ==
              static_cast<ssize_t>(length);
  }
  if (!written) std::abort();
  close(descriptor);
}

}  // namespace

DiskModel::DiskModel(const std::vector<DiskEvent>& events, size_t files, std::set<size_t> ignored)
    : events_(events), ignored_(std::move(ignored)), files_(files) {}

/// The bytes [from, to) of the page, as far as the piece has them.
void DiskModel::Paste(std::string& bytes, uint64_t page, const Piece& piece, size_t from,
                      size_t to) {
  const size_t begin = std::max(from, piece.offset);
  const size_t end = std::min(to, piece.offset + piece.bytes.size());
  if (begin >= end) return;
  bytes.resize(std::max<size_t>(bytes.size(), page * kPage + end));
  std::memcpy(bytes.data() + page * kPage + begin, piece.bytes.data() + (begin - piece.offset),
              end - begin);
}

/// The page is on disk as it was before event number `before`.
void DiskModel::Settle(File& file, Pages::iterator page, size_t before) {
  std::vector<Piece>& pieces = page->second;
  auto end = pieces.begin();
  for (; end != pieces.end() && end->event < before; ++end) {
    Paste(file.synced, page->first, *end, 0, kPage);
  }
  pieces.erase(pieces.begin(), end);
}

void DiskModel::SyncAll(File& file, size_t before) {
  for (auto page = file.unsynced.begin(); page != file.unsynced.end();) {
    Settle(file, page, before);
    page = page->second.empty() ? file.unsynced.erase(page) : std::next(page);
  }
  for (const auto& [event, size] : file.growths) {
    if (event < before && size > file.synced.size()) file.synced.resize(size);
  }
  std::erase_if(file.growths, [&](const auto& growth) { return growth.first < before; });
}

/// A page goes to disk as a whole, with what was written to it before.
void DiskModel::SyncOne(File& file, const DiskEvent& write, size_t number) {
  const uint64_t last = (write.offset + write.bytes.size() - 1) / kPage;
  for (uint64_t page = write.offset / kPage; page <= last; ++page) {
    const auto found = file.unsynced.find(page);
    if (found == file.unsynced.end()) continue;
    Settle(file, found, number + 1);
    if (found->second.empty()) file.unsynced.erase(found);
  }
}

void DiskModel::Write(File& file, const DiskEvent& write, size_t number) {
  file.size = std::max(file.size, write.offset + write.bytes.size());
  const std::string_view bytes = write.bytes;
  for (size_t done = 0; done < bytes.size();) {
    const uint64_t at = write.offset + done;
    const size_t length = std::min<size_t>(bytes.size() - done, kPage - at % kPage);
    file.unsynced[at / kPage].push_back(
        {.event = number, .offset = at % kPage, .bytes = bytes.substr(done, length)});
    done += length;
  }
}

void DiskModel::AdvanceTo(size_t cut) {
  for (; at_ < cut; ++at_) {
    const DiskEvent& event = events_[at_];
    File& file = files_[event.file];
    switch (event.kind) {
      case DiskEvent::Kind::kWrite:
        Write(file, event, at_);
        break;
      case DiskEvent::Kind::kGrow:
        file.size = std::max(file.size, event.size);
        file.growths.emplace_back(at_, event.size);
        break;
      case DiskEvent::Kind::kSyncAll:
        if (!ignored_.contains(at_)) SyncAll(file, event.covers);
        break;
      case DiskEvent::Kind::kSyncOne:
        if (!ignored_.contains(at_)) SyncOne(file, events_[event.covers], event.covers);
        break;
    }
  }
}

/// Of `image`, which is the synced state, makes one that is left; `spared` is the number of the
/// page that loses its last write, where but one does.
ImageFacts DiskModel::Survive(const File& file, std::string& image, Survivors survivors,
                              uint64_t spared, std::mt19937_64& random) const {
  ImageFacts facts;
  // Nearly nothing written back yet, half, nearly all.
  constexpr std::array<unsigned, 3> kChances = {10, 50, 95};
  const unsigned chance = kChances[random() % 3];
  for (const auto& [page, pieces] : file.unsynced) {
    const size_t written = pieces.size();
    const auto last = [&]() -> size_t {
      if (survivors == Survivors::kNone) return 0;
      if (survivors == Survivors::kAll) return written;
      if (survivors == Survivors::kAllButOne) return written - (spared-- == 0 ? 1 : 0);
      return random() % 100 < chance ? 1 + random() % written : 0;
    };
    const size_t unit = survivors == Survivors::kSectors ? kSector : kPage;
    size_t most = 0;
    for (size_t from = 0; from < kPage; from += unit) {
      const size_t kept = last();
      for (size_t i = 0; i < kept; ++i) Paste(image, page, pieces[i], from, from + unit);
      most = std::max(most, kept);
    }
    facts.kept += most;
    facts.dropped += pieces.size() - most;
  }
  return facts;
}

ImageFacts DiskModel::WriteImage(const std::vector<std::string>& paths, Survivors survivors,
                                 std::mt19937_64& random) const {
  uint64_t unsynced = 0;
  for (const File& file : files_) unsynced += file.unsynced.size();
  uint64_t spared = unsynced > 0 ? random() % unsynced : 0;
  ImageFacts all;
  for (size_t i = 0; i < files_.size(); ++i) {
    const File& file = files_[i];
    std::string image = file.synced;
    const ImageFacts facts = Survive(file, image, survivors, spared, random);
    spared -= file.unsynced.size();  // beyond zero: a page of no other file
    all.kept += facts.kept;
    all.dropped += facts.dropped;
    // The file's length is written back on its own.
    const bool whole =
        survivors == Survivors::kAll || (survivors != Survivors::kNone && random() % 2 == 0);
    if (whole && image.size() < file.size) image.resize(file.size);
    WriteSparse(paths[i], image);
  }
  return all;
}

}  // namespace nearside::storage
