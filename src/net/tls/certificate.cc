#include "net/tls/certificate.h"

#include <algorithm>
#include <ctime>

#include "base/utf8.h"
#include "net/tls/limits.h"

namespace courier::net::tls {

namespace {

std::string hexadecimal(const unsigned char* bytes, size_t size) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(size * 2);
  for (size_t i = 0; i < size; ++i) {
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

// Empty when it cannot stand for anybody: not text, or with a NUL that hides the rest from others.
std::string name_of(const ASN1_STRING* string) {
  unsigned char* bytes = nullptr;
  const int size = ASN1_STRING_to_UTF8(&bytes, string);
  if (size < 0) return {};
  std::string name(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
  OPENSSL_free(bytes);
  if (name.size() > kNameBytesMax || name.find('\0') != std::string::npos || !is_well_formed_utf8(name)) {
    return {};
  }
  return name;
}

// The last of its kind in the subject; empty without one.
std::string subject_part(X509* certificate, int kind) {
  const X509_NAME* subject = X509_get_subject_name(certificate);
  int last = -1;
  for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, kind, at)) >= 0;) last = at;
  return last < 0 ? std::string() : name_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)));
}

struct AlternativeNames {
  std::vector<std::string> dns, uri, email;
};

AlternativeNames alternative_names(X509* certificate) {
  AlternativeNames found;
  using NamesPtr = std::unique_ptr<GENERAL_NAMES, Freed<GENERAL_NAMES_free>>;
  const NamesPtr names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* general = sk_GENERAL_NAME_value(names.get(), i);
    std::vector<std::string>* list = general->type == GEN_DNS     ? &found.dns
                                     : general->type == GEN_URI   ? &found.uri
                                     : general->type == GEN_EMAIL ? &found.email
                                                                  : nullptr;
    if (!list || list->size() >= kNamesMax) continue;
    if (std::string name = name_of(general->d.ia5); !name.empty()) list->push_back(std::move(name));
  }
  return found;
}

std::string key_words(X509* certificate) {
  const EVP_PKEY* key = X509_get0_pubkey(certificate);
  if (!key) return "unknown";
  char group[64] = {};
  size_t size = 0;
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && EVP_PKEY_get_group_name(key, group, sizeof(group), &size)) {
    return "EC " + std::string(std::string_view(group) == "prime256v1" ? "P-256" : group);
  }
  const char* kind = EVP_PKEY_get0_type_name(key);
  return std::string(kind ? kind : "unknown") + " " + std::to_string(EVP_PKEY_get_bits(key));
}

}  // namespace

std::string subject(X509* certificate) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (!out) return {};
  X509_NAME_print_ex(out.get(), X509_get_subject_name(certificate), 0,
                     XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(out.get(), &bytes);
  std::string text(bytes, size > 0 ? static_cast<size_t>(size) : 0);
  if (text.size() > kNameBytesMax || !is_well_formed_utf8(text)) return {};
  return text;
}

std::string fingerprint(X509* certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest, &size) != 1) return {};
  return hexadecimal(digest, size);
}

WallMs wall_ms(const ASN1_TIME* time) {
  std::tm parts{};
  if (!time || ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return WallMs{timegm(&parts)} * 1000;
}

std::string date(WallMs time) {
  const std::time_t seconds = static_cast<std::time_t>(time / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  return std::string(text, std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M UTC", &parts));
}

std::vector<std::string> server_names(X509* certificate) {
  std::vector<std::string> names = alternative_names(certificate).dns;
  if (names.empty()) {
    if (std::string name = subject_part(certificate, NID_commonName); !name.empty())
      names.push_back(std::move(name));
  }
  return names;
}

CertificateDescription describe(X509* certificate) {
  CertificateDescription description;
  description.subject = subject(certificate);
  description.names = server_names(certificate);
  description.key = key_words(certificate);
  description.fingerprint = fingerprint(certificate);
  description.not_before = wall_ms(X509_get0_notBefore(certificate));
  description.not_after = wall_ms(X509_get0_notAfter(certificate));
  return description;
}

PeerCertificate peer_certificate(X509* certificate) {
  PeerCertificate peer;
  peer.common_name = subject_part(certificate, NID_commonName);
  peer.organization = subject_part(certificate, NID_organizationName);
  peer.unit = subject_part(certificate, NID_organizationalUnitName);
  peer.subject = subject(certificate);
  AlternativeNames names = alternative_names(certificate);
  peer.dns = std::move(names.dns);
  peer.uri = std::move(names.uri);
  peer.email = std::move(names.email);
  const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate);
  peer.serial = hexadecimal(ASN1_STRING_get0_data(serial), static_cast<size_t>(ASN1_STRING_length(serial)));
  peer.serial.erase(0, std::min(peer.serial.find_first_not_of('0'), peer.serial.size()));
  peer.fingerprint = fingerprint(certificate);
  peer.not_after = wall_ms(X509_get0_notAfter(certificate));
  return peer;
}

}  // namespace courier::net::tls
