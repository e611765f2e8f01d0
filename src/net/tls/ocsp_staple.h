// An OCSP response from a file, to be stapled to handshakes: the issuer's word that a certificate is not
// revoked. Something else fetches it and a reload reads it anew. RFC 6960; RFC 6066, section 8.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "net/tls/openssl.h"

namespace courier::net::tls {

struct OcspStaple {
  std::string response;  // DER
  WallMs until = 0;      // nextUpdate
};

// Checked: it is well-formed, says "good", of this very certificate; and if the issuer stands in the
// certificate's file, that it or somebody it charged signed it. Whether it is out of date the caller sees.
// errc::bad_file.
Result<OcspStaple> load_ocsp_staple(const std::string& path, X509* certificate, X509* issuer, WallMs now);

}  // namespace courier::net::tls
