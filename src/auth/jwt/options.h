// The settings of tokens, as a configuration file names them: section [auth.jwt], a key for each member.
// Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "jose/algorithm.h"

namespace courier::auth::jwt {

// What the client id template is for.
enum class ClientIdRule : uint8_t {
  equal,   // the CONNECT's client id must be that; an empty one becomes that
  prefix,  // it must begin with that
  assign,  // the session gets that one, whatever the CONNECT says
};

struct Options {
  // Keys: at least one of these.
  std::string secret_file;             // a shared secret (HS256 …); one line feed at its end does not count
  bool secret_base64 = false;          // the file holds it in base64
  std::vector<std::string> key_files;  // PEM, JWK or JWKS
  std::string jwks_url;                // https:// or http://
  std::string jwks_ca_file;            // PEM: whom to trust there instead of the system's authorities
  int64_t jwks_refresh_ms = 600'000;   // unless the endpoint's Cache-Control says how often
  int64_t jwks_timeout_ms = 5'000;

  std::vector<jose::Algorithm> algorithms;  // empty: all those that the keys can do
  std::string issuer;                       // "iss" must be this; empty: whatever it is
  std::vector<std::string> audiences;       // "aud" must name one of these; empty: whatever it is
  int64_t leeway_ms = 5'000;                // how far the issuer's clock may be off
  std::vector<std::string> required_claims;

  std::string username_claim = "rid";  // must equal the MQTT user name; empty: not checked
  // Templates: text with claims in braces, "{tenant}-{device.id}". Empty: see each.
  std::string username;   // the identity's name; empty: the MQTT user name, which username_claim has checked
  std::string client_id;  // empty: any client id will do
  ClientIdRule client_id_rule = ClientIdRule::equal;
  std::string mountpoint;         // empty: the listener's
  std::string acl_claim = "acl";  // where rules stand; empty: rules in tokens do not count

  uint32_t workers = 2;  // verify RSA, ECDSA and EdDSA
  uint32_t queue_max = 1'000;
  uint32_t cache_tokens_max = 100'000;  // verified tokens, some 500 bytes each
};

}  // namespace courier::auth::jwt
