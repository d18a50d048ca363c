// The module of TLS ciphers against OpenSSL's own, as libcrypto calls it and as libssl does. On a
// processor without VAES, or where the module is not built, there is nothing but the refusal to
// test.

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/openssl_handles.h"
#include "net/tls_cipher_module.h"
#include "runtime/crypto.h"
#include "tests/net/test_authority.h"

namespace nearside::net {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr const char* kOwn = "provider=vaes";
constexpr const char* kOpenssl = "provider=default";
constexpr int kTagBytes = 16;

/// By the kernel's word: the module asks the processor.
bool HasProcessor() {
  std::ifstream file("/proc/cpuinfo");
  const std::set<std::string> words{std::istream_iterator<std::string>(file), {}};
  return std::ranges::all_of(std::array{"vaes", "vpclmulqdq", "avx512bw", "avx512vl"},
                             [&](const char* word) { return words.contains(word); });
}

/// Whether the module is there: loaded once for the process.
bool HasModule() {
  static const bool loaded = LoadTlsCiphers(NEARSIDE_MODULE_FOLDER);
  return loaded;
}

struct CipherContext {
  explicit CipherContext(const char* name, const char* properties)
      : cipher(EVP_CIPHER_fetch(nullptr, name, properties)), context(EVP_CIPHER_CTX_new()) {}
  ~CipherContext() { EVP_CIPHER_CTX_free(context); }
  CipherContext(const CipherContext&) = delete;
  CipherContext& operator=(const CipherContext&) = delete;
  OpensslPtr<EVP_CIPHER> cipher;
  EVP_CIPHER_CTX* context;
};

struct Message {
  Bytes key, iv, aad, text;
};

Bytes FromHex(std::string_view text) {
  const std::string bytes = *HexDecode(text);
  return {bytes.begin(), bytes.end()};
}

/// The text in pieces of these lengths over and over, then the tag. Empty: it failed.
Bytes Encrypt(const char* name, const char* properties, const Message& message,
              const std::vector<size_t>& pieces) {
  CipherContext c(name, properties);
  int n = 0;
  if (EVP_EncryptInit_ex2(c.context, c.cipher.get(), message.key.data(), message.iv.data(),
                          nullptr) != 1 ||
      EVP_EncryptUpdate(c.context, nullptr, &n, message.aad.data(),
                        static_cast<int>(message.aad.size())) != 1) {
    return {};
  }
  Bytes out(message.text.size() + kTagBytes);
  size_t at = 0;
  for (size_t i = 0; at < message.text.size(); ++i) {
    const size_t take = std::min(pieces[i % pieces.size()], message.text.size() - at);
    if (EVP_EncryptUpdate(c.context, out.data() + at, &n, message.text.data() + at,
                          static_cast<int>(take)) != 1 ||
        static_cast<size_t>(n) != take) {
      return {};
    }
    at += take;
  }
  if (EVP_EncryptFinal_ex(c.context, out.data() + at, &n) != 1 || n != 0 ||
      EVP_CIPHER_CTX_ctrl(c.context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, out.data() + at) != 1) {
    return {};
  }
  return out;
}

/// True if the tag is right; then `text` is what was encrypted.
bool Decrypt(const char* name, const char* properties, const Message& message, Bytes sealed,
             Bytes* text) {
  CipherContext c(name, properties);
  int n = 0;
  const size_t bytes = sealed.size() - kTagBytes;
  text->resize(bytes);
  return EVP_DecryptInit_ex2(c.context, c.cipher.get(), message.key.data(), message.iv.data(),
                             nullptr) == 1 &&
         EVP_CIPHER_CTX_ctrl(c.context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, sealed.data() + bytes) ==
             1 &&
         EVP_DecryptUpdate(c.context, nullptr, &n, message.aad.data(),
                           static_cast<int>(message.aad.size())) == 1 &&
         EVP_DecryptUpdate(c.context, text->data(), &n, sealed.data(), static_cast<int>(bytes)) ==
             1 &&
         EVP_DecryptFinal_ex(c.context, text->data() + bytes, &n) == 1;
}

struct Suite {
  const char* cipher;
  size_t key_bytes;
  const char* tls13;
  const char* tls12;
};
const Suite kSuites[] = {
    {"AES-128-GCM", 16, "TLS_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"},
    {"AES-256-GCM", 32, "TLS_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {"ChaCha20-Poly1305", 32, "TLS_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"},
};

TEST(VaesModuleTest, IsLoadedExactlyWhereItIsOfUse) {
  EXPECT_EQ(HasModule(), HasProcessor() && NEARSIDE_HAS_MODULE);
  EXPECT_EQ(TlsProperties() != nullptr, HasModule());
  EXPECT_FALSE(LoadTlsCiphers("/nowhere"));
  EXPECT_FALSE(LoadTlsCiphers(""));
  // The ciphers that it has not are still there.
  EXPECT_NE(OpensslPtr<EVP_CIPHER>(EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr)), nullptr);
}

// GCM: McGrew, Viega, The Galois/Counter Mode of Operation, test cases 4 and 16; RFC 8439 §2.8.2.
TEST(VaesModuleTest, PublishedVectors) {
  if (!HasModule()) return;
  const Bytes aad = FromHex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const Bytes iv = FromHex("cafebabefacedbaddecaf888");
  const Bytes text = FromHex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6"
      "b5"
      "25b16aedf5aa0de657ba637b39");
  const std::string key = "feffe9928665731c6d6a8f9467308308";
  EXPECT_EQ(
      HexEncode(Encrypt("AES-128-GCM", kOwn, {FromHex(key), iv, aad, text}, {60})),
      "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac"
      "84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47");
  EXPECT_EQ(
      HexEncode(Encrypt("AES-256-GCM", kOwn, {FromHex(key + key), iv, aad, text}, {60})),
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056"
      "828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b");
  const std::string words =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
      "sunscreen would be it.";
  const Message sunscreen{
      .key = FromHex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"),
      .iv = FromHex("070000004041424344454647"),
      .aad = FromHex("50515253c0c1c2c3c4c5c6c7"),
      .text = Bytes(words.begin(), words.end())};
  EXPECT_EQ(
      HexEncode(Encrypt("ChaCha20-Poly1305", kOwn, sunscreen, {1000})),
      "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da"
      "92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585"
      "808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691");
}

TEST(VaesModuleTest, SaysWhatOpensslSays) {
  if (!HasModule()) return;
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto bytes = [&random](size_t n) {
    Bytes made(n);
    for (uint8_t& byte : made) byte = static_cast<uint8_t>(random());
    return made;
  };
  for (const Suite& suite : kSuites) {
    for (size_t n = 0; n < 1200; ++n) {
      const size_t length = n < 1000 ? n : random() % 20'000;
      const Message message{.key = bytes(suite.key_bytes),
                            .iv = bytes(12),
                            .aad = bytes(random() % 65),
                            .text = bytes(length)};
      const Bytes theirs = Encrypt(suite.cipher, kOpenssl, message, {length + 1});
      const Bytes ours =
          Encrypt(suite.cipher, kOwn, message, {1 + random() % 100, 1 + random() % 5000});
      ASSERT_EQ(ours, theirs) << suite.cipher << " of " << length;
      Bytes text;
      ASSERT_TRUE(Decrypt(suite.cipher, kOwn, message, theirs, &text)) << length;
      ASSERT_EQ(text, message.text);
      Bytes bent = theirs;
      bent[random() % bent.size()] ^= static_cast<uint8_t>(1 + random() % 255);
      ASSERT_FALSE(Decrypt(suite.cipher, kOwn, message, bent, &text)) << length;
      Message other = message;
      other.aad.push_back(0);
      if (other.aad.size() <= 64) {
        ASSERT_FALSE(Decrypt(suite.cipher, kOwn, other, theirs, &text));
      }
    }
  }
}

TEST(VaesModuleTest, WhatIsOutOfOrderIsRefused) {
  if (!HasModule()) return;
  const Message message{.key = Bytes(16, 1), .iv = Bytes(12, 2), .aad = Bytes(65), .text = {3}};
  EXPECT_EQ(Encrypt("AES-128-GCM", kOwn, message, {1}), Bytes()) << "too much additional data";
  CipherContext c("AES-128-GCM", kOwn);
  uint8_t out[32] = {};
  int n = 0;
  ASSERT_EQ(EVP_EncryptInit_ex2(c.context, c.cipher.get(), nullptr, nullptr, nullptr), 1);
  EXPECT_NE(EVP_EncryptUpdate(c.context, out, &n, out, 1), 1) << "no key";
  EXPECT_NE(EVP_EncryptFinal_ex(c.context, out, &n), 1);
  ASSERT_EQ(EVP_EncryptInit_ex2(c.context, nullptr, message.key.data(), nullptr, nullptr), 1);
  EXPECT_NE(EVP_EncryptUpdate(c.context, out, &n, out, 1), 1) << "no nonce";
  ASSERT_EQ(EVP_EncryptInit_ex2(c.context, nullptr, nullptr, message.iv.data(), nullptr), 1);
  EXPECT_NE(EVP_CIPHER_CTX_ctrl(c.context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, out), 1)
      << "no tag yet";
  EXPECT_EQ(EVP_EncryptUpdate(c.context, out, &n, out, 1), 1);
  EXPECT_NE(EVP_EncryptUpdate(c.context, nullptr, &n, out, 1), 1) << "additional data behind text";
  EXPECT_EQ(EVP_EncryptFinal_ex(c.context, out, &n), 1);
  EXPECT_NE(EVP_EncryptUpdate(c.context, out, &n, out, 1), 1) << "the same nonce again";
  EXPECT_NE(EVP_CIPHER_CTX_ctrl(c.context, EVP_CTRL_AEAD_SET_IVLEN, 16, nullptr), 1);
  ASSERT_EQ(EVP_DecryptInit_ex2(c.context, nullptr, message.key.data(), message.iv.data(), nullptr),
            1);
  EXPECT_NE(EVP_DecryptFinal_ex(c.context, out, &n), 1) << "nothing to compare with";
  ERR_clear_error();
}

/// Two ends in memory, one with the module's ciphers, the other with OpenSSL's.
class TlsPair {
 public:
  TlsPair(const char* server, const char* client, int version, const Suite& suite) {
    const TestAuthority authority;
    const Certificate certificate =
        authority.Issue({.names = {"a.test"}, .addresses = {}, .common_name = "leaf"});
    server_context_.reset(SSL_CTX_new_ex(nullptr, server, TLS_server_method()));
    client_context_.reset(SSL_CTX_new_ex(nullptr, client, TLS_client_method()));
    Use(certificate);
    for (SSL_CTX* context : {server_context_.get(), client_context_.get()}) {
      SSL_CTX_set_min_proto_version(context, version);
      SSL_CTX_set_max_proto_version(context, version);
      SSL_CTX_set_ciphersuites(context, suite.tls13);
      SSL_CTX_set_cipher_list(context, suite.tls12);
    }
    server_.reset(SSL_new(server_context_.get()));
    client_.reset(SSL_new(client_context_.get()));
    BIO* ours = nullptr;
    BIO* theirs = nullptr;
    BIO_new_bio_pair(&ours, 1 << 20, &theirs, 1 << 20);
    SSL_set_bio(server_.get(), ours, ours);
    SSL_set_bio(client_.get(), theirs, theirs);
    SSL_set_accept_state(server_.get());
    SSL_set_connect_state(client_.get());
  }

  bool Handshake() {
    for (int i = 0; i < 10; ++i) {
      const int a = SSL_do_handshake(client_.get());
      const int b = SSL_do_handshake(server_.get());
      if (a == 1 && b == 1) return true;
    }
    return false;
  }
  /// "" or what went wrong.
  std::string Send(bool from_server, const Bytes& bytes) {
    SSL* from = from_server ? server_.get() : client_.get();
    SSL* to = from_server ? client_.get() : server_.get();
    if (SSL_write(from, bytes.data(), static_cast<int>(bytes.size())) <= 0) return "not written";
    Bytes got(bytes.size());
    for (size_t at = 0; at < got.size();) {
      const int n = SSL_read(to, got.data() + at, static_cast<int>(got.size() - at));
      if (n <= 0) return "not read: " + TakeOpensslError();
      at += static_cast<size_t>(n);
    }
    return got == bytes ? "" : "other bytes";
  }
  const char* cipher() const { return SSL_get_cipher_name(server_.get()); }

 private:
  void Use(const Certificate& certificate) {
    OpensslPtr<BIO> chain(BIO_new_mem_buf(certificate.chain_pem.data(),
                                          static_cast<int>(certificate.chain_pem.size())));
    OpensslPtr<BIO> key(
        BIO_new_mem_buf(certificate.key_pem.data(), static_cast<int>(certificate.key_pem.size())));
    OpensslPtr<X509> leaf(PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr));
    OpensslPtr<EVP_PKEY> secret(PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr));
    SSL_CTX_use_certificate(server_context_.get(), leaf.get());
    SSL_CTX_use_PrivateKey(server_context_.get(), secret.get());
  }
  OpensslPtr<SSL_CTX> server_context_, client_context_;
  OpensslPtr<SSL> server_, client_;
};

TEST(VaesModuleTest, SpeaksTlsWithOpenssl) {
  if (!HasModule()) return;
  std::mt19937 random(7);
  for (const Suite& suite : kSuites) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      for (const auto& [server, client] :
           {std::pair{TlsProperties(), kOpenssl}, std::pair{kOpenssl, TlsProperties()},
            std::pair{TlsProperties(), TlsProperties()}}) {
        TlsPair pair(server, client, version, suite);
        ASSERT_TRUE(pair.Handshake()) << suite.cipher << " " << TakeOpensslError();
        EXPECT_STREQ(pair.cipher(), version == TLS1_3_VERSION ? suite.tls13 : suite.tls12);
        for (int i = 0; i < 300; ++i) {
          Bytes bytes(1 + random() % (i % 10 == 0 ? 200'000 : 2'000));
          for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
          ASSERT_EQ(pair.Send(i % 2 == 0, bytes), "") << suite.cipher << " of " << bytes.size();
        }
      }
    }
  }
}

}  // namespace
}  // namespace nearside::net
