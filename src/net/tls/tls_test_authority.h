// For tests: a certificate authority in memory, and a folder for what it issues. Made anew by each test, so
// that no private key lies in the repository.
//
//   TestFolder folder;
//   TestAuthority authority("Example CA");
//   const auto server = authority.issue({.common_name = "broker.example", .dns = {"broker.example"}});
//   options.certificates = {{folder.write("server.pem", server.certificate), folder.write("server.key",
//   server.key)}};
#pragma once

#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "net/tls/openssl.h"

namespace courier::net::tls {

inline constexpr long kTestHour = 3600, kTestDay = 24 * kTestHour;

// A temporary folder, gone with this.
class TestFolder {
 public:
  TestFolder() {
    char path[] = "/tmp/courier_tls_XXXXXX";
    CHECK(::mkdtemp(path) != nullptr);
    path_ = path;
  }
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  std::string path(const std::string& name) const { return path_ + "/" + name; }
  // Readable by the owner only.
  std::string write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path(name), std::ios::binary | std::ios::trunc) << bytes;
    ::chmod(path(name).c_str(), 0600);
    return path(name);
  }

 private:
  std::string path_;
};

enum class TestKey { p256, rsa2048 };

// Times are seconds from now.
struct TestRequest {
  std::string common_name;
  std::vector<std::string> dns = {}, uri = {}, email = {}, ip = {};
  TestKey key = TestKey::p256;
  long valid_from = -kTestDay, valid_until = 365 * kTestDay;
  std::string organization = {};
};

// PEM: the certificate and, if an intermediate authority issued it, that one's behind it.
struct TestCertificate {
  std::string certificate, key;
};

class TestAuthority {
 public:
  // With a parent an intermediate one.
  explicit TestAuthority(const std::string& name, const TestAuthority* parent = nullptr)
      : key_(make_key(TestKey::p256)) {
    certificate_ =
        make(TestRequest{.common_name = name, .valid_until = 3650 * kTestDay}, key_.get(), true,
             parent ? parent->certificate_.get() : nullptr, parent ? parent->key_.get() : key_.get());
    if (parent) above_ = certificate() + parent->above_;
  }

  std::string certificate() const { return pem(certificate_.get()); }

  TestCertificate issue(const TestRequest& request) const {
    const KeyPtr key = make_key(request.key);
    const CertificatePtr made = make(request, key.get(), false, certificate_.get(), key_.get());
    return {pem(made.get()) + above_, pem(key.get())};
  }

  // A list of revocations, PEM.
  std::string crl(const std::vector<TestCertificate>& revoked, long valid_until = 30 * kTestDay,
                  long valid_from = -kTestHour) const {
    const CrlPtr crl(X509_CRL_new());
    X509_CRL_set_version(crl.get(), 1);
    X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(certificate_.get()));
    const TimePtr from(X509_gmtime_adj(nullptr, valid_from)), until(X509_gmtime_adj(nullptr, valid_until));
    X509_CRL_set1_lastUpdate(crl.get(), from.get());
    X509_CRL_set1_nextUpdate(crl.get(), until.get());
    for (const TestCertificate& one : revoked) {
      X509_REVOKED* entry = X509_REVOKED_new();
      const CertificatePtr certificate = parse(one.certificate);
      X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate.get()));
      X509_REVOKED_set_revocationDate(entry, from.get());
      X509_CRL_add0_revoked(crl.get(), entry);
    }
    X509_CRL_sort(crl.get());
    CHECK(X509_CRL_sign(crl.get(), key_.get(), EVP_sha256()) > 0);
    const BioPtr out(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509_CRL(out.get(), crl.get());
    return contents(out.get());
  }

  // An OCSP response, DER. `status`: V_OCSP_CERTSTATUS_GOOD, _REVOKED, _UNKNOWN.
  std::string ocsp(const TestCertificate& about, int status = V_OCSP_CERTSTATUS_GOOD,
                   long valid_until = kTestDay, long valid_from = -kTestHour) const {
    const CertificatePtr certificate = parse(about.certificate);
    OCSP_BASICRESP* basic = OCSP_BASICRESP_new();
    OCSP_CERTID* id = OCSP_cert_to_id(EVP_sha1(), certificate.get(), certificate_.get());
    const TimePtr from(X509_gmtime_adj(nullptr, valid_from)), until(X509_gmtime_adj(nullptr, valid_until));
    OCSP_basic_add1_status(basic, id, status, OCSP_REVOKED_STATUS_NOSTATUS,
                           status == V_OCSP_CERTSTATUS_REVOKED ? from.get() : nullptr, from.get(),
                           until.get());
    CHECK(OCSP_basic_sign(basic, certificate_.get(), key_.get(), EVP_sha256(), nullptr, 0) == 1);
    OCSP_RESPONSE* response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    unsigned char* bytes = nullptr;
    const int size = i2d_OCSP_RESPONSE(response, &bytes);
    const std::string der(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
    OPENSSL_free(bytes);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    return der;
  }

 private:
  using TimePtr = std::unique_ptr<ASN1_TIME, Freed<ASN1_TIME_free>>;

  static KeyPtr make_key(TestKey kind) {
    return KeyPtr(kind == TestKey::p256 ? EVP_EC_gen("P-256") : EVP_RSA_gen(2048));
  }

  static std::string contents(BIO* bio) {
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(bio, &bytes);
    return {bytes, static_cast<size_t>(size)};
  }
  static std::string pem(X509* certificate) {
    const BioPtr out(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(out.get(), certificate);
    return contents(out.get());
  }
  static std::string pem(EVP_PKEY* key) {
    const BioPtr out(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
    return contents(out.get());
  }
  static CertificatePtr parse(const std::string& text) {
    const BioPtr in(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    return CertificatePtr(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
  }

  static void extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer ? issuer : certificate, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
    CHECK(extension != nullptr);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }

  static CertificatePtr make(const TestRequest& request, EVP_PKEY* key, bool is_authority, X509* issuer,
                             EVP_PKEY* issuer_key) {
    static std::atomic<long> serial{0x1000};
    CertificatePtr made(X509_new());
    X509_set_version(made.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), request.valid_from);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), request.valid_until);
    X509_set_pubkey(made.get(), key);
    X509_NAME* name = X509_get_subject_name(made.get());
    const auto add = [&](const char* field, const std::string& value) {
      if (value.empty()) return;
      X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(value.data()),
                                 static_cast<int>(value.size()), -1, 0);
    };
    add("O", request.organization);
    add("CN", request.common_name);
    X509_set_issuer_name(made.get(), issuer ? X509_get_subject_name(issuer) : name);
    extend(made.get(), issuer, NID_basic_constraints,
           is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    extend(made.get(), issuer, NID_subject_key_identifier, "hash");
    extend(made.get(), issuer, NID_authority_key_identifier, "keyid");
    if (is_authority)
      extend(made.get(), issuer, NID_key_usage, "critical,keyCertSign,cRLSign,digitalSignature");
    std::string names;
    const auto alternatives = [&](const char* kind, const std::vector<std::string>& values) {
      for (const std::string& value : values)
        names += (names.empty() ? "" : ",") + std::string(kind) + ":" + value;
    };
    alternatives("DNS", request.dns);
    alternatives("URI", request.uri);
    alternatives("email", request.email);
    alternatives("IP", request.ip);
    if (!names.empty()) extend(made.get(), issuer, NID_subject_alt_name, names);
    CHECK(X509_sign(made.get(), issuer_key, EVP_sha256()) > 0);
    return made;
  }

  KeyPtr key_;
  CertificatePtr certificate_;
  std::string above_;  // PEM, for the chains of what it issues
};

}  // namespace courier::net::tls
