#include "auth/webhook/webhook_authenticator.h"

#include <charconv>
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

Decision decision_of(RegisterAnswer answer, Name mountpoint, std::optional<std::string> username) {
  Decision decision;
  switch (answer.outcome) {
    case Outcome::next:
      return decision;
    case Outcome::refused:
      decision.verdict = Verdict::deny;
      decision.reason = answer.reason;
      decision.why = "hook: " + answer.why;
      return decision;
    case Outcome::ok:
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
  return decision;
}

}  // namespace

void WebhookAuthenticator::authenticate(Credentials credentials, std::function<void(Decision)> done) {
  RegisterQuestion question;
  question.client = {credentials.mountpoint, std::move(credentials.client_id), credentials.username,
                     credentials.version == mqtt::Version::v5};
  read_peer(credentials.peer, question);
  question.password = std::move(credentials.password);
  question.clean_start = credentials.clean_start;
  if (credentials.properties) question.properties = *credentials.properties;
  webhooks_.ask(std::move(question),
                [mountpoint = Name(credentials.mountpoint), username = std::move(credentials.username),
                 done = std::move(done)](RegisterAnswer answer) mutable {
                  done(decision_of(std::move(answer), std::move(mountpoint), std::move(username)));
                });
}

}  // namespace courier::auth::webhook
