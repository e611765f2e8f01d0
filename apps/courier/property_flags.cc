#include "courier/property_flags.h"

#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "client/errc.h"
#include "courier/mosquitto_arguments.h"

namespace courier::cli {
namespace {

using client::errc;

std::vector<std::string> split(const std::string& flag) {
  std::vector<std::string> words(1);
  for (char c : flag) {
    if (c == kWordSeparator)
      words.emplace_back();
    else
      words.back().push_back(c);
  }
  return words;
}

Result<uint32_t> number(const std::vector<std::string>& words, uint32_t least, uint32_t most) {
  const std::string& text = words[2];
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most) {
    return fail(errc::invalid_argument, fmt::format("-D {} {}: \"{}\" is not a number from {} to {}",
                                                    words[0], words[1], text, least, most));
  }
  return value;
}

template <typename Number>
Result<void> set(Number& into, const std::vector<std::string>& words, uint32_t least, uint32_t most) {
  auto value = number(words, least, most);
  if (!value) return fail(value.error());
  into = static_cast<std::remove_cvref_t<decltype(into)>>(*value);
  return {};
}

template <typename Number>
Result<void> set(std::optional<Number>& into, const std::vector<std::string>& words, uint32_t least,
                 uint32_t most) {
  return set(into.emplace(), words, least, most);
}

constexpr uint32_t kMax16 = 65'535, kMax32 = 0xFFFFFFFF;

Result<void> unknown(const std::vector<std::string>& words, std::string_view known) {
  return fail(errc::invalid_argument,
              fmt::format("-D {0} {1}: {0} has no such property; it has {2}", words[0], words[1], known));
}

// What PUBLISH and a will have in common.
std::optional<Result<void>> message_property(client::MessageProperties& into,
                                             const std::vector<std::string>& words) {
  const std::string& property = words[1];
  if (property == "content-type")
    into.content_type = words[2];
  else if (property == "response-topic")
    into.response_topic = words[2];
  else if (property == "correlation-data")
    into.correlation_data = words[2];
  else if (property == "message-expiry-interval")
    return set(into.message_expiry_seconds, words, 0, kMax32);
  else if (property == "payload-format-indicator")
    return set(into.payload_is_utf8, words, 0, 1);
  else
    return std::nullopt;
  return Result<void>{};
}

Result<void> connect_property(PropertyFlags& flags, const std::vector<std::string>& words) {
  const std::string& property = words[1];
  if (property == "authentication-method")
    flags.authentication_method = words[2];
  else if (property == "authentication-data")
    flags.authentication_data = words[2];
  else if (property == "maximum-packet-size")
    return set(flags.maximum_packet_size, words, 1, kMax32);
  else if (property == "receive-maximum")
    return set(flags.receive_maximum, words, 1, kMax16);
  else if (property == "request-problem-information")
    return set(flags.request_problem_information, words, 0, 1);
  else if (property == "request-response-information")
    return set(flags.request_response_information, words, 0, 1);
  else if (property == "session-expiry-interval")
    return set(flags.session_expiry_seconds, words, 0, kMax32);
  else if (property == "topic-alias-maximum")
    return set(flags.topic_alias_maximum, words, 0, kMax16);
  else
    return unknown(words,
                   "authentication-data, authentication-method, maximum-packet-size, receive-maximum, "
                   "request-problem-information, request-response-information, session-expiry-interval, "
                   "topic-alias-maximum, user-property");
  return {};
}

Result<void> publish_property(PropertyFlags& flags, const std::vector<std::string>& words) {
  if (auto done = message_property(flags.publish, words)) return *done;
  if (words[1] == "topic-alias") return set(flags.topic_alias, words, 1, kMax16);
  return unknown(words,
                 "content-type, correlation-data, message-expiry-interval, payload-format-indicator, "
                 "response-topic, topic-alias, user-property");
}

Result<void> will_property(PropertyFlags& flags, const std::vector<std::string>& words) {
  if (auto done = message_property(flags.will, words)) return *done;
  if (words[1] == "will-delay-interval") return set(flags.will_delay_seconds, words, 0, kMax32);
  return unknown(words,
                 "content-type, correlation-data, message-expiry-interval, payload-format-indicator, "
                 "response-topic, user-property, will-delay-interval");
}

client::UserPropertyList* user_properties(PropertyFlags& flags, std::string_view command) {
  if (command == "connect") return &flags.connect;
  if (command == "publish") return &flags.publish.user_properties;
  if (command == "will") return &flags.will.user_properties;
  if (command == "subscribe") return &flags.subscribe;
  if (command == "unsubscribe") return &flags.unsubscribe;
  if (command == "disconnect") return &flags.disconnect.user_properties;
  return nullptr;
}

Result<void> parse_one(PropertyFlags& flags, std::vector<std::string> words) {
  for (char& c : words[0]) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  auto* list = user_properties(flags, words[0]);
  if (list == nullptr) {
    return fail(errc::invalid_argument,
                fmt::format("-D {}: it is one of connect, publish, will, subscribe, unsubscribe, disconnect",
                            words[0]));
  }
  const bool pair = words.size() > 1 && words[1] == "user-property";
  if (words.size() != (pair ? 4u : 3u)) {
    return fail(errc::invalid_argument,
                fmt::format("-D {}: it takes COMMAND PROPERTY VALUE, or COMMAND user-property NAME VALUE",
                            fmt::join(words, " ")));
  }
  if (pair) {
    list->emplace_back(words[2], words[3]);
    return {};
  }
  if (words[0] == "connect") return connect_property(flags, words);
  if (words[0] == "publish") return publish_property(flags, words);
  if (words[0] == "will") return will_property(flags, words);
  if (words[0] == "disconnect" && words[1] == "session-expiry-interval") {
    return set(flags.disconnect.session_expiry_seconds, words, 0, kMax32);
  }
  if (words[0] == "subscribe" && words[1] == "subscription-identifier") {
    return set(flags.subscription_identifier, words, 1, client::kRemainingLengthMax);
  }
  return unknown(words, words[0] == "disconnect"  ? "session-expiry-interval, user-property"
                        : words[0] == "subscribe" ? "subscription-identifier, user-property"
                                                  : "user-property");
}

}  // namespace

Result<PropertyFlags> PropertyFlags::parse(const std::vector<std::string>& flags) {
  PropertyFlags parsed;
  for (const std::string& flag : flags) {
    if (auto ok = parse_one(parsed, split(flag)); !ok) return fail(ok.error());
  }
  return parsed;
}

void PropertyFlags::apply_to(client::ConnectOptions& options) const {
  if (session_expiry_seconds) options.session_expiry_seconds = session_expiry_seconds;
  options.maximum_packet_size = maximum_packet_size;
  options.receive_maximum = receive_maximum;
  options.topic_alias_maximum = topic_alias_maximum;
  options.request_problem_information = request_problem_information;
  options.request_response_information = request_response_information;
  options.authentication_method = authentication_method;
  options.authentication_data = authentication_data;
  options.user_properties = connect;
}

}  // namespace courier::cli
