// What hooks are asked about, as values that own their texts: a question outlives the packet that it is
// about.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "auth/properties.h"
#include "mqtt/packet.h"
#include "mqtt/protocol.h"

namespace courier::auth {

// The client, as its authenticator has it.
struct HookClient {
  std::string mountpoint, client_id;
  std::optional<std::string> username;
  bool m5 = false;  // of 5.0: asks the hook's _m5 twin, and has properties
};

struct RegisterQuestion {
  HookClient client;
  std::string peer_address;
  uint16_t peer_port = 0;
  std::optional<std::string> password;
  bool clean_start = true;
  Properties properties;
};

struct PublishQuestion {
  HookClient client;
  std::string topic, payload;
  mqtt::Qos qos{};
  bool retain = false;
  Properties properties;
};

struct SubscribeQuestion {
  struct Topic {
    std::string filter;
    mqtt::SubscriptionOptions options;
  };
  HookClient client;
  std::vector<Topic> topics;
  Properties properties;
};

struct UnsubscribeQuestion {
  HookClient client;
  std::vector<std::string> filters;
  Properties properties;
};

struct DeliverQuestion {
  HookClient client;  // who is to receive it
  std::string topic, payload;
  mqtt::Qos qos{};
  bool retain = false;
  Properties properties;
};

// One step of enhanced authentication (5.0 only).
struct AuthQuestion {
  HookClient client;
  Properties properties;  // authentication_method, authentication_data
};

}  // namespace courier::auth
