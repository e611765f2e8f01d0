#include "events/webhook/signature.h"

#include <fmt/format.h>

#include "events/errc.h"
#include "jose/base64url.h"
#include "jose/digest.h"

namespace courier::events::webhook {
namespace {

constexpr std::string_view kPrefix = "whsec_";
constexpr size_t kSecretBytesMin = 24, kSecretBytesMax = 64;
constexpr size_t kSecretsMax = 8;

}  // namespace

Result<std::vector<std::string>> parse_secrets(std::string_view text) {
  std::vector<std::string> secrets;
  size_t number = 0;
  while (!text.empty()) {
    ++number;
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    line = line.substr(0, line.find_last_not_of(" \t\r") + 1);
    if (line.empty() || line.starts_with('#')) continue;
    Result<std::string> bytes;
    if (line.starts_with(kPrefix)) bytes = jose::decode_base64(line.substr(kPrefix.size()));
    if (!line.starts_with(kPrefix) || !bytes || bytes->size() < kSecretBytesMin ||
        bytes->size() > kSecretBytesMax) {
      return fail(errc::bad_options,
                  fmt::format("line {} is no secret: it must be whsec_ and base64 of {} to {} bytes, as "
                              "\"echo whsec_$(openssl rand -base64 32)\" makes one",
                              number, kSecretBytesMin, kSecretBytesMax));
    }
    secrets.push_back(std::move(*bytes));
  }
  if (secrets.empty() || secrets.size() > kSecretsMax) {
    return fail(errc::bad_options, fmt::format("it has {} secrets; one is needed, and at most {} sign",
                                               secrets.size(), kSecretsMax));
  }
  return secrets;
}

void sign(http::Headers& headers, const std::vector<std::string>& secrets, std::string_view id, WallMs now,
          std::string_view body) {
  const std::string timestamp = std::to_string(now / 1000);
  headers.emplace_back("webhook-id", id);
  headers.emplace_back("webhook-timestamp", timestamp);
  if (secrets.empty()) return;
  const std::string content = fmt::format("{}.{}.{}", id, timestamp, body);
  std::string signatures;
  for (const std::string& secret : secrets) {
    if (!signatures.empty()) signatures += ' ';
    signatures += "v1," + jose::base64(jose::hmac_sha256(secret, content));
  }
  headers.emplace_back("webhook-signature", std::move(signatures));
}

}  // namespace courier::events::webhook
