// The deciding hooks, by the names that VerneMQ's vmq_webhooks gives them. Those that end on _m5 are asked
// for clients of 5.0, the others for those of 3.1 and 3.1.1. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "auth/hooks.h"

namespace courier::auth::webhook {

enum class Hook : uint8_t {
  auth_on_register,
  auth_on_register_m5,
  auth_on_publish,
  auth_on_publish_m5,
  auth_on_subscribe,
  auth_on_subscribe_m5,
  on_unsubscribe,
  on_unsubscribe_m5,
  on_deliver,
  on_deliver_m5,
  on_auth_m5,
};
inline constexpr std::array kHooks = {
    Hook::auth_on_register,  Hook::auth_on_register_m5,  Hook::auth_on_publish, Hook::auth_on_publish_m5,
    Hook::auth_on_subscribe, Hook::auth_on_subscribe_m5, Hook::on_unsubscribe,  Hook::on_unsubscribe_m5,
    Hook::on_deliver,        Hook::on_deliver_m5,        Hook::on_auth_m5};
inline constexpr size_t kHookCount = kHooks.size();

std::string_view name(Hook hook);
std::optional<Hook> parse_hook(std::string_view name);

Hook hook_at(HookPoint point, bool m5);
bool is_m5(Hook hook);
// Whether somebody must say ok: without it the client is refused. The others change what happens, or do not.
bool must_be_allowed(Hook hook);
// Whether its answers may be remembered, and one answer may serve several who ask the same at the same time.
bool may_be_remembered(Hook hook);

}  // namespace courier::auth::webhook
