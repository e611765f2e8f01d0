// Lets in whom the endpoints of auth_on_register (of 5.0: auth_on_register_m5) let in.
//
//   nobody is configured for it, or all endpoints said next     next
//   an endpoint said ok                                         allow, with its modifiers
//   an endpoint refused                                         deny: not_authorized, or the reason code that
//                                                               its error names
//   an endpoint failed                                          by on_failure: deny with server_unavailable
//                                                               (3.x: return code 3), or allow
//
// Enhanced authentication of 5.0 goes through on_auth_m5, if that is configured: whatever its method is, the
// endpoints get it and the client's data, step by step; so nothing that has methods of its own comes after
// this one in a chain. Once they are content auth_on_register_m5 is asked, if that is configured, and must
// say ok: it has the modifiers. That is so for re-authentication too.
//
// When the client hangs up its question is cancelled. Any thread; never blocks. The webhooks are
// shared with what it asks of them; their owner keeps them until nobody else does.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "auth/authenticator.h"
#include "auth/webhook/webhooks.h"

namespace courier::auth::webhook {

class WebhookAuthenticator final : public Authenticator {
 public:
  explicit WebhookAuthenticator(std::shared_ptr<Webhooks> webhooks) : webhooks_(std::move(webhooks)) {}

  void authenticate(Credentials credentials, std::function<void(Decision)> done) override;
  std::shared_ptr<Exchange> begin(std::string_view method, const Credentials& credentials) override;
  void stop() override { webhooks_->stop(); }

 private:
  const std::shared_ptr<Webhooks> webhooks_;
};

}  // namespace courier::auth::webhook
