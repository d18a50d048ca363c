#include "http/session/http2_callbacks.h"

#include "http/session/http2_connection.h"
#include "runtime/fatal.h"

namespace nearside::http {

namespace {

// nghttp2's own guards, as a second line behind ours.
constexpr uint64_t kResetBurst = 300;
constexpr uint64_t kResetsPerSecond = 30;
constexpr size_t kContinuations = 8;
constexpr size_t kUnsentAcks = 200;
constexpr size_t kSettingsInFrame = 32;

Http2Connection& Of(void* user_data) { return *static_cast<Http2Connection*>(user_data); }

std::string_view Text(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

const nghttp2_session_callbacks* Http2Callbacks::Get() {
  static const nghttp2_session_callbacks* const callbacks = [] {
    nghttp2_session_callbacks* made = nullptr;
    if (nghttp2_session_callbacks_new(&made) != 0) Fatal("out of memory");
    nghttp2_session_callbacks_set_on_begin_frame_callback(
        made, [](nghttp2_session*, const nghttp2_frame_hd* frame, void* user) noexcept {
          return Of(user).OnBeginFrame(*frame);
        });
    nghttp2_session_callbacks_set_on_begin_headers_callback(
        made, [](nghttp2_session*, const nghttp2_frame* frame, void* user) noexcept {
          return Of(user).OnBeginHeaders(*frame);
        });
    nghttp2_session_callbacks_set_on_header_callback(
        made, [](nghttp2_session*, const nghttp2_frame*, const uint8_t* name, size_t name_size,
                 const uint8_t* value, size_t value_size, uint8_t, void* user) noexcept {
          return Of(user).OnHeader(Text(name, name_size), Text(value, value_size));
        });
    // nghttp2 would drop an invalid field silently; a request that has one is refused.
    nghttp2_session_callbacks_set_on_invalid_header_callback(
        made,
        [](nghttp2_session*, const nghttp2_frame*, const uint8_t*, size_t, const uint8_t*, size_t,
           uint8_t, void*) noexcept -> int { return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        made, [](nghttp2_session*, const nghttp2_frame* frame, void* user) noexcept {
          return Of(user).OnFrame(*frame);
        });
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(
        made, [](nghttp2_session*, const nghttp2_frame* frame, int, void* user) noexcept {
          return Of(user).OnInvalidFrame(*frame);
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        made, [](nghttp2_session*, uint8_t, int32_t stream_id, const uint8_t* bytes, size_t size,
                 void* user) noexcept {
          return Of(user).OnData(stream_id, {bytes, size});
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        made, [](nghttp2_session*, int32_t stream_id, uint32_t, void* user) noexcept {
          return Of(user).OnStreamClose(stream_id);
        });
    nghttp2_session_callbacks_set_on_frame_send_callback(
        made, [](nghttp2_session*, const nghttp2_frame* frame, void* user) noexcept {
          return Of(user).OnFrameSent(*frame);
        });
    nghttp2_session_callbacks_set_send_data_callback(
        made, [](nghttp2_session*, nghttp2_frame* frame, const uint8_t* frame_header, size_t size,
                 nghttp2_data_source*,
                 void* user) noexcept { return Of(user).SendData(*frame, frame_header, size); });
    return made;
  }();
  return callbacks;
}

const nghttp2_option* Http2Callbacks::Options() {
  static const nghttp2_option* const options = [] {
    nghttp2_option* made = nullptr;
    if (nghttp2_option_new(&made) != 0) Fatal("out of memory");
    nghttp2_option_set_no_closed_streams(made, 1);
    nghttp2_option_set_no_auto_window_update(made, 1);
    nghttp2_option_set_max_continuations(made, kContinuations);
    nghttp2_option_set_stream_reset_rate_limit(made, kResetBurst, kResetsPerSecond);
    nghttp2_option_set_max_outbound_ack(made, kUnsentAcks);
    nghttp2_option_set_max_settings(made, kSettingsInFrame);
    nghttp2_option_set_builtin_recv_extension_type(made, NGHTTP2_PRIORITY_UPDATE);  // RFC 9218 §7
    return made;
  }();
  return options;
}

const nghttp2_data_provider* Http2Callbacks::BodyProvider() {
  static const nghttp2_data_provider provider = {
      .source = {},
      .read_callback = [](nghttp2_session*, int32_t stream_id, uint8_t*, size_t most,
                          uint32_t* flags, nghttp2_data_source*, void* user) noexcept -> ssize_t {
        return Of(user).ReadBody(stream_id, most, flags);
      }};
  return &provider;
}

}  // namespace nearside::http
