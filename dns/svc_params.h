#pragma once

// The parameters of SVCB and HTTPS records (RFC 9460 §2.2), between a zone file's words and the
// wire.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "dns/rdata.h"
#include "runtime/result.h"

namespace nearside::dns {

/// Reads `alpn=h2,h3 port=8443 ipv4hint="192.0.2.1"` and the like in any order (RFC 9460 §2.1,
/// appendix A), and appends them in the order of their keys. Keys without a name of their own are
/// written key65280; so may be those that have one, with their value as on the wire. Error:
/// kOperator bad_rdata, naming the parameter and what was expected.
Status AppendSvcParams(std::span<const Word> words, std::vector<uint8_t>* out);

/// Keys ascend, values are well-formed for their keys, what is mandatory is there (RFC 9460 §8),
/// and no-default-alpn comes with alpn (§7.1.1).
bool SvcParamsAreValid(std::span<const uint8_t> bytes);

/// Of valid ones, each with a blank between; AppendSvcParams reads them back.
std::string SvcParamsToText(std::span<const uint8_t> bytes);

/// Addresses for ipv4hint and ipv6hint, 4 and 16 bytes each.
struct AddressHints {
  std::span<const uint8_t> ipv4;
  std::span<const uint8_t> ipv6;
};

/// Whether the valid data of an SVCB or HTTPS record has ipv4hint or ipv6hint.
bool HasAddressHints(std::span<const uint8_t> rdata);

/// Copies the valid data of an SVCB or HTTPS record with the hints it has replaced: none are added,
/// and one for which there are no addresses goes, from `mandatory` as well. Returns the length, 0
/// when `out` has not the room; rdata.size() and that of the hints are always enough. No
/// allocation.
size_t ReplaceAddressHints(std::span<const uint8_t> rdata, const AddressHints& hints,
                           std::span<uint8_t> out);

}  // namespace nearside::dns
