#include "courier/message_format.h"

#include <ctime>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "client/errc.h"
#include "client/properties.h"
#include "mqtt/topic.h"

namespace courier::cli {
namespace {

using client::MessageProperties;

std::tm local_time(int64_t wall_ns) {
  const std::time_t seconds = wall_ns / kNsPerSecond;
  std::tm broken{};
  ::localtime_r(&seconds, &broken);
  return broken;
}

std::string time_text(const char* format, int64_t wall_ns) {
  const std::tm broken = local_time(wall_ns);
  char text[128];
  return {text, std::strftime(text, sizeof text, format, &broken)};
}

std::string hex(std::string_view bytes, bool upper) {
  std::string text;
  text.reserve(bytes.size() * 2);
  const char* digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
  for (unsigned char byte : bytes) {
    text.push_back(digits[byte >> 4]);
    text.push_back(digits[byte & 15]);
  }
  return text;
}

std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < left ? static_cast<uint8_t>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) text.push_back(k <= left ? kDigits[group >> (18 - 6 * k) & 63] : '=');
  }
  return text;
}

std::string user_properties(const MessageProperties& properties) {
  std::string text;
  for (const auto& [name, value] : properties.user_properties) {
    text += fmt::format("{}{}:{}", text.empty() ? "" : " ", name, value);
  }
  return text;
}

std::string identifiers(const mqtt::Publish& publish) {
  std::string text;
  for (uint32_t id : publish.subscription_identifiers)
    text += fmt::format("{}{}", text.empty() ? "" : " ", id);
  return text;
}

constexpr std::string_view kLetters = "%ACDEFIJjlmPpqRrStUxX";

// What one letter stands for; nullopt when it stands for nothing.
std::string value_of(char letter, const Arrival& arrival, const MessageProperties& properties) {
  const mqtt::Publish& publish = arrival.publish;
  switch (letter) {
    case '%':
      return "%";
    case 'A':
      return publish.topic_alias ? std::to_string(*publish.topic_alias) : "";
    case 'C':
      return properties.content_type.value_or("");
    case 'D':
      return properties.correlation_data.value_or("");
    case 'E':
      return properties.message_expiry_seconds ? std::to_string(*properties.message_expiry_seconds) : "";
    case 'F':
      return properties.payload_is_utf8 ? "1" : "0";
    case 'I':
      return time_text("%Y-%m-%dT%H:%M:%S%z", arrival.wall_ns);
    case 'J':
      return to_json(arrival, true);
    case 'j':
      return to_json(arrival);
    case 'l':
      return std::to_string(publish.payload.size());
    case 'm':
      return std::to_string(publish.packet_id.value);
    case 'P':
      return user_properties(properties);
    case 'p':
      return std::string(publish.payload);
    case 'q':
      return std::to_string(static_cast<int>(publish.qos));
    case 'R':
      return properties.response_topic.value_or("");
    case 'r':
      return publish.retain ? "1" : "0";
    case 'S':
      return identifiers(publish);
    case 't':
      return std::string(publish.topic);
    case 'U':
      return fmt::format("{}.{:09}", arrival.wall_ns / kNsPerSecond, arrival.wall_ns % kNsPerSecond);
    case 'x':
      return hex(publish.payload, false);
    case 'X':
      return hex(publish.payload, true);
    default:
      return {};
  }
}

bool is_number(char letter) {
  return std::string_view("AElmqrF").find(letter) != std::string_view::npos;
}

std::optional<char> escape(char letter) {
  switch (letter) {
    case '\\':
      return '\\';
    case '0':
      return '\0';
    case 'a':
      return '\a';
    case 'e':
      return '\x1b';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'v':
      return '\v';
    default:
      return std::nullopt;
  }
}

// "%-010.3t" behind the percent sign.
struct Specifier {
  bool left = false, zero = false;
  size_t width = 0;
  std::optional<size_t> precision;
  char letter = 0;
  size_t size = 0;

  static Specifier parse(std::string_view text) {
    Specifier s;
    size_t i = 0;
    for (; i < text.size() && (text[i] == '-' || text[i] == '0'); ++i)
      (text[i] == '-' ? s.left : s.zero) = true;
    const auto digits = [&] {
      size_t number = 0;
      for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) {
        number = std::min<size_t>(number * 10 + static_cast<size_t>(text[i] - '0'), 10'000);
      }
      return number;
    };
    s.width = digits();
    if (i < text.size() && text[i] == '.') {
      ++i;
      s.precision = digits();
    }
    if (i < text.size()) s.letter = text[i++];
    s.size = i;
    return s;
  }

  void append(std::string& out, std::string value) const {
    if (precision && !is_number(letter) && value.size() > *precision) value.resize(*precision);
    const size_t pad = width > value.size() ? width - value.size() : 0;
    if (!left) out.append(pad, zero ? '0' : ' ');
    out += value;
    if (left) out.append(pad, ' ');
  }
};

// Printable on one line, whatever it is.
std::string on_one_line(std::string_view text) {
  const bool utf8 = mqtt::is_utf8(text);
  std::string line;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n')
      line += "\\n";
    else if (c == '\t')
      line += "\\t";
    else if (byte < 0x20 || byte == 0x7F || (byte >= 0x80 && !utf8))
      line += fmt::format("\\x{:02x}", byte);
    else
      line += c;
  }
  return line;
}

}  // namespace

Result<MessageFormat> MessageFormat::parse(std::string format) {
  for (size_t i = 0; i < format.size(); ++i) {
    const char next = i + 1 < format.size() ? format[i + 1] : '\0';
    if (format[i] == '%') {
      const auto specifier = Specifier::parse(std::string_view(format).substr(i + 1));
      if (specifier.letter == 0 || kLetters.find(specifier.letter) == std::string_view::npos) {
        return fail(client::errc::invalid_argument,
                    fmt::format("-F {}: %{} means nothing here; a percent sign is %%", format, next));
      }
      i += specifier.size;
    } else if (format[i] == '\\') {
      if (i + 1 == format.size() || !escape(next)) {
        return fail(client::errc::invalid_argument,
                    fmt::format("-F {}: \\{} means nothing here; a backslash is \\\\", format, next));
      }
      ++i;
    } else if (format[i] == '@') {
      if (i + 1 == format.size()) {
        return fail(client::errc::invalid_argument,
                    fmt::format("-F {}: a letter of strftime follows @; an @ is @@", format));
      }
      ++i;
    }
  }
  return MessageFormat(std::move(format));
}

void MessageFormat::append(std::string& out, const Arrival& arrival) const {
  const MessageProperties properties = client::properties_of(arrival.publish);
  for (size_t i = 0; i < format_.size(); ++i) {
    const char c = format_[i];
    if (c == '%') {
      const auto specifier = Specifier::parse(std::string_view(format_).substr(i + 1));
      specifier.append(out, value_of(specifier.letter, arrival, properties));
      i += specifier.size;
    } else if (c == '\\') {
      out.push_back(*escape(format_[++i]));
    } else if (c == '@') {
      const char letter = format_[++i];
      if (letter == '@')
        out.push_back('@');
      else if (letter == 'N')
        out += fmt::format("{:09}", arrival.wall_ns % kNsPerSecond);
      else
        out += time_text(std::string{'%', letter}.c_str(), arrival.wall_ns);
    } else {
      out.push_back(c);
    }
  }
}

std::string to_json(const Arrival& arrival, bool embed, bool pretty) {
  using nlohmann::ordered_json;
  const mqtt::Publish& publish = arrival.publish;
  ordered_json object;
  object["tst"] = fmt::format("{}.{:06}{}", time_text("%Y-%m-%dT%H:%M:%S", arrival.wall_ns),
                              arrival.wall_ns % kNsPerSecond / 1'000, time_text("%z", arrival.wall_ns));
  object["topic"] = publish.topic;
  object["qos"] = static_cast<int>(publish.qos);
  object["retain"] = publish.retain ? 1 : 0;
  object["payloadlen"] = publish.payload.size();
  if (publish.packet_id) object["mid"] = publish.packet_id.value;

  const MessageProperties properties = client::properties_of(publish);
  ordered_json listed = ordered_json::object();
  if (publish.topic_alias) listed["topic-alias"] = *publish.topic_alias;
  if (properties.payload_is_utf8) listed["payload-format-indicator"] = 1;
  if (properties.message_expiry_seconds)
    listed["message-expiry-interval"] = *properties.message_expiry_seconds;
  if (properties.content_type) listed["content-type"] = *properties.content_type;
  if (properties.response_topic) listed["response-topic"] = *properties.response_topic;
  if (properties.correlation_data) {
    const std::string& data = *properties.correlation_data;
    if (mqtt::is_utf8(data))
      listed["correlation-data"] = data;
    else
      listed["correlation-data-base64"] = base64(data);
  }
  // A list of pairs: names repeat, and their order is part of the message.
  for (const auto& [name, value] : properties.user_properties) {
    listed["user-properties"].push_back(ordered_json::array({name, value}));
  }
  for (uint32_t id : publish.subscription_identifiers) listed["subscription-identifiers"].push_back(id);
  if (!listed.empty()) object["properties"] = std::move(listed);

  if (embed) {
    auto value = ordered_json::parse(publish.payload, nullptr, false);
    if (!value.is_discarded()) object["payload"] = std::move(value);
  }
  if (!object.contains("payload")) {
    if (mqtt::is_utf8(publish.payload))
      object["payload"] = publish.payload;
    else
      object["payload_base64"] = base64(publish.payload);
  }
  return object.dump(pretty ? 2 : -1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string table_heading() {
  return fmt::format("{:<12}  {}  {}  {:<32}  {}", "TIME", "Q", "R", "TOPIC", "PAYLOAD");
}

std::string table_line(const Arrival& arrival) {
  const mqtt::Publish& publish = arrival.publish;
  return fmt::format("{}.{:03}  {}  {}  {:<32}  {}", time_text("%H:%M:%S", arrival.wall_ns),
                     arrival.wall_ns % kNsPerSecond / kNsPerMs, static_cast<int>(publish.qos),
                     publish.retain ? 'r' : '-', on_one_line(publish.topic), on_one_line(publish.payload));
}

}  // namespace courier::cli
