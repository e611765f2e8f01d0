#include "auth/file/scram.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "auth/file/errc.h"
#include "auth/file/limits.h"
#include "jose/base64url.h"
#include "jose/digest.h"

namespace courier::auth::file {
namespace {

constexpr std::string_view kPrefix = "$scram-sha-256$";
constexpr size_t kScramSaltBytes = 16, kKeyBytes = 32;

// The part up to `end`, which goes with it. Nothing: there is no such character.
std::optional<std::string_view> cut(std::string_view& text, char end) {
  const size_t at = text.find(end);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(at + 1);
  return part;
}

ScramKeys keys_of(std::string_view password, std::string salt, uint32_t iterations) {
  const std::string salted = jose::pbkdf2_sha256(password, salt, iterations);
  const jose::Digest stored = jose::sha256(jose::hmac_sha256(salted, "Client Key"));
  return {iterations, std::move(salt), std::string(stored.begin(), stored.end()),
          jose::hmac_sha256(salted, "Server Key")};
}

// Without telling by its time where they differ.
bool same(std::string_view a, std::string_view b) {
  unsigned char difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
  }
  return difference == 0;
}

bool is_nonce(std::string_view text) {
  return !text.empty() && text.size() <= kScramNonceBytesMax &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~' && c != ','; });
}

// "=2C" is a comma, "=3D" an equals sign; no other '=' may be there.
std::optional<std::string> decode_name(std::string_view text) {
  std::string name;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '=') {
      name += text[i];
      continue;
    }
    const std::string_view code = text.substr(i, 3);
    if (code != "=2C" && code != "=3D") return std::nullopt;
    name += code == "=2C" ? ',' : '=';
    i += 2;
  }
  if (name.empty() || name.size() > kUserNameBytesMax) return std::nullopt;
  return name;
}

}  // namespace

bool is_scram(std::string_view hash) {
  return hash.starts_with(kPrefix);
}

Result<ScramKeys> parse_scram(std::string_view hash) {
  const auto wrong = [] {
    return fail(errc::invalid, "the hash is not $scram-sha-256$i=…,s=SALT$STORED_KEY$SERVER_KEY");
  };
  if (!is_scram(hash)) return wrong();
  hash.remove_prefix(kPrefix.size());
  const auto iterations_text = cut(hash, ','), salt_text = cut(hash, '$'), stored_text = cut(hash, '$');
  if (!iterations_text || !salt_text || !stored_text) return wrong();
  if (!iterations_text->starts_with("i=") || !salt_text->starts_with("s=")) return wrong();
  ScramKeys keys;
  const std::string_view number = iterations_text->substr(2);
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), keys.iterations);
  auto salt = jose::decode_base64(salt_text->substr(2)), stored = jose::decode_base64(*stored_text),
       server = jose::decode_base64(hash);
  if (error != std::errc() || end != number.data() + number.size() || !salt || !stored || !server)
    return wrong();
  if (salt->size() < 8 || salt->size() > 64 || stored->size() != kKeyBytes || server->size() != kKeyBytes) {
    return wrong();
  }
  if (keys.iterations < kScramIterationsMin || keys.iterations > kScramIterationsMax) {
    return fail(errc::invalid, fmt::format("the hash has not {} to {} iterations", kScramIterationsMin,
                                           kScramIterationsMax));
  }
  keys.salt = *std::move(salt);
  keys.stored_key = *std::move(stored);
  keys.server_key = *std::move(server);
  return keys;
}

Result<std::string> make_scram(std::string_view password, uint32_t iterations) {
  if (password.empty()) return fail(errc::bad_password, "a password must not be empty");
  if (password.size() > kPasswordBytesMax) {
    return fail(errc::bad_password, "a password has at most 65535 bytes: MQTT carries no more");
  }
  std::string salt(kScramSaltBytes, '\0');
  if (::getrandom(salt.data(), salt.size(), 0) != static_cast<ssize_t>(salt.size())) {
    return fail(errc::hash_failed, "the kernel gives no random bytes for a salt");
  }
  const ScramKeys keys = keys_of(password, std::move(salt), iterations);
  return fmt::format("{}i={},s={}${}${}", kPrefix, keys.iterations, jose::base64(keys.salt),
                     jose::base64(keys.stored_key), jose::base64(keys.server_key));
}

Match scram_matches(std::string_view hash, std::string_view password) {
  const auto keys = parse_scram(hash);
  if (!keys) return Match::failed;
  const ScramKeys made = keys_of(password, keys->salt, keys->iterations);
  return same(made.stored_key, keys->stored_key) ? Match::yes : Match::no;
}

Result<ScramFirst> parse_scram_first(std::string_view text) {
  const auto wrong = [](const char* what) { return fail(errc::invalid, std::string("SCRAM: ") + what); };
  if (text.size() > kScramMessageBytesMax) return wrong("the first message is too long");
  ScramFirst first;
  std::string_view rest = text;
  const auto binding = cut(rest, ','), authzid = cut(rest, ',');
  if (!binding || !authzid) return wrong("the first message has no header");
  if (binding->starts_with("p=")) return wrong("channel binding is not offered");
  if (*binding != "n" && *binding != "y") return wrong("the first message's header is malformed");
  first.gs2_header = text.substr(0, text.size() - rest.size());
  first.bare = rest;
  if (rest.starts_with("m=")) return wrong("it asks for an extension");
  const auto name = cut(rest, ',');
  const auto nonce = rest.substr(0, rest.find(','));
  if (!name || !name->starts_with("n=") || !nonce.starts_with("r=") || !is_nonce(nonce.substr(2))) {
    return wrong("the first message has no name or no nonce");
  }
  auto user = decode_name(name->substr(2));
  if (!user) return wrong("the user name is empty, too long or badly encoded");
  if (!authzid->empty()) {
    const auto as = authzid->starts_with("a=") ? decode_name(authzid->substr(2)) : std::nullopt;
    if (as != user) return wrong("nobody may act as somebody else");
  }
  first.user = *std::move(user);
  first.nonce = nonce.substr(2);
  return first;
}

ScramServer::ScramServer(ScramFirst first, ScramKeys keys, bool known, std::string_view nonce)
    : first_(std::move(first)),
      keys_(std::move(keys)),
      known_(known),
      nonce_(first_.nonce + std::string(nonce)),
      first_text_(fmt::format("r={},s={},i={}", nonce_, jose::base64(keys_.salt), keys_.iterations)) {}

Result<std::string> ScramServer::finish(std::string_view text) const {
  const auto wrong = [](const char* what) { return fail(errc::invalid, std::string("SCRAM: ") + what); };
  if (text.size() > kScramMessageBytesMax) return wrong("the last message is too long");
  const size_t proof_at = text.rfind(",p=");
  if (proof_at == std::string_view::npos) return wrong("the last message has no proof");
  const std::string_view without_proof = text.substr(0, proof_at);
  const std::string_view proof_text = text.substr(proof_at + 3);
  if (proof_text.size() % 4 != 0) return wrong("the proof is malformed");  // it was cut
  const auto proof = jose::decode_base64(proof_text);
  std::string_view rest = without_proof;
  const auto binding = cut(rest, ',');
  if (!binding || *binding != "c=" + jose::base64(first_.gs2_header))
    return wrong("the header is not the first one's");
  if (rest.substr(0, rest.find(',')) != "r=" + nonce_) return wrong("the nonce is not this exchange's");
  if (!proof || proof->size() != kKeyBytes) return wrong("the proof is malformed");
  const std::string message = first_.bare + "," + first_text_ + "," + std::string(without_proof);
  std::string client_key = jose::hmac_sha256(keys_.stored_key, message);
  for (size_t i = 0; i < client_key.size(); ++i) {
    client_key[i] = static_cast<char>(client_key[i] ^ (*proof)[i]);
  }
  const jose::Digest shown = jose::sha256(client_key);
  const bool right = same({reinterpret_cast<const char*>(shown.data()), shown.size()}, keys_.stored_key);
  if (!right || !known_) return wrong("wrong password");
  return "v=" + jose::base64(jose::hmac_sha256(keys_.server_key, message));
}

}  // namespace courier::auth::file
