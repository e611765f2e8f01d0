// What hooks decided, as values. Whatever they did not change is absent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "auth/grant.h"
#include "auth/properties.h"
#include "auth/session_terms.h"
#include "base/clock.h"
#include "mqtt/packet.h"
#include "mqtt/protocol.h"

namespace courier::auth {

// How a question ended.
enum class HookOutcome : uint8_t {
  ok,       // go on, with the changes
  refused,  // `reason` and `why` say how
  next,     // nobody decided: nobody is configured, or nobody wanted to. Of a hook that must allow: refuse,
            // unless something else than hooks may decide
};

struct RegisterChanges {
  struct Place {
    std::string client_id, mountpoint;
  };
  std::optional<Place> place;
  std::optional<std::string> username;
  SessionTerms terms;
  std::vector<Grant> grants;
  std::optional<WallMs> expires_at;
  // 5.0: what the CONNACK is to carry.
  std::optional<std::vector<Properties::UserProperty>> user_properties;
};

struct PublishChanges {
  std::optional<std::string> topic, payload, mountpoint;
  std::optional<mqtt::Qos> qos;
  std::optional<bool> retain;
  std::optional<uint32_t> throttle_ms;  // the client is not read from for so long
  // 5.0: instead of all that the packet has.
  std::optional<Properties> properties;
};

struct SubscribeChanges {
  struct Topic {
    std::string filter;
    mqtt::SubscriptionOptions options;
    std::optional<mqtt::ReasonCode> refused;
  };
  // One for each that was asked about, in that order. Absent: all as asked.
  std::optional<std::vector<Topic>> topics;
};

struct UnsubscribeChanges {
  std::optional<std::vector<std::string>> filters;  // as many as were asked about
};

struct DeliverChanges {
  std::optional<std::string> topic, payload;
  std::optional<Properties> properties;  // 5.0: instead of all that the message has
};

struct AuthChanges {
  bool go_on = false;  // another round: continue_authentication
  std::optional<std::string> authentication_method, authentication_data;
};

template <typename What>
struct HookAnswer {
  HookOutcome outcome = HookOutcome::next;
  mqtt::ReasonCode reason = mqtt::ReasonCode::not_authorized;  // when refused
  std::string why;                                             // a sentence for the log, when refused
  bool failed = false;  // nobody could be asked; the configuration made the outcome
  What changes;         // when ok

  bool ok() const { return outcome == HookOutcome::ok; }
};
using RegisterAnswer = HookAnswer<RegisterChanges>;
using PublishAnswer = HookAnswer<PublishChanges>;
using SubscribeAnswer = HookAnswer<SubscribeChanges>;
// Of these two the outcome is always ok or next, and next means the same: as it was.
using UnsubscribeAnswer = HookAnswer<UnsubscribeChanges>;
using DeliverAnswer = HookAnswer<DeliverChanges>;
using AuthAnswer = HookAnswer<AuthChanges>;

}  // namespace courier::auth
