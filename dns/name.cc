#include "dns/name.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace nearside::dns {
namespace {

constexpr uint8_t kPointerBits = 0xC0;

tl::unexpected<Error> BadName(std::string_view text, std::string_view what) {
  return Fail(
      Fault::kOperator, "bad_name",
      "\"" + std::string(text.substr(0, 80)) + "\" is no domain name: " + std::string(what));
}

/// Takes one character of presentation form at `*at`, unescaped. Returns -1 for a bad escape.
int TakeCharacter(std::string_view text, size_t* at) {
  uint8_t c = static_cast<uint8_t>(text[(*at)++]);
  if (c != '\\') return c;
  if (*at >= text.size()) return -1;
  auto digit = [&](size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
  if (!digit(*at)) return static_cast<uint8_t>(text[(*at)++]);
  if (!digit(*at + 1) || !digit(*at + 2)) return -1;
  int value = (text[*at] - '0') * 100 + (text[*at + 1] - '0') * 10 + (text[*at + 2] - '0');
  *at += 3;
  return value <= 255 ? value : -1;
}

void AppendEscaped(uint8_t c, std::string* out) {
  if (c <= ' ' || c >= 0x7F) {
    char escaped[5];
    std::snprintf(escaped, sizeof escaped, "\\%03d", c);
    *out += escaped;
  } else {
    if (std::strchr(".\\\"();@$", c) != nullptr) *out += '\\';
    *out += static_cast<char>(c);
  }
}

}  // namespace

void FoldBytes(std::span<const uint8_t> from, uint8_t* to) {
  // Eight at a time: the high bit of a byte of `upper` says that it is from A to Z.
  constexpr uint64_t kOnes = 0x0101'0101'0101'0101;
  size_t at = 0;
  for (; from.size() - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
    uint64_t word;
    std::memcpy(&word, from.data() + at, sizeof word);
    const uint64_t low = word & kOnes * 0x7F;
    const uint64_t from_a = low + kOnes * (0x80 - 'A');
    const uint64_t beyond_z = low + kOnes * (0x80 - 'Z' - 1);
    const uint64_t upper = from_a & ~beyond_z & ~word & kOnes * 0x80;
    word |= upper >> 2;
    std::memcpy(to + at, &word, sizeof word);
  }
  for (; at < from.size(); ++at) to[at] = FoldCase(from[at]);
}

size_t NameView::labels() const {
  size_t count = 0;
  for (const uint8_t* p = data_; *p != 0; p += *p + 1) ++count;
  return count;
}

bool NameView::Equals(NameView other) const {
  if (size_ != other.size_) return false;
  for (size_t i = 0; i < size_; ++i) {
    if (FoldCase(data_[i]) != FoldCase(other.data_[i])) return false;
  }
  return true;
}

bool NameView::IsAtOrBelow(NameView ancestor) const {
  if (size_ < ancestor.size_) return false;
  // Step label by label, for equal bytes at the end need not begin at a label.
  NameView rest = *this;
  while (rest.size_ > ancestor.size_) rest = rest.Parent();
  return rest.Equals(ancestor);
}

std::string NameView::ToText() const {
  if (is_root()) return ".";
  std::string text;
  for (const uint8_t* p = data_; *p != 0; p += *p + 1) {
    for (int i = 1; i <= *p; ++i) AppendEscaped(p[i], &text);
    text += '.';
  }
  return text;
}

Name::Name(NameView name) : size_(static_cast<uint8_t>(name.size())) {
  std::memcpy(wire_.data(), name.data(), name.size());
}

Result<Name> Name::FromText(std::string_view text, NameView origin) {
  if (text.empty()) return BadName(text, "it is empty");
  if (text == "@") return Name(origin);
  Name name;
  if (text == ".") return name;
  size_t label_at = 0;  // where the current label's length octet is
  size_t end = 1;
  bool absolute = false;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == '.') {
      if (end == label_at + 1) return BadName(text, "a label is empty");
      name.wire_[label_at] = static_cast<uint8_t>(end - label_at - 1);
      label_at = end++;
      absolute = ++at == text.size();
    } else {
      int c = TakeCharacter(text, &at);
      if (c < 0)
        return BadName(text, "\\ must be followed by a character or three digits up to 255");
      if (end - label_at > kMaxLabelBytes) return BadName(text, "a label is longer than 63 bytes");
      if (end >= kMaxNameBytes) return BadName(text, "it is longer than 255 bytes");
      name.wire_[end++] = static_cast<uint8_t>(c);
    }
    if (end > kMaxNameBytes) return BadName(text, "it is longer than 255 bytes");
  }
  if (absolute) {
    name.wire_[label_at] = 0;
    name.size_ = static_cast<uint8_t>(end);
    return name;
  }
  name.wire_[label_at] = static_cast<uint8_t>(end - label_at - 1);
  if (end + origin.size() > kMaxNameBytes)
    return BadName(text, "with its origin it is longer than 255 bytes");
  std::memcpy(name.wire_.data() + end, origin.data(), origin.size());
  name.size_ = static_cast<uint8_t>(end + origin.size());
  return name;
}

bool Name::Prepend(std::span<const uint8_t> label) {
  if (label.empty() || label.size() > kMaxLabelBytes) return false;
  if (size_ + label.size() + 1 > kMaxNameBytes) return false;
  std::memmove(wire_.data() + label.size() + 1, wire_.data(), size_);
  wire_[0] = static_cast<uint8_t>(label.size());
  std::memcpy(wire_.data() + 1, label.data(), label.size());
  size_ = static_cast<uint8_t>(size_ + label.size() + 1);
  return true;
}

void Name::Fold() { FoldBytes({wire_.data(), size_}, wire_.data()); }

Malformed ReadName(std::span<const uint8_t> message, size_t* offset, Name* name) {
  size_t at = *offset;
  size_t part_begin = at;  // pointers must lead to before this
  size_t end_at = 0;       // behind the first pointer
  size_t size = 0;
  size_t jumps = 0;
  for (;;) {
    if (at >= message.size()) return Malformed::kNameCutOff;
    uint8_t length = message[at];
    if ((length & kPointerBits) == kPointerBits) {
      if (at + 1 >= message.size()) return Malformed::kNameCutOff;
      size_t target = static_cast<size_t>(length & 0x3F) << 8 | message[at + 1];
      if (jumps++ == 0) end_at = at + 2;
      if (target >= part_begin) return Malformed::kPointerForward;
      if (jumps > kMaxLabels) return Malformed::kPointerLimit;
      at = part_begin = target;
      continue;
    }
    if ((length & kPointerBits) != 0) return Malformed::kReservedLabel;
    if (at + length >= message.size()) return Malformed::kNameCutOff;
    // One more byte than a label: every name still needs its root.
    if (size + length + 1 + (length != 0 ? 1 : 0) > kMaxNameBytes) return Malformed::kNameTooLong;
    std::memcpy(name->wire_.data() + size, message.data() + at, length + size_t{1});
    size += length + size_t{1};
    at += length + size_t{1};
    if (length == 0) break;
  }
  *offset = jumps == 0 ? at : end_at;
  name->size_ = static_cast<uint8_t>(size);
  return Malformed::kNone;
}

Malformed SkipName(std::span<const uint8_t> message, size_t* offset) {
  size_t begin = *offset;
  for (size_t at = begin;;) {
    if (at >= message.size()) return Malformed::kNameCutOff;
    uint8_t length = message[at];
    if ((length & kPointerBits) == kPointerBits) {
      if (at + 1 >= message.size()) return Malformed::kNameCutOff;
      size_t target = static_cast<size_t>(length & 0x3F) << 8 | message[at + 1];
      if (target >= begin) return Malformed::kPointerForward;
      *offset = at + 2;
      return Malformed::kNone;
    }
    if ((length & kPointerBits) != 0) return Malformed::kReservedLabel;
    at += length + size_t{1};
    if (at - begin > kMaxNameBytes) return Malformed::kNameTooLong;
    if (length == 0) {
      *offset = at;
      return Malformed::kNone;
    }
  }
}

}  // namespace nearside::dns
