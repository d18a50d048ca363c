#include "tests/http/decoded.h"

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include <array>
#include <cstdint>
#include <memory>

namespace nearside::http {
namespace {

using Output = std::array<uint8_t, 64 << 10>;

const uint8_t* BytesAt(std::string_view bytes) {
  return reinterpret_cast<const uint8_t*>(bytes.data());
}

void Take(const Output& output, size_t size, std::string* text) {
  text->append(reinterpret_cast<const char*>(output.data()), size);
}

std::optional<std::string> Gunzipped(std::string_view bytes, bool* whole) {
  z_stream stream{};
  constexpr int kGzipOnly = 15 + 16;
  if (inflateInit2(&stream, kGzipOnly) != Z_OK) return std::nullopt;
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, inflateEnd);
  stream.next_in = const_cast<Bytef*>(BytesAt(bytes));
  stream.avail_in = static_cast<uInt>(bytes.size());
  auto output = std::make_unique<Output>();
  std::string text;
  int result = Z_OK;
  do {
    stream.next_out = output->data();
    stream.avail_out = static_cast<uInt>(output->size());
    result = inflate(&stream, Z_SYNC_FLUSH);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) return std::nullopt;
    Take(*output, output->size() - stream.avail_out, &text);
  } while (result == Z_OK && stream.avail_out == 0);
  *whole = result == Z_STREAM_END && stream.avail_in == 0;
  return text;
}

std::optional<std::string> Unbrotlied(std::string_view bytes, bool* whole) {
  const std::unique_ptr<BrotliDecoderState, void (*)(BrotliDecoderState*)> state(
      BrotliDecoderCreateInstance(nullptr, nullptr, nullptr), BrotliDecoderDestroyInstance);
  const uint8_t* next = BytesAt(bytes);
  size_t left = bytes.size();
  auto output = std::make_unique<Output>();
  std::string text;
  BrotliDecoderResult result = BROTLI_DECODER_RESULT_SUCCESS;
  do {
    uint8_t* out = output->data();
    size_t room = output->size();
    result = BrotliDecoderDecompressStream(state.get(), &left, &next, &room, &out, nullptr);
    if (result == BROTLI_DECODER_RESULT_ERROR) return std::nullopt;
    Take(*output, output->size() - room, &text);
  } while (result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT);
  *whole = result == BROTLI_DECODER_RESULT_SUCCESS && left == 0;
  return text;
}

std::optional<std::string> Unzstded(std::string_view bytes, bool* whole) {
  const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                   ZSTD_freeDCtx);
  // What browsers allow (RFC 9659).
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, 23);
  ZSTD_inBuffer in{.src = bytes.data(), .size = bytes.size(), .pos = 0};
  auto output = std::make_unique<Output>();
  std::string text;
  size_t inside = 1;
  bool full = true;
  while (in.pos < in.size || full) {
    ZSTD_outBuffer out{.dst = output->data(), .size = output->size(), .pos = 0};
    inside = ZSTD_decompressStream(context.get(), &out, &in);
    if (ZSTD_isError(inside) != 0) return std::nullopt;
    Take(*output, out.pos, &text);
    full = out.pos == out.size;
    if (inside == 0) break;
  }
  *whole = inside == 0 && in.pos == in.size;
  return text;
}

}  // namespace

std::optional<std::string> Decoded(Coding coding, std::string_view bytes, bool* whole) {
  bool ended = true;
  if (whole == nullptr) whole = &ended;
  switch (coding) {
    case Coding::kGzip:
      return Gunzipped(bytes, whole);
    case Coding::kZstd:
      return Unzstded(bytes, whole);
    case Coding::kBr:
      return Unbrotlied(bytes, whole);
    case Coding::kIdentity:
      break;
  }
  *whole = true;
  return std::string(bytes);
}

}  // namespace nearside::http
