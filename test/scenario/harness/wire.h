// MQTT as bytes, written a second time and apart from src/mqtt: a test that used the broker's own codec would
// agree with its mistakes. Builds packets for a client to send, legal ones and, from the same parts, illegal
// ones; reads what a server sends and refuses anything that the specification does not allow a server to
// send.
//
// Values only; no sockets. A broken expectation is thrown as Broken, which gtest reports as the test's
// failure.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace courier::scenario {

struct Broken : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum Version : uint8_t { v3_1 = 3, v3_1_1 = 4, v5 = 5 };

enum Type : uint8_t {
  kConnect = 1,
  kConnack = 2,
  kPublish = 3,
  kPuback = 4,
  kPubrec = 5,
  kPubrel = 6,
  kPubcomp = 7,
  kSubscribe = 8,
  kSuback = 9,
  kUnsubscribe = 10,
  kUnsuback = 11,
  kPingreq = 12,
  kPingresp = 13,
  kDisconnect = 14,
  kAuth = 15,
};
const char* type_name(uint8_t type);

// Property identifiers, section 2.2.2.2.
enum Property : uint8_t {
  kPayloadFormat = 0x01,
  kMessageExpiry = 0x02,
  kContentType = 0x03,
  kResponseTopic = 0x08,
  kCorrelationData = 0x09,
  kSubscriptionId = 0x0B,
  kSessionExpiry = 0x11,
  kAssignedClientId = 0x12,
  kServerKeepAlive = 0x13,
  kAuthMethod = 0x15,
  kAuthData = 0x16,
  kRequestProblem = 0x17,
  kWillDelay = 0x18,
  kRequestResponse = 0x19,
  kResponseInformation = 0x1A,
  kServerReference = 0x1C,
  kReasonString = 0x1F,
  kReceiveMaximum = 0x21,
  kTopicAliasMaximum = 0x22,
  kTopicAlias = 0x23,
  kMaximumQos = 0x24,
  kRetainAvailable = 0x25,
  kUserProperty = 0x26,
  kMaximumPacketSize = 0x27,
  kWildcardAvailable = 0x28,
  kSubscriptionIdAvailable = 0x29,
  kSharedAvailable = 0x2A,
};

// The pieces that packets are made of.
std::string u8(unsigned value);
std::string u16(unsigned value);
std::string u32(uint32_t value);
std::string varint(uint32_t value);
std::string text(std::string_view value);  // also Binary Data: two bytes of length, then the bytes
// Any packet, whatever its first byte, with the right Remaining Length.
std::string frame(uint8_t first_byte, std::string_view body);

// A property list in the order it was written, for sending and as received.
class Properties {
 public:
  struct Entry {
    uint8_t id = 0;
    uint32_t number = 0;
    std::string text, value;  // value: the second half of a User Property
  };

  Properties() = default;
  Properties& number(Property id, uint32_t value);
  Properties& text(Property id, std::string_view value);
  Properties& user(std::string_view name, std::string_view value);

  std::string encoded() const;      // without the length
  std::string with_length() const;  // as it stands in a packet
  bool has(Property id) const;
  std::optional<uint32_t> number(Property id) const;
  std::optional<std::string> text(Property id) const;
  std::vector<uint32_t> numbers(Property id) const;
  std::vector<std::pair<std::string, std::string>> user() const;
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};
inline Properties with(Property id, uint32_t value) {
  return Properties().number(id, value);
}
inline Properties with(Property id, std::string_view value) {
  return Properties().text(id, value);
}

struct Will {
  std::string topic = {}, payload = {};
  int qos = 0;
  bool retain = false;
  Properties properties = {};
};

struct Connect {
  Version version = v5;
  std::string client_id = {};
  bool clean = true;
  uint16_t keep_alive = 0;
  std::optional<Will> will = {};
  std::optional<std::string> username = {}, password = {};
  Properties properties = {};
};

struct Publish {
  std::string topic = {}, payload = {};
  int qos = 0;
  bool retain = false, dup = false;
  uint16_t id = 0;  // set by the client when it is 0 and needed
  Properties properties = {};
};

struct Filter {
  std::string filter;
  uint8_t options = 0;  // QoS in bits 0-1, then the ones below
};
constexpr uint8_t kNoLocal = 0x04, kRetainAsPublished = 0x08, kRetainIfNew = 0x10, kRetainNever = 0x20;

std::string connect_packet(const Connect& connect);
std::string publish_packet(Version version, const Publish& publish);
// PUBACK, PUBREC, PUBREL, PUBCOMP: the short form when there is nothing to say.
std::string reply_packet(Version version, Type type, uint16_t id, uint8_t reason = 0,
                         const Properties& properties = {});
std::string subscribe_packet(Version version, uint16_t id, const std::vector<Filter>& filters,
                             const Properties& properties = {});
std::string unsubscribe_packet(Version version, uint16_t id, const std::vector<std::string>& filters,
                               const Properties& properties = {});
std::string disconnect_packet(Version version, uint8_t reason = 0, const Properties& properties = {});
std::string auth_packet(uint8_t reason, const Properties& properties = {});
inline std::string pingreq_packet() {
  return frame(0xC0, "");
}

// A packet that a server sent.
struct Packet {
  uint8_t type = 0, flags = 0;
  size_t size = 0;  // on the wire
  uint16_t id = 0;
  uint8_t reason = 0;
  bool session_present = false;
  std::vector<uint8_t> reasons;
  std::string topic, payload;
  int qos = 0;
  bool dup = false, retain = false;
  Properties properties = {};
};

// Takes the packet at the front of `buffer` out of it; nullopt while it is not complete. Throws Broken when
// the bytes are not a packet that a server of this version may send.
std::optional<Packet> take_packet(std::string& buffer, Version version);

}  // namespace courier::scenario
