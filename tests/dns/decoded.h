#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace nearside::dns {

/// An answer as ldns reads it, as lines of text:
///
///   NOERROR qr aa rd
///   ? www.demo.test. A
///   answer: www.demo.test. 30 A 192.0.2.1
///   authority: …
///   additional: …
///   edns: 1232 do subnet=133.11.0.0/16/12 option3=6e73
///
/// or "undecodable: …" when ldns cannot. Tabs are spaces, class IN is left out.
std::string Decoded(std::span<const uint8_t> message);

}  // namespace nearside::dns
