// Content codings: what is encoded, in whatever pieces and with whatever flushes, decodes to the
// same, and at each flush to what has gone in so far.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "http/content_coding.h"
#include "tests/http/decoded.h"

namespace {

using nearside::http::Coding;
using nearside::http::ContentEncoder;
using nearside::http::Decoded;

/// Two bytes for each step: what it is and how much it takes; the rest is the body.
void RoundTrip(Coding coding, bool told, std::string_view steps, std::string_view body) {
  std::optional<uint64_t> body_bytes;
  if (told) body_bytes = body.size();
  auto encoder = ContentEncoder::Make(coding, body_bytes);
  if (!encoder) std::abort();
  std::string bytes;
  size_t taken = 0;
  const auto encode = [&](size_t size, ContentEncoder::Step step) {
    const std::string_view piece = body.substr(taken, size);
    taken += piece.size();
    const auto* data = reinterpret_cast<const uint8_t*>(piece.data());
    const bool well =
        (*encoder)
            ->Encode({data, piece.size()}, step,
                     [&](std::span<const uint8_t> out) {
                       bytes.append(reinterpret_cast<const char*>(out.data()), out.size());
                     })
            .has_value();
    if (!well) std::abort();
  };
  for (; steps.size() >= 2; steps.remove_prefix(2)) {
    const bool flush = (steps[0] & 1) != 0;
    const size_t size = static_cast<uint8_t>(steps[1]) * ((steps[0] & 2) != 0 ? 100U : 1U);
    encode(size, flush ? ContentEncoder::Step::kFlush : ContentEncoder::Step::kMore);
    if (flush && Decoded(coding, bytes) != body.substr(0, taken)) std::abort();
  }
  encode(body.size() - taken, ContentEncoder::Step::kFinish);
  bool whole = false;
  if (Decoded(coding, bytes, &whole) != body || !whole) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t steps = std::min<size_t>(static_cast<uint8_t>(input[1]) % 32 * 2, size - 2);
  const auto coding = static_cast<Coding>(1 + static_cast<uint8_t>(input[0]) % 3);
  const bool told = static_cast<uint8_t>(input[0]) >= 128;
  RoundTrip(coding, told, input.substr(2, steps), input.substr(2 + steps));
  return 0;
}
