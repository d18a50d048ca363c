// The PROXY header: however it is cut, what it says is the same, and no byte behind it is wanted.

#include <cstdint>
#include <cstdlib>
#include <span>

#include "net/proxy_header.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nearside::net;
  const ProxyHeader whole = ParseProxyHeader({data, size});
  if (whole.needed > kMostProxyBytes) std::abort();
  // As a connection reads it: only what is wanted, a byte at a time.
  size_t have = 0;
  ProxyHeader step = ParseProxyHeader({data, have});
  while (step.refusal == ProxyRefusal::kNone && step.needed > have && have < size) {
    step = ParseProxyHeader({data, ++have});
  }
  if (step.refusal != whole.refusal || step.needed != whole.needed) std::abort();
  if (!(step.source == whole.source)) std::abort();
  return 0;
}
