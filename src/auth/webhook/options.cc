#include "auth/webhook/options.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "auth/webhook/errc.h"
#include "auth/webhook/limits.h"
#include "http/client.h"

namespace courier::auth::webhook {

namespace {

Failure bad_options(const HookOptions& hook, std::string_view what) {
  return fail(errc::bad_options, fmt::format("hook {}, endpoint \"{}\": {}", name(hook.name),
                                             http::without_secrets(hook.endpoint), what));
}

}  // namespace

Result<void> check_options(const Options& options) {
  if (options.hooks.size() > kEndpointsMax)
    return fail(errc::bad_options, fmt::format("there are more than {} hooks", kEndpointsMax));
  if (options.connections_max == 0 || options.circuit_failures == 0 || options.circuit_open_ms < 0 ||
      options.refusals_kept_ms < 0) {
    return fail(errc::bad_options,
                "connections_max and circuit_failures of hooks must be 1 at least, and no time below 0");
  }
  for (const HookOptions& hook : options.hooks) {
    if (!hook.endpoint.starts_with("http://") && !hook.endpoint.starts_with("https://"))
      return bad_options(hook, "it starts neither with http:// nor with https://");
    if (http::names_user(hook.endpoint)) {
      return bad_options(hook,
                         "it has a user name or a password before its host, which Courier does not send: let "
                         "certificate_file say who asks");
    }
    if (hook.endpoint.size() > kUrlBytesMax) return bad_options(hook, "it is too long");
    const auto bad = [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7F; };
    if (std::any_of(hook.endpoint.begin(), hook.endpoint.end(), bad))
      return bad_options(hook, "it holds white space or control characters");
    if (hook.timeout_ms <= 0) return bad_options(hook, "its timeout must be 1 ms at least");
    if (hook.on_failure == OnFailure::allow && hook.name == Hook::on_auth_m5) {
      return bad_options(hook,
                         "on_failure cannot be \"allow\": nobody is authenticated by an endpoint that "
                         "does not answer");
    }
    if (hook.certificate_file.empty() && !hook.key_file.empty())
      return bad_options(hook, "it has a key_file, but no certificate_file");
    const auto same = std::count_if(
        options.hooks.begin(), options.hooks.end(),
        [&](const HookOptions& other) { return other.name == hook.name && other.endpoint == hook.endpoint; });
    if (same > 1) return bad_options(hook, "it stands there twice");
  }
  return {};
}

}  // namespace courier::auth::webhook
