#include "auth/jwt/token_rules.h"

#include <fmt/format.h>

#include "auth/jwt/acl_claims.h"
#include "auth/jwt/errc.h"

namespace courier::auth::jwt {
namespace {

tl::unexpected<Refused> no(Refusal refusal, std::string why) {
  return tl::unexpected(Refused{refusal, std::move(why)});
}
tl::unexpected<Refused> no(const Error& error) {
  return tl::unexpected(refused(error));
}

// Of a token or a client, for a sentence.
std::string_view shortened(std::string_view text) {
  return text.substr(0, 128);
}

}  // namespace

Result<TokenRules> TokenRules::open(const Options& options) {
  TokenRules rules;
  rules.algorithms_ = options.algorithms;
  if (rules.algorithms_.empty()) {
    const auto all = jose::all_algorithms();
    rules.algorithms_.assign(all.begin(), all.end());
  }
  if (options.leeway_ms < 0) return fail(errc::bad_options, "leeway: it is negative");
  if (options.username_claim.empty() && options.username.empty()) {
    return fail(errc::bad_options,
                "username_claim is empty, so nobody checks user names, and username says no other: anybody "
                "with a token "
                "could take any name. Set username = \"{sub}\", or username_claim");
  }
  rules.issuer_ = options.issuer;
  rules.audiences_ = options.audiences;
  rules.required_claims_ = options.required_claims;
  rules.leeway_ms_ = options.leeway_ms;
  rules.username_claim_ = options.username_claim;
  rules.acl_claim_ = options.acl_claim;
  rules.client_id_rule_ = options.client_id_rule;
  const std::tuple<const char*, const std::string*, std::optional<ClaimTemplate>*> templates[] = {
      {"username", &options.username, &rules.username_},
      {"client_id", &options.client_id, &rules.client_id_},
      {"mountpoint", &options.mountpoint, &rules.mountpoint_}};
  for (const auto& [name, text, into] : templates) {
    if (text->empty()) continue;
    auto parsed = ClaimTemplate::parse(*text);
    if (!parsed) return fail(parsed.error().within(name));
    *into = std::move(*parsed);
  }
  return rules;
}

Checked<Verified> TokenRules::judge(const jose::Jws& jws, const jose::KeySet& keys) const {
  const auto key = jose::verify_jws(jws, keys, algorithms_);
  if (!key) return no(key.error());
  const auto claims = jose::parse_object(jws.payload);
  if (!claims) return no(claims.error().within("the claims"));
  return read(*claims);
}

Checked<Verified> TokenRules::read(const jose::Json& claims) const {
  Verified token;
  const auto times = jose::times_of(claims);
  if (!times) return no(times.error());
  token.times = *times;
  if (!issuer_.empty()) {
    if (auto issuer = jose::check_issuer(claims, issuer_); !issuer) return no(issuer.error());
  }
  if (!audiences_.empty()) {
    if (auto audience = jose::check_audience(claims, audiences_); !audience) return no(audience.error());
  }
  for (const std::string& name : required_claims_) {
    const jose::Json* claim = jose::find_claim(claims, name);
    if (claim == nullptr || claim->is_null()) {
      return no(Refusal::missing_claim, fmt::format("the claim \"{}\" is missing", name));
    }
  }
  if (!username_claim_.empty()) {
    auto claim = claim_text(claims, username_claim_);
    if (!claim) return no(claim.error());
    token.username_claim = std::move(*claim);
  }
  const std::pair<const std::optional<ClaimTemplate>*, std::optional<std::string>*> templates[] = {
      {&username_, &token.username}, {&client_id_, &token.client_id}, {&mountpoint_, &token.mountpoint}};
  for (const auto& [from, into] : templates) {
    if (!*from) continue;
    auto filled = (*from)->fill(claims);
    if (!filled) return no(filled.error());
    *into = std::move(*filled);
  }
  if (!acl_claim_.empty()) {
    auto grants = grants_of(claims, acl_claim_);
    if (!grants) return no(grants.error());
    token.grants = std::move(*grants);
  }
  return token;
}

Checked<Decision> TokenRules::decide(const Verified& token, const Credentials& credentials,
                                     WallMs now) const {
  if (auto times = jose::check_times(token.times, now, leeway_ms_); !times) return no(times.error());
  if (token.username_claim && credentials.username != token.username_claim) {
    if (!credentials.username) {
      return no(Refusal::username_mismatch,
                fmt::format("the CONNECT has no user name; the token's is \"{}\" (claim \"{}\")",
                            shortened(*token.username_claim), username_claim_));
    }
    return no(
        Refusal::username_mismatch,
        fmt::format("the user name is \"{}\", but the token's is \"{}\" (claim \"{}\")",
                    shortened(*credentials.username), shortened(*token.username_claim), username_claim_));
  }
  Decision decision;
  if (token.client_id) {
    const std::string& wanted = *token.client_id;
    switch (client_id_rule_) {
      case ClientIdRule::equal:
        if (credentials.client_id.empty()) {
          decision.client_id = wanted;
        } else if (credentials.client_id != wanted) {
          return no(Refusal::client_id_mismatch,
                    fmt::format("the client id is \"{}\"; with this token it must be \"{}\"",
                                shortened(credentials.client_id), shortened(wanted)));
        }
        break;
      case ClientIdRule::prefix:
        if (!credentials.client_id.starts_with(wanted)) {
          return no(Refusal::client_id_mismatch,
                    fmt::format("the client id is \"{}\"; with this token it must begin with \"{}\"",
                                shortened(credentials.client_id), shortened(wanted)));
        }
        break;
      case ClientIdRule::assign:
        decision.client_id = wanted;
        break;
    }
  }
  decision.verdict = Verdict::allow;
  decision.identity.anonymous = false;
  decision.identity.username = token.username ? *token.username : *credentials.username;
  decision.identity.mountpoint = token.mountpoint ? *token.mountpoint : credentials.mountpoint;
  decision.grants = token.grants;
  if (token.times.expires) decision.expires_at = *token.times.expires + leeway_ms_;
  return decision;
}

}  // namespace courier::auth::jwt
