// What the resources under /v1 answer, over real loopback HTTP and a fake node.
#include <gmock/gmock.h>

#include <set>

#include "admin/limits.h"
#include "admin/server_test_bed.h"
#include "events/catalogue/fields.h"

namespace courier::admin {
namespace {

using ::testing::HasSubstr;

class Resources : public ServerTest {
 protected:
  Resources() { start(); }
};

TEST_F(Resources, PagesLeadThroughAllClientsOnceInOrder) {
  for (int i = 0; i < 25; ++i)
    control.add_client(i % 2 ? "m" : "", "client-" + std::to_string(100 + i), i % 3 == 0);
  std::vector<std::pair<std::string, std::string>> seen;
  std::string cursor;
  int pages = 0;
  do {
    const auto page = get("/v1/clients?limit=10" + (cursor.empty() ? "" : "&cursor=" + cursor)).json();
    ASSERT_TRUE(page.contains("clients"));
    for (const auto& client : page["clients"])
      seen.emplace_back(client.value("mountpoint", "?"), client.value("client_id", "?"));
    cursor = page.value("next_cursor", "");
    ++pages;
  } while (!cursor.empty());
  EXPECT_EQ(pages, 3);
  EXPECT_EQ(seen.size(), 25u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(std::set(seen.begin(), seen.end()).size(), 25u);
}

TEST_F(Resources, ListTakesFiltersAsTheyAreMeant) {
  EXPECT_EQ(get("/v1/clients?mountpoint=a%20b&prefix=x%2By+z&connected=false&limit=7").status, 200);
  const ClientQuery query = control.with([](FakeControl& c) { return c.last_query_; });
  EXPECT_EQ(query.mountpoint, "a b");
  EXPECT_EQ(query.prefix, "x+y z");
  EXPECT_EQ(query.connected, false);
  EXPECT_EQ(query.limit, 7u);
  EXPECT_EQ(get("/v1/clients").status, 200);
  const ClientQuery none = control.with([](FakeControl& c) { return c.last_query_; });
  EXPECT_EQ(none.mountpoint, std::nullopt);
  EXPECT_EQ(none.connected, std::nullopt);
  EXPECT_EQ(none.limit, kPageDefault);
}

TEST_F(Resources, ListRefusesFiltersThatItDoesNotUnderstandInsteadOfShowingEverything) {
  for (const std::string_view query :
       {"limit=0", "limit=5001", "limit=-1", "limit=ten", "limit=", "connected=yes", "conected=true",
        "cursor=zz", "cursor=6", "cursor=61", "cursor=%00"}) {
    const Answer answer = get("/v1/clients?" + std::string(query));
    EXPECT_EQ(answer.status, 400) << query;
    EXPECT_THAT(answer.body, HasSubstr("\"error\"")) << query;
  }
}

TEST_F(Resources, ClientIdsMayHoldAnything) {
  for (const std::string_view id : {"a/b", "../../etc/passwd", "..", "?", "#", "%2F", "a b", "a+b",
                                    "\"'<script>", "trace", "caf\xc3\xa9", "\x01\x1f\x7f"}) {
    control.add_client("", std::string(id), true);
    std::string encoded;
    for (const char c : id) {
      char hex[4];
      std::snprintf(hex, sizeof hex, "%%%02x", static_cast<unsigned char>(c));
      encoded += hex;
    }
    const Answer answer = get("/v1/clients/" + encoded);
    EXPECT_EQ(answer.status, 200) << id;
    EXPECT_EQ(answer.json().value("client_id", ""), id);
  }
  EXPECT_EQ(get("/v1/clients/a+b").status, 200) << "a plus sign in a path is one";
}

TEST_F(Resources, BytesThatAreNotUtf8BecomeReplacementCharacters) {
  control.add_client("", "bad\xff\xc3", true);
  const Answer shown = get("/v1/clients/bad%ff%c3");
  EXPECT_EQ(shown.status, 200);
  EXPECT_EQ(shown.json().value("client_id", ""), "bad\xef\xbf\xbd\xef\xbf\xbd");
  const Answer missing = get("/v1/clients/worse%ff");
  EXPECT_EQ(missing.status, 404);
  EXPECT_THAT(missing.json().value("error", ""), HasSubstr("worse\xef\xbf\xbd"));
}

TEST_F(Resources, ClientIsShownInFull) {
  control.add_client("m", "phone", true);
  control.with([](FakeControl& c) {
    ClientDetail& client = c.clients_.at({"m", "phone"});
    client.summary.inbox_messages = 3;
    client.inbox_next = 12;
    client.session_id = 0x8000000000012345;
    client.will = WillFacts{.topic = "gone", .qos = 1};
    client.limits = LimitFacts{{{"phones", "identity"}}, 250, 1.5, 7, 2};
    client.subscriptions = {{.filter = "a/#", .qos = 2, .identifier = 5}, {.filter = "b"}};
  });
  EXPECT_EQ(get("/v1/clients/phone").status, 404) << "in another mountpoint";
  const auto json = get("/v1/clients/phone?mountpoint=m").json();
  EXPECT_EQ(json["inbox"]["messages"], 3);
  EXPECT_EQ(json["inbox"]["next"], 12);
  EXPECT_EQ(json["session_id"], "8000000000012345");
  EXPECT_EQ(json["peer"], "192.0.2.1:1000");
  EXPECT_EQ(json["will"]["topic"], "gone");
  EXPECT_EQ(json["limits"][0]["name"], "phones");
  EXPECT_EQ(json["limits"][0]["per"], "identity");
  EXPECT_EQ(json["limited"]["delayed_ms"], 250);
  EXPECT_EQ(json["limited"]["refusals"], 2);
  EXPECT_TRUE(json["expiry_seconds"].is_null());
  ASSERT_EQ(json["subscriptions"].size(), 2u);
  EXPECT_EQ(json["subscriptions"][0]["filter"], "a/#");
  EXPECT_EQ(json["subscriptions"][0]["identifier"], 5);
  EXPECT_FALSE(json["subscriptions"][1].contains("identifier"));
}

TEST_F(Resources, KickTellsThreeOutcomesApart) {
  control.add_client("", "phone", true);
  Peer peer(server->port());
  const Answer kicked = peer.ask("DELETE", "/v1/clients/phone");
  EXPECT_EQ(kicked.status, 200);
  EXPECT_EQ(kicked.json().value("kicked", false), true);
  EXPECT_EQ(peer.ask("DELETE", "/v1/clients/phone").status, 409);
  EXPECT_EQ(peer.ask("DELETE", "/v1/clients/nobody").status, 404);
  EXPECT_EQ(peer.ask("DELETE", "/v1/clients").status, 405) << "never all of them";
}

TEST_F(Resources, NodeIsDescribed) {
  const auto json = get("/v1/node").json();
  EXPECT_EQ(json["version"], "1.2.3");
  EXPECT_EQ(json["connections"], 7);
  EXPECT_EQ(json["log"]["accepting"], true);
}

TEST_F(Resources, ADrainHasARateAndMayNameAnotherServer) {
  Peer peer(server->port());
  const Answer plain = peer.ask("POST", "/v1/node/drain");
  EXPECT_EQ(plain.status, 200);
  EXPECT_EQ(plain.json(),
            nlohmann::json({{"draining", true}, {"connections", 7}, {"servers", nlohmann::json::array()}}));
  control.with([](FakeControl& c) { EXPECT_EQ(c.drain_order_->connections_per_second, 500u); });
  const Answer full =
      peer.ask("POST", "/v1/node/drain", kToken,
               R"({"connections_per_second": 20, "server_reference": "mqtt-2.example.com:1883"})");
  EXPECT_EQ(full.json()["servers"][0], "mqtt-2.example.com:1883");
  control.with([](FakeControl& c) { EXPECT_EQ(c.drain_order_->connections_per_second, 20u); });
  const Answer over = peer.ask("DELETE", "/v1/node/drain");
  EXPECT_EQ(over.json()["draining"], false);
  control.with([](FakeControl& c) { EXPECT_FALSE(c.drain_order_); });
}

TEST_F(Resources, ADrainThatMakesNoSenseIsRefused) {
  Peer peer(server->port());
  for (const char* body :
       {"[]", "{", "7", R"({"connections_per_second": 0})", R"({"connections_per_second": -1})",
        R"({"connections_per_second": 1000001})", R"({"connections_per_second": 18446744073709551615})",
        R"({"connections_per_second": "9"})", R"({"connections_per_second": 1.5})",
        R"({"server_reference": ""})", R"({"server_reference": "a b"})", R"({"server_reference": "a\n"})",
        R"({"server_reference": 7})", R"({"rate": 7})"}) {
    EXPECT_EQ(peer.ask("POST", "/v1/node/drain", kToken, body).status, 400) << body;
  }
  const std::string long_name(257, 'x');
  EXPECT_EQ(
      peer.ask("POST", "/v1/node/drain", kToken, R"({"server_reference": ")" + long_name + "\"}").status,
      400);
  control.with([](FakeControl& c) { EXPECT_FALSE(c.drain_order_); });
}

// --- cluster ---

TEST_F(Resources, TheClusterSaysWhoIsThereAndWhoOwnsWhat) {
  const auto cluster = get("/v1/cluster").json();
  EXPECT_EQ(cluster["name"], "orders");
  ASSERT_EQ(cluster["members"].size(), 1u);
  EXPECT_EQ(cluster["members"][0]["state"], "active");
  EXPECT_EQ(cluster["members"][0]["owns"], 1);
  ASSERT_EQ(cluster["partitions"].size(), 2u);
  EXPECT_EQ(cluster["partitions"][1]["owner"], "");
}

TEST_F(Resources, ANodeAloneHasNoCluster) {
  control.alone = true;
  EXPECT_EQ(get("/v1/cluster").status, 404u);
}

// --- listeners, reload ---

TEST_F(Resources, ListenersAreShownWithTheirCertificates) {
  const auto listeners = get("/v1/listeners").json()["listeners"];
  ASSERT_EQ(listeners.size(), 1u);
  EXPECT_EQ(listeners[0]["name"], "mobile");
  EXPECT_EQ(listeners[0]["connections"], 3);
  EXPECT_EQ(listeners[0]["certificates"][0]["not_after"], "2023-11-14T22:13:20.000Z");
}

TEST_F(Resources, AReloadSaysWhatItDidOrThatItDidNothing) {
  control.with([](FakeControl& c) {
    c.reload_result_ = ReloadFacts{{"log.level"}, {"threads"}, {"certificates"}};
  });
  Peer peer(server->port());
  const Answer done = peer.ask("POST", "/v1/config/reload");
  EXPECT_EQ(done.status, 200);
  EXPECT_EQ(done.json(),
            nlohmann::json(
                {{"applied", {"log.level"}}, {"need_restart", {"threads"}}, {"read", {"certificates"}}}));
  control.with([](FakeControl& c) { c.reload_result_ = fail(errc::settings, "c.toml:3: a sentence"); });
  const Answer refused = peer.ask("POST", "/v1/config/reload");
  EXPECT_EQ(refused.status, 422);
  EXPECT_EQ(refused.json()["error"], "c.toml:3: a sentence");
  EXPECT_EQ(refused.json()["hint"], "nothing was taken over");
  EXPECT_EQ(get("/v1/config/reload").status, 405);
}

// --- backup ---

TEST_F(Resources, BackupAnswersWithSizeAndPosition) {
  Peer peer(server->port());
  const Answer done = peer.ask("POST", "/v1/backup", kToken, R"({"path": "/var/backups/one"})");
  EXPECT_EQ(done.status, 200);
  EXPECT_EQ(done.json(), nlohmann::json({{"path", "/var/backups/one"}, {"bytes", 4096}, {"position", 17}}));
  EXPECT_EQ(control.with([](FakeControl& c) { return c.backup_path_; }), "/var/backups/one");
}

TEST_F(Resources, BackupRefusesBodiesThatItDoesNotUnderstand) {
  Peer peer(server->port());
  for (const std::string_view body :
       {"x", "[]", "{}", R"({"path": 1})", R"({"path": ""})", R"({"path": "relative"})",
        R"({"path": "/a\u0000b"})", R"({"path": "/a", "pathh": "/b"})", R"({"path": "/a"} x)", "\xff"}) {
    const Answer answer = peer.ask("POST", "/v1/backup", kToken, body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_THAT(answer.json().value("hint", ""), ::testing::Not("")) << body;
  }
  EXPECT_EQ(peer.ask("POST", "/v1/backup").status, 400);
  EXPECT_EQ(peer.ask("POST", "/v1/backup", kToken, R"({"path": "/)" + std::string(kPathBytesMax, 'x') + "\"}")
                .status,
            400);
  const std::string deep(60'000, '[');
  EXPECT_EQ(peer.ask("POST", "/v1/backup", kToken, deep).status, 400) << "nor nests until the stack ends";
  EXPECT_EQ(control.with([](FakeControl& c) { return c.backup_path_; }), "");
}

TEST_F(Resources, BackupFailuresHaveStatusesOfTheirOwn) {
  Peer peer(server->port());
  for (const auto& [code, status] :
       {std::pair{errc::conflict, 409}, {errc::storage_full, 507}, {errc::storage, 500}}) {
    control.with([code = code](FakeControl& c) { c.backup_result_ = fail(code, "a sentence"); });
    const Answer answer = peer.ask("POST", "/v1/backup", kToken, R"({"path": "/a"})");
    EXPECT_EQ(answer.status, status);
    EXPECT_EQ(answer.json().value("error", ""), "a sentence");
  }
}

TEST_F(Resources, BansAreMadeListedAndRemoved) {
  Peer peer(server->port());
  const Answer made =
      peer.ask("POST", "/v1/bans", kToken,
               R"({"address": "192.0.2.7", "seconds": 60, "reason": "scans", "made_by": "mo"})");
  EXPECT_EQ(made.status, 201);
  EXPECT_EQ(made.json().value("address", ""), "192.0.2.7/32");
  EXPECT_EQ(made.json().value("made_by", ""), "mo");
  EXPECT_TRUE(made.json().at("until").is_string());
  EXPECT_EQ(peer.ask("POST", "/v1/bans", kToken, R"({"client_id": "phone", "mountpoint": ""})").status, 201);
  EXPECT_EQ(peer.ask("POST", "/v1/bans", kToken, R"({"username": "eve", "made_by": "flapping"})")
                .json()
                .value("made_by", ""),
            "api")
      << "people cannot use up what the broker keeps for itself";
  const auto page = peer.get("/v1/bans?limit=2").json();
  EXPECT_EQ(page.at("bans").size(), 2u);
  EXPECT_EQ(page.at("bans").at(1).at("mountpoint"), "");
  EXPECT_TRUE(page.at("bans").at(1).at("until").is_null());
  const auto rest = peer.get("/v1/bans?cursor=" + page.value("next_cursor", "")).json();
  EXPECT_EQ(rest.at("bans").size(), 1u);
  EXPECT_FALSE(rest.contains("next_cursor"));
  EXPECT_EQ(peer.ask("DELETE", "/v1/bans/1").status, 200);
  EXPECT_EQ(peer.ask("DELETE", "/v1/bans/1").status, 404);
  EXPECT_EQ(peer.ask("DELETE", "/v1/bans/phone").status, 400);
}

TEST_F(Resources, BansThatMakeNoSenseAreRefusedWithAHint) {
  Peer peer(server->port());
  for (const char* body : {"", "[]", "{}", R"({"address": "a", "username": "b"})", R"({"address": 1})",
                           R"({"address": "10.1.2.3/8"})", R"({"address": "10.0.0.0/8", "mountpoint": "m"})",
                           R"({"username": ""})", R"({"username": "a", "who": 1})",
                           R"({"username": "a", "seconds": -1})", R"({"username": "a", "seconds": 1.5})",
                           R"({"username": "a", "seconds": 1e30})", R"({"username": "a", "reason": null})"}) {
    const Answer answer = peer.ask("POST", "/v1/bans", kToken, body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_NE(answer.json().value("error", ""), "") << body;
  }
  EXPECT_EQ(peer.get("/v1/bans?limit=0").status, 400);
  EXPECT_EQ(peer.get("/v1/bans?cursor=x").status, 400);
  EXPECT_EQ(peer.get("/v1/bans?name=x").status, 400);
  EXPECT_TRUE(control.with([](FakeControl& c) { return c.bans_.empty(); }));
}

TEST_F(Resources, BackupMayTakeLongerThanAnythingElse) {
  server = nullptr;
  start([](ServerOptions& options) { options.answer_timeout = std::chrono::milliseconds(20); });
  control.with([](FakeControl& c) { c.hold_backup_ = c.silent_ = true; });
  Peer peer(server->port());
  peer.send("POST /v1/backup HTTP/1.1\r\nAuthorization: Bearer " + std::string(kToken) +
            "\r\nContent-Length: 14\r\n\r\n{\"path\": \"/a\"}");
  ASSERT_TRUE(control.wait([](FakeControl& c) { return c.held_backup_ != nullptr; }));
  EXPECT_EQ(get("/v1/node").status, 504) << "meanwhile the time of an ordinary answer has passed";
  control.with([](FakeControl& c) { return c.held_backup_; })(BackupFacts{.bytes = 1, .position = 2});
  EXPECT_EQ(peer.receive().status, 200);
}

// --- events, and who is told of them ---

TEST_F(Resources, SinksAreShownWithWhatTheyDo) {
  const auto sinks = get("/v1/sinks").json()["sinks"];
  ASSERT_EQ(sinks.size(), 2u);
  EXPECT_EQ(sinks[0], nlohmann::json::parse(R"({"name":"audit","kind":"file","target":"-","events":["drop"],
      "active":true,"told":9,"missed":0,"trouble":""})"));
  EXPECT_EQ(sinks[1]["trouble"], "503");
  EXPECT_EQ(sinks[1]["webhook"]["state"], "resting");
  EXPECT_EQ(sinks[1]["webhook"]["dead_letters"], 2);
  EXPECT_EQ(sinks[1]["webhook"]["failing_since"], "2023-11-14T22:13:20.000Z");
}

TEST_F(Resources, AWebhookIsTriedOutAndItsDeadLettersToldAgain) {
  Peer peer(server->port());
  EXPECT_EQ(peer.ask("POST", "/v1/sinks/backend/test?event=connect").json(),
            nlohmann::json({{"status", 204}, {"took_ms", 12}, {"body", "connect"}}));
  EXPECT_EQ(peer.ask("POST", "/v1/sinks/backend/test").json()["body"], "publish");
  EXPECT_EQ(peer.ask("POST", "/v1/sinks/backend/test?event=drop").status, 502);
  EXPECT_EQ(peer.ask("POST", "/v1/sinks/backend/test?event=nonsense").status, 400);
  EXPECT_EQ(peer.ask("POST", "/v1/sinks/backend/test?kind=drop").status, 400);
  EXPECT_EQ(peer.ask("POST", "/v1/sinks/audit/test").status, 409);
  EXPECT_EQ(peer.ask("POST", "/v1/sinks/nobody/test").status, 404);
  const Answer replay = peer.ask("POST", "/v1/sinks/backend/replay");
  EXPECT_EQ(replay.status, 202);
  EXPECT_EQ(replay.json()["dead_letters"], 2);
  EXPECT_EQ(peer.ask("POST", "/v1/sinks/nobody/replay").status, 404);
}

TEST_F(Resources, EventsAreFollowedByClientTopicAndKind) {
  const auto event = [](events::Kind kind, std::string_view client, std::string_view topic) {
    auto made = std::make_shared<events::Event>();
    made->kind = kind;
    events::FieldWriter(made->bytes)
        .text(events::Field::kind, events::info(kind).name)
        .text(events::Field::client_id, client)
        .text(events::Field::topic, topic);
    return made;
  };
  {
    Peer peer(server->port());
    peer.send(
        "GET /v1/events?client=phone&topic=orders%2F%23&kind=publish,drop HTTP/1.1\r\nAuthorization: "
        "Bearer " +
        std::string(kToken) + "\r\n\r\n");
    ASSERT_TRUE(control.wait([](FakeControl& c) { return c.watcher_ != nullptr; }));
    events::Kinds wanted = events::Kinds::of(events::Kind::publish);
    wanted |= events::Kinds::of(events::Kind::drop);
    EXPECT_EQ(control.with([](FakeControl& c) { return c.watched_kinds_; }), wanted);
    EXPECT_THAT(peer.read_up_to("}\n"), HasSubstr(R"({"event":"started"})"));
    const auto watcher = control.with([](FakeControl& c) { return c.watcher_; });
    watcher(event(events::Kind::publish, "other", "orders/1"));
    watcher(event(events::Kind::publish, "phone", "chats/1"));
    watcher(event(events::Kind::drop, "phone", ""));
    watcher(event(events::Kind::drop, "phone", "orders/1"));
    EXPECT_THAT(peer.read_up_to("}\n"),
                HasSubstr(R"({"kind":"drop","client_id":"phone","topic":"orders/1"})"));
  }
  EXPECT_TRUE(control.wait([](FakeControl& c) { return c.watcher_ == nullptr; }));
}

TEST_F(Resources, WhatCannotBeFollowedIsRefused) {
  EXPECT_EQ(get("/v1/events?kind=publish,nonsense").status, 400);
  EXPECT_EQ(get("/v1/events?kind=").status, 400);
  EXPECT_EQ(get("/v1/events?topic=a%23").status, 400);
  EXPECT_EQ(get("/v1/events?since=1").status, 400);
  EXPECT_TRUE(control.with([](FakeControl& c) { return c.watcher_ == nullptr; }));
}

// --- trace ---

class Trace : public Resources {
 protected:
  void begin(Peer& peer, std::string_view target = "/v1/clients/phone/trace?mountpoint=m") {
    const size_t before = control.with([](FakeControl& c) { return c.sinks_.size(); });
    peer.send("GET " + std::string(target) + " HTTP/1.1\r\nAuthorization: Bearer " + std::string(kToken) +
              "\r\n\r\n");
    ASSERT_TRUE(control.wait([before](FakeControl& c) { return c.sinks_.size() == before + 1; }));
  }
  void say(std::string packet, bool inbound = true) {
    control.with([&](FakeControl& c) {
      for (const auto& sink : c.sinks_) sink->on_line({1'700'000'000'000, inbound, packet});
    });
  }
};

TEST_F(Trace, PacketsComeAsLinesUntilTheCallerHangsUp) {
  {
    Peer peer(server->port());
    begin(peer);
    EXPECT_EQ(control.with([](FakeControl& c) { return c.traced_; }), (ClientName{"m", "phone"}));
    const std::string head = peer.read_up_to("\r\n\r\n");
    EXPECT_THAT(head, HasSubstr("200 OK"));
    EXPECT_THAT(head, HasSubstr("Content-Type: application/x-ndjson"));
    EXPECT_THAT(peer.read_up_to("}\n"), HasSubstr(R"({"event":"started","connected":true})"));
    say("PINGREQ");
    EXPECT_THAT(peer.read_up_to("}\n"),
                HasSubstr(R"({"time":"2023-11-14T22:13:20.000Z","direction":"in","packet":"PINGREQ"})"));
    say("PUBLISH topic=\"\xff\n\"", false);
    EXPECT_THAT(peer.read_up_to("}\n"),
                HasSubstr("\"direction\":\"out\",\"packet\":\"PUBLISH topic=\\\"\xef\xbf\xbd\\n\\\"\"}"));
  }
  EXPECT_TRUE(control.wait([](FakeControl& c) { return c.sinks_.empty(); }));
}

TEST_F(Trace, SlowReaderMissesPacketsAndIsToldHowMany) {
  Peer peer(server->port());
  begin(peer);
  // More than all buffers on the way can hold.
  constexpr uint64_t kLines = 60'000;
  for (uint64_t i = 0; i < kLines; ++i) say("PUBLISH " + std::string(400, 'x'));
  say("PINGREQ");
  uint64_t lines = 0, dropped = 0;
  std::string text;
  while (lines + dropped < kLines + 1) {
    const std::string more = peer.read();
    ASSERT_NE(more, "") << lines << " lines, " << dropped << " dropped";
    text += more;
    size_t begin = 0;
    for (size_t end; (end = text.find("}\n", begin)) != std::string::npos; begin = end + 2) {
      const std::string line = text.substr(begin, end - begin);
      if (line.find("\"packet\"") != std::string::npos) ++lines;
      if (const size_t at = line.find("\"lines\":"); at != std::string::npos) {
        dropped += std::stoull(line.substr(at + 8));
      }
    }
    text.erase(0, begin);
  }
  EXPECT_GT(dropped, 0u);
  EXPECT_EQ(lines + dropped, kLines + 1);
}

TEST_F(Trace, QuietTraceGivesASignOfLife) {
  server = nullptr;
  start([](ServerOptions& options) { options.heartbeat = std::chrono::milliseconds(10); });
  Peer peer(server->port());
  begin(peer);
  peer.read_up_to("}\n\r\n");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(peer.read_up_to("\r\n\n\r\n"), "1\r\n\n\r\n");
  say("PINGREQ");
  EXPECT_NE(peer.read_up_to("PINGREQ"), "");
}

TEST_F(Trace, TracesHaveALimitOfTheirOwn) {
  std::vector<std::unique_ptr<Peer>> peers;
  for (size_t i = 0; i < kTracesMax; ++i) {
    peers.push_back(std::make_unique<Peer>(server->port()));
    begin(*peers.back());
  }
  EXPECT_EQ(get("/v1/clients/phone/trace").status, 429);
  EXPECT_EQ(control.with([](FakeControl& c) { return c.sinks_.size(); }), kTracesMax);
  peers.pop_back();
  ASSERT_TRUE(control.wait([](FakeControl& c) { return c.sinks_.size() == kTracesMax - 1; }));
  Peer peer(server->port());
  begin(peer);
}

TEST_F(Trace, EndsWithTheServer) {
  Peer peer(server->port());
  begin(peer);
  server = nullptr;
  EXPECT_TRUE(control.with([](FakeControl& c) { return c.sinks_.empty(); }));
}

TEST_F(Trace, CannotBeToldToHttp10NorToHead) {
  Peer peer(server->port());
  peer.send("GET /v1/clients/phone/trace HTTP/1.0\r\nAuthorization: Bearer " + std::string(kToken) +
            "\r\n\r\n");
  EXPECT_EQ(peer.receive().status, 505);
  Peer head(server->port());
  EXPECT_EQ(head.ask("HEAD", "/v1/clients/phone/trace").status, 505);
}

}  // namespace
}  // namespace courier::admin
