#include "config/kafka.h"

#include "base/file.h"

namespace courier::config {
namespace {

constexpr size_t kPasswordBytesMax = 64 * 1024;

}  // namespace

std::optional<std::string> check_kafka_property(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == 0 || equals == std::string_view::npos) return "it must be NAME=VALUE";
  return std::nullopt;
}

Result<std::vector<std::pair<std::string, std::string>>> kafka_properties(const KafkaConnection& from) {
  static constexpr const char* kProtocols[] = {"plaintext", "ssl", "sasl_plaintext", "sasl_ssl"};
  std::vector<std::pair<std::string, std::string>> properties;
  const auto set = [&](const char* name, const std::string& value) {
    if (!value.empty()) properties.emplace_back(name, value);
  };
  set("bootstrap.servers", from.brokers);
  set("security.protocol", kProtocols[static_cast<size_t>(from.security)]);
  set("ssl.ca.location", from.ca_file);
  set("ssl.certificate.location", from.certificate_file);
  set("ssl.key.location", from.key_file);
  if (!from.username.empty()) {
    auto password = read_file(from.password_file, kPasswordBytesMax);
    if (!password) return fail(std::move(password.error()));
    set("sasl.mechanism", from.sasl_mechanism);
    set("sasl.username", from.username);
    set("sasl.password", password->substr(0, password->find_first_of("\r\n")));
  }
  for (const std::string& each : from.properties) {
    const size_t equals = each.find('=');
    properties.emplace_back(each.substr(0, equals), each.substr(equals + 1));
  }
  return properties;
}

}  // namespace courier::config
