// What an endpoint is asked about, as values that own their texts: a question outlives the packet that it is
// about. How it looks on the wire is in question_json.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "auth/properties.h"
#include "auth/webhook/hook.h"
#include "mqtt/packet.h"
#include "mqtt/protocol.h"

namespace courier::auth::webhook {

// The client, as its authenticator has it.
struct Client {
  std::string mountpoint, client_id;
  std::optional<std::string> username;
  bool m5 = false;  // of 5.0: asks the hook's _m5 twin, and has properties
};

struct RegisterQuestion {
  Client client;
  std::string peer_address;
  uint16_t peer_port = 0;
  std::optional<std::string> password;
  bool clean_start = true;
  Properties properties;
};

struct PublishQuestion {
  Client client;
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
  Client client;
  std::vector<Topic> topics;
  Properties properties;
};

struct UnsubscribeQuestion {
  Client client;
  std::vector<std::string> filters;
  Properties properties;
};

struct DeliverQuestion {
  Client client;  // who is to receive it
  std::string topic, payload;
  mqtt::Qos qos{};
  bool retain = false;
  Properties properties;
};

// One step of enhanced authentication (5.0 only).
struct AuthQuestion {
  Client client;
  Properties properties;  // authentication_method, authentication_data
};

using Question = std::variant<RegisterQuestion, PublishQuestion, SubscribeQuestion, UnsubscribeQuestion,
                              DeliverQuestion, AuthQuestion>;

Hook hook_of(const Question& question);
const Client& client_of(const Question& question);

}  // namespace courier::auth::webhook
