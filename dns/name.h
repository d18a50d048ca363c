#pragma once

// Domain names in wire form: labels of a length octet and its bytes, ended by the root's zero octet
// (RFC 1035 §3.1). Case is kept and never matters in a comparison (RFC 4343).

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "dns/malformed.h"
#include "runtime/result.h"

namespace nearside::dns {

inline constexpr size_t kMaxNameBytes = 255;  ///< on the wire, with the root's zero
inline constexpr size_t kMaxLabelBytes = 63;
inline constexpr size_t kMaxLabels = 127;  ///< without the root

/// ASCII upper case to lower case. Length octets (0 to 63) lie below 'A', so that a whole wire name
/// can be folded byte by byte.
constexpr uint8_t FoldCase(uint8_t c) {
  return static_cast<uint8_t>(c + ((static_cast<unsigned>(c) - 'A' < 26U) ? 32 : 0));
}

/// FoldCase of each byte; `to` may be where they are. (Lengths of labels are no letters.)
void FoldBytes(std::span<const uint8_t> from, uint8_t* to);

/// An uncompressed name that somebody else owns. Whoever makes one has checked its form: Name,
/// ReadName and the zone do. A value of two words; valid as long as the bytes are.
class NameView {
 public:
  /// The root.
  constexpr NameView() = default;
  constexpr NameView(const uint8_t* wire, size_t wire_bytes) : data_(wire), size_(wire_bytes) {}

  constexpr const uint8_t* data() const { return data_; }
  constexpr size_t size() const { return size_; }
  std::span<const uint8_t> bytes() const { return {data_, size_}; }
  bool is_root() const { return size_ == 1; }
  /// Labels without the root: 3 for www.demo.test.
  size_t labels() const;
  /// The bytes of the leftmost label; empty for the root.
  std::span<const uint8_t> first_label() const { return {data_ + 1, data_[0]}; }
  bool is_wildcard() const { return size_ > 2 && data_[0] == 1 && data_[1] == '*'; }
  /// The name without its leftmost label; the root's parent is the root.
  NameView Parent() const {
    return is_root() ? *this : NameView(data_ + data_[0] + 1, size_ - data_[0] - 1);
  }
  bool Equals(NameView other) const;
  /// True for the ancestor itself and everything under it.
  bool IsAtOrBelow(NameView ancestor) const;
  /// Presentation form with the final dot, special characters escaped: "www.demo.test.".
  std::string ToText() const;

 private:
  static constexpr uint8_t kRootWire[1] = {0};
  const uint8_t* data_ = kRootWire;
  size_t size_ = 1;
};

/// A name by value, without allocation: 256 bytes, so do not keep thousands of them.
class Name {
 public:
  Name() { wire_[0] = 0; }  // the root; the rest is never read
  explicit Name(NameView name);
  /// Presentation form: "www.demo.test." is absolute, "www" is completed by `origin`, "@" is the
  /// origin; \X and \DDD are unescaped (RFC 1035 §5.1). Error: kOperator bad_name, saying what is
  /// wrong.
  static Result<Name> FromText(std::string_view text, NameView origin = {});

  NameView view() const { return {wire_.data(), size_}; }
  operator NameView() const { return view(); }  // NOLINT: a Name is used wherever a view is
  /// Puts a label before the name; false when it does not fit (the name is then as before).
  bool Prepend(std::span<const uint8_t> label);
  /// Letters to lower case.
  void Fold();
  std::string ToText() const { return view().ToText(); }

 private:
  friend Malformed ReadName(std::span<const uint8_t> message, size_t* offset, Name* name);
  std::array<uint8_t, kMaxNameBytes> wire_;
  uint8_t size_ = 1;
};

/// Reads a name that may be compressed (RFC 1035 §4.1.4) and moves `*offset` behind it as it stands
/// in the message. A pointer must lead to before the part of the name read so far, which rules out
/// loops. Errors: kNameCutOff, kNameTooLong, kReservedLabel, kPointerForward.
Malformed ReadName(std::span<const uint8_t> message, size_t* offset, Name* name);

/// Moves `*offset` behind a name without following pointers. Errors as ReadName's.
Malformed SkipName(std::span<const uint8_t> message, size_t* offset);

}  // namespace nearside::dns
