// A question as JSON, as vmq_webhooks words it:
//
//   auth_on_register   peer_addr, peer_port, mountpoint, client_id, username, password, clean_session
//                      (_m5: clean_start, properties)
//   auth_on_publish    username, mountpoint, client_id, qos, topic, payload, retain
//   auth_on_subscribe  username, mountpoint, client_id, topics: [{topic, qos}] (_m5: no_local, rap,
//                      retain_handling)
//   on_unsubscribe     username, mountpoint, client_id, topics: ["a/b"]
//   on_deliver         username, mountpoint, client_id, qos, topic, payload, retain
//   on_auth_m5         username, mountpoint, client_id, properties
//
// An absent user name or password is null. The payload is base64 unless the hook's options say otherwise;
// user properties and authentication data always are. All _m5 have properties, by the names in
// properties_json.h. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "auth/hook_question.h"
#include "auth/webhook/options.h"
#include "base/result.h"
#include "jose/digest.h"

namespace courier::auth::webhook {

using Question = std::variant<RegisterQuestion, PublishQuestion, SubscribeQuestion, UnsubscribeQuestion,
                              DeliverQuestion, AuthQuestion>;

Hook hook_of(const Question& question);
const HookClient& client_of(const Question& question);

class Wording {
 public:
  // Error: unsayable (a text that is not UTF-8).
  static Result<Wording> of(const Question& question, const HookOptions& hook);

  std::string body() const;
  // What an answer is remembered by: hook, endpoint, and all but payload and peer_port.
  jose::Digest lasting() const;
  // What makes two questions one: the same with the payload.
  jose::Digest whole() const;

 private:
  std::string prefix_;   // hook and endpoint
  std::string lasting_;  // a JSON object
  std::optional<std::string> payload_;
  bool base64_payload_ = true;
  std::optional<uint16_t> peer_port_;
};

}  // namespace courier::auth::webhook
