// [[hook]] and [hooks]: HTTP endpoints that decide what clients may do.
#include <algorithm>
#include <array>

#include "config/check_text.h"
#include "config/sections.h"

namespace courier::config {

namespace {

constexpr std::array<std::string_view, 11> kHookNames = {
    "auth_on_register",  "auth_on_register_m5",  "auth_on_publish", "auth_on_publish_m5",
    "auth_on_subscribe", "auth_on_subscribe_m5", "on_unsubscribe",  "on_unsubscribe_m5",
    "on_deliver",        "on_deliver_m5",        "on_auth_m5"};

std::optional<std::string> check_hook_name(std::string_view text) {
  if (std::ranges::find(kHookNames, text) != kHookNames.end()) return std::nullopt;
  for (const char* told : {"on_register", "on_publish", "on_subscribe", "on_offline_message",
                           "on_client_wakeup", "on_client_offline", "on_client_gone", "on_session_expired",
                           "on_delivery_complete", "on_message_drop"}) {
    if (text == told || text == std::string(told) + "_m5")
      return "it decides nothing; who is told of it is a [[sink]] with kind = \"webhook\" and profile = "
             "\"vernemq\"";
  }
  return "there is no such hook; there are auth_on_register, auth_on_publish, auth_on_subscribe, "
         "on_unsubscribe, on_deliver, each with an _m5 twin for clients of 5.0, and on_auth_m5";
}

template <auto Field>
Member hook_limit() {
  return member<&Settings::hook_limits, Field>();
}

}  // namespace

Section hook_section() {
  Rows hooks = rows<&Settings::hooks>();
  hooks.max = 100;
  hooks.names_repeat = true;
  hooks.come_and_go = true;
  return {
      "hook",
      "An HTTP endpoint that decides what clients may do, and may change it; repeat the section for more. "
      "See "
      "webhooks.md. Endpoints of the same hook are asked in their order.",
      true,
      {
          {.name = "name",
           .kind = Kind::text,
           .member = member<&Hook::name>(),
           .help = "When it is asked: auth_on_register, auth_on_publish, auth_on_subscribe, on_unsubscribe, "
                   "on_deliver for clients of 3.1 and 3.1.1, the same with _m5 for those of 5.0, and "
                   "on_auth_m5.",
           .check = check_hook_name,
           .example = "auth_on_register",
           .required = true,
           .reloadable = true},
          {.name = "endpoint",
           .kind = Kind::text,
           .member = member<&Hook::endpoint>(),
           .help = "Its URL, http:// or https://.",
           .check = check_http_url,
           .example = "http://127.0.0.1:8080/mqtt",
           .required = true,
           .reloadable = true},
          {.name = "timeout",
           .kind = Kind::duration,
           .member = member<&Hook::timeout>(),
           .help = "From the question to the whole answer, waiting for a connection included.",
           .min = 1,
           .max = 600 * kSecond,
           .reloadable = true},
          {.name = "on_failure",
           .kind = Kind::choice,
           .member = member<&Hook::on_failure>(),
           .help =
               "What becomes of a client when the endpoint cannot be asked, or answers nothing that means "
               "anything. Of the auth_ hooks; the others go on unchanged.",
           .choices = {"deny", "allow"},
           .reloadable = true},
          {.name = "base64_payload",
           .kind = Kind::boolean,
           .member = member<&Hook::base64_payload>(),
           .help = "The payload is base64 in questions and answers, else text.",
           .reloadable = true},
          {.name = "no_payload",
           .kind = Kind::boolean,
           .member = member<&Hook::no_payload>(),
           .help = "auth_on_publish goes without the payload.",
           .reloadable = true},
          {.name = "ca_file",
           .kind = Kind::text,
           .member = member<&Hook::ca_file>(),
           .help = "PEM file: whom to trust instead of the authorities of this machine.",
           .check = check_input_file,
           .example = "/etc/courier/hooks-ca.pem",
           .reloadable = true},
          {.name = "certificate_file",
           .kind = Kind::text,
           .member = member<&Hook::certificate_file>(),
           .help = "PEM file: the certificate to show to an endpoint that asks for one.",
           .check = check_input_file,
           .example = "/etc/courier/broker.pem",
           .reloadable = true},
          {.name = "key_file",
           .kind = Kind::text,
           .member = member<&Hook::key_file>(),
           .help = "PEM file: its private key. Empty: it stands in the file of the certificate.",
           .check = check_input_file,
           .example = "/etc/courier/broker.key",
           .reloadable = true},
      },
      hooks};
}

Section hooks_section() {
  return {
      "hooks",
      "Bounds of all [[hook]]s.",
      false,
      {
          {.name = "connections_max",
           .kind = Kind::count,
           .member = hook_limit<&HookLimits::connections_max>(),
           .help = "Requests to one endpoint that run at once, each over a connection of its own.",
           .min = 1,
           .max = 10'000,
           .reloadable = true},
          {.name = "queue_max",
           .kind = Kind::count,
           .member = hook_limit<&HookLimits::queue_max>(),
           .help = "Requests to one endpoint that wait for a connection; one more is a failure.",
           .max = 10'000'000,
           .reloadable = true},
          {.name = "cache_entries_max",
           .kind = Kind::count,
           .member = hook_limit<&HookLimits::cache_entries_max>(),
           .help = "Answers that are remembered as long as their Cache-Control says, some 600 bytes each.",
           .max = 100'000'000,
           .reloadable = true},
          {.name = "refusals_kept",
           .kind = Kind::duration,
           .member = hook_limit<&HookLimits::refusals_kept>(),
           .help = "A refusal counts so long for the same question, at most twice that.",
           .max = 600 * kSecond,
           .zero_means = "it is not kept",
           .reloadable = true},
          {.name = "circuit_failures",
           .kind = Kind::count,
           .member = hook_limit<&HookLimits::circuit_failures>(),
           .help = "After so many failures in a row an endpoint is left alone.",
           .min = 1,
           .max = 1'000'000,
           .reloadable = true},
          {.name = "circuit_open",
           .kind = Kind::duration,
           .member = hook_limit<&HookLimits::circuit_open>(),
           .help = "For so long; then one request tries.",
           .min = 1,
           .max = 600 * kSecond,
           .reloadable = true},
      }};
}

}  // namespace courier::config
