#include "http/fields.h"

#include <algorithm>
#include <cstring>

#include "http/characters.h"

namespace nearside::http {

namespace {

constexpr size_t kFirstBlockBytes = 1024;
constexpr size_t kFirstLines = 8;
constexpr size_t kLineOverhead = 32;  // RFC 9113 §6.5.2

bool IsUpper(char c) { return static_cast<uint8_t>(c - 'A') < 26; }

size_t WireSize(const FieldLine& line) {
  return line.name.size() + line.value.size() + kLineOverhead;
}

}  // namespace

Fields::Fields(std::initializer_list<FieldLine> lines) {
  for (const FieldLine& line : lines) Add(line.name, line.value);
}

Fields::Fields(const Fields& other) { *this = other; }

Fields& Fields::operator=(const Fields& other) {
  if (this == &other) return *this;
  Clear();
  lines_.reserve(other.lines_.size());
  for (const FieldLine& line : other.lines_) Add(line.name, line.value);
  return *this;
}

Fields::Fields(Fields&& other) noexcept { *this = std::move(other); }

Fields& Fields::operator=(Fields&& other) noexcept {
  if (this == &other) return *this;
  lines_ = std::move(other.lines_);
  blocks_ = std::move(other.blocks_);
  block_ = std::exchange(other.block_, 0);
  used_ = std::exchange(other.used_, 0);
  wire_size_ = std::exchange(other.wire_size_, 0);
  other.lines_.clear();
  other.blocks_.clear();
  return *this;
}

std::string_view Fields::Store(std::string_view text, bool lower) {
  while (block_ < blocks_.size() && blocks_[block_].size - used_ < text.size()) {
    ++block_;
    used_ = 0;
  }
  if (block_ == blocks_.size()) {
    const size_t grown = blocks_.empty() ? kFirstBlockBytes : 2 * blocks_.back().size;
    const size_t size = std::max(grown, text.size());
    blocks_.push_back({std::make_unique_for_overwrite<char[]>(size), size});
  }
  char* start = blocks_[block_].bytes.get() + used_;
  if (!text.empty()) std::memcpy(start, text.data(), text.size());
  // Most names are in lower case already: those of HTTP/2, of what is stored, and our own.
  if (lower && std::any_of(text.begin(), text.end(), IsUpper)) {
    std::transform(start, start + text.size(), start, ToLower);
  }
  used_ += text.size();
  return {start, text.size()};
}

void Fields::Add(std::string_view name, std::string_view value) {
  FieldLine line;
  line.name = Store(name, true);
  line.value = Store(value, false);
  wire_size_ += WireSize(line);
  if (lines_.capacity() == 0) lines_.reserve(kFirstLines);
  lines_.push_back(line);
}

void Fields::Set(std::string_view name, std::string_view value) {
  const std::string lowered = LowerName(name);
  const auto first = std::find_if(lines_.begin(), lines_.end(),
                                  [&](const FieldLine& line) { return line.name == lowered; });
  if (first == lines_.end()) return Add(lowered, value);
  const size_t place = static_cast<size_t>(first - lines_.begin());
  wire_size_ += value.size();
  wire_size_ -= lines_[place].value.size();
  lines_[place].value = Store(value, false);
  for (size_t i = lines_.size() - 1; i > place; --i) {
    if (lines_[i].name != lowered) continue;
    wire_size_ -= WireSize(lines_[i]);
    lines_.erase(lines_.begin() + static_cast<ptrdiff_t>(i));
  }
}

size_t Fields::Remove(std::string_view name) {
  const size_t before = lines_.size();
  std::erase_if(lines_, [&](const FieldLine& line) {
    if (line.name != name) return false;
    wire_size_ -= WireSize(line);
    return true;
  });
  return before - lines_.size();
}

void Fields::Clear() {
  lines_.clear();
  block_ = 0;
  used_ = 0;
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
  std::string lowered(name);
  std::transform(lowered.begin(), lowered.end(), lowered.begin(), ToLower);
  return lowered;
}

bool IsToken(std::string_view text) { return !text.empty() && AllIn(kTokenCharacters, text); }

bool IsFieldValue(std::string_view text) { return AllIn(kFieldValueCharacters, text); }

}  // namespace nearside::http
