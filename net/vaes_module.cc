// An OpenSSL provider with the three ciphers of TLS 1.3 by libipsec-mb, which has AES-GCM and
// ChaCha20 for processors with AVX-512, VAES and VPCLMULQDQ; OpenSSL 3.0 has no such AES. A module
// of its own (vaes.so): nearside-edge loads it where it is found (net/tls_cipher_module.h), and
// libipsec-mb is needed by nobody else.
//
// As provider-cipher(7) and provider(7) have it. What is asked of a cipher is what libssl 3.0 asks
// (ssl/record/ssl3_record.c, ssl3_record_tls13.c): records of TLS 1.3 as AEAD with the additional
// data first; of TLS 1.2 whole and in place, after EVP_CTRL_AEAD_TLS1_AAD. The record's number and
// the explicit nonce of TLS 1.2 are counted here (RFC 5288 §3, RFC 7905 §2).

#include <intel-ipsec-mb.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace nearside::net {
namespace {

constexpr size_t kIvBytes = 12;
constexpr size_t kTagBytes = 16;
constexpr size_t kMostKeyBytes = 32;
constexpr size_t kTlsAadBytes = EVP_AEAD_TLS1_AAD_LEN;
constexpr size_t kFixedIvBytes = EVP_GCM_TLS_FIXED_IV_LEN;
constexpr size_t kExplicitIvBytes = EVP_GCM_TLS_EXPLICIT_IV_LEN;
/// libssl has 5 bytes of TLS 1.3 and 13 of TLS 1.2.
constexpr size_t kMostAadBytes = 64;

/// Its functions for this processor; nothing of it is written after the module was loaded.
struct Provider {
  IMB_MGR* manager = nullptr;
};

enum class Kind : uint8_t { kAes128, kAes256, kChaCha };

constexpr size_t KeyBytes(Kind kind) { return kind == Kind::kAes128 ? 16 : 32; }
constexpr bool IsGcm(Kind kind) { return kind != Kind::kChaCha; }

/// One direction of one connection; its worker's thread.
struct alignas(64) Cipher {
  explicit Cipher(const IMB_MGR& functions, Kind of) : manager(functions), kind(of) {}

  const IMB_MGR& manager;
  const Kind kind;
  bool encrypts = false;
  bool has_key = false;
  bool has_iv = false;
  bool has_tag = false;  ///< to be compared with
  bool begun = false;    ///< the state below is of a message under way
  bool ended = false;    ///< the tag is of the last message
  std::array<uint8_t, kIvBytes> iv{};
  std::array<uint8_t, kTagBytes> tag{};
  std::array<uint8_t, kMostAadBytes> aad{};
  size_t aad_bytes = 0;
  /// Of TLS 1.2: that the next call brings a whole record.
  bool is_record = false;
  std::array<uint8_t, kMostKeyBytes> chacha_key{};
  union {
    gcm_context_data gcm_state;
    chacha20_poly1305_context_data chacha_state;
  };
  gcm_key_data gcm_key;
};

Cipher& Of(void* context) { return *static_cast<Cipher*>(context); }

// ---- the library's calls

void ExpandKey(Cipher& cipher, const uint8_t* key) {
  switch (cipher.kind) {
    case Kind::kAes128:
      IMB_AES128_GCM_PRE(&cipher.manager, key, &cipher.gcm_key);
      break;
    case Kind::kAes256:
      IMB_AES256_GCM_PRE(&cipher.manager, key, &cipher.gcm_key);
      break;
    case Kind::kChaCha:
      std::copy_n(key, kMostKeyBytes, cipher.chacha_key.begin());
      break;
  }
}

void BeginMessage(Cipher& cipher, const uint8_t* nonce, const uint8_t* aad, size_t aad_bytes) {
  const IMB_MGR* manager = &cipher.manager;
  switch (cipher.kind) {
    case Kind::kAes128:
      IMB_AES128_GCM_INIT(manager, &cipher.gcm_key, &cipher.gcm_state, nonce, aad, aad_bytes);
      break;
    case Kind::kAes256:
      IMB_AES256_GCM_INIT(manager, &cipher.gcm_key, &cipher.gcm_state, nonce, aad, aad_bytes);
      break;
    case Kind::kChaCha:
      IMB_CHACHA20_POLY1305_INIT(manager, cipher.chacha_key.data(), &cipher.chacha_state, nonce,
                                 aad, aad_bytes);
      break;
  }
}

void Crypt(Cipher& cipher, uint8_t* out, const uint8_t* in, size_t bytes) {
  const IMB_MGR* manager = &cipher.manager;
  if (bytes == 0) return;
  switch (cipher.kind) {
    case Kind::kAes128:
      cipher.encrypts
          ? IMB_AES128_GCM_ENC_UPDATE(manager, &cipher.gcm_key, &cipher.gcm_state, out, in, bytes)
          : IMB_AES128_GCM_DEC_UPDATE(manager, &cipher.gcm_key, &cipher.gcm_state, out, in, bytes);
      break;
    case Kind::kAes256:
      cipher.encrypts
          ? IMB_AES256_GCM_ENC_UPDATE(manager, &cipher.gcm_key, &cipher.gcm_state, out, in, bytes)
          : IMB_AES256_GCM_DEC_UPDATE(manager, &cipher.gcm_key, &cipher.gcm_state, out, in, bytes);
      break;
    case Kind::kChaCha:
      cipher.encrypts ? IMB_CHACHA20_POLY1305_ENC_UPDATE(manager, cipher.chacha_key.data(),
                                                         &cipher.chacha_state, out, in, bytes)
                      : IMB_CHACHA20_POLY1305_DEC_UPDATE(manager, cipher.chacha_key.data(),
                                                         &cipher.chacha_state, out, in, bytes);
      break;
  }
}

void EndMessage(Cipher& cipher, uint8_t* tag) {
  const IMB_MGR* manager = &cipher.manager;
  switch (cipher.kind) {
    case Kind::kAes128:
      cipher.encrypts
          ? IMB_AES128_GCM_ENC_FINALIZE(manager, &cipher.gcm_key, &cipher.gcm_state, tag, kTagBytes)
          : IMB_AES128_GCM_DEC_FINALIZE(manager, &cipher.gcm_key, &cipher.gcm_state, tag,
                                        kTagBytes);
      break;
    case Kind::kAes256:
      cipher.encrypts
          ? IMB_AES256_GCM_ENC_FINALIZE(manager, &cipher.gcm_key, &cipher.gcm_state, tag, kTagBytes)
          : IMB_AES256_GCM_DEC_FINALIZE(manager, &cipher.gcm_key, &cipher.gcm_state, tag,
                                        kTagBytes);
      break;
    case Kind::kChaCha:
      IMB_CHACHA20_POLY1305_ENC_FINALIZE(manager, &cipher.chacha_state, tag, kTagBytes);
      break;
  }
}

// ---- a context

template <Kind kKind>
void* NewCipher(void* provider) noexcept {
  return new (std::nothrow) Cipher(*static_cast<Provider*>(provider)->manager, kKind);
}

void FreeCipher(void* context) noexcept {
  if (context == nullptr) return;
  auto* cipher = static_cast<Cipher*>(context);
  OPENSSL_cleanse(&cipher->gcm_key, sizeof cipher->gcm_key);
  OPENSSL_cleanse(cipher->chacha_key.data(), cipher->chacha_key.size());
  OPENSSL_cleanse(&cipher->chacha_state, sizeof cipher->chacha_state);
  delete cipher;
}

void* CopyCipher(void* context) noexcept { return new (std::nothrow) Cipher(Of(context)); }

// ---- parameters

/// TLS 1.2: what is authenticated of the next record. Its length is the plaintext's.
bool SetRecordAad(Cipher& cipher, const OSSL_PARAM& parameter) {
  if (parameter.data_type != OSSL_PARAM_OCTET_STRING || parameter.data_size != kTlsAadBytes) {
    return false;
  }
  std::memcpy(cipher.aad.data(), parameter.data, kTlsAadBytes);
  size_t bytes = size_t{cipher.aad[kTlsAadBytes - 2]} << 8 | cipher.aad[kTlsAadBytes - 1];
  const size_t less =
      (IsGcm(cipher.kind) ? kExplicitIvBytes : 0) + (cipher.encrypts ? 0 : kTagBytes);
  if (bytes < less) return false;
  bytes -= less;
  cipher.aad[kTlsAadBytes - 2] = static_cast<uint8_t>(bytes >> 8);
  cipher.aad[kTlsAadBytes - 1] = static_cast<uint8_t>(bytes);
  cipher.aad_bytes = kTlsAadBytes;
  cipher.is_record = true;
  return true;
}

/// TLS 1.2, GCM: the part of the nonce that is not sent. The rest begins anywhere and is counted.
bool SetFixedIv(Cipher& cipher, const OSSL_PARAM& parameter) {
  if (!IsGcm(cipher.kind) || parameter.data_size != kFixedIvBytes) return false;
  std::memcpy(cipher.iv.data(), parameter.data, kFixedIvBytes);
  cipher.has_iv = true;
  return !cipher.encrypts ||
         RAND_bytes(cipher.iv.data() + kFixedIvBytes, int{kExplicitIvBytes}) == 1;
}

/// To be compared with, or (without one) only how long tags are.
bool SetTag(Cipher& cipher, const OSSL_PARAM& parameter) {
  if (parameter.data_size != kTagBytes) return false;
  if (parameter.data == nullptr) return true;
  if (cipher.encrypts) return false;
  std::memcpy(cipher.tag.data(), parameter.data, kTagBytes);
  cipher.has_tag = true;
  return true;
}

int SetContext(void* context, const OSSL_PARAM parameters[]) noexcept {
  Cipher& cipher = Of(context);
  if (parameters == nullptr) return 1;
  const auto find = [parameters](const char* name) {
    return OSSL_PARAM_locate_const(parameters, name);
  };
  size_t bytes = 0;
  if (const OSSL_PARAM* p = find(OSSL_CIPHER_PARAM_KEYLEN)) {
    if (OSSL_PARAM_get_size_t(p, &bytes) != 1 || bytes != KeyBytes(cipher.kind)) return 0;
  }
  if (const OSSL_PARAM* p = find(OSSL_CIPHER_PARAM_AEAD_IVLEN)) {
    if (OSSL_PARAM_get_size_t(p, &bytes) != 1 || bytes != kIvBytes) return 0;
  }
  if (const OSSL_PARAM* p = find(OSSL_CIPHER_PARAM_AEAD_TAG)) {
    if (!SetTag(cipher, *p)) return 0;
  }
  if (const OSSL_PARAM* p = find(OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED)) {
    if (!SetFixedIv(cipher, *p)) return 0;
  }
  if (const OSSL_PARAM* p = find(OSSL_CIPHER_PARAM_AEAD_TLS1_AAD)) {
    if (!SetRecordAad(cipher, *p)) return 0;
  }
  return 1;
}

int GetContext(void* context, OSSL_PARAM parameters[]) noexcept {
  Cipher& cipher = Of(context);
  const auto set = [parameters](const char* name, size_t value) {
    OSSL_PARAM* p = OSSL_PARAM_locate(parameters, name);
    return p == nullptr || OSSL_PARAM_set_size_t(p, value) == 1;
  };
  if (!set(OSSL_CIPHER_PARAM_KEYLEN, KeyBytes(cipher.kind)) ||
      !set(OSSL_CIPHER_PARAM_IVLEN, kIvBytes) || !set(OSSL_CIPHER_PARAM_AEAD_TAGLEN, kTagBytes) ||
      !set(OSSL_CIPHER_PARAM_AEAD_TLS1_AAD_PAD, kTagBytes)) {
    return 0;
  }
  OSSL_PARAM* tag = OSSL_PARAM_locate(parameters, OSSL_CIPHER_PARAM_AEAD_TAG);
  if (tag == nullptr) return 1;
  if (!cipher.encrypts || !cipher.ended || tag->data_size != kTagBytes) return 0;
  return OSSL_PARAM_set_octet_string(tag, cipher.tag.data(), kTagBytes);
}

const OSSL_PARAM* GettableContext(void*, void*) noexcept {
  static const OSSL_PARAM names[] = {
      OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_KEYLEN, nullptr),
      OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_IVLEN, nullptr),
      OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_TAGLEN, nullptr),
      OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_TLS1_AAD_PAD, nullptr),
      OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, nullptr, 0),
      OSSL_PARAM_END};
  return names;
}

const OSSL_PARAM* SettableContext(void*, void*) noexcept {
  static const OSSL_PARAM names[] = {
      OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_KEYLEN, nullptr),
      OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_IVLEN, nullptr),
      OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, nullptr, 0),
      OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_AAD, nullptr, 0),
      OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED, nullptr, 0),
      OSSL_PARAM_END};
  return names;
}

template <Kind kKind>
int GetCipher(OSSL_PARAM parameters[]) noexcept {
  const auto set = [parameters](const char* name, auto value) {
    OSSL_PARAM* p = OSSL_PARAM_locate(parameters, name);
    if (p == nullptr) return true;
    if constexpr (std::is_same_v<decltype(value), unsigned>) {
      return OSSL_PARAM_set_uint(p, value) == 1;
    } else {
      return OSSL_PARAM_set_size_t(p, value) == 1;
    }
  };
  // OpenSSL's own ChaCha20-Poly1305 has no mode either.
  const unsigned mode = IsGcm(kKind) ? EVP_CIPH_GCM_MODE : 0;
  OSSL_PARAM* aead = OSSL_PARAM_locate(parameters, OSSL_CIPHER_PARAM_AEAD);
  OSSL_PARAM* custom_iv = OSSL_PARAM_locate(parameters, OSSL_CIPHER_PARAM_CUSTOM_IV);
  const bool flags = (aead == nullptr || OSSL_PARAM_set_int(aead, 1) == 1) &&
                     (custom_iv == nullptr || OSSL_PARAM_set_int(custom_iv, 1) == 1);
  return flags && set(OSSL_CIPHER_PARAM_MODE, mode) &&
                 set(OSSL_CIPHER_PARAM_KEYLEN, KeyBytes(kKind)) &&
                 set(OSSL_CIPHER_PARAM_IVLEN, kIvBytes) &&
                 set(OSSL_CIPHER_PARAM_BLOCK_SIZE, size_t{1})
             ? 1
             : 0;
}

const OSSL_PARAM* GettableCipher(void*) noexcept {
  static const OSSL_PARAM names[] = {OSSL_PARAM_uint(OSSL_CIPHER_PARAM_MODE, nullptr),
                                     OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_KEYLEN, nullptr),
                                     OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_IVLEN, nullptr),
                                     OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_BLOCK_SIZE, nullptr),
                                     OSSL_PARAM_int(OSSL_CIPHER_PARAM_AEAD, nullptr),
                                     OSSL_PARAM_int(OSSL_CIPHER_PARAM_CUSTOM_IV, nullptr),
                                     OSSL_PARAM_END};
  return names;
}

// ---- messages

int Init(Cipher& cipher, bool encrypts, const uint8_t* key, size_t key_bytes, const uint8_t* iv,
         size_t iv_bytes, const OSSL_PARAM parameters[]) {
  cipher.encrypts = encrypts;
  cipher.begun = cipher.ended = cipher.is_record = cipher.has_tag = false;
  cipher.aad_bytes = 0;
  if (key != nullptr) {
    if (key_bytes != KeyBytes(cipher.kind)) return 0;
    ExpandKey(cipher, key);
    cipher.has_key = true;
  }
  if (iv != nullptr) {
    if (iv_bytes != kIvBytes) return 0;
    std::memcpy(cipher.iv.data(), iv, kIvBytes);
    cipher.has_iv = true;
  }
  return SetContext(&cipher, parameters);
}

int InitToEncrypt(void* context, const unsigned char* key, size_t key_bytes,
                  const unsigned char* iv, size_t iv_bytes,
                  const OSSL_PARAM parameters[]) noexcept {
  return Init(Of(context), true, key, key_bytes, iv, iv_bytes, parameters);
}

int InitToDecrypt(void* context, const unsigned char* key, size_t key_bytes,
                  const unsigned char* iv, size_t iv_bytes,
                  const OSSL_PARAM parameters[]) noexcept {
  return Init(Of(context), false, key, key_bytes, iv, iv_bytes, parameters);
}

/// RFC 5288 §3: the explicit part, sent in front, is never used twice under a key.
void CountUp(std::array<uint8_t, kIvBytes>* iv) {
  for (size_t i = kIvBytes; i-- > kFixedIvBytes;) {
    if (++(*iv)[i] != 0) break;
  }
}

/// A record of TLS 1.2, in place: explicit nonce (GCM), text, tag. `length`: of what `record` has
/// then, the text alone when it was decrypted.
bool CryptRecord(Cipher& cipher, uint8_t* record, size_t bytes, size_t* length) {
  const size_t before = IsGcm(cipher.kind) ? kExplicitIvBytes : 0;
  cipher.is_record = false;
  if (!cipher.has_iv || bytes < before + kTagBytes) return false;
  const size_t text_bytes = bytes - before - kTagBytes;
  std::array<uint8_t, kIvBytes> nonce = cipher.iv;
  if (!IsGcm(cipher.kind)) {  // RFC 7905 §2: the record's number, which begins the additional data
    for (size_t i = 0; i < 8; ++i) nonce[kIvBytes - 8 + i] ^= cipher.aad[i];
  } else if (cipher.encrypts) {
    std::memcpy(record, nonce.data() + kFixedIvBytes, kExplicitIvBytes);
    CountUp(&cipher.iv);
  } else {
    std::memcpy(nonce.data() + kFixedIvBytes, record, kExplicitIvBytes);
  }
  uint8_t* text = record + before;
  BeginMessage(cipher, nonce.data(), cipher.aad.data(), kTlsAadBytes);
  Crypt(cipher, text, text, text_bytes);
  std::array<uint8_t, kTagBytes> tag{};
  EndMessage(cipher, tag.data());
  if (cipher.encrypts) {
    std::memcpy(text + text_bytes, tag.data(), kTagBytes);
    *length = bytes;
    return true;
  }
  *length = text_bytes;
  if (CRYPTO_memcmp(tag.data(), text + text_bytes, kTagBytes) == 0) return true;
  OPENSSL_cleanse(text, text_bytes);
  return false;
}

/// Additional data without `out`, else text.
int Update(void* context, unsigned char* out, size_t* out_bytes, size_t out_room,
           const unsigned char* in, size_t bytes) noexcept {
  Cipher& cipher = Of(context);
  *out_bytes = 0;
  if (!cipher.has_key) return 0;
  if (cipher.is_record) {
    if (out == nullptr || in != out || out_room < bytes) return 0;
    return CryptRecord(cipher, out, bytes, out_bytes) ? 1 : 0;
  }
  if (!cipher.has_iv) return 0;
  if (out == nullptr) {
    if (cipher.begun || bytes > kMostAadBytes - cipher.aad_bytes) return 0;
    if (bytes > 0) std::memcpy(cipher.aad.data() + cipher.aad_bytes, in, bytes);
    cipher.aad_bytes += bytes;
    *out_bytes = bytes;
    return 1;
  }
  if (out_room < bytes) return 0;
  if (!cipher.begun) {
    BeginMessage(cipher, cipher.iv.data(), cipher.aad.data(), cipher.aad_bytes);
    cipher.begun = true;
  }
  Crypt(cipher, out, in, bytes);
  *out_bytes = bytes;
  return 1;
}

/// Makes the tag, or compares it. A nonce serves for one message.
int Final(void* context, unsigned char*, size_t* out_bytes, size_t) noexcept {
  Cipher& cipher = Of(context);
  *out_bytes = 0;
  if (!cipher.has_key || !cipher.has_iv || (!cipher.encrypts && !cipher.has_tag)) return 0;
  if (!cipher.begun) {
    BeginMessage(cipher, cipher.iv.data(), cipher.aad.data(), cipher.aad_bytes);
  }
  std::array<uint8_t, kTagBytes> tag{};
  EndMessage(cipher, tag.data());
  cipher.begun = cipher.has_iv = false;
  cipher.aad_bytes = 0;
  if (!cipher.encrypts) {
    cipher.has_tag = false;
    return CRYPTO_memcmp(tag.data(), cipher.tag.data(), kTagBytes) == 0 ? 1 : 0;
  }
  cipher.tag = tag;
  cipher.ended = true;
  return 1;
}

// ---- the provider

template <typename F>
OSSL_DISPATCH Entry(int id, F* function) {
  return {id, reinterpret_cast<void (*)()>(function)};
}

template <Kind kKind>
const OSSL_DISPATCH* Functions() {
  static const OSSL_DISPATCH functions[] = {
      Entry(OSSL_FUNC_CIPHER_NEWCTX, NewCipher<kKind>),
      Entry(OSSL_FUNC_CIPHER_FREECTX, FreeCipher),
      Entry(OSSL_FUNC_CIPHER_DUPCTX, CopyCipher),
      Entry(OSSL_FUNC_CIPHER_ENCRYPT_INIT, InitToEncrypt),
      Entry(OSSL_FUNC_CIPHER_DECRYPT_INIT, InitToDecrypt),
      Entry(OSSL_FUNC_CIPHER_UPDATE, Update),
      Entry(OSSL_FUNC_CIPHER_FINAL, Final),
      Entry(OSSL_FUNC_CIPHER_GET_PARAMS, GetCipher<kKind>),
      Entry(OSSL_FUNC_CIPHER_GETTABLE_PARAMS, GettableCipher),
      Entry(OSSL_FUNC_CIPHER_GET_CTX_PARAMS, GetContext),
      Entry(OSSL_FUNC_CIPHER_GETTABLE_CTX_PARAMS, GettableContext),
      Entry(OSSL_FUNC_CIPHER_SET_CTX_PARAMS, SetContext),
      Entry(OSSL_FUNC_CIPHER_SETTABLE_CTX_PARAMS, SettableContext),
      {0, nullptr}};
  return functions;
}

const OSSL_ALGORITHM* Query(void*, int operation, int* no_cache) noexcept {
  constexpr const char* kProperties = "provider=vaes";
  static const OSSL_ALGORITHM ciphers[] = {
      {"AES-128-GCM:id-aes128-GCM:2.16.840.1.101.3.4.1.6", kProperties, Functions<Kind::kAes128>(),
       "AES-128-GCM by libipsec-mb"},
      {"AES-256-GCM:id-aes256-GCM:2.16.840.1.101.3.4.1.46", kProperties, Functions<Kind::kAes256>(),
       "AES-256-GCM by libipsec-mb"},
      {"ChaCha20-Poly1305", kProperties, Functions<Kind::kChaCha>(),
       "ChaCha20-Poly1305 by libipsec-mb"},
      {nullptr, nullptr, nullptr, nullptr}};
  *no_cache = 0;
  return operation == OSSL_OP_CIPHER ? ciphers : nullptr;
}

void Teardown(void* context) noexcept {
  auto* provider = static_cast<Provider*>(context);
  free_mb_mgr(provider->manager);
  delete provider;
}

const OSSL_DISPATCH kProviderFunctions[] = {Entry(OSSL_FUNC_PROVIDER_QUERY_OPERATION, Query),
                                            Entry(OSSL_FUNC_PROVIDER_TEARDOWN, Teardown),
                                            {0, nullptr}};

/// Null where it has nothing that OpenSSL has not, or its self-test fails.
IMB_MGR* MakeManager() {
  IMB_MGR* manager = alloc_mb_mgr(0);
  if (manager == nullptr) return nullptr;
  init_mb_mgr_auto(manager, nullptr);
  constexpr uint64_t kNeeded = IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ | IMB_FEATURE_AVX512_SKX;
  const bool tested = (manager->features & IMB_FEATURE_SELF_TEST) == 0 ||
                      (manager->features & IMB_FEATURE_SELF_TEST_PASS) != 0;
  if (imb_get_errno(manager) == 0 && (manager->features & kNeeded) == kNeeded && tested) {
    return manager;
  }
  free_mb_mgr(manager);
  return nullptr;
}

}  // namespace
}  // namespace nearside::net

/// What libcrypto looks for in a module. 0: of no use on this machine.
extern "C" __attribute__((visibility("default"))) int OSSL_provider_init(const OSSL_CORE_HANDLE*,
                                                                         const OSSL_DISPATCH*,
                                                                         const OSSL_DISPATCH** out,
                                                                         void** context) {
  IMB_MGR* manager = nearside::net::MakeManager();
  if (manager == nullptr) return 0;
  auto* provider = new (std::nothrow) nearside::net::Provider{.manager = manager};
  if (provider == nullptr) {
    free_mb_mgr(manager);
    return 0;
  }
  *out = nearside::net::kProviderFunctions;
  *context = provider;
  return 1;
}
