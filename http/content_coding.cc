#include "http/content_coding.h"

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <string>
#include <utility>

namespace nearside::http {
namespace {

// Where the next level costs more time than it saves bytes (docs/decisions/compression.md).
constexpr int kGzipLevel = 6;
constexpr int kZstdLevel = 3;
constexpr int kBrQuality = 5;
/// Of br and zstd, as a power of two: most text is smaller, and br holds sixteen of them.
constexpr int kWindowBits = 18;
// As small as they can.
constexpr int kBestGzipLevel = 9;
constexpr int kBestZstdLevel = 19;
constexpr int kBestBrQuality = 11;
constexpr int kBestWindowBits = 22;

tl::unexpected<Error> EncodingFailed(std::string_view library, std::string_view what) {
  return Fail(Fault::kSelf, "encoding_failed",
              "encoding a body: " + std::string(library) + ": " + std::string(what));
}

class GzipEncoder final : public ContentEncoder {
 public:
  ~GzipEncoder() override {
    if (open_) deflateEnd(&stream_);
  }
  bool Open(Effort effort) {
    const int level = effort == Effort::kBest ? kBestGzipLevel : kGzipLevel;
    constexpr int kWindow = 15;
    constexpr int kWithGzipHeader = 16;
    constexpr int kMemoryLevel = 8;
    open_ = deflateInit2(&stream_, level, Z_DEFLATED, kWindow + kWithGzipHeader, kMemoryLevel,
                         Z_DEFAULT_STRATEGY) == Z_OK;
    return open_;
  }
  Status Encode(std::span<const uint8_t> bytes, Step step, const Sink& sink) override {
    stream_.next_in = const_cast<Bytef*>(bytes.data());
    stream_.avail_in = static_cast<uInt>(bytes.size());
    const int flush = step == Step::kMore    ? Z_NO_FLUSH
                      : step == Step::kFlush ? Z_SYNC_FLUSH
                                             : Z_FINISH;
    while (true) {
      stream_.next_out = output().data();
      stream_.avail_out = static_cast<uInt>(output().size());
      const int result = deflate(&stream_, flush);
      // Z_BUF_ERROR says that there was nothing to do.
      if (result == Z_STREAM_ERROR) return EncodingFailed("zlib", "the stream's state is broken");
      Give(output().size() - stream_.avail_out, sink);
      const bool done = step == Step::kFinish ? result == Z_STREAM_END : stream_.avail_out > 0;
      if (done) return {};
    }
  }

 private:
  z_stream stream_{};
  bool open_ = false;
};

class BrEncoder final : public ContentEncoder {
 public:
  ~BrEncoder() override {
    if (state_ != nullptr) BrotliEncoderDestroyInstance(state_);
  }
  bool Open(std::optional<uint64_t> body_bytes, Effort effort) {
    const bool best = effort == Effort::kBest;
    state_ = BrotliEncoderCreateInstance(nullptr, nullptr, nullptr);
    if (state_ == nullptr) return false;
    BrotliEncoderSetParameter(state_, BROTLI_PARAM_QUALITY, best ? kBestBrQuality : kBrQuality);
    BrotliEncoderSetParameter(state_, BROTLI_PARAM_LGWIN, best ? kBestWindowBits : kWindowBits);
    if (body_bytes) {
      const uint64_t hint = std::min<uint64_t>(*body_bytes, UINT32_MAX);
      BrotliEncoderSetParameter(state_, BROTLI_PARAM_SIZE_HINT, static_cast<uint32_t>(hint));
    }
    return true;
  }
  Status Encode(std::span<const uint8_t> bytes, Step step, const Sink& sink) override {
    const BrotliEncoderOperation operation = step == Step::kMore    ? BROTLI_OPERATION_PROCESS
                                             : step == Step::kFlush ? BROTLI_OPERATION_FLUSH
                                                                    : BROTLI_OPERATION_FINISH;
    const uint8_t* next = bytes.data();
    size_t left = bytes.size();
    while (true) {
      uint8_t* out = output().data();
      size_t room = output().size();
      if (!BrotliEncoderCompressStream(state_, operation, &left, &next, &room, &out, nullptr)) {
        return EncodingFailed("brotli", "no memory, or the stream's state is broken");
      }
      Give(output().size() - room, sink);
      const bool more = left > 0 || BrotliEncoderHasMoreOutput(state_);
      const bool finished = BrotliEncoderIsFinished(state_);
      if (step == Step::kFinish ? finished : !more) return {};
    }
  }

 private:
  BrotliEncoderState* state_ = nullptr;
};

class ZstdEncoder final : public ContentEncoder {
 public:
  ~ZstdEncoder() override { ZSTD_freeCCtx(context_); }
  bool Open(std::optional<uint64_t> body_bytes, Effort effort) {
    const bool best = effort == Effort::kBest;
    context_ = ZSTD_createCCtx();
    if (context_ == nullptr) return false;
    const auto set = [this](ZSTD_cParameter parameter, int value) {
      return ZSTD_isError(ZSTD_CCtx_setParameter(context_, parameter, value)) == 0;
    };
    // RFC 9659: a window of at most 8 MiB, or browsers refuse.
    if (!set(ZSTD_c_compressionLevel, best ? kBestZstdLevel : kZstdLevel) ||
        !set(ZSTD_c_windowLog, best ? kBestWindowBits : kWindowBits)) {
      return false;
    }
    return !body_bytes || ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(context_, *body_bytes)) == 0;
  }
  Status Encode(std::span<const uint8_t> bytes, Step step, const Sink& sink) override {
    const ZSTD_EndDirective directive = step == Step::kMore    ? ZSTD_e_continue
                                        : step == Step::kFlush ? ZSTD_e_flush
                                                               : ZSTD_e_end;
    ZSTD_inBuffer in{.src = bytes.data(), .size = bytes.size(), .pos = 0};
    while (true) {
      ZSTD_outBuffer out{.dst = output().data(), .size = output().size(), .pos = 0};
      const size_t inside = ZSTD_compressStream2(context_, &out, &in, directive);
      if (ZSTD_isError(inside) != 0) return EncodingFailed("zstd", ZSTD_getErrorName(inside));
      Give(out.pos, sink);
      if (step == Step::kMore ? in.pos == in.size : inside == 0) return {};
    }
  }

 private:
  ZSTD_CCtx* context_ = nullptr;
};

template <typename Encoder, typename... Arguments>
Result<std::unique_ptr<ContentEncoder>> Opened(Arguments... arguments) {
  auto encoder = std::make_unique<Encoder>();
  if (encoder->Open(arguments...)) {
    return Result<std::unique_ptr<ContentEncoder>>(std::move(encoder));
  }
  return Fail(Fault::kSelf, "no_encoder", "there is no memory for an encoder of a body");
}

}  // namespace

Result<std::unique_ptr<ContentEncoder>> ContentEncoder::Make(Coding coding,
                                                             std::optional<uint64_t> body_bytes,
                                                             Effort effort) {
  switch (coding) {
    case Coding::kGzip:
      return Opened<GzipEncoder>(effort);
    case Coding::kZstd:
      return Opened<ZstdEncoder>(body_bytes, effort);
    case Coding::kBr:
      return Opened<BrEncoder>(body_bytes, effort);
    case Coding::kIdentity:
      break;
  }
  return Fail(Fault::kSelf, "no_encoder", "the identity is no coding");
}

}  // namespace nearside::http
