#include "net/websocket/upgrade.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "net/websocket/errc.h"

namespace courier::net::websocket {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// A request that is in order, with what a test changes: an empty value takes a field away.
std::string request(const std::map<std::string, std::string>& changes = {},
                    const std::string& line = "GET /mqtt HTTP/1.1") {
  std::map<std::string, std::string> fields = {{"Host", "broker.example:8080"},
                                               {"Upgrade", "websocket"},
                                               {"Connection", "keep-alive, Upgrade"},
                                               {"Sec-WebSocket-Version", "13"},
                                               {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                                               {"Sec-WebSocket-Protocol", "mqtt"}};
  for (const auto& [name, value] : changes) fields[name] = value;
  std::string text = line + "\r\n";
  for (const auto& [name, value] : fields) {
    if (!value.empty()) text += name + ": " + value + "\r\n";
  }
  return text + "\r\n";
}

struct Answer {
  std::string label, sentence, text;
};

Answer answer(const std::string& head, const ServerOptions& options = {}) {
  Answer made;
  const auto result = answer_upgrade(head, options, made.text);
  if (!result) made = {result.error().code.message(), result.error().message, made.text};
  return made;
}

ServerOptions with_origins(std::initializer_list<const char*> patterns) {
  ServerOptions options;
  for (const char* pattern : patterns) options.origins.push_back(*OriginPattern::parse(pattern));
  return options;
}

TEST(Upgrade, IsGrantedInTheWordsOfTheSpecification) {
  // The key and its answer are RFC 6455's own example, section 1.3.
  EXPECT_EQ(answer(request()).text,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n");
}

TEST(Upgrade, ComparesNamesAndTokensWithoutCase) {
  EXPECT_EQ(answer(request({{"Upgrade", "WebSocket"}, {"Connection", "UPGRADE"}})).label, "");
  std::string lower = request();
  for (char& c : lower) c = c >= 'A' && c <= 'Z' && lower.find("GET") != 0 ? static_cast<char>(c + 32) : c;
  EXPECT_EQ(answer(lower).label, "");
}

TEST(Upgrade, ChoosesTheFirstSubprotocolThatItKnows) {
  EXPECT_THAT(answer(request({{"Sec-WebSocket-Protocol", "stomp, mqttv3.1 , mqtt"}})).text,
              HasSubstr("Sec-WebSocket-Protocol: mqttv3.1\r\n"));
  const Answer others = answer(request({{"Sec-WebSocket-Protocol", "stomp"}}));
  EXPECT_EQ(others.label, "no_subprotocol");
  EXPECT_THAT(others.text, StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(others.text, HasSubstr("\"stomp\""));
}

TEST(Upgrade, WantsASubprotocolUnlessAllowedWithout) {
  const std::string without = request({{"Sec-WebSocket-Protocol", ""}});
  EXPECT_EQ(answer(without).label, "no_subprotocol");
  ServerOptions options;
  options.require_subprotocol = false;
  const Answer granted = answer(without, options);
  EXPECT_EQ(granted.label, "");
  EXPECT_THAT(granted.text, Not(HasSubstr("Sec-WebSocket-Protocol")));
  EXPECT_EQ(answer(request({{"Sec-WebSocket-Protocol", "stomp"}}), options).label, "no_subprotocol")
      << "who wants something else would not understand us";
}

TEST(Upgrade, TellsOtherPathsWhatThisPortIs) {
  const Answer refused = answer(request({}, "GET /ws HTTP/1.1"));
  EXPECT_EQ(refused.label, "not_found");
  EXPECT_THAT(refused.text, StartsWith("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(refused.text,
              HasSubstr("there is nothing at \"/ws\". This port speaks MQTT over WebSocket, at /mqtt"));
  EXPECT_THAT(refused.text, HasSubstr("Connection: close\r\n"));
  EXPECT_EQ(answer(request({}, "GET /mqtt?token=1 HTTP/1.1")).label, "") << "a query is not the path";
  EXPECT_EQ(answer(request({}, "GET /mqtt/ HTTP/1.1")).label, "not_found");
}

TEST(Upgrade, AnswersOrdinaryRequestsWithTheStatusThatFits) {
  EXPECT_THAT(answer(request({}, "POST /mqtt HTTP/1.1")).text, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(answer(request({}, "POST /mqtt HTTP/1.1")).text, HasSubstr("\r\nAllow: GET\r\n"));
  for (const auto& [name, value] : std::map<std::string, std::string>{
           {"Upgrade", ""}, {"Connection", "keep-alive"}, {"Upgrade ", "h2c"}}) {
    if (name == "Upgrade ") continue;
    const Answer plain = answer(request({{name, value}}));
    EXPECT_EQ(plain.label, "not_an_upgrade");
    EXPECT_THAT(plain.text, StartsWith("HTTP/1.1 426 "));
    EXPECT_THAT(plain.text, HasSubstr("\r\nUpgrade: websocket\r\n"));
  }
  EXPECT_EQ(answer(request({{"Upgrade", "h2c"}})).label, "not_an_upgrade");
  EXPECT_EQ(answer(request({}, "GET /mqtt HTTP/1.0")).label, "not_an_upgrade");
}

TEST(Upgrade, NamesTheVersionItSpeaks) {
  for (const char* version : {"", "8", "12", "14", "13, 8"}) {
    const Answer refused = answer(request({{"Sec-WebSocket-Version", version}}));
    EXPECT_EQ(refused.label, "not_an_upgrade") << version;
    EXPECT_THAT(refused.text, HasSubstr("\r\nSec-WebSocket-Version: 13\r\n"));
  }
}

TEST(Upgrade, WantsAKeyOf16Bytes) {
  for (const char* key : {"", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=!",
                          "dGhlIHNhbXBsZSBub25jZWE=", "dGhl-HNhbXBsZSBub25jZQ=="}) {
    EXPECT_EQ(answer(request({{"Sec-WebSocket-Key", key}})).label, "bad_request") << key;
  }
}

TEST(Upgrade, RefusesWhatCouldBeReadTwoWays) {
  std::string twice = request();
  twice.insert(twice.size() - 2, "Host: other\r\n");
  EXPECT_EQ(answer(twice).label, "bad_request");
  EXPECT_EQ(answer(request({{"Host", ""}})).label, "bad_request");
  EXPECT_EQ(answer(request({{"Content-Length", "5"}})).label, "bad_request");
  EXPECT_EQ(answer(request({{"Content-Length", "0"}})).label, "");
  EXPECT_EQ(answer(request({{"Transfer-Encoding", "chunked"}})).label, "bad_request");
  twice = request();
  twice.insert(twice.size() - 2, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n");
  EXPECT_EQ(answer(twice).label, "bad_request");
  for (const char* blank : {" ", "\t"}) {
    std::string folded = request();
    folded.insert(folded.size() - 2, std::string("X: a\r\n") + blank + "Content-Length: 5\r\n");
    EXPECT_EQ(answer(folded).label, "bad_request");
  }
}

TEST(Upgrade, RefusesWhatIsNoHttp) {
  for (const char* text :
       {"GET\r\n\r\n", "GET /mqtt\r\n\r\n", "GET /mqtt HTTP/9.9\r\n\r\n", "\r\n\r\n",
        "GET /mqtt HTTP/1.1\r\nno colon\r\n\r\n", "GET /mqtt HTTP/1.1\r\nA\x01: b\r\n\r\n"}) {
    const Answer refused = answer(text);
    EXPECT_EQ(refused.label, "bad_request") << text;
    EXPECT_THAT(refused.text, StartsWith("HTTP/1.1 400 "));
  }
}

TEST(Upgrade, KeepsPagesOutWhoseOriginIsNotListed) {
  const ServerOptions options = with_origins({"https://app.example.com", "*.partner.example"});
  EXPECT_EQ(answer(request({{"Origin", "https://app.example.com"}}), options).label, "");
  EXPECT_EQ(answer(request({{"Origin", "https://a.partner.example"}}), options).label, "");
  EXPECT_EQ(answer(request(), options).label, "") << "no browser";
  const Answer refused = answer(request({{"Origin", "https://evil.example"}}), options);
  EXPECT_EQ(refused.label, "origin_forbidden");
  EXPECT_THAT(refused.text, StartsWith("HTTP/1.1 403 Forbidden\r\n"));
  EXPECT_THAT(refused.text,
              HasSubstr("\"https://evil.example\" may not connect: their origin is not in the"));
  EXPECT_EQ(answer(request({{"Origin", "null"}}), options).label, "origin_forbidden");
  EXPECT_EQ(answer(request({{"Origin", "https://evil.example"}})).label, "") << "without a list all may";
  std::string twice = request({{"Origin", "https://app.example.com"}});
  twice.insert(twice.size() - 2, "Origin: https://evil.example\r\n");
  EXPECT_EQ(answer(twice, options).label, "origin_forbidden");
}

TEST(Upgrade, RepeatsLittleOfThePeersTextAndOnlyWhatPrints) {
  const Answer refused = answer(request({}, "GET /" + std::string(2000, 'x') + "\xC3\xA9 HTTP/1.1"));
  EXPECT_LT(refused.text.size(), 600u);
  EXPECT_LT(refused.sentence.size(), 300u);
  EXPECT_EQ(quoted("a\r\nb\"c\x7F"), "\"a??b'c?\"");
}

// --- the client ---

TEST(UpgradeClient, AsksInAWayThatTheServerGrants) {
  const std::string key = random_key();
  EXPECT_NE(key, random_key());
  const ClientOptions options{.host = "broker.example",
                              .headers = {{"Origin", "https://a"}, {"X", "a\r\nEvil: b"}}};
  const std::string text = upgrade_request(options, key);
  EXPECT_THAT(text, HasSubstr("Origin: https://a\r\n"));
  EXPECT_THAT(text, Not(HasSubstr("Evil")));
  const Answer granted = answer(text);
  EXPECT_EQ(granted.label, "") << granted.sentence;
  EXPECT_TRUE(check_answer(granted.text, "", options, key));
  EXPECT_FALSE(check_answer(granted.text, "", options, random_key()));
}

TEST(UpgradeClient, SaysWhatTheServerAnswered) {
  const auto refused = check_answer("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\n",
                                    "no such thing\nmore", {}, "dGhlIHNhbXBsZSBub25jZQ==");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::upgrade_refused);
  EXPECT_EQ(refused.error().message,
            "the server refused WebSocket at /mqtt: 404 \"Not Found\": \"no such thing\"");
}

TEST(UpgradeClient, RefusesA101ThatBreaksTheRules) {
  const std::string key = "dGhlIHNhbXBsZSBub25jZQ==";
  const std::string good = answer(request()).text;
  ASSERT_TRUE(check_answer(good, "", {}, key));
  const auto changed = [&](const std::string& what, const std::string& with) {
    std::string text = good;
    text.replace(text.find(what), what.size(), with);
    const auto result = check_answer(text, "", {}, key);
    return result ? "" : result.error().code.message();
  };
  EXPECT_EQ(changed("Upgrade: websocket\r\n", ""), "bad_answer");
  EXPECT_EQ(changed("Connection: Upgrade\r\n", ""), "bad_answer");
  EXPECT_EQ(changed("s3pP", "S3pP"), "bad_answer");
  EXPECT_EQ(changed("Protocol: mqtt", "Protocol: stomp"), "bad_answer");
  EXPECT_EQ(changed("Upgrade: websocket", "Sec-WebSocket-Extensions: x\r\nUpgrade: websocket"), "bad_answer");
  EXPECT_EQ(changed("HTTP/1.1", "SMTP"), "bad_answer");
}

}  // namespace
}  // namespace courier::net::websocket
