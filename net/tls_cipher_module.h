#pragma once

// The ciphers of TLS by another library than OpenSSL, where there is one on the machine that is
// faster.

#include <string>

namespace nearside::net {

/// Loads `folder`/vaes.so (net/vaes_module.cc), from which all TLS contexts that are made later
/// take AES-GCM and ChaCha20-Poly1305. False: the module is not there, or of no use on this
/// processor; OpenSSL's own ciphers serve. Once, before other threads are started.
bool LoadTlsCiphers(const std::string& folder);

/// Where the module of an installed program lies, and that of a built one: ../lib/nearside beside
/// its folder. "" if the program does not know where it is.
std::string TlsCipherFolder();

/// The property query of TLS contexts (property(7)); null: none.
const char* TlsProperties();

}  // namespace nearside::net
