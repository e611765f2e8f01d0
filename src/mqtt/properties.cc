#include "mqtt/properties.h"

#include <array>

#include "mqtt/topic.h"
#include "mqtt/wire.h"

namespace courier::mqtt {
namespace {

enum class Type : uint8_t { none, byte, two_bytes, four_bytes, variable_byte_integer, string, binary, pair };

// What a value must be beyond its type.
enum class Range : uint8_t { any, zero_or_one, not_zero };

template <typename... Hosts>
constexpr uint16_t in(Hosts... hosts) {
  return static_cast<uint16_t>((0u | ... | (1u << static_cast<unsigned>(hosts))));
}

struct Row {
  PropertyId id{};
  std::string_view name;
  Type type = Type::none;
  uint16_t hosts = 0;  // where it may stand
  Range range = Range::any;
  uint16_t repeats_in = 0;  // where it may stand more than once
};

using enum PropertyHost;
constexpr uint16_t kMessage = in(publish, will);
constexpr uint16_t kReplies =
    in(connack, puback, pubrec, pubrel, pubcomp, suback, unsuback, disconnect, auth);
constexpr uint16_t kEverywhere =
    static_cast<uint16_t>(kMessage | kReplies | in(connect, subscribe, unsubscribe));

// Table 2-4, with the ranges that sections 3.1 to 3.15 give.
constexpr Row kRows[] = {
    {PropertyId::payload_format_indicator, "payload_format_indicator", Type::byte, kMessage,
     Range::zero_or_one},
    {PropertyId::message_expiry_interval, "message_expiry_interval", Type::four_bytes, kMessage},
    {PropertyId::content_type, "content_type", Type::string, kMessage},
    {PropertyId::response_topic, "response_topic", Type::string, kMessage},
    {PropertyId::correlation_data, "correlation_data", Type::binary, kMessage},
    {PropertyId::subscription_identifier, "subscription_identifier", Type::variable_byte_integer,
     in(publish, subscribe), Range::not_zero, in(publish)},
    {PropertyId::session_expiry_interval, "session_expiry_interval", Type::four_bytes,
     in(connect, connack, disconnect)},
    {PropertyId::assigned_client_identifier, "assigned_client_identifier", Type::string, in(connack)},
    {PropertyId::server_keep_alive, "server_keep_alive", Type::two_bytes, in(connack)},
    {PropertyId::authentication_method, "authentication_method", Type::string, in(connect, connack, auth)},
    {PropertyId::authentication_data, "authentication_data", Type::binary, in(connect, connack, auth)},
    {PropertyId::request_problem_information, "request_problem_information", Type::byte, in(connect),
     Range::zero_or_one},
    {PropertyId::will_delay_interval, "will_delay_interval", Type::four_bytes, in(will)},
    {PropertyId::request_response_information, "request_response_information", Type::byte, in(connect),
     Range::zero_or_one},
    {PropertyId::response_information, "response_information", Type::string, in(connack)},
    {PropertyId::server_reference, "server_reference", Type::string, in(connack, disconnect)},
    {PropertyId::reason_string, "reason_string", Type::string, kReplies},
    {PropertyId::receive_maximum, "receive_maximum", Type::two_bytes, in(connect, connack), Range::not_zero},
    {PropertyId::topic_alias_maximum, "topic_alias_maximum", Type::two_bytes, in(connect, connack)},
    {PropertyId::topic_alias, "topic_alias", Type::two_bytes, in(publish), Range::not_zero},
    {PropertyId::maximum_qos, "maximum_qos", Type::byte, in(connack), Range::zero_or_one},
    {PropertyId::retain_available, "retain_available", Type::byte, in(connack), Range::zero_or_one},
    {PropertyId::user_property, "user_property", Type::pair, kEverywhere, Range::any, kEverywhere},
    {PropertyId::maximum_packet_size, "maximum_packet_size", Type::four_bytes, in(connect, connack),
     Range::not_zero},
    {PropertyId::wildcard_subscription_available, "wildcard_subscription_available", Type::byte, in(connack),
     Range::zero_or_one},
    {PropertyId::subscription_identifier_available, "subscription_identifier_available", Type::byte,
     in(connack), Range::zero_or_one},
    {PropertyId::shared_subscription_available, "shared_subscription_available", Type::byte, in(connack),
     Range::zero_or_one},
};

constexpr size_t kIdentifierCount = 0x2A + 1;
constexpr auto kRowById = [] {
  std::array<Row, kIdentifierCount> rows{};
  for (const Row& row : kRows) rows[static_cast<size_t>(row.id)] = row;
  return rows;
}();

// nullptr for a byte that names no property.
const Row* find_row(uint8_t identifier) {
  if (identifier >= kRowById.size() || kRowById[identifier].type == Type::none) return nullptr;
  return &kRowById[identifier];
}

void read_value(Reader& block, const Row& row, Property& property) {
  switch (row.type) {
    case Type::none:
      break;
    case Type::byte:
      property.number = block.byte();
      break;
    case Type::two_bytes:
      property.number = block.two_bytes();
      break;
    case Type::four_bytes:
      property.number = block.four_bytes();
      break;
    case Type::variable_byte_integer:
      property.number = block.variable_byte_integer();
      break;
    case Type::string:
      property.text = block.string();
      break;
    case Type::binary:
      property.text = block.binary();
      break;
    case Type::pair:
      property.text = block.string();  // [MQTT-1.5.7-1]
      property.value = block.string();
      break;
  }
}

void check_range(Reader& block, const Row& row, const Property& property) {
  switch (row.range) {
    case Range::any:
      break;
    case Range::zero_or_one:
      block.require(property.number <= 1, ReasonCode::protocol_error,
                    "a property that is 0 or 1 has another value");
      break;
    case Range::not_zero:
      if (property.id == PropertyId::topic_alias) {
        block.require(property.number != 0, ReasonCode::topic_alias_invalid, "the topic alias is 0",
                      "MQTT-3.3.2-8");
      } else {
        block.require(property.number != 0, ReasonCode::protocol_error, "a property that may not be 0 is 0");
      }
      break;
  }
  if (property.id == PropertyId::response_topic) {
    block.require(is_topic_name(property.text), ReasonCode::protocol_error,
                  "the response topic is empty or has a wildcard", "MQTT-3.3.2-14");
  }
}

}  // namespace

std::string_view name(PropertyId id) {
  const Row* row = find_row(static_cast<uint8_t>(id));
  return row ? row->name : "unknown";
}

bool is_forwarded(PropertyId id) {
  return id == PropertyId::payload_format_indicator || id == PropertyId::content_type ||
         id == PropertyId::response_topic || id == PropertyId::correlation_data ||
         id == PropertyId::user_property;
}

PropertyWalk::PropertyWalk(Reader& in, PropertyHost host)
    : in_(in), host_(host), left_(in.take(in.variable_byte_integer())) {}

bool PropertyWalk::next(Property& property) {
  if (left_.empty() || in_.failed()) return false;
  Reader block(left_);
  property = {};
  const uint8_t identifier = block.byte();
  const Row* row = find_row(identifier);
  const unsigned host = 1u << static_cast<unsigned>(host_);
  if (row == nullptr || (row->hosts & host) == 0) {
    // Section 2.2.2.2.
    in_.fail({.reason = ReasonCode::malformed_packet, .what = "a property that this packet may not carry"});
    return false;
  }
  property.id = row->id;
  const uint64_t bit = uint64_t{1} << identifier;
  block.require((seen_ & bit) == 0 || (row->repeats_in & host) != 0, ReasonCode::protocol_error,
                "a property stands twice");
  seen_ |= bit;
  read_value(block, *row, property);
  check_range(block, *row, property);
  if (block.failed()) {
    in_.fail(block.violation());
    return false;
  }
  property.bytes = left_.substr(0, left_.size() - block.left());
  left_.remove_prefix(property.bytes.size());
  return true;
}

namespace {

// Calls visit(property) for each property of a block, until that returns false. Says whether it came to the
// end without one that is malformed or not forwarded.
template <typename Visit>
bool walk_block(std::string_view bytes, Visit visit) {
  while (!bytes.empty()) {
    Reader block(bytes);
    Property property;
    const Row* row = find_row(block.byte());
    if (row == nullptr || !is_forwarded(row->id)) return false;
    property.id = row->id;
    read_value(block, *row, property);
    check_range(block, *row, property);
    if (block.failed()) return false;
    if (!visit(property)) return true;
    bytes.remove_prefix(bytes.size() - block.left());
  }
  return true;
}

}  // namespace

std::optional<std::string_view> forwarded_property(std::string_view block, PropertyId id) {
  std::optional<std::string_view> found;
  walk_block(block, [&](const Property& property) {
    if (property.id == id) found = property.text;
    return !found;
  });
  return found;
}

std::optional<uint8_t> payload_format(std::string_view block) {
  std::optional<uint8_t> found;
  walk_block(block, [&](const Property& property) {
    if (property.id == PropertyId::payload_format_indicator) found = static_cast<uint8_t>(property.number);
    return !found;
  });
  return found;
}

UserProperties user_properties(std::string_view block) {
  UserProperties found;
  walk_block(block, [&](const Property& property) {
    if (property.id == PropertyId::user_property) found.push_back({property.text, property.value});
    return true;
  });
  return found;
}

bool payload_format_valid(std::string_view block, std::string_view payload) {
  // Whoever says anything mostly says it first, so the usual message is not searched.
  if (block.empty() || payload_format(block).value_or(0) == 0) return true;
  return is_utf8_with_nul(payload);
}

bool is_forwarded_block(std::string_view bytes) {
  uint64_t seen = 0;
  bool repeated = false;
  const bool well_formed = walk_block(bytes, [&](const Property& property) {
    const uint64_t bit = uint64_t{1} << static_cast<unsigned>(property.id);
    repeated = (seen & bit) != 0 && property.id != PropertyId::user_property;
    seen |= bit;
    return !repeated;
  });
  return well_formed && !repeated;
}

void ForwardedPropertiesBuilder::begin(PropertyId id) {
  const uint64_t bit = uint64_t{1} << static_cast<unsigned>(id);
  CHECK((set_ & bit) == 0 || id == PropertyId::user_property);
  set_ |= bit;
  Writer(block_).byte(static_cast<uint8_t>(id));
}

ForwardedPropertiesBuilder& ForwardedPropertiesBuilder::payload_format(uint8_t indicator) {
  CHECK(indicator <= 1);
  begin(PropertyId::payload_format_indicator);
  Writer(block_).byte(indicator);
  return *this;
}

ForwardedPropertiesBuilder& ForwardedPropertiesBuilder::content_type(std::string_view text) {
  begin(PropertyId::content_type);
  Writer(block_).string(text);
  return *this;
}

ForwardedPropertiesBuilder& ForwardedPropertiesBuilder::response_topic(std::string_view topic) {
  begin(PropertyId::response_topic);
  Writer(block_).string(topic);
  return *this;
}

ForwardedPropertiesBuilder& ForwardedPropertiesBuilder::correlation_data(std::string_view bytes) {
  begin(PropertyId::correlation_data);
  Writer(block_).string(bytes);
  return *this;
}

ForwardedPropertiesBuilder& ForwardedPropertiesBuilder::user_property(std::string_view name,
                                                                      std::string_view value) {
  begin(PropertyId::user_property);
  Writer(block_).string(name);
  Writer(block_).string(value);
  return *this;
}

}  // namespace courier::mqtt
