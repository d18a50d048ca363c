#include "http/fields.h"

#include <algorithm>
#include <cstring>

#include "http/characters.h"

namespace nearside::http {

namespace {

constexpr size_t kFirstBlockBytes = 1024;
constexpr size_t kFirstLines = 8;
constexpr size_t kLineOverhead = WireSize({});

constexpr size_t kEight = sizeof(uint64_t);

/// Every byte of eight at once: in a register a letter is lowered for a fraction of what a look at
/// it costs.
uint64_t LowerEight(uint64_t text) {
  constexpr uint64_t kEach = 0x0101010101010101;
  const uint64_t low_bits = text & (0x7f * kEach);
  const uint64_t from_a = low_bits + (0x80 - 'A') * kEach;  // 0x80 is set in bytes from 'A' on
  const uint64_t past_z = low_bits + (0x7f - 'Z') * kEach;  // … in those behind 'Z'
  const uint64_t upper = from_a & ~past_z & ~text & (0x80 * kEach);
  return text | upper >> 2;  // 0x80 >> 2 is what 'a' has and 'A' has not
}

/// `place` may be that of the text.
void Lower(std::string_view text, char* place) {
  const auto lower_eight_at = [&](size_t at) {
    uint64_t eight;
    std::memcpy(&eight, text.data() + at, kEight);
    eight = LowerEight(eight);
    std::memcpy(place + at, &eight, kEight);
  };
  size_t at = 0;
  for (; at + kEight <= text.size(); at += kEight) lower_eight_at(at);
  // The last ones with some of those before them: what is lowered stays so.
  if (at > 0) return lower_eight_at(text.size() - kEight);
  for (; at < text.size(); ++at) place[at] = ToLower(text[at]);
}

}  // namespace

Fields::Fields(std::initializer_list<FieldLine> lines) {
  for (const FieldLine& line : lines) Add(line.name, line.value);
}

Fields::Fields(const Fields& other) { *this = other; }

// What was checked and lowered once is copied as it is, into one piece of memory.
Fields& Fields::operator=(const Fields& other) {
  if (this == &other) return *this;
  Clear();
  if (other.empty()) return *this;
  const size_t text_bytes = other.wire_size_ - other.size() * kLineOverhead;
  Reserve(other.size(), text_bytes);
  char* place = Room(text_bytes);
  for (const FieldLine& line : other.lines_) {
    const char* name = place;
    place = std::copy(line.name.begin(), line.name.end(), place);
    const char* value = place;
    place = std::copy(line.value.begin(), line.value.end(), place);
    lines_.push_back({{name, line.name.size()}, {value, line.value.size()}});
  }
  wire_size_ = other.wire_size_;
  return *this;
}

Fields::Fields(Fields&& other) noexcept { *this = std::move(other); }

Fields& Fields::operator=(Fields&& other) noexcept {
  if (this == &other) return *this;
  lines_ = std::move(other.lines_);
  blocks_ = std::move(other.blocks_);
  block_ = std::exchange(other.block_, 0);
  free_ = std::exchange(other.free_, nullptr);
  free_bytes_ = std::exchange(other.free_bytes_, 0);
  wire_size_ = std::exchange(other.wire_size_, 0);
  other.lines_.clear();
  other.blocks_.clear();
  return *this;
}

char* Fields::Room(size_t bytes) {
  if (bytes > free_bytes_) TakeBlock(bytes);
  free_bytes_ -= bytes;
  return std::exchange(free_, free_ + bytes);
}

void Fields::TakeBlock(size_t bytes) {
  while (block_ < blocks_.size() && blocks_[block_].size < bytes) ++block_;
  if (block_ == blocks_.size()) {
    const size_t grown = blocks_.empty() ? 0 : 2 * blocks_.back().size;
    const size_t size = std::max({kFirstBlockBytes, grown, bytes});
    blocks_.push_back({std::make_unique_for_overwrite<char[]>(size), size});
  }
  free_ = blocks_[block_].bytes.get();
  free_bytes_ = blocks_[block_].size;
  ++block_;
}

void Fields::Reserve(size_t lines, size_t text_bytes) {
  lines_.reserve(lines);
  if (!blocks_.empty() || text_bytes == 0) return;
  blocks_.push_back({std::make_unique_for_overwrite<char[]>(text_bytes), text_bytes});
}

void Fields::Add(std::string_view name, std::string_view value) {
  char* place = Room(name.size() + value.size());
  Lower(name, place);
  std::copy(value.begin(), value.end(), place + name.size());
  if (lines_.capacity() == 0) lines_.reserve(kFirstLines);
  lines_.push_back({{place, name.size()}, {place + name.size(), value.size()}});
  wire_size_ += WireSize(lines_.back());
}

void Fields::Set(std::string_view name, std::string_view value) {
  const std::string lowered = LowerName(name);
  const auto first = std::find_if(lines_.begin(), lines_.end(),
                                  [&](const FieldLine& line) { return line.name == lowered; });
  if (first == lines_.end()) return Add(lowered, value);
  const size_t place = static_cast<size_t>(first - lines_.begin());
  wire_size_ += value.size();
  wire_size_ -= lines_[place].value.size();
  char* room = Room(value.size());
  std::copy(value.begin(), value.end(), room);
  lines_[place].value = {room, value.size()};
  for (size_t i = lines_.size() - 1; i > place; --i) {
    if (lines_[i].name != lowered) continue;
    wire_size_ -= WireSize(lines_[i]);
    lines_.erase(lines_.begin() + static_cast<ptrdiff_t>(i));
  }
}

size_t Fields::Remove(std::string_view name) {
  const size_t before = lines_.size();
  RemoveIf([name](std::string_view other) { return other == name; });
  return before - lines_.size();
}

void Fields::Clear() {
  lines_.clear();
  block_ = 0;
  free_bytes_ = 0;
  wire_size_ = 0;
}

bool Fields::Has(std::string_view name) const {
  return std::any_of(lines_.begin(), lines_.end(),
                     [&](const FieldLine& line) { return line.name == name; });
}

std::optional<std::string_view> Fields::Get(std::string_view name) const {
  for (const FieldLine& line : lines_) {
    if (line.name == name) return line.value;
  }
  return std::nullopt;
}

std::string Fields::Joined(std::string_view name) const {
  std::string joined;
  bool first = true;
  for (const FieldLine& line : lines_) {
    if (line.name != name) continue;
    if (!first) joined += ", ";
    first = false;
    joined += line.value;
  }
  return joined;
}

std::string Fields::ToText() const {
  std::string text;
  for (const FieldLine& line : lines_) {
    text.append(line.name).append(": ").append(line.value).append("\n");
  }
  return text;
}

std::string LowerName(std::string_view name) {
  std::string lowered;
  AssignLowered(name, &lowered);
  return lowered;
}

void AssignLowered(std::string_view name, std::string* out) {
  out->resize(name.size());
  Lower(name, out->data());
}

bool IsToken(std::string_view text) { return !text.empty() && AllIn(kTokenCharacters, text); }

bool IsFieldValue(std::string_view text) { return AllIn(kFieldValueCharacters, text); }

}  // namespace nearside::http
