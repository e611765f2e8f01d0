#include "auth/file/password_hash.h"

#include <argon2.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "auth/file/errc.h"
#include "auth/file/limits.h"
#include "auth/file/scram.h"

namespace courier::auth::file {
namespace {

constexpr size_t kSaltBytes = 16;
constexpr size_t kHashBytes = 32;

// Takes "name=NUMBER" and the separator after it from the front.
std::optional<uint32_t> take_number(std::string_view& text, std::string_view name, char separator) {
  if (!text.starts_with(name)) return std::nullopt;
  text.remove_prefix(name.size());
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data() + text.size() || *end != separator) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()) + 1);
  return value;
}

bool is_base64(std::string_view text, size_t characters_min) {
  return text.size() >= characters_min && text.size() <= 512 &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
                  c == '/';
         });
}

}  // namespace

Result<std::string> hash_password(std::string_view password, const Cost& cost) {
  if (password.empty()) return fail(errc::bad_password, "a password must not be empty");
  if (password.size() > kPasswordBytesMax) {
    return fail(errc::bad_password, "a password has at most 65535 bytes: MQTT carries no more");
  }
  std::array<unsigned char, kSaltBytes> salt{};
  if (::getrandom(salt.data(), salt.size(), 0) != static_cast<ssize_t>(salt.size())) {
    return fail(errc::hash_failed, "the kernel gives no random bytes for a salt");
  }
  std::string out(
      argon2_encodedlen(cost.passes, cost.memory_kib, cost.lanes, kSaltBytes, kHashBytes, Argon2_id), '\0');
  const int status =
      argon2id_hash_encoded(cost.passes, cost.memory_kib, cost.lanes, password.data(), password.size(),
                            salt.data(), salt.size(), kHashBytes, out.data(), out.size());
  if (status != ARGON2_OK) {
    return fail(errc::hash_failed, std::string("argon2id: ") + argon2_error_message(status));
  }
  out.resize(out.find('\0'));
  return out;
}

Result<Cost> parse_hash(std::string_view hash) {
  if (is_scram(hash)) {
    const auto keys = parse_scram(hash);
    if (!keys) return fail(keys.error());
    return Cost{0, keys->iterations, 0};
  }
  if (!hash.starts_with("$argon2id$v=19$")) {
    return fail(errc::invalid, "the hash does not start with $argon2id$v=19$ or $scram-sha-256$");
  }
  hash.remove_prefix(std::string_view("$argon2id$v=19$").size());
  const auto memory = take_number(hash, "m=", ',');
  const auto passes = memory ? take_number(hash, "t=", ',') : std::nullopt;
  const auto lanes = passes ? take_number(hash, "p=", '$') : std::nullopt;
  const size_t dollar = hash.find('$');
  // Salt and hash without padding: at least 8 and 16 bytes.
  if (!lanes || dollar == std::string_view::npos || !is_base64(hash.substr(0, dollar), 11) ||
      !is_base64(hash.substr(dollar + 1), 22)) {
    return fail(errc::invalid, "the hash is not $argon2id$v=19$m=…,t=…,p=…$SALT$HASH");
  }
  if (*memory > kMemoryKibMax || *passes > kPassesMax || *lanes > kLanesMax) {
    return fail(errc::invalid, "the hash costs more than m=262144, t=64 or p=16");
  }
  if (*passes < 1 || *lanes < 1 || *memory < 8 * *lanes) {
    return fail(errc::invalid, "the hash costs less than argon2id allows (t=1, p=1, m=8 for each lane)");
  }
  return Cost{*memory, *passes, *lanes};
}

Match matches(const std::string& hash, std::string_view password) {
  if (is_scram(hash)) return scram_matches(hash, password);
  const int status = argon2id_verify(hash.c_str(), password.data(), password.size());
  if (status == ARGON2_OK) return Match::yes;
  return status == ARGON2_VERIFY_MISMATCH ? Match::no : Match::failed;
}

}  // namespace courier::auth::file
