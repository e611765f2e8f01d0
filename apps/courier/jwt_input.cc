#include "courier/jwt_input.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <system_error>

#include <fmt/format.h>

#include "auth/jwt/keys.h"
#include "http/client.h"
#include "jose/errc.h"
#include "jose/limits.h"

namespace courier::cli {

void KeyFlags::add_to(CLI::App& app, bool public_too) {
  app.add_option("--secret-file", secret_file, "A file with the shared secret (HS256 …); - for stdin")
      ->type_name("FILE");
  app.add_option("--secret-env", secret_env, "The environment variable that holds it")->type_name("NAME");
  app.add_flag("--secret-base64", secret_base64, "The secret stands there in base64");
  app.add_option("--key", key_file,
                 public_too ? "A file with keys: PEM, JWK or JWKS; - for stdin"
                            : "A file with a private key: PEM or JWK; - for stdin")
      ->type_name("FILE");
  if (!public_too) return;
  app.add_option("--jwks-url", jwks_url, "Fetch the keys from there")->type_name("URL");
  app.add_option("--ca-file", ca_file, "Whom to trust there instead of the system's authorities, PEM")
      ->type_name("FILE");
}

Result<jose::KeySet> KeyFlags::keys() const {
  jose::KeySet keys;
  const auto add = [&](const Result<std::string>& text, const std::string& where,
                       const auto& parse) -> Result<void> {
    if (!text) return fail(text.error());
    auto parsed = parse(*text);
    if (!parsed) return fail(parsed.error().within(where));
    keys.add(*parsed);
    return {};
  };
  const auto parse_secret = [&](const std::string& text) {
    return auth::jwt::parse_secret(text, secret_base64);
  };
  const auto parse_keys = [](const std::string& text) { return jose::KeySet::parse(text); };
  if (!secret_file.empty()) {
    auto added = add(read_input(secret_file, jose::kSecretBytesMax),
                     secret_file == "-" ? "stdin" : secret_file, parse_secret);
    if (!added) return fail(added.error());
  }
  if (!secret_env.empty()) {
    if (auto added = add(read_environment(secret_env), secret_env, parse_secret); !added)
      return fail(added.error());
  }
  if (!key_file.empty()) {
    auto added =
        add(read_input(key_file, jose::kKeySetBytesMax), key_file == "-" ? "stdin" : key_file, parse_keys);
    if (!added) return fail(added.error());
  }
  if (jwks_url.empty()) return keys;
  const auto client = http::Client::open();
  if (!client) return fail(client.error());
  const auto response = (*client)->fetch({.url = jwks_url, .redirects_max = 3, .ca_file = ca_file});
  if (!response) return fail(response.error());
  if (response->status != 200) {
    return fail(jose::errc::unreadable, fmt::format("{}: the server answers with status {}",
                                                    http::without_secrets(jwks_url), response->status));
  }
  if (auto added = add(response->body, jwks_url, parse_keys); !added) return fail(added.error());
  return keys;
}

Result<std::string> read_input(const std::string& path, size_t bytes_max) {
  const auto unreadable = [&](const std::string& why) {
    return fail(jose::errc::unreadable, fmt::format("cannot read {}: {}", path == "-" ? "stdin" : path, why));
  };
  const std::unique_ptr<std::FILE, decltype([](std::FILE* one) {
                          if (one != stdin) std::fclose(one);
                        })>
      file(path == "-" ? stdin : std::fopen(path.c_str(), "re"));
  if (!file) return unreadable(std::generic_category().message(errno));
  std::string text;
  char buffer[16'384];
  while (const size_t n = std::fread(buffer, 1, sizeof(buffer), file.get())) {
    text.append(buffer, n);
    if (text.size() > bytes_max) return unreadable(fmt::format("it has more than {} bytes", bytes_max));
  }
  if (std::ferror(file.get()) != 0) return unreadable(std::generic_category().message(errno));
  return text;
}

Result<std::string> read_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr || *value == '\0') {
    return fail(jose::errc::unreadable, fmt::format("the environment variable {} is not set", name));
  }
  return std::string(value);
}

}  // namespace courier::cli
