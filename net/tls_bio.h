#pragma once

#include <openssl/bio.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace nearside::net {

/// What a connection's OpenSSL reads from and writes to during one call: spans of the loop's shared
/// buffers. Outside of a call both are empty.
struct TlsTransfer {
  std::span<const uint8_t> input;  ///< ciphertext that the socket brought and OpenSSL has not taken
  std::span<uint8_t> room;         ///< where ciphertext to send goes
  size_t filled = 0;               ///< bytes of it at the start of `room` that are written
};

/// A BIO over a TlsTransfer, which must outlive it. Reading from an empty input asks for a retry;
/// writing beyond the room fails. (Against a memory BIO it saves two copies and all allocation,
/// against a socket BIO a system call for each record.)
BIO* MakeTlsBio(TlsTransfer* transfer);

}  // namespace nearside::net
