#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "dns/message.h"
#include "dns/wire.h"
#include "geodns/responder.h"

using namespace nearside;

namespace {

constexpr std::string_view kZone = R"($TTL 300
@ SOA ns1 h 7 1h 1h 1w 60
@ NS ns1
@ MX 10 mail
ns1 A 192.0.2.53
a A 192.0.2.1
a AAAA 2001:db8::1
b CNAME a
c CNAME c
*.w TXT "wild"
*.v CNAME a.w
s NS ns.s
ns.s A 192.0.2.2
x.y.z SRV 1 2 3 a
)";

const geodns::Snapshot& Served() {
  static const geodns::Snapshot kSnapshot = [] {
    dns::Name origin = *dns::Name::FromText("d.");
    auto zone = geodns::Zone::Build(origin, "z", *geodns::ParseZoneFile(kZone, "z", origin), {});
    geodns::Snapshot snapshot;
    snapshot.zones = geodns::ZoneIndex({std::make_shared<geodns::Zone>(std::move(*zone))});
    return snapshot;
  }();
  return kSnapshot;
}

/// An answer of ours can be walked to its last byte.
void CheckAnswer(std::span<const uint8_t> answer, std::span<const uint8_t> query) {
  if (answer.size() < dns::kHeaderBytes) std::abort();
  if (answer[0] != query[0] || answer[1] != query[1] || (answer[2] & 0x80) == 0) std::abort();
  size_t at = dns::kHeaderBytes;
  dns::Name name;
  for (unsigned i = dns::Load16(&answer[4]); i > 0; --i) {
    if (dns::ReadName(answer, &at, &name) != dns::Malformed::kNone) std::abort();
    at += 4;
  }
  unsigned records = dns::Load16(&answer[6]) + dns::Load16(&answer[8]) + dns::Load16(&answer[10]);
  for (; records > 0; --records) {
    if (dns::ReadName(answer, &at, &name) != dns::Malformed::kNone) std::abort();
    if (at + 10 > answer.size()) std::abort();
    at += 10 + dns::Load16(&answer[at + 8]);
  }
  if (at != answer.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::span<const uint8_t> query(data, size);
  static std::array<uint8_t, geodns::kTcpAnswerBytes> out;
  for (auto transport : {geodns::Transport::kUdp, geodns::Transport::kTcp}) {
    geodns::Tally tally;
    size_t bytes = geodns::Respond(Served(), query, {geodns::IpAddress(), transport}, out, &tally);
    if (tally.answered != (bytes > 0)) std::abort();
    if (transport == geodns::Transport::kUdp && bytes > geodns::kUdpAnswerBytes) std::abort();
    if (bytes > 0) CheckAnswer(std::span(out).first(bytes), query);
  }
  return 0;
}
