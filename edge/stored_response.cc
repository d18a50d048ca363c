#include "edge/stored_response.h"

#include <cstring>
#include <optional>

namespace nearside::edge {
namespace {

// Little-endian throughout; every length is checked against what is left when it is read back.
constexpr uint8_t kFormatVersion = 5;

class Encoder {
 public:
  explicit Encoder(std::string* out) : out_(out) {}
  template <typename T>
  void Number(T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    out_->append(bytes, sizeof(T));
  }
  void Text(std::string_view text) {
    Number(static_cast<uint32_t>(text.size()));
    out_->append(text);
  }
  void FieldList(const http::Fields& fields) {
    Number(static_cast<uint32_t>(fields.size()));
    for (const http::FieldLine& line : fields.lines()) {
      Text(line.name);
      Text(line.value);
    }
  }

 private:
  std::string* out_;
};

class Decoder {
 public:
  explicit Decoder(std::string_view in) : in_(in) {}
  template <typename T>
  T Number() {
    T value{};
    if (in_.size() < sizeof(T)) {
      Break();
    } else {
      std::memcpy(&value, in_.data(), sizeof(T));
      in_.remove_prefix(sizeof(T));
    }
    return value;
  }
  std::string_view Text() {
    const auto size = Number<uint32_t>();
    if (size > in_.size()) {
      Break();
      return {};
    }
    const std::string_view text = in_.substr(0, size);
    in_.remove_prefix(size);
    return text;
  }
  void FieldList(http::Fields* fields) {
    const auto count = Number<uint32_t>();
    if (const auto bytes = TextBytes(2 * uint64_t{count})) fields->Reserve(count, *bytes);
    for (auto left = count; left > 0 && ok_; --left) {
      const std::string_view name = Text();
      const std::string_view value = Text();
      if (ok_) fields->Add(name, value);
    }
  }
  bool ok() const { return ok_; }
  bool at_end() const { return in_.empty(); }

 private:
  /// How long the next texts are together; nullopt: there are not so many.
  std::optional<size_t> TextBytes(uint64_t texts) const {
    Decoder ahead(in_);
    size_t bytes = 0;
    for (; texts > 0 && ahead.ok_; --texts) bytes += ahead.Text().size();
    return ahead.ok_ ? std::optional(bytes) : std::nullopt;
  }
  void Break() {
    ok_ = false;
    in_ = {};
  }
  std::string_view in_;
  bool ok_ = true;
};

enum FlagBits : uint8_t {
  kMustRevalidate = 1,
  kAlwaysValidate = 2,
  kHeuristic = 4,
  kValidator = 8
};

void EncodeFreshness(const Freshness& freshness, Encoder* out) {
  out->Number(ToUnixMillis(freshness.response_time));
  for (milliseconds span : {freshness.initial_age, freshness.lifetime, freshness.while_revalidate,
                            freshness.if_error}) {
    out->Number(static_cast<int64_t>(span.count()));
  }
  uint8_t flags = 0;
  if (freshness.must_revalidate) flags |= kMustRevalidate;
  if (freshness.always_validate) flags |= kAlwaysValidate;
  if (freshness.heuristic) flags |= kHeuristic;
  if (freshness.has_validator) flags |= kValidator;
  out->Number(flags);
}

Freshness DecodeFreshness(Decoder* in) {
  Freshness freshness;
  freshness.response_time = FromUnixMillis(in->Number<int64_t>());
  for (milliseconds* span : {&freshness.initial_age, &freshness.lifetime,
                             &freshness.while_revalidate, &freshness.if_error}) {
    *span = milliseconds(in->Number<int64_t>());
  }
  const auto flags = in->Number<uint8_t>();
  freshness.must_revalidate = (flags & kMustRevalidate) != 0;
  freshness.always_validate = (flags & kAlwaysValidate) != 0;
  freshness.heuristic = (flags & kHeuristic) != 0;
  freshness.has_validator = (flags & kValidator) != 0;
  return freshness;
}

}  // namespace

size_t StoredResponse::charge() const {
  size_t bytes =
      sizeof(*this) + fields.wire_size() + url.size() + control.size() + origin_etag.size();
  for (const Variant& variant : variants) {
    bytes += sizeof(variant) + variant.selecting.wire_size() + variant.language.size();
  }
  for (const std::string& tag : tags) bytes += sizeof(tag) + tag.size();
  return bytes;
}

std::string EncodeStored(const StoredResponse& response) {
  std::string bytes;
  bytes.reserve(256 + response.fields.wire_size());
  Encoder out(&bytes);
  out.Number(kFormatVersion);
  out.Text(response.url);
  out.Number(static_cast<uint16_t>(response.status));
  EncodeFreshness(response.freshness, &out);
  out.FieldList(response.fields);
  out.Text(response.control);
  out.Text(response.origin_etag);
  out.Number(static_cast<uint8_t>(response.negotiated));
  out.Number(static_cast<uint32_t>(response.tags.size()));
  for (const std::string& tag : response.tags) out.Text(tag);
  out.Number(static_cast<uint32_t>(response.variants.size()));
  for (const Variant& variant : response.variants) {
    out.FieldList(variant.selecting);
    out.Number(variant.key.bytes);
    out.Number(ToUnixMillis(variant.stored_at));
    out.Number(ToUnixMillis(variant.date));
    out.Text(variant.language);
  }
  out.Number(response.since);
  out.Number(response.slicing.slice_bytes);
  out.Number(response.slicing.total_bytes);
  out.Number(response.slicing.since_purge);
  out.Number(response.tail_bytes);
  return bytes;
}

std::unique_ptr<StoredResponse> DecodeStored(std::string_view meta) {
  Decoder in(meta);
  if (in.Number<uint8_t>() != kFormatVersion) return nullptr;
  auto response = std::make_unique<StoredResponse>();
  response->url = in.Text();
  response->status = in.Number<uint16_t>();
  response->freshness = DecodeFreshness(&in);
  in.FieldList(&response->fields);
  response->control = in.Text();
  response->origin_etag = in.Text();
  response->negotiated = in.Number<uint8_t>() != 0;
  for (auto left = in.Number<uint32_t>(); left > 0 && in.ok(); --left) {
    response->tags.emplace_back(in.Text());
  }
  for (auto left = in.Number<uint32_t>(); left > 0 && in.ok(); --left) {
    Variant variant;
    in.FieldList(&variant.selecting);
    variant.key.bytes = in.Number<decltype(variant.key.bytes)>();
    variant.stored_at = FromUnixMillis(in.Number<int64_t>());
    variant.date = FromUnixMillis(in.Number<int64_t>());
    variant.language = in.Text();
    response->variants.push_back(std::move(variant));
  }
  response->since = in.Number<uint64_t>();
  response->slicing.slice_bytes = in.Number<uint64_t>();
  response->slicing.total_bytes = in.Number<uint64_t>();
  response->slicing.since_purge = in.Number<uint64_t>();
  response->tail_bytes = in.Number<uint64_t>();
  if (!in.ok() || !in.at_end()) return nullptr;
  return response;
}

}  // namespace nearside::edge
