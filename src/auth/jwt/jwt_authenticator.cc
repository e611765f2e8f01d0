#include "auth/jwt/jwt_authenticator.h"

#include <string.h>

#include <limits>
#include <utility>

#include "auth/jwt/errc.h"
#include "auth/jwt/limits.h"
#include "jose/limits.h"

namespace courier::auth::jwt {
namespace {

Counter& tokens(Registry& registry, std::string_view result) {
  return registry.counter(
      "courier_jwt_checks_total",
      "Tokens that were to be checked, by outcome; \"cached\" are those accepted without verifying anew.",
      {{"result", std::string(result)}});
}

Decision denied(mqtt::ReasonCode reason, std::string why) {
  Decision decision;
  decision.verdict = Verdict::deny;
  decision.reason = reason;
  decision.why = std::move(why);
  return decision;
}

MonoNs kept_until(const jose::Digest& token, MonoNs now) {
  // Jitter without a random source: a digest is as good as one, and clients that failed together do not come
  // back to be verified together.
  const auto jitter = static_cast<MonoNs>(token[0] << 8 | token[1]);
  return now + kRefusalKeptNs + kRefusalKeptNs * jitter / 65'536;
}

}  // namespace

// Shared between the task, which std::function wants to copy, and authenticate(), which still needs it when
// the queue is full.
struct JwtAuthenticator::Request {
  Request(Credentials c, std::function<void(Decision)> d) : credentials(std::move(c)), done(std::move(d)) {}
  ~Request() {
    // Tokens do not stay behind in freed memory.
    ::explicit_bzero(credentials.password->data(), credentials.password->size());
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  std::string_view token() const { return *credentials.password; }

  Credentials credentials;
  std::function<void(Decision)> done;
  jose::Digest digest{};
  jose::Jws jws;  // its views are of the password
};

namespace {

class TokenExchange final : public Exchange {
 public:
  TokenExchange(JwtAuthenticator& authenticator, Credentials credentials)
      : authenticator_(authenticator), credentials_(std::move(credentials)) {}

  void step(std::string data, std::function<void(Step)> done) override {
    Credentials credentials = credentials_;
    credentials.password = std::move(data);
    authenticator_.authenticate(std::move(credentials), [done = std::move(done)](Decision decision) {
      if (decision.verdict == Verdict::next) {
        decision = denied(mqtt::ReasonCode::not_authorized, "the authentication data is no token");
      }
      done({{}, std::move(decision)});
    });
  }

 private:
  JwtAuthenticator& authenticator_;
  const Credentials credentials_;
};

}  // namespace

std::shared_ptr<Exchange> JwtAuthenticator::begin(std::string_view method, const Credentials& credentials) {
  if (method != "JWT") return nullptr;
  return std::make_shared<TokenExchange>(*this, credentials);
}

Result<std::unique_ptr<JwtAuthenticator>> JwtAuthenticator::open(const Options& options, Registry& registry,
                                                                 const Clock& clock,
                                                                 const JwtAuthenticator* previous) {
  if (options.workers == 0 || options.queue_max == 0) {
    return fail(errc::bad_options,
                "workers and queue_max: without any no RSA, ECDSA or EdDSA token could be verified");
  }
  auto rules = TokenRules::open(options);
  if (!rules) return fail(rules.error());
  auto keys = Keys::open(options, registry, clock, previous ? previous->keys_.get() : nullptr);
  if (!keys) return fail(keys.error());
  return std::unique_ptr<JwtAuthenticator>(
      new JwtAuthenticator(options, std::move(*rules), std::move(*keys), registry, clock));
}

JwtAuthenticator::JwtAuthenticator(const Options& options, TokenRules rules, std::unique_ptr<Keys> keys,
                                   Registry& registry, const Clock& clock)
    : rules_(std::move(rules)),
      clock_(clock),
      accepted_(tokens(registry, "accepted")),
      cached_(tokens(registry, "cached")),
      busy_(tokens(registry, "busy")),
      no_keys_(tokens(registry, "no_keys")),
      good_(options.cache_tokens_max),
      bad_(options.cache_tokens_max / 8),
      keys_(std::move(keys)),
      pool_("tokens", options.workers, options.queue_max) {
  for (const Refusal refusal : kRefusals)
    refused_[static_cast<size_t>(refusal)] = &tokens(registry, name(refusal));
}

void JwtAuthenticator::authenticate(Credentials credentials, std::function<void(Decision)> done) {
  if (!credentials.password || !jose::has_token_shape(*credentials.password)) {
    done({});
    return;
  }
  auto request = std::make_shared<Request>(std::move(credentials), std::move(done));
  // Once a second somebody looks at the files first, on a worker: no shard thread waits for a disk.
  if (keys_->look_due()) {
    const bool accepted = pool_.post([this, request] {
      keys_->look();
      check(request, On::worker);
    });
    if (accepted) return;
  }
  check(request, On::caller);
}

void JwtAuthenticator::check(const std::shared_ptr<Request>& request, On on) {
  if (request->token().size() > jose::kTokenBytesMax) {  // before a digest of it
    return refuse(*request, refused(jose::parse_jws(request->token()).error()));
  }
  const Keys::Now keys = keys_->now();
  const MonoNs now = clock_.mono_ns();
  request->digest = jose::sha256(request->token());
  if (const auto known = good_.find(request->digest, keys.generation, now))
    return answer(*request, *known, keys, cached_);
  if (const auto known = bad_.find(request->digest, keys.generation, now))
    return answer(*request, *known, keys, cached_);

  auto jws = jose::parse_jws(request->token());
  if (!jws) return refuse(*request, refused(jws.error()));
  request->jws = std::move(*jws);
  const bool slow = jose::key_type(request->jws.algorithm) != jose::KeyType::secret;
  if (!slow || on == On::worker) return answer(*request, *judge(*request, keys), keys, accepted_);
  const bool accepted =
      pool_.post([this, request, keys] { answer(*request, *judge(*request, keys), keys, accepted_); });
  if (accepted) return;
  busy_.add();
  request->done(denied(mqtt::ReasonCode::server_busy, "too many tokens wait to be verified"));
}

std::shared_ptr<const JwtAuthenticator::Judged> JwtAuthenticator::judge(const Request& request,
                                                                        const Keys::Now& keys) {
  auto judged = std::make_shared<const Judged>(rules_.judge(request.jws, *keys.set));
  if (*judged) {
    good_.put(request.digest, keys.generation, std::numeric_limits<MonoNs>::max(), judged);
  } else {
    bad_.put(request.digest, keys.generation, kept_until(request.digest, clock_.mono_ns()), judged);
    if (!request.jws.kid.empty() && !keys.set->has_id(request.jws.kid)) keys_->miss();
  }
  return judged;
}

void JwtAuthenticator::answer(Request& request, const Judged& judged, const Keys::Now& keys,
                              Counter& when_good) {
  if (!judged) {
    const Refusal why = judged.error().refusal;
    // Of the keys that are still to come one may be the right one.
    if (keys.awaited && (why == Refusal::unknown_key || why == Refusal::invalid_signature)) {
      no_keys_.add();
      request.done(
          denied(mqtt::ReasonCode::server_unavailable, "the keys of tokens have not been fetched yet"));
      return;
    }
    return refuse(request, judged.error());
  }
  auto decision = rules_.decide(*judged, request.credentials, clock_.wall_ms());
  if (!decision) return refuse(request, decision.error());
  when_good.add();
  request.done(std::move(*decision));
}

void JwtAuthenticator::refuse(Request& request, const Refused& refused) {
  refused_[static_cast<size_t>(refused.refusal)]->add();
  request.done(denied(mqtt::ReasonCode::not_authorized, refused.why));
}

}  // namespace courier::auth::jwt
