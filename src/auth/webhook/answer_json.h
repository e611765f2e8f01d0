// An endpoint's answer, read as vmq_webhooks reads it:
//
//   {"result": "ok", "modifiers": {…}}     decided; auth_on_subscribe and on_unsubscribe (of 3.x) have
//   {"result": "ok", "topics": […]}        "topics" beside "result", their _m5 twins under "modifiers"
//   {"result": "next"}                     ask the next endpoint
//   {"result": {"error": "why"}}           refused
//
// One modifier that is unknown, of the wrong type, or of a value that MQTT does not have, fails the answer:
// to do half of what an endpoint said could be to let somebody in where it said where not. Other members
// beside "result" are passed over. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "auth/hook_answer.h"
#include "auth/webhook/options.h"
#include "auth/webhook/question_json.h"
#include "base/clock.h"
#include "base/result.h"

namespace courier::auth::webhook {

using Changes = std::variant<RegisterChanges, PublishChanges, SubscribeChanges, UnsubscribeChanges,
                             DeliverChanges, AuthChanges>;

struct Reply {
  HookOutcome outcome = HookOutcome::next;
  mqtt::ReasonCode reason = mqtt::ReasonCode::not_authorized;  // when refused
  std::string why;                                             // when refused: the endpoint's own word
  Changes changes;                                             // when ok: those of the question's hook
};

// `now`: what "expire_at" is compared with. Errors: not_json (nobody can tell what the endpoint meant),
// bad_modifier (it said ok, and something that cannot be done).
Result<Reply> read_reply(std::string_view body, const Question& question, const HookOptions& hook,
                         WallMs now);

// Whether the answer may be given again to who asks the same with another payload.
bool fits_other_payloads(const Reply& reply);

}  // namespace courier::auth::webhook
