// courier jwt: makes tokens, shows what is in them, and says why one is refused.
#include <cstdio>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "auth/jwt/acl_claims.h"
#include "auth/jwt/claim_template.h"
#include "auth/jwt/refusal.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/quantity.h"
#include "courier/command.h"
#include "courier/jwt_input.h"
#include "courier/text_table.h"
#include "http/errc.h"
#include "jose/base64url.h"
#include "jose/claims.h"
#include "jose/errc.h"
#include "jose/jws.h"
#include "jose/limits.h"

namespace courier::cli {
namespace {

using OrderedJson = nlohmann::ordered_json;

struct JwtFlags {
  KeyFlags keys;
  // mint
  std::vector<std::string> claims, json_claims, audiences, acl;
  std::string subject, issuer, kid, algorithm, expires = "1h", not_before;
  // inspect, verify
  std::string token_file = "-", token_env, output = "text";
  std::vector<std::string> algorithms;
  std::string leeway = "5s", username, username_claim = "rid";
};

// --- what they share ---

Result<jose::Json> token_object(std::string_view part, std::string_view what) {
  const auto text = jose::decode_base64url(part);
  if (!text) return fail(text.error().within(what));
  auto json = jose::parse_object(*text);
  if (!json) return fail(json.error().within(what));
  return json;
}

// In the order of the token; once jose has found that it is an object.
OrderedJson in_order(std::string_view part) {
  return OrderedJson::parse(jose::decode_base64url(part).value_or(""), nullptr, false);
}

std::string dumped(const OrderedJson& json) {
  return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

// "2023-11-14T22:13:20Z, 3 min ago"
std::string time_in_words(const OrderedJson& value, std::string_view claim, WallMs now) {
  if (!value.is_number()) return "not a number";
  const double seconds = value.get<double>();
  if (!(seconds >= 0 && seconds <= static_cast<double>(jose::kNumericDateMax)))
    return "not a time in seconds";
  const auto at = static_cast<WallMs>(seconds * 1000);
  const std::string_view past = claim == "exp" ? "expired " : "";
  const std::string_view future = claim == "exp"   ? "expires "
                                  : claim == "nbf" ? "not valid before that: "
                                                   : "";
  std::string iso = log::iso8601(at);
  if (const size_t dot = iso.find('.'); dot != std::string::npos) iso = iso.substr(0, dot) + "Z";
  return at <= now ? fmt::format("{}, {}{} ago", iso, past, jose::in_words(now - at))
                   : fmt::format("{}, {}in {}", iso, future, jose::in_words(at - now));
}

void print_members(std::string_view title, const OrderedJson& object, WallMs now, bool times) {
  fmt::print("{}\n", title);
  size_t widest = 0;
  for (const auto& [name, value] : object.items()) widest = std::max(widest, one_line(name).size());
  for (const auto& [name, value] : object.items()) {
    const bool time = times && (name == "exp" || name == "nbf" || name == "iat");
    fmt::print("  {:<{}}  {}{}\n", one_line(name), widest, one_line(dumped(value)),
               time ? "  (" + time_in_words(value, name, now) + ")" : "");
  }
}

Result<std::string> read_token(const JwtFlags& flags) {
  auto text = flags.token_env.empty() ? read_input(flags.token_file, jose::kTokenBytesMax + 1024)
                                      : read_environment(flags.token_env);
  if (!text) return text;
  const size_t begin = text->find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return std::string();
  return text->substr(begin, text->find_last_not_of(" \t\r\n") - begin + 1);
}

// A token where a file was asked for is most likely a slip, and now stands in the shell's history.
std::optional<int> not_a_file(const char* command, const JwtFlags& flags) {
  if (!jose::has_token_shape(flags.token_file) || flags.token_file.size() < 32) return std::nullopt;
  note(command,
       "that is a token, not a file. Who has it can use it, and others see the command line: pipe it in (-), "
       "or name a file or --token-env");
  return kUsage;
}

// --- mint ---

// "read merchant/17/# label orders", as a line of the ACL file has it.
Result<OrderedJson> acl_rule(const std::string& text) {
  const auto bad = [&](std::string_view why) {
    return fail(jose::errc::bad_claim, fmt::format("--acl \"{}\": {}", text, why));
  };
  const size_t space = text.find(' ');
  if (space == std::string::npos)
    return bad("write ACCESS FILTER [label NAME], as in: read orders/%u/# label orders");
  OrderedJson rule = OrderedJson::object();
  std::string filter = text.substr(text.find_first_not_of(' ', space) == std::string::npos
                                       ? text.size()
                                       : text.find_first_not_of(' ', space));
  std::string label;
  if (const size_t at = filter.rfind(" label "); at != std::string::npos) {
    label = filter.substr(at + 7);
    filter.erase(at);
  }
  rule["topic"] = filter;
  rule["access"] = text.substr(0, space);
  if (!label.empty()) rule["label"] = label;
  const auto checked =
      auth::jwt::grants_of(jose::Json{{"acl", jose::Json::array({jose::Json(rule)})}}, "acl");
  if (!checked) return bad(checked.error().message);
  return rule;
}

Result<void> set_claim(OrderedJson& claims, const std::string& name, OrderedJson value) {
  if (name.empty()) return fail(jose::errc::bad_claim, "a claim has a name: --claim NAME=TEXT");
  if (claims.contains(name))
    return fail(jose::errc::duplicate_member, fmt::format("the claim \"{}\" is given twice", name));
  claims[name] = std::move(value);
  return {};
}

Result<int64_t> seconds_of(const std::string& flag, const std::string& text) {
  const auto ms = config::parse_duration_ms(text);
  if (!ms)
    return fail(jose::errc::bad_claim, fmt::format("{} \"{}\": write 90s, 15m, 1h or 30d", flag, text));
  return *ms / 1000;
}

Result<OrderedJson> claims_of(const JwtFlags& flags, int64_t now) {
  OrderedJson claims = OrderedJson::object();
  const auto set = [&](const std::string& name, OrderedJson value) {
    return set_claim(claims, name, std::move(value));
  };
  const std::pair<const char*, const std::string*> texts[] = {{"sub", &flags.subject},
                                                              {"iss", &flags.issuer}};
  for (const auto& [name, text] : texts) {
    if (!text->empty()) claims[name] = *text;
  }
  if (flags.audiences.size() == 1) claims["aud"] = flags.audiences[0];
  if (flags.audiences.size() > 1) claims["aud"] = flags.audiences;
  for (const bool json : {false, true}) {
    for (const std::string& each : json ? flags.json_claims : flags.claims) {
      const size_t equals = each.find('=');
      if (equals == std::string::npos) {
        return fail(jose::errc::bad_claim, fmt::format("\"{}\": write NAME=VALUE", each));
      }
      OrderedJson value = each.substr(equals + 1);
      if (json) value = OrderedJson::parse(each.substr(equals + 1), nullptr, false);
      if (value.is_discarded())
        return fail(jose::errc::bad_json, fmt::format("--claim-json \"{}\": that is not JSON", each));
      if (auto done = set(each.substr(0, equals), std::move(value)); !done) return fail(done.error());
    }
  }
  for (const std::string& each : flags.acl) {
    auto rule = acl_rule(each);
    if (!rule) return fail(rule.error());
    claims["acl"].push_back(std::move(*rule));
  }
  if (!claims.contains("iat")) claims["iat"] = now;
  if (!flags.not_before.empty()) {
    const auto seconds = seconds_of("--nbf", flags.not_before);
    if (!seconds) return fail(seconds.error());
    if (auto done = set("nbf", now + *seconds); !done) return fail(done.error());
  }
  if (flags.expires != "never" && !claims.contains("exp")) {
    const auto seconds = seconds_of("--exp", flags.expires);
    if (!seconds) return fail(seconds.error());
    claims["exp"] = now + *seconds;
  }
  return claims;
}

Result<jose::Key> signing_key(const JwtFlags& flags) {
  const auto keys = flags.keys.keys();
  if (!keys) return fail(keys.error());
  std::vector<jose::Key> able;
  for (const jose::Key& key : keys->keys()) {
    if (key.can_sign() && (keys->size() == 1 || flags.kid.empty() || key.id() == flags.kid))
      able.push_back(key);
  }
  if (able.empty())
    return fail(jose::errc::no_private_key, "no key there can sign: a public key only verifies");
  if (able.size() > 1) return fail(jose::errc::bad_key, "several keys there can sign; say which with --kid");
  if (!flags.kid.empty()) able[0].set_id(flags.kid);
  return able[0];
}

int mint(const JwtFlags& flags) {
  constexpr const char* kName = "jwt mint";
  if (!flags.keys.given()) {
    note(kName, "say what to sign with: --secret-file, --secret-env or --key");
    return kUsage;
  }
  jose::SignOptions options;
  if (!flags.algorithm.empty()) {
    options.algorithm = jose::parse_algorithm(flags.algorithm);
    if (!options.algorithm) {
      note(kName,
           fmt::format(
               "there is no algorithm \"{}\"; there are HS, RS, PS and ES with 256, 384 or 512, and EdDSA",
               flags.algorithm));
      return kUsage;
    }
  }
  const auto claims = claims_of(flags, system_clock().wall_ms() / 1000);
  if (!claims) {
    note(kName, claims.error().message);
    return kUsage;
  }
  const auto key = signing_key(flags);
  if (!key) return failure(kName, key.error());
  if (key->type() == jose::KeyType::secret && key->secret_bytes().size() < 32) {
    note(kName, "the secret has less than 32 bytes; it can be guessed");
  }
  const auto token = jose::sign_jws(dumped(*claims), *key, options);
  if (!token) return failure(kName, token.error());
  if (token->size() > jose::kTokenBytesMax) {
    note(kName, fmt::format("the token has {} bytes; courierd takes {} at most", token->size(),
                            jose::kTokenBytesMax));
  }
  fmt::print("{}\n", *token);
  return kOk;
}

// --- inspect ---

int inspect(const JwtFlags& flags) {
  constexpr const char* kName = "jwt inspect";
  if (const auto slip = not_a_file(kName, flags)) return *slip;
  const auto token = read_token(flags);
  if (!token) return failure(kName, token.error());
  const auto parts = jose::split(*token);
  if (!parts) return failure(kName, parts.error());
  const auto header = token_object(parts->header, "the header");
  if (!header) return failure(kName, header.error());
  const auto claims = token_object(parts->payload, "the claims");
  if (!claims) return failure(kName, claims.error());
  if (flags.output == "json") {
    fmt::print("{}\n", OrderedJson{{"header", in_order(parts->header)},
                                   {"claims", in_order(parts->payload)},
                                   {"signature", "not checked"}}
                           .dump(2, ' ', false, OrderedJson::error_handler_t::replace));
    return kOk;
  }
  const WallMs now = system_clock().wall_ms();
  print_members("header", in_order(parts->header), now, false);
  print_members("claims", in_order(parts->payload), now, true);
  fmt::print("signature not checked\n");
  // What courierd would say before it looks for a key.
  if (const auto jws = jose::parse_jws(*token); !jws)
    note(kName, "courierd would refuse it: " + jws.error().message);
  return kOk;
}

// --- verify ---

struct Verdict {
  std::string algorithm, kid;  // of the key
};

auth::jwt::Checked<Verdict> judged(const JwtFlags& flags, const std::string& token, const jose::KeySet& keys,
                                   std::span<const jose::Algorithm> allowed, int64_t leeway_ms) {
  const auto no = [](const Error& error) { return tl::unexpected(auth::jwt::refused(error)); };
  const auto jws = jose::parse_jws(token);
  if (!jws) return no(jws.error());
  const auto key = jose::verify_jws(*jws, keys, allowed);
  if (!key) return no(key.error());
  const auto claims = jose::parse_object(jws->payload);
  if (!claims) return no(claims.error().within("the claims"));
  const auto times = jose::times_of(*claims);
  if (!times) return no(times.error());
  if (auto good = jose::check_times(*times, system_clock().wall_ms(), leeway_ms); !good)
    return no(good.error());
  if (!flags.issuer.empty()) {
    if (auto good = jose::check_issuer(*claims, flags.issuer); !good) return no(good.error());
  }
  if (!flags.audiences.empty()) {
    if (auto good = jose::check_audience(*claims, flags.audiences); !good) return no(good.error());
  }
  if (!flags.username.empty()) {
    const auto claim = auth::jwt::claim_text(*claims, flags.username_claim);
    if (!claim) return no(claim.error());
    if (*claim != flags.username) {
      return tl::unexpected(
          auth::jwt::Refused{auth::jwt::Refusal::username_mismatch,
                             fmt::format("the user name is \"{}\", but the token's is \"{}\" (claim \"{}\")",
                                         flags.username, *claim, flags.username_claim)});
    }
  }
  if (auto grants = auth::jwt::grants_of(*claims, "acl"); !grants) return no(grants.error());
  return Verdict{std::string(jose::name(jws->algorithm)), (*key)->id()};
}

int verify(const JwtFlags& flags) {
  constexpr const char* kName = "jwt verify";
  if (const auto slip = not_a_file(kName, flags)) return *slip;
  if (!flags.keys.given()) {
    note(kName, "say what to check with: --secret-file, --secret-env, --key or --jwks-url");
    return kUsage;
  }
  if (flags.keys.from_stdin() && flags.token_env.empty() && flags.token_file == "-") {
    note(kName, "key and token cannot both come from stdin; name a FILE for one of them");
    return kUsage;
  }
  const auto leeway_ms = config::parse_duration_ms(flags.leeway);
  if (!leeway_ms) {
    note(kName, fmt::format("--leeway \"{}\": write 5s or 1m", flags.leeway));
    return kUsage;
  }
  std::vector<jose::Algorithm> allowed;
  for (const std::string& each : flags.algorithms) {
    const auto algorithm = jose::parse_algorithm(each);
    if (!algorithm) {
      note(kName, fmt::format("there is no algorithm \"{}\"", each));
      return kUsage;
    }
    allowed.push_back(*algorithm);
  }
  if (allowed.empty()) allowed.assign(jose::all_algorithms().begin(), jose::all_algorithms().end());

  const auto keys = flags.keys.keys();
  if (!keys) {
    const bool away =
        keys.error().code == http::errc::unreachable || keys.error().code == http::errc::timeout;
    note(kName, keys.error().message);
    return away ? kNoConnection : kFailure;
  }
  for (const std::string& skipped : keys->skipped()) note(kName, "left out: " + skipped);
  const auto token = read_token(flags);
  if (!token) return failure(kName, token.error());
  const auto verdict = judged(flags, *token, *keys, allowed, *leeway_ms);
  if (!verdict) {
    const auto& refused = verdict.error();
    if (flags.output == "json") {
      fmt::print(
          "{}\n",
          dumped({{"valid", false}, {"reason", auth::jwt::name(refused.refusal)}, {"why", refused.why}}));
    }
    note(kName, fmt::format("refused ({}): {}", auth::jwt::name(refused.refusal), one_line(refused.why)));
    return kRefused;
  }
  const OrderedJson claims = in_order(jose::split(*token)->payload);
  if (flags.output == "json") {
    fmt::print(
        "{}\n",
        dumped({{"valid", true}, {"alg", verdict->algorithm}, {"kid", verdict->kid}, {"claims", claims}}));
    return kOk;
  }
  print_members("claims", claims, system_clock().wall_ms(), true);
  fmt::print("signature good ({}{})\n", verdict->algorithm,
             verdict->kid.empty() ? "" : fmt::format(", key {}", one_line(verdict->kid)));
  return kOk;
}

// --- flags ---

CLI::App* add_jwt_command(CLI::App& app, const char* name, const char* summary) {
  CLI::App* command = app.add_subcommand(name, summary);
  command->set_help_flag("--help,-h", "Show this help and exit");
  return command;
}

void add_token(CLI::App& app, JwtFlags& flags) {
  app.add_option("FILE", flags.token_file, "A file with the token; - or nothing for stdin");
  app.add_option("--token-env", flags.token_env, "The environment variable that holds the token")
      ->type_name("NAME");
  app.add_option("-o,--output", flags.output, "text (the default) or json")
      ->type_name("KIND")
      ->check(CLI::IsMember({"text", "json"}));
}

}  // namespace

Run set_up_jwt(CLI::App& app) {
  auto flags = std::make_shared<JwtFlags>();
  app.require_subcommand(1);
  app.footer(
      "Keys and tokens come from files, from stdin (-) or from environment variables, never from the command "
      "line.\n"
      "An MQTT client sends the token as its password; the claim rid is then its user name.\n\n"
      "Examples:\n"
      "  courier jwt mint --secret-file secret --claim rid=17 --exp 1h > token\n"
      "  courier jwt inspect token\n"
      "  courier jwt verify token --secret-file secret --username 17\n\n"
      "`courier jwt COMMAND --help` says more about each.");

  CLI::App* minting = add_jwt_command(app, "mint", "Make a token");
  flags->keys.add_to(*minting, false);
  minting->add_option("--alg", flags->algorithm, "Instead of the usual one of the key: HS256, RS256, ES256 …")
      ->type_name("NAME");
  minting->add_option("--kid", flags->kid, "The key's id, for the header")->type_name("TEXT");
  minting->add_option("--sub", flags->subject, "Whom it is for")->type_name("TEXT");
  minting->add_option("--iss", flags->issuer, "Who makes it")->type_name("TEXT");
  minting->add_option("--aud", flags->audiences, "Who is to accept it; may be repeated")
      ->type_name("TEXT")
      ->expected(1)
      ->take_all();
  minting->add_option("--exp", flags->expires, "How long it is good (1h), or never")->type_name("DURATION");
  minting->add_option("--nbf", flags->not_before, "After what time it becomes good")->type_name("DURATION");
  minting->add_option("--claim", flags->claims, "A claim that is text; may be repeated")
      ->type_name("NAME=TEXT")
      ->expected(1)
      ->take_all();
  minting->add_option("--claim-json", flags->json_claims, "A claim that is JSON; may be repeated")
      ->type_name("NAME=JSON")
      ->expected(1)
      ->take_all();
  minting
      ->add_option("--acl", flags->acl,
                   "A rule: read, write, readwrite or deny, then a filter; may be repeated")
      ->type_name("RULE")
      ->expected(1)
      ->take_all();
  minting->footer(
      "A rule may end with a label, and %u, %c and %m in its filter stand for user, client and "
      "mountpoint.\n\n"
      "Examples:\n"
      "  courier jwt mint --secret-file secret --claim rid=17 --acl 'read orders/%u/# label orders'\n"
      "  courier jwt mint --key private.pem --kid 2024-05 --sub phone-17 --exp 30d\n"
      "  courier jwt mint --secret-env JWT_SECRET --claim rid=17 --claim-json 'device={\"id\":7}'");

  CLI::App* inspecting = add_jwt_command(app, "inspect", "Show what is in a token, without a key");
  add_token(*inspecting, *flags);
  inspecting->footer(
      "Nobody vouches for what it shows: anybody can write a token. `courier jwt verify` checks the "
      "signature.\n\n"
      "Examples:\n"
      "  courier jwt inspect token\n"
      "  pbpaste | courier jwt inspect");

  CLI::App* verifying =
      add_jwt_command(app, "verify", "Check a token with a key, and say what is wrong with it");
  add_token(*verifying, *flags);
  flags->keys.add_to(*verifying, true);
  verifying->add_option("--alg", flags->algorithms, "Accept these only; may be repeated")
      ->type_name("NAME")
      ->expected(1)
      ->take_all();
  verifying->add_option("--iss", flags->issuer, "Who must have made it")->type_name("TEXT");
  verifying->add_option("--aud", flags->audiences, "Whom it must be for (one of these); may be repeated")
      ->type_name("TEXT")
      ->expected(1)
      ->take_all();
  verifying->add_option("--leeway", flags->leeway, "How far clocks may be apart (5s)")->type_name("DURATION");
  verifying->add_option("-u,--username", flags->username, "The MQTT user name that it must be for")
      ->type_name("NAME");
  verifying->add_option("--username-claim", flags->username_claim, "The claim that holds it (rid)")
      ->type_name("CLAIM");
  verifying->footer(
      "Exit code 0: good. 4: refused, with the reason on stderr, named as courier_jwt_checks_total counts "
      "it.\n\n"
      "Examples:\n"
      "  courier jwt verify token --key public.pem --iss https://id.example --aud courier\n"
      "  courier jwt verify token --jwks-url https://id.example/.well-known/jwks.json");

  return [flags, minting, inspecting] {
    if (minting->parsed()) return mint(*flags);
    return inspecting->parsed() ? inspect(*flags) : verify(*flags);
  };
}

}  // namespace courier::cli
