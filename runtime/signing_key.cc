#include "runtime/signing_key.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "runtime/crypto.h"
#include "runtime/fatal.h"

namespace nearside {

namespace {

constexpr int kCoordinateBytes = 32;

template <typename T, void (*Free)(T*)>
struct Freeing {
  void operator()(T* object) const { Free(object); }
};
using BioPtr = std::unique_ptr<BIO, Freeing<BIO, BIO_free_all>>;
using SignaturePtr = std::unique_ptr<ECDSA_SIG, Freeing<ECDSA_SIG, ECDSA_SIG_free>>;
using NumberPtr = std::unique_ptr<BIGNUM, Freeing<BIGNUM, BN_free>>;

/// An encrypted key would otherwise have the terminal asked for its pass phrase.
int NoPassPhrase(char*, int, int, void*) { return -1; }

bool IsOnP256(const EVP_PKEY* key) {
  char group[32];
  return EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) == 1 &&
         std::string_view(group) == "prime256v1";
}

/// The x or y of a point, padded.
void AppendCoordinate(const EVP_PKEY* key, const char* name, std::vector<uint8_t>* out) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &number) != 1) Fatal("a P-256 key without its point");
  const NumberPtr owner(number);
  const size_t at = out->size();
  out->resize(at + kCoordinateBytes);
  BN_bn2binpad(number, out->data() + at, kCoordinateBytes);
}

}  // namespace

struct SigningKey::State {
  struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  using PkeyPtr = std::unique_ptr<EVP_PKEY, Free>;

  PkeyPtr key;
  SigningAlgorithm algorithm;
  std::unique_ptr<EVP_PKEY_CTX, Free>
      ecdsa;  ///< set up once: it costs as much as a third of a signature
  std::unique_ptr<EVP_MD_CTX, Free> one_shot;  ///< Ed25519's

  State(PkeyPtr taken, SigningAlgorithm of) : key(std::move(taken)), algorithm(of) {
    if (algorithm == SigningAlgorithm::kEcdsaP256) {
      ecdsa.reset(EVP_PKEY_CTX_new(key.get(), nullptr));
      if (ecdsa == nullptr || EVP_PKEY_sign_init(ecdsa.get()) != 1) Fatal("ECDSA cannot sign");
    } else {
      one_shot.reset(EVP_MD_CTX_new());
      if (one_shot == nullptr) Fatal("no memory for a signature");
    }
  }
};

SigningKey::SigningKey(std::unique_ptr<State> state) : state_(std::move(state)) {}
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&&) noexcept = default;
SigningKey::~SigningKey() = default;

SigningKey SigningKey::Generate(SigningAlgorithm algorithm) {
  State::PkeyPtr key(algorithm == SigningAlgorithm::kEcdsaP256
                         ? EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")
                         : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (key == nullptr) Fatal("libcrypto cannot generate a key");
  return SigningKey(std::make_unique<State>(std::move(key), algorithm));
}

Result<SigningKey> SigningKey::FromPem(std::string_view text) {
  const BioPtr bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  State::PkeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassPhrase, nullptr));
  ERR_clear_error();
  if (key == nullptr) {
    return Fail(Fault::kOperator, "bad_key",
                "expected a private key in PEM form, without a pass phrase");
  }
  if (EVP_PKEY_is_a(key.get(), "ED25519") == 1) {
    return SigningKey(std::make_unique<State>(std::move(key), SigningAlgorithm::kEd25519));
  }
  if (EVP_PKEY_is_a(key.get(), "EC") == 1 && IsOnP256(key.get())) {
    return SigningKey(std::make_unique<State>(std::move(key), SigningAlgorithm::kEcdsaP256));
  }
  return Fail(Fault::kOperator, "bad_key", "expected a key of P-256 or Ed25519");
}

SigningKey SigningKey::Copy() const {
  State::PkeyPtr key(EVP_PKEY_dup(state_->key.get()));
  if (key == nullptr) Fatal("libcrypto cannot copy a key");
  return SigningKey(std::make_unique<State>(std::move(key), state_->algorithm));
}

SigningAlgorithm SigningKey::algorithm() const { return state_->algorithm; }

std::vector<uint8_t> SigningKey::PublicBytes() const {
  std::vector<uint8_t> bytes;
  if (state_->algorithm == SigningAlgorithm::kEcdsaP256) {
    AppendCoordinate(state_->key.get(), OSSL_PKEY_PARAM_EC_PUB_X, &bytes);
    AppendCoordinate(state_->key.get(), OSSL_PKEY_PARAM_EC_PUB_Y, &bytes);
    return bytes;
  }
  size_t size = kCoordinateBytes;
  bytes.resize(size);
  if (EVP_PKEY_get_raw_public_key(state_->key.get(), bytes.data(), &size) != 1) {
    Fatal("an Ed25519 key without its public half");
  }
  return bytes;
}

std::string SigningKey::ToPem() const {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || PEM_write_bio_PrivateKey(bio.get(), state_->key.get(), nullptr, nullptr, 0,
                                                 nullptr, nullptr) != 1) {
    Fatal("libcrypto cannot write a key");
  }
  const char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<size_t>(size)};
}

Signature SigningKey::Sign(std::span<const uint8_t> bytes) const {
  Signature signature{};
  if (state_->algorithm == SigningAlgorithm::kEd25519) {
    size_t size = signature.size();
    if (EVP_DigestSignInit(state_->one_shot.get(), nullptr, nullptr, nullptr, state_->key.get()) !=
            1 ||
        EVP_DigestSign(state_->one_shot.get(), signature.data(), &size, bytes.data(),
                       bytes.size()) != 1) {
      Fatal("Ed25519 failed");
    }
    return signature;
  }
  const Sha256Digest digest = Sha256Of({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  uint8_t der[80];  // a sequence of two integers of 33 bytes at most
  size_t der_bytes = sizeof der;
  if (EVP_PKEY_sign(state_->ecdsa.get(), der, &der_bytes, digest.data(), digest.size()) != 1) {
    Fatal("ECDSA failed");
  }
  const uint8_t* at = der;
  const SignaturePtr parsed(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der_bytes)));
  if (parsed == nullptr) Fatal("ECDSA gave no signature");
  BN_bn2binpad(ECDSA_SIG_get0_r(parsed.get()), signature.data(), kCoordinateBytes);
  BN_bn2binpad(ECDSA_SIG_get0_s(parsed.get()), signature.data() + kCoordinateBytes,
               kCoordinateBytes);
  return signature;
}

}  // namespace nearside
