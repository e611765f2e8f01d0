// In by a token: unsigned, signed by somebody else, confused about its key, too early, too late, for somebody
// else. [auth.jwt], RFC 8725.
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ctime>

#include <fmt/format.h>

#include "jose/base64url.h"
#include "jose/digest.h"
#include "jose/jws.h"
#include "jose/key.h"
#include "net/tls/openssl.h"
#include "red_team/attempt.h"

namespace courier::scenario::red_team {
namespace {

using jose::base64url;

constexpr char kSecret[] = "a secret of at least thirty-two bytes";

struct Rsa {
  net::tls::KeyPtr key{EVP_RSA_gen(2048)};
  std::string pem(bool own) const {
    const net::tls::BioPtr out(BIO_new(BIO_s_mem()));
    if (own) {
      PEM_write_bio_PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    } else {
      PEM_write_bio_PUBKEY(out.get(), key.get());
    }
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(out.get(), &bytes);
    return {bytes, static_cast<size_t>(size)};
  }
};

std::string signed_by(const std::string& claims, const jose::Key& key) {
  auto made = jose::sign_jws(claims, key);
  if (!made) throw Broken(made.error().message);
  return *std::move(made);
}

// Whatever the header says: HMAC-SHA256 with this secret.
std::string by_hand(const std::string& header, const std::string& claims, std::string_view secret = kSecret) {
  const std::string input = base64url(header) + "." + base64url(claims);
  return input + "." + base64url(jose::hmac_sha256(secret, input));
}

// Of a phone of tenant a. `change` stands for what is wrong with it.
struct Claims {
  std::string rid = "\"17\"", tenant = "\"a\"", aud = "\"courier\"", iss = "\"issuer\"";
  long expires = 60;
  std::string more = {};
  std::string text() const {
    return fmt::format(R"({{"rid":{},"tenant":{},"aud":{},"iss":{},"exp":{}{}}})", rid, tenant, aud, iss,
                       std::time(nullptr) + expires, more);
  }
};

std::string nested(int depth) {
  return std::string(static_cast<size_t>(depth), '[') + std::string(static_cast<size_t>(depth), ']');
}

// A server that notes whether anybody comes.
class Lure {
 public:
  Lure() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(fd_, 10);
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    url_ = fmt::format("http://127.0.0.1:{}/keys", ntohs(address.sin_port));
  }
  ~Lure() { ::close(fd_); }
  const std::string& url() const { return url_; }
  bool visited() const { return ::accept(fd_, nullptr, nullptr) >= 0; }

 private:
  int fd_;
  std::string url_;
};

class Tokens : public testing::Test {
 protected:
  void SetUp() override { COURIER_ONLY(); }

  const Rsa issuer, stranger;
  Broker broker{{.auth_toml =
                     "[auth.jwt]\nsecret_file = \"{dir}/secret\"\nkey_files = [\"{dir}/issuer.pem\"]\n"
                     "algorithms = [\"HS256\", \"RS256\"]\nissuer = \"issuer\"\naudiences = [\"courier\"]\n"
                     "required_claims = [\"exp\"]\nleeway = \"0s\"\nmountpoint = \"{tenant}\"\n"
                     "client_id = \"{tenant}-\"\nclient_id_rule = \"prefix\"\n"
                     "[limits]\nconnect_bytes_max = \"128KB\"\n",
                 .files = {{"secret", kSecret}, {"issuer.pem", issuer.pem(false)}}}};

  static Connect with_token(Version version, std::string token, std::string name = "17") {
    return {.version = version,
            .client_id = unique("a-"),
            .username = std::move(name),
            .password = std::move(token)};
  }
  // Each time it is tried, it is made anew: refusals of one token are remembered for a while.
  std::function<std::string(Version)> tries(std::function<std::string()> token,
                                            std::string name = "17") const {
    return [this, token = std::move(token), name](Version version) {
      return answer_to(broker, with_token(version, token(), name));
    };
  }
  static std::string fresh() { return fmt::format(R"(,"jti":"{}")", unique("t")); }
  static std::string honest() { return by_hand(R"({"alg":"HS256"})", Claims{.more = fresh()}.text()); }
};

}  // namespace

TEST_F(Tokens, AreForgedInVain) {
  ASSERT_EQ(answer_to(broker, with_token(v5, honest())), "CONNACK 0") << "the honest get in";
  const auto rs256 = *jose::Key::from_pem(issuer.pem(true)),
             foreign = *jose::Key::from_pem(stranger.pem(true));
  ASSERT_EQ(answer_to(broker, with_token(v5, signed_by(Claims{}.text(), rs256))), "CONNACK 0");
  const Lure lure;
  const auto header = [](const std::string& text) {
    return [text] { return by_hand(text, Claims{.more = fresh()}.text()); };
  };
  const auto claims = [](Claims changed) {
    return [changed] {
      Claims made = changed;
      made.more += fresh();
      return by_hand(R"({"alg":"HS256"})", made.text());
    };
  };
  const std::string no3 = "CONNACK 5, closed", no5 = "CONNACK 0x87, closed", refused = "connect refused";
  std::vector<Attempt> attempts;
  const auto token = [&](const std::string& what, std::function<std::string()> made, const std::string& why) {
    attempts.push_back({"a token " + what, tries(std::move(made)), no3, no5, {refused, why}});
  };
  // --- the signature ---
  token(
      "that is not signed: alg none",
      [] { return base64url(R"({"alg":"none"})") + "." + base64url(Claims{.more = fresh()}.text()) + "."; },
      "not signed");
  token("that is not signed: alg nOnE", header(R"({"alg":"nOnE"})"), "not signed");
  token(
      "whose signature was cut off",
      [] {
        const std::string whole = honest();
        return whole.substr(0, whole.rfind('.') + 1);
      },
      "signature");
  token(
      "whose signature is a byte short",
      [] {
        const std::string whole = honest();
        return whole.substr(0, whole.size() - 2);
      },
      "signature");
  token(
      "whose claims were changed",
      [] {
        const std::string whole = honest();
        return whole.substr(0, whole.find('.') + 1) + base64url(Claims{.rid = "\"18\""}.text()) +
               whole.substr(whole.rfind('.'));
      },
      "the signature (HS256) is not valid");
  token(
      "signed with another secret",
      [] { return by_hand(R"({"alg":"HS256"})", Claims{.more = fresh()}.text(), "guess"); },
      "the signature (HS256) is not valid");
  token(
      "signed with an empty secret",
      [] { return by_hand(R"({"alg":"HS256"})", Claims{.more = fresh()}.text(), ""); },
      "the signature (HS256) is not valid");
  token(
      "signed by another RSA key", [&] { return signed_by(Claims{.more = fresh()}.text(), foreign); },
      "the signature (RS256) is not valid");
  token(
      "whose secret is our public RSA key: HS for RS",
      [&] { return by_hand(R"({"alg":"HS256"})", Claims{.more = fresh()}.text(), issuer.pem(false)); },
      "the signature (HS256) is not valid");
  token("that says RS256 and is an HMAC", header(R"({"alg":"RS256"})"), "signature");
  token("by an algorithm that we did not allow: HS512", header(R"({"alg":"HS512"})"), "HS512");
  token("by an algorithm of another kind of key: ES256", header(R"({"alg":"ES256"})"), "ES256");
  token("with two algorithms", header(R"({"alg":"HS256","alg":"none"})"), "twice");
  // --- whose key it is ---
  token(
      "whose kid is a file that everybody knows",
      [&] {
        return by_hand(R"({"alg":"HS256","kid":"../../../../dev/null"})", Claims{.more = fresh()}.text(), "");
      },
      "the signature (HS256) is not valid");
  token(
      "whose kid is a URL",
      [&] {
        return by_hand(fmt::format(R"({{"alg":"HS256","kid":"{}"}})", lure.url()),
                       Claims{.more = fresh()}.text(), "mine");
      },
      "the signature (HS256) is not valid");
  token(
      "whose kid is SQL that says the key",
      [&] {
        return by_hand(R"({"alg":"HS256","kid":"x' UNION SELECT 'mine"})", Claims{.more = fresh()}.text(),
                       "mine");
      },
      "the signature (HS256) is not valid");
  token("whose kid is of 5,000 letters",
        header(fmt::format(R"({{"alg":"HS256","kid":"{}"}})", std::string(5000, 'k'))), "");
  token(
      "that says where its keys are: jku",
      [&] {
        const std::string input = base64url(fmt::format(R"({{"alg":"HS256","jku":"{}"}})", lure.url())) +
                                  "." + base64url(Claims{.more = fresh()}.text());
        return input + "." + base64url(jose::hmac_sha256("mine", input));
      },
      "signature");
  token(
      "that says where its certificate is: x5u",
      [&] {
        const std::string input = base64url(fmt::format(R"({{"alg":"HS256","x5u":"{}"}})", lure.url())) +
                                  "." + base64url(Claims{.more = fresh()}.text());
        return input + "." + base64url(jose::hmac_sha256("mine", input));
      },
      "signature");
  token(
      "that brings its key along: jwk",
      [] {
        const std::string input = base64url(R"({"alg":"HS256","jwk":{"kty":"oct","k":"bWluZQ"}})") + "." +
                                  base64url(Claims{.more = fresh()}.text());
        return input + "." + base64url(jose::hmac_sha256("mine", input));
      },
      "signature");
  token("with an extension that must be understood: crit", header(R"({"alg":"HS256","crit":["x"],"x":1})"),
        "crit");
  // --- when, for whom, from whom ---
  token("that is over", claims({.expires = -1}), "expired");
  token("that is not valid yet", claims({.more = fmt::format(R"(,"nbf":{})", std::time(nullptr) + 3600)}),
        "not valid before");
  token(
      "that never ends, where one must",
      [] {
        return by_hand(R"({"alg":"HS256"})", R"({"rid":"17","tenant":"a","aud":"courier","iss":"issuer"})");
      },
      "\\\"exp\\\" is missing");
  token("whose end is text", claims({.more = R"(,"nbf":"never")"}), "nbf");
  token("for another audience", claims({.aud = "\"bank\""}), "aud");
  token("from another issuer", claims({.iss = "\"Issuer\""}), "iss");
  token("of another user", claims({.rid = "\"18\""}), "the user name is");
  token("of a user whose name is a number", claims({.rid = "17.0"}), "rid");
  token("of two users", claims({.more = R"(,"rid":"18")"}), "rid");
  token(
      "of no user",
      [] {
        return by_hand(R"({"alg":"HS256"})",
                       fmt::format(R"({{"tenant":"a","aud":"courier","iss":"issuer","exp":{}}})",
                                   std::time(nullptr) + 60));
      },
      "rid");
  token("of another tenant", claims({.tenant = "\"b\""}), "it must begin with");
  // --- the form ---
  token("of 17,000 bytes", claims({.more = R"(,"x":")" + std::string(13'000, 'x') + "\""}), "16384");
  token(
      "with claims 10,000 deep",
      [] { return by_hand(R"({"alg":"HS256"})", "{\"rid\":\"17\",\"x\":" + nested(5'000) + "}"); }, "deep");
  token(
      "with a header 1,000 deep",
      [] { return by_hand("{\"alg\":\"HS256\",\"x\":" + nested(1'000) + "}", Claims{}.text()); }, "deep");
  token(
      "with claims that are a list", [] { return by_hand(R"({"alg":"HS256"})", R"(["rid","17"])"); },
      "object");
  refuse(broker, attempts);
  EXPECT_FALSE(lure.visited()) << "nothing is fetched because a stranger says so";
  EXPECT_EQ(answer_to(broker, with_token(v3_1_1, honest())), "CONNACK 0");
}

// What a token is no token is a password, which nobody here can check.
TEST_F(Tokens, AreNoPasswordsNorNames) {
  refuse(broker, {{"a token as the user name",
                   [&](Version version) { return answer_to(broker, with_token(version, "x", honest())); },
                   "CONNACK 4, closed",
                   "CONNACK 0x86, closed",
                   {"connect refused", "why="}},
                  {"a token of five parts (JWE)",
                   tries([] { return "a.b.c.d.e"; }),
                   "CONNACK 4, closed",
                   "CONNACK 0x86, closed",
                   {"connect refused", "why="}},
                  {"a token in the usual base64 instead of its own",
                   tries([] { return honest() + "="; }),
                   "CONNACK 4, closed",
                   "CONNACK 0x86, closed",
                   {"connect refused", "why="}},
                  {"the honest token of somebody else, under his name and my client id",
                   [&](Version version) {
                     Connect connect = with_token(version, honest());
                     connect.client_id = "b-phone";
                     return answer_to(broker, connect);
                   },
                   "CONNACK 5, closed",
                   "CONNACK 0x87, closed",
                   {"connect refused", "it must begin with"}},
                  {"a token, and no user name",
                   [&](Version version) {
                     Connect connect = with_token(version, honest());
                     connect.username = std::nullopt;
                     return answer_to(broker, connect);
                   },
                   "closed",
                   "CONNACK 0x87, closed",
                   {"why="}}});
}

// Tenants do not meet, whatever they subscribe to.
TEST_F(Tokens, OfOneTenantHearNothingOfAnother) {
  const auto of_tenant = [&](const std::string& tenant, Version version) {
    Connect connect = with_token(
        version,
        by_hand(R"({"alg":"HS256"})", Claims{.tenant = "\"" + tenant + "\"", .more = fresh()}.text()));
    connect.client_id = unique(tenant + "-");
    return Client(connect, broker.port());
  };
  for (const std::string filter : {"#", "+/+", "/#", "a/#", "../a/#", "a/orders", "$share/g/#"}) {
    for (const Version version : {v3_1_1, v5}) {
      Client victim = of_tenant("a", v5), attacker = of_tenant("b", version), friendly = of_tenant("b", v5);
      attacker.subscribe(filter, 1);
      attacker.subscribe("b-marker", 1);
      victim.publish("orders", "secret", 1);
      victim.publish("a/orders", "secret", 1, true);
      friendly.publish("b-marker", "marker", 1);
      attacker.message("marker");
      victim.publish("a/orders", "", 1, true);
    }
  }
}

}  // namespace courier::scenario::red_team
