#include "net/tls/files.h"

#include <sys/stat.h>

#include <cerrno>
#include <fstream>
#include <iterator>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "net/errc.h"
#include "net/tls/errc.h"
#include "net/tls/limits.h"

namespace courier::net::tls {

namespace {

BioPtr bio_over(const std::string& bytes) {
  return BioPtr(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}

// OpenSSL would ask on the terminal. What was asked for is told by `data`.
int no_passphrase(char*, int, int, void* data) {
  *static_cast<bool*>(data) = true;
  return -1;
}

bool at_end_of_pem() {
  const unsigned long error = ERR_peek_last_error();
  const bool end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  if (end) ERR_clear_error();
  return end;
}

}  // namespace

std::string openssl_words() {
  std::string words;
  while (const unsigned long error = ERR_get_error()) {
    const char* reason = ERR_reason_error_string(error);
    if (words.empty() && reason) words = reason;
  }
  return words.empty() ? "no reason given" : words;
}

Result<std::string> read_file(const std::string& path, std::string_view what) {
  const std::string named = std::string(what) + " " + path;
  if (path.empty()) return fail(errc::bad_file, std::string(what) + ": no file is named");
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(errc::bad_file, named + " cannot be read: " + system_words(errno));
  std::string bytes;
  for (char piece[64 * 1024];
       bytes.size() <= kFileBytesMax && (file.read(piece, sizeof(piece)) || file.gcount() > 0);)
    bytes.append(piece, static_cast<size_t>(file.gcount()));
  if (file.bad()) return fail(errc::bad_file, named + " cannot be read: " + system_words(errno));
  if (bytes.size() > kFileBytesMax) return fail(errc::bad_file, named + " has more than 16 MB");
  return bytes;
}

Result<std::vector<CertificatePtr>> read_certificates(const std::string& path, std::string_view what) {
  const auto bytes = read_file(path, what);
  if (!bytes) return fail(bytes.error());
  ERR_clear_error();
  const BioPtr bio = bio_over(*bytes);
  std::vector<CertificatePtr> certificates;
  while (X509* one = PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr))
    certificates.emplace_back(one);
  if (!at_end_of_pem()) {
    return fail(errc::bad_file, std::string(what) + " " + path + ": certificate number " +
                                    std::to_string(certificates.size() + 1) +
                                    " in it is broken: " + openssl_words());
  }
  if (certificates.empty()) {
    return fail(errc::bad_file,
                std::string(what) + " " + path +
                    " has no certificate in it: PEM is expected, -----BEGIN CERTIFICATE-----");
  }
  return certificates;
}

Result<KeyPtr> read_key(const std::string& path) {
  const auto bytes = read_file(path, "the private key");
  if (!bytes) return fail(bytes.error());
  ERR_clear_error();
  bool encrypted = false;
  const BioPtr bio = bio_over(*bytes);
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, &encrypted));
  if (key) return key;
  const std::string words = openssl_words();
  if (encrypted) {
    return fail(errc::bad_file,
                "the private key " + path +
                    " is encrypted, and nobody is there to type its passphrase: decrypt it with "
                    "openssl pkey -in FILE -out FILE, and let only the broker's user read it");
  }
  return fail(errc::bad_file, "the private key " + path + " cannot be used: " + words +
                                  "; PEM is expected, -----BEGIN PRIVATE KEY-----");
}

Result<std::vector<CrlPtr>> read_crls(const std::string& path) {
  const auto bytes = read_file(path, "the revocation list");
  if (!bytes) return fail(bytes.error());
  ERR_clear_error();
  std::vector<CrlPtr> crls;
  const BioPtr bio = bio_over(*bytes);
  while (X509_CRL* one = PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr)) crls.emplace_back(one);
  const bool whole = at_end_of_pem();
  if (crls.empty()) {
    const auto* at = reinterpret_cast<const unsigned char*>(bytes->data());
    if (X509_CRL* one = d2i_X509_CRL(nullptr, &at, static_cast<long>(bytes->size()))) crls.emplace_back(one);
  }
  if (crls.empty() || (!whole && bytes->find("-----BEGIN") != std::string::npos)) {
    const std::string words = openssl_words();
    return fail(errc::bad_file, "the revocation list " + path + " cannot be used: " + words +
                                    "; PEM (-----BEGIN X509 CRL-----) or DER is expected");
  }
  ERR_clear_error();
  return crls;
}

bool readable_by_others(const std::string& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 && (found.st_mode & S_IROTH) != 0;
}

}  // namespace courier::net::tls
