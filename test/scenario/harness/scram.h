// The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), apart from src/auth: whole messages, and pieces
// for those that are meant to be wrong.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "jose/base64url.h"
#include "jose/digest.h"

namespace courier::scenario {

inline constexpr char kScram[] = "SCRAM-SHA-256";

// user: pencil, from RFC 7677
inline constexpr char kScramPasswords[] =
    "user:$scram-sha-256$i=4096,s=W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=$"
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\n";

inline std::string base64(std::string_view bytes) {
  std::string text = jose::base64url(bytes);
  std::ranges::replace(text, '-', '+');
  std::ranges::replace(text, '_', '/');
  text.append((4 - text.size() % 4) % 4, '=');
  return text;
}

inline std::string from_base64(std::string text) {
  std::erase(text, '=');
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  return jose::decode_base64url(text).value();
}

// The value of "NAME=" in a message.
inline std::string scram_part(const std::string& message, char name) {
  const size_t at = message.find(std::string(1, name) + "=");
  return message.substr(at + 2, message.find(',', at) - at - 2);
}

// What a client whose first message was "n,," + `bare` answers to the server's.
inline std::string scram_proof(const std::string& bare, const std::string& server_first,
                               const std::string& password) {
  const std::string salted =
      jose::pbkdf2_sha256(password, from_base64(scram_part(server_first, 's')),
                          static_cast<uint32_t>(std::stoul(scram_part(server_first, 'i'))));
  const std::string client_key = jose::hmac_sha256(salted, "Client Key");
  const jose::Digest stored = jose::sha256(client_key);
  const std::string last = "c=biws,r=" + scram_part(server_first, 'r');
  std::string signature = jose::hmac_sha256({reinterpret_cast<const char*>(stored.data()), stored.size()},
                                            bare + "," + server_first + "," + last);
  for (size_t i = 0; i < signature.size(); ++i)
    signature[i] = static_cast<char>(signature[i] ^ client_key[i]);
  return last + ",p=" + base64(signature);
}

}  // namespace courier::scenario
