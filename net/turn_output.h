#pragma once

#include <cstdint>
#include <span>

#include "net/event_loop.h"
#include "net/stream.h"
#include "net/tls_session.h"

namespace nearside::net {

/// What one stream sends in one turn, gathered in the loop's shared output buffer: without TLS the
/// bytes themselves, with TLS records of 16 KiB, so that many small answers share one. Lives on the
/// stack of one flush.
class TurnOutput final : public Output {
 public:
  /// A frame header that comes with a body of room() bytes.
  static constexpr size_t kSlack = 32;

  /// `tls` may be null. At most `budget` bytes are taken.
  TurnOutput(EventLoop& loop, TlsSession* tls, size_t budget);

  size_t room() const override { return produced_ < budget_ ? budget_ - produced_ : 0; }
  void Append(std::span<const uint8_t> bytes) override;

  /// Bytes that go out as they are, before all others (ciphertext kept from before).
  void AppendWire(std::span<const uint8_t> bytes);
  /// Encrypts what is staged. False when TLS failed.
  bool Seal();
  /// Appends close_notify after Seal.
  void AppendCloseNotify();

  /// Bytes that Append took.
  size_t produced() const { return produced_; }
  /// What is to be sent; valid until the loop's output buffer is used again.
  std::span<const uint8_t> wire() const { return wire_.first(filled_); }

 private:
  void Encrypt(std::span<const uint8_t> plain);

  TlsSession* tls_;
  std::span<uint8_t> wire_;
  std::span<uint8_t> stage_;
  size_t budget_;
  size_t produced_ = 0;
  size_t filled_ = 0;
  size_t staged_ = 0;
  bool failed_ = false;
};

}  // namespace nearside::net
