// [auth]: who may come in.
#include <algorithm>

#include "config/check_text.h"
#include "config/sections.h"

namespace courier::config {

namespace {

template <auto Field>
Member jwt() {
  return member<&Settings::auth, &Auth::jwt, Field>();
}

}  // namespace

Section auth_section() {
  return {
      "auth",
      "Who may connect. Nobody may, until one of these says so.",
      false,
      {
          {.name = "order",
           .kind = Kind::text_list,
           .member = member<&Settings::auth, &Auth::order>(),
           .help = "Who is asked about a client, one after the other, until one lets it in or refuses it: "
                   "certificate, jwt, password, anonymous, webhook, as far as they are configured. Empty: in "
                   "that order.",
           .example = "\"jwt\", \"password\"",
           .reloadable = true},
          {.name = "certificate_username",
           .kind = Kind::text,
           .member = member<&Settings::auth, &Auth::certificate_username>(),
           .help =
               "Lets in who shows a certificate that its listener verified (mTLS), or whose load balancer "
               "says in its PROXY header that it did, under a user name made of it: a text with {cn}, "
               "{o}, {ou}, {dns}, {uri}, {email} (the first of each), {serial} or {fingerprint} in it. Who "
               "shows none is for the next in the order.",
           .example = "{cn}",
           .reloadable = true},
          {.name = "certificate_mountpoint",
           .kind = Kind::text,
           .member = member<&Settings::auth, &Auth::certificate_mountpoint>(),
           .help =
               "The tenant of who comes in by a certificate, a text as that of certificate_username. Whose "
               "certificate lacks what it asks for is refused. Empty: the listener's mountpoint.",
           .example = "{o}",
           .reloadable = true},
          {.name = "allow_anonymous",
           .kind = Kind::boolean,
           .member = member<&Settings::auth, &Auth::allow_anonymous>(),
           .help =
               "Serve clients that send no user name. If no password file is set, a user name that is sent "
               "is not looked at.",
           .reloadable = true},
          {.name = "password_file",
           .kind = Kind::text,
           .member = member<&Settings::auth, &Auth::password_file>(),
           .help =
               "User names and argon2id hashes, one to a line; edit it with `courier passwd`. A change is "
               "noticed within a second.",
           .check = check_input_file,
           .example = "/etc/courier/passwd",
           .reloadable = true},
          {.name = "password_workers",
           .kind = Kind::count,
           .member = member<&Settings::auth, &Auth::password_workers>(),
           .help = "Threads that check passwords. Each needs the memory that the hashes ask for (19 MB as "
                   "`courier passwd` writes them) while it does.",
           .min = 1,
           .max = 64,
           .reloadable = true},
          {.name = "password_queue_max",
           .kind = Kind::count,
           .member = member<&Settings::auth, &Auth::password_queue_max>(),
           .help = "Passwords that may wait for a thread; one more is answered \"server busy\".",
           .min = 1,
           .max = 1'000'000,
           .reloadable = true},
          {.name = "acl_file",
           .kind = Kind::text,
           .member = member<&Settings::auth, &Auth::acl_file>(),
           .help = "Who may publish and subscribe where; see acl.md, and try it with `courier acl check`. A "
                   "change is noticed within a second and holds for connected clients, too. Empty: everybody "
                   "may do everything.",
           .check = check_input_file,
           .example = "/etc/courier/acl",
           .reloadable = true},
          {.name = "session_owner",
           .kind = Kind::choice,
           .member = member<&Settings::auth, &Auth::session_owner>(),
           .help = "Whose a session is. username: only a client of the same user name takes it over, or goes "
                   "on with it; others with its client id are refused. anybody: whoever has its client id.",
           .choices = {"username", "anybody"},
           .reloadable = true},
      }};
}

Section jwt_section() {
  return {
      "auth.jwt",
      "Signed tokens (JWT) as MQTT passwords: see jwt.md. It is on when there are keys.",
      false,
      {
          {.name = "secret_file",
           .kind = Kind::text,
           .member = jwt<&Jwt::secret_file>(),
           .help = "A file with a shared secret (HS256, HS384, HS512): its bytes, but for one line feed at "
                   "the end; 32 of them at least. Key files are read again when they change.",
           .check = check_input_file,
           .example = "/etc/courier/jwt-secret",
           .reloadable = true},
          {.name = "secret_base64",
           .kind = Kind::boolean,
           .member = jwt<&Jwt::secret_base64>(),
           .help = "The secret stands in its file in base64.",
           .reloadable = true},
          {.name = "key_files",
           .kind = Kind::text_list,
           .member = jwt<&Jwt::key_files>(),
           .help = "Files with public keys: PEM, a JWK or a JWKS.",
           .check = check_input_file,
           .example = "\"/etc/courier/issuer.pem\"",
           .reloadable = true},
          {.name = "jwks_url",
           .kind = Kind::text,
           .member = jwt<&Jwt::jwks_url>(),
           .help =
               "Where the issuer publishes its keys. It may be down: the keys that are here stay in force.",
           .example = "https://issuer.example.com/.well-known/jwks.json",
           .reloadable = true},
          {.name = "jwks_ca_file",
           .kind = Kind::text,
           .member = jwt<&Jwt::jwks_ca_file>(),
           .help = "PEM file: whom to trust there instead of the authorities of this machine.",
           .check = check_input_file,
           .example = "/etc/courier/issuer-ca.pem",
           .reloadable = true},
          {.name = "jwks_refresh",
           .kind = Kind::duration,
           .member = jwt<&Jwt::jwks_refresh>(),
           .help = "How often it is asked, unless its Cache-Control says so.",
           .min = 60 * kSecond,
           .max = kDay,
           .reloadable = true},
          {.name = "jwks_timeout",
           .kind = Kind::duration,
           .member = jwt<&Jwt::jwks_timeout>(),
           .help = "How long an answer may take.",
           .min = 100,
           .max = 60 * kSecond,
           .reloadable = true},
          {.name = "algorithms",
           .kind = Kind::text_list,
           .member = jwt<&Jwt::algorithms>(),
           .help = "Those that are accepted: HS256, RS256, PS256, ES256, EdDSA and so on. Empty: all that "
                   "the keys can do.",
           .example = "\"ES256\"",
           .reloadable = true},
          {.name = "issuer",
           .kind = Kind::text,
           .member = jwt<&Jwt::issuer>(),
           .help = "What \"iss\" must be. Empty: anything.",
           .example = "https://issuer.example.com",
           .reloadable = true},
          {.name = "audiences",
           .kind = Kind::text_list,
           .member = jwt<&Jwt::audiences>(),
           .help = "\"aud\" must name one of these. Empty: anything.",
           .example = "\"courier\"",
           .reloadable = true},
          {.name = "leeway",
           .kind = Kind::duration,
           .member = jwt<&Jwt::leeway>(),
           .help = "How far the issuer's clock may be off.",
           .max = 600 * kSecond,
           .reloadable = true},
          {.name = "required_claims",
           .kind = Kind::text_list,
           .member = jwt<&Jwt::required_claims>(),
           .help = "Claims without which a token is refused.",
           .example = "\"exp\"",
           .reloadable = true},
          {.name = "username_claim",
           .kind = Kind::text,
           .member = jwt<&Jwt::username_claim>(),
           .help = "The claim that must equal the MQTT user name. Empty: it is not checked; then set "
                   "username or client_id.",
           .example = "rid",
           .reloadable = true},
          {.name = "username",
           .kind = Kind::text,
           .member = jwt<&Jwt::username>(),
           .help =
               "The user name that the client gets: a text with claims in braces. Empty: the MQTT user name.",
           .example = "{sub}",
           .reloadable = true},
          {.name = "client_id",
           .kind = Kind::text,
           .member = jwt<&Jwt::client_id>(),
           .help =
               "What the client id has to do with the token: a text with claims in braces. Empty: nothing.",
           .example = "{tenant}-{device.id}",
           .reloadable = true},
          {.name = "client_id_rule",
           .kind = Kind::choice,
           .member = jwt<&Jwt::client_id_rule>(),
           .help = "equal: the client id must be that. prefix: it must begin so. assign: the client gets "
                   "that one, whatever it asks for.",
           .choices = {"equal", "prefix", "assign"},
           .reloadable = true},
          {.name = "mountpoint",
           .kind = Kind::text,
           .member = jwt<&Jwt::mountpoint>(),
           .help = "The tenant, a text with claims in braces. Empty: the listener's mountpoint.",
           .example = "{tenant}",
           .reloadable = true},
          {.name = "acl_claim",
           .kind = Kind::text,
           .member = jwt<&Jwt::acl_claim>(),
           .help = "The claim with access rules of the client's own. Empty: rules in tokens do not count.",
           .example = "acl",
           .reloadable = true},
          {.name = "workers",
           .kind = Kind::count,
           .member = jwt<&Jwt::workers>(),
           .help = "Threads that verify RSA, ECDSA and EdDSA; shared secrets take no thread.",
           .min = 1,
           .max = 64,
           .reloadable = true},
          {.name = "queue_max",
           .kind = Kind::count,
           .member = jwt<&Jwt::queue_max>(),
           .help = "Tokens that may wait for a thread; one more is answered \"server busy\".",
           .min = 1,
           .max = 1'000'000,
           .reloadable = true},
          {.name = "cache_tokens_max",
           .kind = Kind::count,
           .member = jwt<&Jwt::cache_tokens_max>(),
           .help = "Verified tokens that are remembered, some 500 bytes each.",
           .max = 100'000'000,
           .reloadable = true},
      }};
}

bool is_configured(const Settings& settings, std::string_view authenticator) {
  const Auth& auth = settings.auth;
  if (authenticator == "certificate") return !auth.certificate_username.empty();
  if (authenticator == "jwt") return auth.jwt.is_set();
  if (authenticator == "password") return !auth.password_file.empty();
  if (authenticator == "webhook") {
    return std::ranges::any_of(settings.hooks, [](const Hook& hook) {
      return hook.name == "auth_on_register" || hook.name == "auth_on_register_m5" ||
             hook.name == "on_auth_m5";
    });
  }
  return auth.allow_anonymous;
}

}  // namespace courier::config
