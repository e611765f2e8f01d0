#include "auth/webhook/webhook_authenticator.h"

#include <charconv>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace courier::auth::webhook {

namespace {

// "192.0.2.7:51234", "[2001:db8::1]:51234"; what has no port is all address.
void read_peer(std::string_view peer, RegisterQuestion& into) {
  const size_t colon = peer.rfind(':');
  uint16_t port = 0;
  if (colon != std::string_view::npos) {
    const char* end = peer.data() + peer.size();
    const auto [stop, error] = std::from_chars(peer.data() + colon + 1, end, port);
    if (error == std::errc{} && stop == end) {
      into.peer_port = port;
      peer = peer.substr(0, colon);
    }
  }
  if (peer.starts_with('[') && peer.ends_with(']')) peer = peer.substr(1, peer.size() - 2);
  into.peer_address = peer;
}

RegisterQuestion register_question(Credentials credentials) {
  RegisterQuestion question;
  question.client = {std::move(credentials.mountpoint), std::move(credentials.client_id),
                     std::move(credentials.username), credentials.version == mqtt::Version::v5};
  read_peer(credentials.peer, question);
  question.password = std::move(credentials.password);
  question.clean_start = credentials.clean_start;
  if (credentials.properties) question.properties = *credentials.properties;
  return question;
}

Decision denied(mqtt::ReasonCode reason, std::string why) {
  Decision decision;
  decision.verdict = Verdict::deny;
  decision.reason = reason;
  decision.why = "hook: " + std::move(why);
  decision.why_is_ours = true;
  return decision;
}

Decision decision_of(RegisterAnswer answer, Name mountpoint, std::optional<std::string> username) {
  Decision decision;
  switch (answer.outcome) {
    case HookOutcome::next:
      return decision;
    case HookOutcome::refused:
      return denied(answer.reason, std::move(answer.why));
    case HookOutcome::ok:
      break;
  }
  RegisterChanges& changes = answer.changes;
  decision.verdict = Verdict::allow;
  if (changes.username) username = std::move(changes.username);
  decision.identity.anonymous = !username;
  decision.identity.username = username.value_or("");
  decision.identity.mountpoint = std::move(mountpoint);
  if (changes.place) {
    decision.client_id = std::move(changes.place->client_id);
    decision.identity.mountpoint = changes.place->mountpoint;
  }
  decision.grants = std::move(changes.grants);
  decision.expires_at = changes.expires_at;
  decision.terms = changes.terms;
  if (changes.user_properties) decision.user_properties = std::move(*changes.user_properties);
  return decision;
}

// The question is cancelled when the client hangs up.
void ends_with(const std::shared_ptr<Hangup>& hangup, const std::shared_ptr<Webhooks>& webhooks,
               Hooks::Ticket ticket) {
  if (!hangup) return;
  hangup->then([webhooks, ticket = std::move(ticket)] { webhooks->cancel(ticket); });
}

class HookExchange final : public Exchange, public std::enable_shared_from_this<HookExchange> {
 public:
  HookExchange(std::shared_ptr<Webhooks> webhooks, std::string_view method, const Credentials& credentials)
      : webhooks_(std::move(webhooks)), method_(method), credentials_(credentials) {}

  void step(std::string data, std::function<void(Step)> done) override {
    AuthQuestion question;
    question.client = {credentials_.mountpoint, credentials_.client_id, credentials_.username, true};
    question.properties.authentication_method = method_;
    question.properties.authentication_data = std::move(data);
    const uint64_t number = ++asked_;
    keep(number, webhooks_->ask(std::move(question), [self = shared_from_this(),
                                                      done = std::move(done)](AuthAnswer answer) mutable {
      self->go_on(std::move(answer), std::move(done));
    }));
  }

 private:
  // The answer to one question may come, and the next question be asked, before the first one's ticket is
  // here.
  void keep(uint64_t number, Hooks::Ticket ticket) {
    const std::lock_guard lock(mutex_);
    if (number < kept_) return;
    kept_ = number;
    ends_with(credentials_.hangup, webhooks_, std::move(ticket));
  }

  void go_on(AuthAnswer answer, std::function<void(Step)> done) {
    if (!answer.ok()) return done({{}, denied(answer.reason, std::move(answer.why))});
    std::string data = std::move(answer.changes.authentication_data).value_or("");
    if (answer.changes.go_on) return done({std::move(data), std::nullopt});
    RegisterQuestion question = register_question(credentials_);
    question.client.m5 = true;
    if (!webhooks_->asks(Hook::auth_on_register_m5)) {
      RegisterAnswer ok;
      ok.outcome = HookOutcome::ok;
      return done(
          {std::move(data), decision_of(std::move(ok), credentials_.mountpoint, credentials_.username)});
    }
    const uint64_t number = ++asked_;
    auto ticket =
        webhooks_->ask(std::move(question), [self = shared_from_this(), data = std::move(data),
                                             done = std::move(done)](RegisterAnswer registered) mutable {
          Decision decision =
              registered.outcome == HookOutcome::next
                  ? denied(mqtt::ReasonCode::not_authorized, "no endpoint of auth_on_register_m5 said ok")
                  : decision_of(std::move(registered), self->credentials_.mountpoint,
                                self->credentials_.username);
          if (decision.verdict != Verdict::allow) data.clear();
          done({std::move(data), std::move(decision)});
        });
    keep(number, std::move(ticket));
  }

  const std::shared_ptr<Webhooks> webhooks_;
  const std::string method_;
  const Credentials credentials_;
  uint64_t asked_ = 0;  // one question at a time: of whoever asks
  std::mutex mutex_;
  uint64_t kept_ = 0;  // guarded by mutex_: whose ticket the hangup has
};

}  // namespace

void WebhookAuthenticator::authenticate(Credentials credentials, std::function<void(Decision)> done) {
  Name mountpoint(credentials.mountpoint);
  auto username = credentials.username;
  const auto hangup = credentials.hangup;
  ends_with(hangup, webhooks_,
            webhooks_->ask(register_question(std::move(credentials)),
                           [mountpoint = std::move(mountpoint), username = std::move(username),
                            done = std::move(done)](RegisterAnswer answer) mutable {
                             done(decision_of(std::move(answer), std::move(mountpoint), std::move(username)));
                           }));
}

std::shared_ptr<Exchange> WebhookAuthenticator::begin(std::string_view method,
                                                      const Credentials& credentials) {
  if (!webhooks_->asks(Hook::on_auth_m5)) return nullptr;
  return std::make_shared<HookExchange>(webhooks_, method, credentials);
}

}  // namespace courier::auth::webhook
