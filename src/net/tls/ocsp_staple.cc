#include "net/tls/ocsp_staple.h"

#include <algorithm>

#include <openssl/err.h>

#include "net/tls/certificate.h"
#include "net/tls/errc.h"
#include "net/tls/files.h"

namespace courier::net::tls {

namespace {

// Whether an entry of a response speaks of this certificate.
bool is_about(const OCSP_CERTID* id, const X509* certificate, const X509* issuer) {
  ASN1_OCTET_STRING *name = nullptr, *key = nullptr;
  ASN1_OBJECT* algorithm = nullptr;
  ASN1_INTEGER* serial = nullptr;
  if (OCSP_id_get0_info(&name, &algorithm, &key, &serial, const_cast<OCSP_CERTID*>(id)) != 1) return false;
  if (ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(certificate)) != 0) return false;
  const EVP_MD* digest = EVP_get_digestbyobj(algorithm);
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  const auto equals = [&](const ASN1_OCTET_STRING* other) {
    return ASN1_STRING_length(other) == static_cast<int>(size) &&
           std::equal(hash, hash + size, ASN1_STRING_get0_data(other));
  };
  if (!digest || X509_NAME_digest(X509_get_issuer_name(certificate), digest, hash, &size) != 1 ||
      !equals(name)) {
    return false;
  }
  if (!issuer) return true;
  const ASN1_BIT_STRING* bits = X509_get0_pubkey_bitstr(issuer);
  return EVP_Digest(ASN1_STRING_get0_data(bits), static_cast<size_t>(ASN1_STRING_length(bits)), hash, &size,
                    digest, nullptr) == 1 &&
         equals(key);
}

}  // namespace

Result<OcspStaple> load_ocsp_staple(const std::string& path, X509* certificate, X509* issuer, WallMs now) {
  auto bytes = read_file(path, "the OCSP response");
  if (!bytes) return fail(bytes.error());
  const auto bad = [&](const std::string& what) {
    ERR_clear_error();
    return fail(errc::bad_file, "the OCSP response " + path + " " + what);
  };
  ERR_clear_error();
  const auto* at = reinterpret_cast<const unsigned char*>(bytes->data());
  using ResponsePtr = std::unique_ptr<OCSP_RESPONSE, Freed<OCSP_RESPONSE_free>>;
  const ResponsePtr response(d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(bytes->size())));
  if (!response) {
    return bad("is none: DER is expected, as openssl ocsp -respout writes it");
  }
  if (const int status = OCSP_response_status(response.get()); status != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    return bad(std::string("holds no answer but the responder's refusal: ") +
               OCSP_response_status_str(status));
  }
  using BasicPtr = std::unique_ptr<OCSP_BASICRESP, Freed<OCSP_BASICRESP_free>>;
  const BasicPtr basic(OCSP_response_get1_basic(response.get()));
  if (!basic) return bad("cannot be read: " + openssl_words());
  if (issuer) {
    const StorePtr trusted(X509_STORE_new());
    if (!trusted || X509_STORE_add_cert(trusted.get(), issuer) != 1 ||
        OCSP_basic_verify(basic.get(), nullptr, trusted.get(), OCSP_PARTIAL_CHAIN) <= 0) {
      return bad("was not signed by the issuer of the certificate: " + openssl_words());
    }
  }
  for (int i = 0; i < OCSP_resp_count(basic.get()); ++i) {
    OCSP_SINGLERESP* single = OCSP_resp_get0(basic.get(), i);
    if (!is_about(OCSP_SINGLERESP_get0_id(single), certificate, issuer)) continue;
    ASN1_GENERALIZEDTIME *from = nullptr, *until = nullptr;
    int reason = 0;
    const int status = OCSP_single_get0_status(single, &reason, nullptr, &from, &until);
    if (status == V_OCSP_CERTSTATUS_REVOKED) {
      return bad("says that the certificate " + subject(certificate) + " is revoked: get a new certificate");
    }
    if (status != V_OCSP_CERTSTATUS_GOOD) return bad("does not know the certificate " + subject(certificate));
    constexpr WallMs kSkewMs = 5 * 60 * 1000;
    if (wall_ms(from) > now + kSkewMs) return bad("is of the future: look at this machine's clock");
    if (!until) return bad("does not say until when it is good (nextUpdate)");
    return OcspStaple{*std::move(bytes), wall_ms(until)};
  }
  return bad("is about another certificate than " + subject(certificate) + ": fetch the one for it");
}

}  // namespace courier::net::tls
