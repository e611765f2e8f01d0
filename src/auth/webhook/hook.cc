#include "auth/webhook/hook.h"

namespace courier::auth::webhook {

std::string_view name(Hook hook) {
  switch (hook) {
    case Hook::auth_on_register:
      return "auth_on_register";
    case Hook::auth_on_register_m5:
      return "auth_on_register_m5";
    case Hook::auth_on_publish:
      return "auth_on_publish";
    case Hook::auth_on_publish_m5:
      return "auth_on_publish_m5";
    case Hook::auth_on_subscribe:
      return "auth_on_subscribe";
    case Hook::auth_on_subscribe_m5:
      return "auth_on_subscribe_m5";
    case Hook::on_unsubscribe:
      return "on_unsubscribe";
    case Hook::on_unsubscribe_m5:
      return "on_unsubscribe_m5";
    case Hook::on_deliver:
      return "on_deliver";
    case Hook::on_deliver_m5:
      return "on_deliver_m5";
    case Hook::on_auth_m5:
      return "on_auth_m5";
  }
  return "unknown";
}

std::optional<Hook> parse_hook(std::string_view text) {
  for (const Hook hook : kHooks) {
    if (name(hook) == text) return hook;
  }
  return std::nullopt;
}

Hook hook_at(HookPoint point, bool m5) {
  switch (point) {
    case HookPoint::connect:
      return m5 ? Hook::auth_on_register_m5 : Hook::auth_on_register;
    case HookPoint::publish:
      return m5 ? Hook::auth_on_publish_m5 : Hook::auth_on_publish;
    case HookPoint::subscribe:
      return m5 ? Hook::auth_on_subscribe_m5 : Hook::auth_on_subscribe;
    case HookPoint::unsubscribe:
      return m5 ? Hook::on_unsubscribe_m5 : Hook::on_unsubscribe;
    case HookPoint::deliver:
      return m5 ? Hook::on_deliver_m5 : Hook::on_deliver;
  }
  return Hook::on_auth_m5;
}

bool is_m5(Hook hook) {
  return name(hook).ends_with("_m5");
}

bool must_be_allowed(Hook hook) {
  return may_be_remembered(hook) || hook == Hook::on_auth_m5;
}

bool may_be_remembered(Hook hook) {
  return name(hook).starts_with("auth_");
}

}  // namespace courier::auth::webhook
