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

}  // namespace nearside::dns
