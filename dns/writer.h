#pragma once

// Builds an answer in the caller's buffer: no allocation, names compressed (RFC 1035 §4.1.4).

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "dns/cookie.h"
#include "dns/edns.h"
#include "dns/message.h"
#include "dns/name.h"
#include "dns/record_type.h"

namespace nearside::dns {

enum class Section : uint8_t { kAnswer, kAuthority, kAdditional };

/// One record; `rdata` has its names uncompressed.
struct RecordView {
  uint16_t type = 0;
  uint32_t ttl = 0;
  std::span<const uint8_t> rdata;
  uint16_t record_class = rr_class::kIn;
};

/// What our OPT record says.
struct EdnsAnswer {
  Rcode rcode = Rcode::kNoError;  ///< its upper bits go here
  bool dnssec_ok = false;         ///< copied from the query (RFC 3225 §3)
  bool compact_ok = false;        ///< likewise, where the zone is signed (RFC 9824 §5.1)
  std::optional<ClientSubnet> subnet;
  std::optional<Cookie> cookie;
  std::optional<uint16_t> keepalive;  ///< units of 100 ms (RFC 7828 §3.1)
  std::span<const uint8_t> nsid;      ///< RFC 5001; empty: none

  size_t wire_bytes() const;
};

/// The compression pointer to the question's name, which begins behind the header.
inline constexpr std::array<uint8_t, 2> kPointerToQuestion = {0xC0, kHeaderBytes};

/// Header first, then question, then records in the order of the sections. What does not fit is
/// refused whole, and the message is as before. One use for one message; lives on the stack.
class MessageWriter {
 public:
  /// Writes at most `buffer.size()` bytes; `buffer` has at least kHeaderBytes and outlives the
  /// writer.
  explicit MessageWriter(std::span<uint8_t> buffer);

  /// Copies the question as it was asked, case included. False when it does not fit.
  bool AddQuestion(const Question& question);
  /// Keeps `bytes` free for AddEdns: the other calls then leave them alone.
  void Reserve(size_t bytes) { limit_ = bytes < limit_ ? limit_ - bytes : 0; }
  bool Add(Section section, NameView owner, const RecordView& record);
  /// Appends `count` records that are already in wire form and need no other compression than
  /// kPointerToQuestion for their owner, which must be the question's name.
  bool AddRendered(Section section, std::span<const uint8_t> records, uint16_t count);
  /// Adds the OPT record, using what Reserve kept.
  bool AddEdns(const EdnsAnswer& edns);

  /// Everything written after Mark is undone by Rollback: an RRset goes in whole or not at all.
  struct Place {
    size_t size;
    std::array<uint16_t, 3> counts;
    size_t names;
  };
  Place Mark() const { return {size_, counts_, names_}; }
  void Rollback(const Place& place);

  /// Writes the header and returns the length of the message. `flags` without the rcode's bits.
  size_t Finish(uint16_t id, uint16_t flags, Rcode rcode);

  size_t size() const { return size_; }
  uint16_t count(Section section) const { return counts_[static_cast<size_t>(section)]; }

 private:
  /// A place in the message where a name of `size` bytes (uncompressed) begins.
  struct KnownName {
    uint16_t offset;
    uint8_t size;
  };
  static constexpr size_t kMaxKnownNames = 64;  // more are written, but not pointed to

  bool Fits(size_t bytes) const { return bytes <= limit_ && size_ <= limit_ - bytes; }
  void LearnQuestion();
  void Learn(size_t offset, size_t name_bytes);
  bool SameAt(size_t offset, NameView name) const;
  const KnownName* Lookup(NameView name) const;
  bool PutName(NameView name);
  bool PutRdata(const RecordView& record);
  bool PutBytes(std::span<const uint8_t> bytes);

  uint8_t* data_;
  size_t capacity_;
  size_t limit_;  ///< capacity less what is reserved
  size_t size_ = kHeaderBytes;
  NameView question_name_;
  bool has_question_ = false;
  bool question_known_ = false;
  std::array<uint16_t, 3> counts_{};
  size_t names_ = 0;
  std::array<KnownName, kMaxKnownNames> known_;
};

}  // namespace nearside::dns
