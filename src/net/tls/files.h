// Certificates, keys and revocations from files, with sentences that say which file and what to do.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/tls/openssl.h"

namespace courier::net::tls {

// The errors of all of these are errc::bad_file; `what` says what the file is: "the certificate".
Result<std::string> read_file(const std::string& path, std::string_view what);
// PEM, in the order of the file, at least one.
Result<std::vector<CertificatePtr>> read_certificates(const std::string& path, std::string_view what);
// PEM, not encrypted.
Result<KeyPtr> read_key(const std::string& path);
// PEM or DER, at least one.
Result<std::vector<CrlPtr>> read_crls(const std::string& path);
// By users that are neither the owner nor of the group.
bool readable_by_others(const std::string& path);

}  // namespace courier::net::tls
