#include "tests/net/test_authority.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

namespace nearside::net {

namespace {

std::string PemOf(BIO* bio) {
  char* data = nullptr;
  long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

std::string CertificatePem(X509* certificate) {
  OpensslPtr<BIO> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate);
  return PemOf(bio.get());
}

void AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

OpensslPtr<X509> Blank(EVP_PKEY* key, const std::string& name, int from_days, int until_days) {
  constexpr long kDay = 24 * 3600;
  OpensslPtr<X509> certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  uint64_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), serial >> 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), from_days * kDay);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), until_days * kDay);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_pubkey(certificate.get(), key);
  return certificate;
}

}  // namespace

ScratchFolder::ScratchFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "nearside-net-XXXXXX").string();
  path_ = mkdtemp(pattern.data());
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string ScratchFolder::Write(const std::string& name, const std::string& content) const {
  std::string file = path_ + "/" + name;
  std::ofstream(file, std::ios::binary) << content;
  return file;
}

OpensslPtr<EVP_PKEY> MakeKey() { return OpensslPtr<EVP_PKEY>(EVP_EC_gen("P-256")); }

std::string KeyPem(EVP_PKEY* key, const char* password) {
  OpensslPtr<BIO> bio(BIO_new(BIO_s_mem()));
  const EVP_CIPHER* cipher = password != nullptr ? EVP_aes_128_cbc() : nullptr;
  std::string secret = password != nullptr ? password : "";
  PEM_write_bio_PrivateKey(bio.get(), key, cipher,
                           reinterpret_cast<const unsigned char*>(secret.data()),
                           static_cast<int>(secret.size()), nullptr, nullptr);
  return PemOf(bio.get());
}

TestAuthority::TestAuthority() : key_(MakeKey()) {
  static int made = 0;  // each has a name of its own, as real ones have
  certificate_ = Blank(key_.get(), "Test authority " + std::to_string(++made), -1, 365);
  X509* own = certificate_.get();
  X509_set_issuer_name(own, X509_get_subject_name(own));
  AddExtension(own, own, NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(own, own, NID_subject_key_identifier, "hash");
  X509_sign(own, key_.get(), EVP_sha256());
  file_ = folder_.Write("ca.pem", Pem());
}

std::string TestAuthority::Pem() const { return CertificatePem(certificate_.get()); }

Certificate TestAuthority::Issue(const Leaf& leaf) const {
  OpensslPtr<EVP_PKEY> key = MakeKey();
  OpensslPtr<X509> made = Blank(key.get(), leaf.common_name, leaf.from_days, leaf.until_days);
  X509_set_issuer_name(made.get(), X509_get_subject_name(certificate_.get()));
  std::string names;
  for (const std::string& name : leaf.names) names += (names.empty() ? "DNS:" : ",DNS:") + name;
  for (const std::string& ip : leaf.addresses) names += (names.empty() ? "IP:" : ",IP:") + ip;
  if (!names.empty()) {
    AddExtension(made.get(), certificate_.get(), NID_subject_alt_name, names);
  }
  X509_sign(made.get(), key_.get(), EVP_sha256());
  return Certificate{"chain.pem", "key.pem", CertificatePem(made.get()), KeyPem(key.get())};
}

}  // namespace nearside::net
