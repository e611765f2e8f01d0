// Inside, and after more: topics that are not theirs, by filters, aliases, wills and retained messages; and
// sessions that are not theirs. The ACL file and auth.session_owner.
#include <gtest/gtest.h>

#include "red_team/attempt.h"

namespace courier::scenario::red_team {
namespace {

constexpr std::string_view kHash =  // secret
    ":$argon2id$v=19$m=1024,t=1,p=1$c2FsdHNhbHRzYWx0$GMv1V/a9uBNqF+93SqBH3JLZiqfe1V1xP9SfOSAqqRE\n";
constexpr char kRules[] =
    "topic readwrite public/#\n"
    "user alice\n"
    "topic readwrite alice/#\n"
    "user mallory\n"
    "topic readwrite mallory/#\n"
    "topic readwrite orders/#\n"
    "topic deny orders/secret/#\n"
    "user backend\n"
    "topic readwrite #\n"
    "pattern readwrite users/%u/#\n"
    "pattern readwrite devices/%c/#\n";

class Access : public testing::Test {
 protected:
  void SetUp() override { COURIER_ONLY(); }

  static std::string passwords() {
    std::string text;
    for (const char* name : {"alice", "mallory", "backend", "+", "alice/in"})
      text += name + std::string(kHash);
    return text;
  }
  Broker broker{{.auth_toml = "[auth]\nallow_anonymous = true\npassword_file = \"{dir}/passwd\"\n"
                              "acl_file = \"{dir}/acl\"\n",
                 .passwords = passwords(),
                 .files = {{"acl", kRules}}}};

  static Connect as(std::string name, Version version = v5, std::string client_id = {}) {
    return {.version = version,
            .client_id = client_id.empty() ? unique("red") : std::move(client_id),
            .username = std::move(name),
            .password = "secret"};
  }
  Client connected(const std::string& name, Version version = v5, std::string client_id = {}) {
    return Client(as(name, version, std::move(client_id)), broker.port());
  }

  // As mallory, or whom the row names.
  std::function<std::string(Version)> subscribes(std::string filter, std::string secret,
                                                 std::string name = "mallory", std::string client_id = {}) {
    return [=, this](Version version) {
      Client attacker = connected(name, version, client_id), victim = connected("backend");
      const Packet answer = attacker.subscribe(filter, 1);
      return "SUBACK " + code(version, answer.reasons.at(0)) + ", " + hears(attacker, victim, secret);
    };
  }
  // Of what is no filter at all.
  std::function<std::string(Version)> sends(std::function<std::string(Version)> packet) {
    return [this, packet](Version version) {
      Client attacker = connected("mallory", version);
      attacker.send(packet(version));
      return end_of(attacker);
    };
  }
  std::function<std::string(Version)> publishes(Publish publish) {
    return [this, publish](Version version) {
      Watcher watcher(connected("backend"));
      Client attacker = connected("mallory", version);
      const Packet answer = attacker.publish(publish);
      const std::string name = type_name(answer.type);
      attacker.ping();
      return name + " " + code(version, answer.reason) + ", " + watcher.saw(attacker);
    };
  }
};

}  // namespace

TEST_F(Access, ToTopicsOfOthersIsTriedByFilters) {
  connected("alice").subscribe("alice/#", 1);
  const std::string no3 = "SUBACK 128, deaf", no5 = "SUBACK 0x87, deaf";
  std::vector<Attempt> attempts;
  const auto row = [&](const std::string& what, std::function<std::string(Version)> makes,
                       const std::string& why) {
    attempts.push_back({"subscribing " + what, std::move(makes), no3, no5, {"subscription refused", why}});
  };
  row("to everything", subscribes("#", "alice/in"), "topic deny orders/secret/#");
  row("to everything, level by level", subscribes("+/+", "alice/in"), "topic deny orders/secret/#");
  row("to everything below anything", subscribes("+/#", "alice/in"), "topic deny orders/secret/#");
  row("to another's topics", subscribes("alice/#", "alice/in"), "no rule allows it");
  row("to another's topics in a group", subscribes("$share/g/alice/#", "alice/in"), "no rule allows it");
  row("to everything in a group", subscribes("$share/g/#", "alice/in"), "topic deny orders/secret/#");
  row("to topics of which some are denied", subscribes("orders/#", "orders/secret/x"),
      "topic deny orders/secret/#");
  row("to a pattern that meets a denied topic", subscribes("orders/+/x", "orders/secret/x"), "topic deny");
  row("to a denied topic", subscribes("orders/secret/x", "orders/secret/x"), "topic deny");
  row("to denied topics in a group", subscribes("$share/g/orders/secret/#", "orders/secret/x"), "topic deny");
  row("to a pattern in a group that meets a denied topic",
      subscribes("$share/g/orders/+/x", "orders/secret/x"), "topic deny");
  row("to the broker's own topics", subscribes("$SYS/#", "alice/in"), "no rule allows it");
  row("to topics that look like another's (Cyrillic a)", subscribes("\xD0\xB0lice/#", "alice/in"),
      "no rule allows it");
  row("to another's topics with an empty level before", subscribes("/alice/#", "alice/in"),
      "no rule allows it");
  row("as the user +, whom a rule with %u speaks of", subscribes("users/alice/in", "users/alice/in", "+"),
      "no rule allows it");
  row("as the user +, with the name in the filter", subscribes("users/+/in", "users/alice/in", "+"),
      "no rule allows it");
  row("as a user whose name is another's topic",
      subscribes("users/alice/in/#", "users/alice/in/x", "alice/in"), "no rule allows it");
  row("under the client id +", subscribes("devices/phone-1/in", "devices/phone-1/in", "mallory", "+"),
      "no rule allows it");
  row("under a client id that is another's topic",
      subscribes("devices/phone-1/in", "devices/phone-1/in", "mallory", "phone-1/in"), "no rule allows it");
  refuse(broker, attempts);

  const std::string bad3 = "closed", bad5 = "DISCONNECT 0x81, closed", violation = "protocol violation";
  const auto filter = [&](std::string text) {
    return sends([text](Version version) { return subscribe_packet(version, 1, {{text, 1}}); });
  };
  refuse(
      broker,
      {
          {"subscribing with a NUL in the filter",
           filter(std::string("mallory/\0/#", 11)),
           bad3,
           bad5,
           {violation, "U+0000"}},
          {"subscribing to what is no UTF-8", filter("mallory/\xFF"), bad3, bad5, {violation, "UTF-8"}},
          {"subscribing to an overlong slash", filter("mallory\xC0\xAF#"), bad3, bad5, {violation, "UTF-8"}},
      });
  const std::string odd3 = "SUBACK 128, deaf", odd5 = "SUBACK 0x8F, deaf";
  refuse(broker, {
                     {"subscribing with # in the middle",
                      subscribes("mallory/#/alice", "alice/in"),
                      odd3,
                      odd5,
                      {"subscription refused", "no topic filter"}},
                     {"subscribing with + within a level",
                      subscribes("mall+ry/x", "alice/in"),
                      odd3,
                      odd5,
                      {"subscription refused", "no topic filter"}},
                     {"subscribing in a group without a name",
                      subscribes("$share//alice/#", "alice/in"),
                      odd3,
                      odd5,
                      {"subscription refused", "$share"}},
                     {"subscribing in a group of all names",
                      subscribes("$share/+/alice/#", "alice/in"),
                      odd3,
                      odd5,
                      {"subscription refused", "$share"}},
                     {"subscribing 200 levels deep",
                      subscribes(
                          [] {
                            std::string deep = "mallory";
                            for (int i = 0; i < 200; ++i) deep += "/+";
                            return deep;
                          }(),
                          "alice/in"),
                      odd3,
                      odd5,
                      {"subscription refused", "deeper than allowed"}},
                 });
  // A topic is text: ".." leads nowhere.
  Client attacker = connected("mallory"), victim = connected("backend");
  EXPECT_EQ(attacker.subscribe("mallory/../alice/#", 1).reasons.at(0), 1);
  EXPECT_EQ(hears(attacker, victim, "alice/in"), "deaf");
}

TEST_F(Access, ToTopicsOfOthersIsTriedByMessages) {
  const std::string no3 = "PUBACK 0, seen by nobody", no5 = "PUBACK 0x87, seen by nobody";
  const std::string refused = "publish refused";
  const auto will_to = [&](Will will) {
    return [this, will](Version version) {
      Watcher watcher(connected("backend"));
      Connect connect = as("mallory", version);
      connect.will = will;
      return answer_to(broker, connect) + ", " + watcher.saw();
    };
  };
  const auto sequence = [&](std::function<std::string(Client&)> does) {
    return [this, does](Version version) {
      Watcher watcher(connected("backend"));
      Client attacker = connected("mallory", version);
      const std::string came = does(attacker);
      return came + ", " + watcher.saw(attacker);
    };
  };
  refuse(broker,
         {
             {"publishing to another's topic",
              publishes({.topic = "alice/in", .payload = "x", .qos = 1}),
              no3,
              no5,
              {refused, "no rule allows it"}},
             {"publishing to another's topic, QoS 2",
              publishes({.topic = "alice/in", .payload = "x", .qos = 2}),
              "PUBREC 0, seen by nobody",
              "PUBREC 0x87, seen by nobody",
              {refused, "no rule allows it"}},
             {"publishing to a denied topic",
              publishes({.topic = "orders/secret/x", .payload = "x", .qos = 1}),
              no3,
              no5,
              {refused, "topic deny"}},
             {"leaving a retained message on another's topic",
              publishes({.topic = "alice/in", .payload = "x", .qos = 1, .retain = true}),
              no3,
              no5,
              {refused, "no rule allows it"}},
             {"taking away another's retained message",
              [&](Version version) {
                Client owner = connected("alice"), attacker = connected("mallory", version);
                owner.publish("alice/kept", "kept", 1, true);
                const Packet answer = attacker.publish("alice/kept", "", 1, true);
                owner.subscribe("alice/kept", 1);
                const std::string found = owner.message().payload;
                owner.publish("alice/kept", "", 1, true);
                return "PUBACK " + code(version, answer.reason) + ", " + found;
              },
              "PUBACK 0, kept",
              "PUBACK 0x87, kept",
              {refused, "no rule allows it"}},
             {"publishing to another's topic by an alias",
              sequence([](Client& attacker) {
                attacker.publish(
                    {.topic = "alice/in", .payload = "x", .qos = 1, .properties = with(kTopicAlias, 1)});
                const Packet answer =
                    attacker.publish({.payload = "x", .qos = 1, .properties = with(kTopicAlias, 1)});
                return "PUBACK " + code(v5, answer.reason);
              }),
              "",
              no5,
              {refused, "no rule allows it"}},
             {"turning an alias of the own topic to another's",
              sequence([](Client& attacker) {
                const auto alias = with(kTopicAlias, 1);
                attacker.publish(
                    {.topic = "mallory/own", .payload = "", .qos = 1, .retain = true, .properties = alias});
                attacker.publish({.topic = "alice/in", .payload = "x", .properties = alias});
                const Packet answer = attacker.publish({.payload = "x", .qos = 1, .properties = alias});
                return "PUBACK " + code(v5, answer.reason);
              }),
              "",
              "PUBACK 0x87, SEEN:  on mallory/own; ",
              {refused, "no rule allows it"}},
             {"with a will for another's topic",
              will_to({.topic = "alice/in", .payload = "x"}),
              "CONNACK 5, closed, seen by nobody",
              "CONNACK 0x87, closed, seen by nobody",
              {"will refused", "no rule allows it"}},
             {"with a retained will for a denied topic",
              will_to({.topic = "orders/secret/x", .payload = "x", .retain = true}),
              "CONNACK 5, closed, seen by nobody",
              "CONNACK 0x87, closed, seen by nobody",
              {"will refused", "topic deny"}},
             {"with a will for the broker's topics",
              will_to({.topic = "$SYS/broker/uptime", .payload = "x"}),
              "CONNACK 3, closed, seen by nobody",
              "CONNACK 0x90, closed, seen by nobody",
              {"connect refused", "begins with $"}},
             {"speaking for the broker",
              publishes({.topic = "$SYS/broker/uptime", .payload = "x", .qos = 1}),
              no3,
              "PUBACK 0x90, seen by nobody",
              {refused, "are the broker's"}},
             {"publishing into a group",
              publishes({.topic = "$share/g/alice/in", .payload = "x", .qos = 1}),
              no3,
              "PUBACK 0x90, seen by nobody",
              {refused, "are the broker's"}},
             {"releasing a QoS 2 message that was refused",
              sequence([](Client& attacker) {
                const uint16_t id = attacker.next_id();
                attacker.send(publish_packet(v5, {.topic = "alice/in", .payload = "x", .qos = 2, .id = id}));
                const Packet refusal = attacker.await(kPubrec, id);
                attacker.send(reply_packet(v5, kPubrel, id));
                return "PUBREC " + code(v5, refusal.reason) + ", PUBCOMP " +
                       code(v5, attacker.await(kPubcomp, id).reason);
              }),
              "",
              "PUBREC 0x87, PUBCOMP 0x92, seen by nobody",
              {refused, "no rule allows it"}},
             // An honest client whose session is gone does it, too: no line.
             {"releasing a QoS 2 message that never was",
              sequence([](Client& attacker) {
                attacker.send(reply_packet(attacker.version(), kPubrel, 77));
                return "PUBCOMP " + code(attacker.version(), attacker.await(kPubcomp, 77).reason);
              }),
              "PUBCOMP 0, seen by nobody",
              "PUBCOMP 0x92, seen by nobody",
              {}},
         });
  const std::string violation = "protocol violation";
  refuse(
      broker,
      {
          {"publishing to all topics at once",
           sends(
               [](Version version) { return publish_packet(version, {.topic = "alice/+", .payload = "x"}); }),
           "closed",
           "DISCONNECT 0x81, closed",
           {violation, "wildcard"}},
          {"publishing with a NUL in the topic",
           sends([](Version version) {
             return publish_packet(version, {.topic = std::string("mallory/\0", 9), .payload = "x"});
           }),
           "closed",
           "DISCONNECT 0x81, closed",
           {violation, "U+0000"}},
          {"asking for answers on all topics",
           sends([](Version version) {
             return publish_packet(
                 version,
                 {.topic = "mallory/x", .payload = "x", .properties = with(kResponseTopic, "alice/#")});
           }),
           "",
           "DISCONNECT 0x82, closed",
           {violation, "esponse"}},
          {"publishing by alias 0",
           sends([](Version version) {
             return publish_packet(version, {.topic = "mallory/x", .properties = with(kTopicAlias, 0u)});
           }),
           "",
           "DISCONNECT 0x94, closed",
           {"alias"}},
          {"publishing by an alias above the maximum",
           sends([](Version version) {
             return publish_packet(version, {.topic = "mallory/x", .properties = with(kTopicAlias, 65'535)});
           }),
           "",
           "DISCONNECT 0x94, closed",
           {"alias"}},
          {"publishing by an alias that another connection has",
           sends(
               [](Version version) { return publish_packet(version, {.properties = with(kTopicAlias, 1)}); }),
           "",
           "DISCONNECT 0x82, closed",
           {"alias"}},
          {"publishing to nothing",
           sends([](Version version) { return publish_packet(version, {}); }),
           "closed",
           "DISCONNECT 0x82, closed",
           {"why="}},
      });
}

TEST_F(Access, ToSessionsOfOthersIsTriedByTheirClientId) {
  // Whose messages wait, and who comes back for them in the end.
  const auto takes = [&](Connect connect, bool she_is_here) {
    return [this, connect, she_is_here](Version version) {
      Connect hers = persistent(v5, unique("hers"));
      hers.username = "alice";
      hers.password = "secret";
      Client alice(hers, broker.port());
      alice.subscribe("alice/in", 1);
      if (!she_is_here) {
        alice.drop();
        connected("backend").publish("alice/in", "waits", 1);
      }
      Connect thief = connect;
      thief.version = version;
      thief.client_id = hers.client_id;
      if (version != v5) thief.properties = {};
      const std::string came = answer_to(broker, thief);
      if (she_is_here) {
        alice.ping();
        return came + ", she stays";
      }
      Client again(hers, broker.port());
      again.message("waits");
      return came + ", her messages wait";
    };
  };
  Connect goes_on = as("mallory"), clean = as("mallory"), with_will = as("mallory"), nobody, unchecked;
  goes_on.clean = nobody.clean = false;
  goes_on.properties = nobody.properties = with(kSessionExpiry, 600);
  with_will.will = Will{.topic = "mallory/will", .payload = "x"};
  const std::string stays3 = "CONNACK 2, closed, she stays", stays5 = "CONNACK 0x85, closed, she stays";
  const std::string waits3 = "CONNACK 2, closed, her messages wait",
                    waits5 = "CONNACK 0x85, closed, her messages wait";
  const std::vector<std::string> why = {"connect refused", "belongs to another user"};
  refuse(broker,
         {
             {"going on with another's session", takes(goes_on, false), waits3, waits5, why},
             {"ending another's session by a clean start", takes(clean, false), waits3, waits5, why},
             {"going on with another's session, without a name", takes(nobody, false), waits3, waits5, why},
             {"throwing another out", takes(goes_on, true), stays3, stays5, why},
             {"throwing another out by a clean start", takes(clean, true), stays3, stays5, why},
             {"throwing another out, with a will", takes(with_will, true), stays3, stays5, why},
             {"throwing another out, without a name", takes(nobody, true), stays3, stays5, why},
             {"throwing another out, under her name and a wrong password",
              takes(
                  [&] {
                    Connect guess = as("alice");
                    guess.password = "guess";
                    return guess;
                  }(),
                  true),
              "CONNACK 4, closed, she stays",
              "CONNACK 0x86, closed, she stays",
              {"connect refused", "why=\"wrong password\""}},
             {"coming between, while she connects",
              [&](Version version) {
                Connect hers = persistent(v5, unique("hers"));
                hers.username = "alice";
                hers.password = "secret";
                { Client first(hers, broker.port()); }
                Client alice = Client::open(broker.port()), thief = Client::open(broker.port());
                alice.send(connect_packet(hers));
                const std::string came = answer_to(std::move(thief), as("mallory", version, hers.client_id));
                return came + ", CONNACK " + code(v5, alice.expect(kConnack).reason);
              },
              "CONNACK 2, closed, CONNACK 0", "CONNACK 0x85, closed, CONNACK 0", why},
         });
}

}  // namespace courier::scenario::red_team
