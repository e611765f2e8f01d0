#include "reload_parts.h"

#include <utility>

#include "base/check.h"
#include "base/log.h"

namespace courier::courierd {

namespace {

using config::Settings;

// TLS files, WebSocket settings, PROXY policy and the limit of each listener.
Reload::Part listeners(const RunningParts& parts) {
  return {"certificates", [parts](const Settings&, const Settings& next) -> Result<Reload::Commit> {
            auto listeners = listeners_of(next);
            if (!listeners) return fail(std::move(listeners).error());
            auto doors = parts.transports.load(next.listeners, system_clock().wall_ms());
            if (!doors) return fail(std::move(doors).error());
            for (size_t i = 0; i < doors->size(); ++i) (*listeners)[i].transport = (*doors)[i].transport;
            return [parts, next, listeners = *std::move(listeners), doors = *std::move(doors)] {
              parts.gateway.use(listeners);
              parts.tell(next, doors);
            };
          }};
}

Reload::Part authentication(const RunningParts& parts) {
  return {"passwords, token keys and hooks",
          [parts](const Settings& running, const Settings& next) -> Result<Reload::Commit> {
            auto made = authenticators_of(next, parts.registry, &parts.authenticators, &running);
            if (!made) return fail(std::move(made).error());
            std::vector<Reload::Commit> read_again;
            // Those that stay read their files now instead of within a second.
            if (made->passwords && made->passwords == parts.authenticators.passwords) {
              auto commit = made->passwords->prepare_reload();
              if (!commit) return fail(std::move(commit).error());
              read_again.push_back(*std::move(commit));
            }
            if (made->tokens && made->tokens == parts.authenticators.tokens) {
              auto commit = made->tokens->prepare_reload();
              if (!commit) return fail(std::move(commit).error());
              read_again.push_back(*std::move(commit));
            }
            // Shared because a std::function is copied; it is called once.
            auto next_parts = std::make_shared<Authenticators>(*std::move(made));
            return [parts, next_parts, read_again = std::move(read_again)] {
              for (const Reload::Commit& commit : read_again) commit();
              parts.authenticator.replace(std::move(next_parts->chain));
              if (next_parts->webhooks != parts.authenticators.webhooks) {
                parts.hooks.replace(next_parts->webhooks);
                parts.node.hooks_changed();
              }
              parts.authenticators = std::move(*next_parts);
            };
          }};
}

Reload::Part access_rules(const RunningParts& parts) {
  return {"access rules", [parts](const Settings&, const Settings& next) -> Result<Reload::Commit> {
            return parts.rules.prepare_reload(next.auth.acl_file);
          }};
}

Reload::Part admin_tokens(const RunningParts& parts) {
  return {"tokens of the REST API", [parts](const Settings&, const Settings& next) -> Result<Reload::Commit> {
            if (!parts.admin) return Reload::Commit([] {});
            return parts.admin->prepare_tokens(next.admin.tokens, next.admin.token_file);
          }};
}

Reload::Part limits(const RunningParts& parts) {
  return {"limits", [parts](const Settings&, const Settings& next) -> Result<Reload::Commit> {
            auto rules = limit_rules_of(next);
            if (!rules) return fail(std::move(rules).error());
            if (auto checked = quota::Rules::check(*rules); !checked) return fail(std::move(checked).error());
            return [parts, limits = limits_of(next), options = gateway_options_of(next),
                    rules = *std::move(rules)] {
              parts.gateway.use(options.connections);
              parts.node.use(limits);
              CHECK(parts.node.quota().exchange(rules));
            };
          }};
}

Reload::Part admission(const RunningParts& parts) {
  return {"admission", [parts](const Settings&, const Settings& next) -> Result<Reload::Commit> {
            return [parts, admission = admission_of(next), flapping = flapping_of(next)] {
              parts.gateway.admission().use(admission);
              parts.flapping.use(flapping);
            };
          }};
}

Reload::Part log_level() {
  return {"log level", [](const Settings&, const Settings& next) -> Result<Reload::Commit> {
            return [level = next.log.level] { log::set_level(level); };
          }};
}

}  // namespace

Reload reload_of(RunningParts running) {
  Reload reload;
  reload.add(listeners(running));
  reload.add(authentication(running));
  reload.add(access_rules(running));
  reload.add(admin_tokens(running));
  reload.add(limits(running));
  reload.add(admission(running));
  reload.add(log_level());
  return reload;
}

}  // namespace courier::courierd
