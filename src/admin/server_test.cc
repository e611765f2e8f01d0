// The HTTP side as its peers see it, on real loopback sockets: health, metrics, tokens, and peers that
// misbehave. What the resources say is in resources_test.cc.
#include <gmock/gmock.h>

#include <fstream>

#include "admin/limits.h"
#include "admin/server_test_bed.h"

namespace courier::admin {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

using AdminServer = ServerTest;

TEST_F(AdminServer, LivenessNeedsNoTokenAndNoReadiness) {
  start();
  control.with([](FakeControl& c) { c.health_ = {false, "starting"}; });
  const Answer answer = get("/livez", "");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "alive\n");
}

TEST_F(AdminServer, ReadinessSaysWhyNot) {
  start();
  EXPECT_EQ(get("/readyz", "").status, 200);
  control.with([](FakeControl& c) {
    c.health_ = {false, "the log cannot be written: No space left on device"};
  });
  const Answer answer = get("/readyz", "");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "not ready: the log cannot be written: No space left on device\n");
}

TEST_F(AdminServer, MetricsAreThoseOfTheRegistry) {
  start();
  registry.counter("courier_connects_total", "Connects.").add(41);
  const Answer answer = get("/metrics", "");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.head, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(answer.body, HasSubstr("\ncourier_connects_total 41\n"));
}

TEST_F(AdminServer, HeadGetsTheHeadersOnly) {
  start();
  Peer peer(server->port());
  const Answer answer = peer.ask("HEAD", "/livez");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.head, HasSubstr("Content-Length: 6\r\n"));
  EXPECT_EQ(peer.get("/livez").body, "alive\n") << "no byte of a body stood in between";
}

TEST_F(AdminServer, OneConnectionCarriesManyRequestsAlsoInOneBurst) {
  start();
  Peer peer(server->port());
  for (int i = 0; i < 20; ++i) ASSERT_EQ(peer.get("/livez").status, 200);
  std::string burst;
  for (int i = 0; i < 20; ++i) burst += "GET /livez HTTP/1.1\r\nHost: test\r\n\r\n";
  peer.send(burst);
  for (int i = 0; i < 20; ++i) ASSERT_EQ(peer.receive().body, "alive\n") << i;
}

TEST_F(AdminServer, ConnectionCloseIsHonouredAndSoIsHttp10) {
  start();
  Peer peer(server->port());
  peer.send("GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(peer.receive().status, 200);
  EXPECT_TRUE(peer.hung_up_on());
  Peer old(server->port());
  old.send("GET /livez HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.receive().status, 200);
  EXPECT_TRUE(old.hung_up_on());
}

TEST_F(AdminServer, UnknownPathsAndMethodsAreToldWhatThereIs) {
  start();
  const Answer nothing = get("/metric");
  EXPECT_EQ(nothing.status, 404);
  EXPECT_THAT(nothing.json().value("hint", ""), HasSubstr("/metrics"));
  Peer peer(server->port());
  const Answer wrong = peer.ask("PUT", "/v1/clients/a");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_THAT(wrong.head, HasSubstr("Allow: GET, HEAD, DELETE\r\n"));
  EXPECT_EQ(get("/v1/clients/a/trace/b").status, 404);
  EXPECT_EQ(get("/v1/clients/").status, 404);
  EXPECT_EQ(get("//livez").status, 404);
}

// --- tokens ---

TEST_F(AdminServer, WithoutAnyTokenConfiguredTheApiIsOffAndSaysHowToTurnItOn) {
  start([](ServerOptions& options) { options.tokens.clear(); });
  for (const std::string_view token : {"", "correct-horse-battery"}) {
    const Answer answer = get("/v1/node", token);
    EXPECT_EQ(answer.status, 403);
    EXPECT_THAT(answer.json().value("hint", ""), HasSubstr("[admin]"));
  }
  EXPECT_EQ(get("/livez", "").status, 200);
}

TEST_F(AdminServer, OnlyAWholeTokenIsAccepted) {
  start();
  for (const std::string_view token :
       {"", "x", "correct-horse-batter", "correct-horse-battery1", "Correct-horse-battery",
        "correct-horse-battery-correct-horse-battery", "correct-horse-batterycorrect-horse-battery"}) {
    const Answer answer = get("/v1/node", token);
    EXPECT_EQ(answer.status, 401) << token;
    EXPECT_THAT(answer.head, HasSubstr("WWW-Authenticate: Bearer"));
    EXPECT_THAT(answer.body, HasSubstr("\"error\""));
  }
  EXPECT_EQ(get("/v1/node").status, 200);
  EXPECT_EQ(get("/v1/node", "another-token-of-this-node").status, 200);
  EXPECT_EQ(registry.total("courier_admin_refused_tokens_total"), 7);
}

TEST_F(AdminServer, OtherSchemesOpenNothing) {
  start();
  for (const std::string_view header : {"Basic correct-horse-battery", "correct-horse-battery", "Bearer",
                                        "Bearer ", "Bearercorrect-horse-battery"}) {
    Peer peer(server->port());
    peer.send("GET /v1/node HTTP/1.1\r\nAuthorization: " + std::string(header) + "\r\n\r\n");
    EXPECT_EQ(peer.receive().status, 401) << header;
  }
  Peer peer(server->port());
  peer.send("GET /v1/node HTTP/1.1\r\nAuthorization: bearer  correct-horse-battery\r\n\r\n");
  EXPECT_EQ(peer.receive().status, 200) << "the scheme's name is not case-sensitive";
}

TEST_F(AdminServer, NobodyLearnsWithoutATokenWhichPathsThereAre) {
  start();
  EXPECT_EQ(get("/v1/none", "").status, 401);
  EXPECT_EQ(get("/%761/node", "").status, 401) << "nor around it by encoding";
}

TEST_F(AdminServer, TokensOfAFileAreReadAgainWhenToldTo) {
  const std::string file = ::testing::TempDir() + "courier_tokens_" + std::to_string(::getpid());
  std::ofstream(file) << "# operators\n\nfirst-token-in-the-file\r\n";
  start([&](ServerOptions& options) { options.token_file = file; });
  EXPECT_EQ(get("/v1/node", "first-token-in-the-file").status, 200);
  EXPECT_EQ(get("/v1/node", "# operators").status, 401);
  std::ofstream(file) << "second-token-in-the-file\n";
  const auto read = server->prepare_tokens({std::string(kToken)}, file);
  ASSERT_TRUE(read);
  EXPECT_EQ(get("/v1/node", "first-token-in-the-file").status, 200) << "prepared only";
  (*read)();
  EXPECT_EQ(get("/v1/node", "second-token-in-the-file").status, 200);
  EXPECT_EQ(get("/v1/node", "first-token-in-the-file").status, 401);
  EXPECT_EQ(get("/v1/node").status, 200) << "configured ones stay";
  std::ofstream(file) << "good-enough-to-be-a-token\nshort\n";
  const auto failed = server->prepare_tokens({std::string(kToken)}, file);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, HasSubstr("line 2 of " + file));
  EXPECT_EQ(get("/v1/node", "second-token-in-the-file").status, 200) << "a bad file changes nothing";
  ::unlink(file.c_str());
}

TEST_F(AdminServer, StartRefusesWhatCannotWork) {
  const auto refused = [&](const std::function<void(ServerOptions&)>& change) {
    ServerOptions options;
    options.bind = "127.0.0.1:0";
    change(options);
    const auto started = Server::start(options, control, registry);
    return started ? "" : started.error().message;
  };
  EXPECT_THAT(refused([](auto& o) { o.bind = "localhost"; }), HasSubstr("ADDRESS:PORT"));
  EXPECT_THAT(refused([](auto& o) { o.bind = "192.0.2.1:9464"; }),
              HasSubstr("cannot listen on 192.0.2.1:9464"));
  EXPECT_THAT(refused([](auto& o) { o.token_file = "/nowhere/tokens"; }), HasSubstr("/nowhere/tokens"));
  EXPECT_THAT(refused([](auto& o) { o.tokens = {"short"}; }), HasSubstr("16"));
  start();
  EXPECT_THAT(refused([&](auto& o) { o.bind = server->address(); }), HasSubstr("in use"));
}

TEST_F(AdminServer, AProgramThatIsNoNodeHasItsVitalsAndMetricsAlone) {
  class Program final : public Vitals {
   public:
    Health health() const override { return {false, "it waits"}; }
    bool alive() const override { return is_alive; }
    std::atomic<bool> is_alive{true};
  };
  Program program;
  registry.counter("courier_program_total", "Things.").add(3);
  auto started = Server::start("127.0.0.1:0", program, registry);
  ASSERT_TRUE(started) << started.error().message;
  server = *std::move(started);
  EXPECT_EQ(get("/livez").status, 200);
  program.is_alive = false;
  EXPECT_EQ(get("/livez").status, 503);
  EXPECT_EQ(get("/readyz").status, 503);
  EXPECT_THAT(get("/readyz").body, HasSubstr("it waits"));
  EXPECT_THAT(get("/metrics").body, HasSubstr("courier_program_total 3"));
  EXPECT_EQ(get("/v1/node").status, 404);
  EXPECT_EQ(get("/v1/clients").status, 404);
}

// --- peers that misbehave ---

TEST_F(AdminServer, WhatIsNotHttpIsAnsweredOnceAndClosed) {
  start();
  for (const std::string_view bytes :
       {"\x10\x0c\x00\x04MQTT\x04\x02\x00<\x00\x00\r\n\r\n", "GET\r\n\r\n", "GET /livez\r\n\r\n",
        "GET /livez HTTP/9.9\r\n\r\n", "GET /livez HTTP/1.1\r\nno colon\r\n\r\n",
        "GET /livez HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        "POST /v1/backup HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    Peer peer(server->port());
    peer.send(bytes);
    EXPECT_EQ(peer.receive().status, 400) << bytes;
    EXPECT_TRUE(peer.hung_up_on());
  }
  EXPECT_EQ(get("/livez").status, 200);
}

TEST_F(AdminServer, TargetsThatDecodeToNothingSensibleAreRefused) {
  start();
  for (const std::string_view target :
       {"/v1/clients/%", "/v1/clients/%4", "/v1/clients/%zz", "/v1/clients/a%00b",
        "/v1/clients/a?mountpoint=%00", "livez", "*", "http://test/livez", "/v1/clients?limit=1&limit=2"}) {
    const Answer answer = get(target);
    EXPECT_EQ(answer.status, 400) << target;
    EXPECT_THAT(answer.body, HasSubstr("\"error\"")) << target;
  }
}

TEST_F(AdminServer, HeadersHaveALimit) {
  start();
  Peer peer(server->port());
  peer.send("GET /livez HTTP/1.1\r\nX-Long: " + std::string(kHeaderBytesMax, 'x') + "\r\n\r\n");
  const Answer answer = peer.receive();
  EXPECT_EQ(answer.status, 431);
  EXPECT_THAT(answer.json().value("hint", ""), HasSubstr(std::to_string(kHeaderBytesMax)));
  EXPECT_TRUE(peer.hung_up_on());
}

TEST_F(AdminServer, HeadersWithoutEndAreCutOffAtTheLimit) {
  start();
  Peer peer(server->port());
  peer.send("GET /livez HTTP/1.1\r\n");
  for (int i = 0; i < 10'000 && peer.send("X-More: and more and more\r\n"); ++i) {
  }
  EXPECT_TRUE(peer.receive().status == 431 || peer.hung_up_on());
  EXPECT_EQ(get("/livez").status, 200);
}

TEST_F(AdminServer, BodiesHaveALimitWhetherTheirLengthIsSaidOrNot) {
  start();
  const std::string head =
      "POST /v1/backup HTTP/1.1\r\nAuthorization: Bearer " + std::string(kToken) + "\r\n";
  Peer said(server->port());
  said.send(head + "Content-Length: 1000000000\r\n\r\n{");
  EXPECT_EQ(said.receive().status, 413);
  Peer unsaid(server->port());
  unsaid.send(head + "Transfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "4000\r\n" + std::string(0x4000, 'x') + "\r\n";
  for (int i = 0; i < 5; ++i) unsaid.send(chunk);
  EXPECT_EQ(unsaid.receive().status, 413);
}

TEST_F(AdminServer, BodyThatWaitsForLeaveGetsIt) {
  start();
  const std::string body = R"({"path": "/backup"})";
  Peer peer(server->port());
  peer.send("POST /v1/backup HTTP/1.1\r\nAuthorization: Bearer " + std::string(kToken) +
            "\r\nExpect: 100-continue\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
  EXPECT_EQ(peer.receive().status, 100);
  peer.send(body);
  EXPECT_EQ(peer.receive().status, 200);
}

TEST_F(AdminServer, PeerThatNeverFinishesItsRequestIsLetGo) {
  start([](ServerOptions& options) { options.request_timeout = std::chrono::milliseconds(50); });
  Peer silent(server->port()), half(server->port()), bodiless(server->port());
  half.send("GET /livez HTTP/1.1\r\nHos");
  bodiless.send("POST /v1/backup HTTP/1.1\r\nContent-Length: 10\r\n\r\n{");
  EXPECT_TRUE(silent.hung_up_on());
  EXPECT_TRUE(half.hung_up_on());
  EXPECT_TRUE(bodiless.hung_up_on());
  EXPECT_TRUE(soon([&] { return closed_for("request_timeout") == 3; }));
}

TEST_F(AdminServer, IdleConnectionIsClosedAfterItsTimeOnly) {
  start([](ServerOptions& options) { options.idle_timeout = std::chrono::milliseconds(100); });
  Peer peer(server->port());
  EXPECT_EQ(peer.get("/livez").status, 200);
  EXPECT_EQ(peer.get("/livez").status, 200);
  EXPECT_TRUE(peer.hung_up_on());
}

TEST_F(AdminServer, WhoWaitsLongestMakesRoomWhenAllPlacesAreTaken) {
  start();
  std::vector<std::unique_ptr<Peer>> peers;
  for (size_t i = 0; i < kConnectionsMax; ++i) {
    peers.push_back(std::make_unique<Peer>(server->port()));
    if (i == 0) continue;
    ASSERT_EQ(peers.back()->get("/livez").status, 200);
  }
  EXPECT_EQ(get("/readyz").status, 200) << "a probe gets through";
  EXPECT_TRUE(peers.front()->hung_up_on()) << "it never said anything";
  EXPECT_EQ(peers[1]->get("/livez").status, 200) << "others stay";
  EXPECT_EQ(closed_for("connections_max"), 1u);
}

TEST_F(AdminServer, NodeThatDoesNotAnswerIsNotWaitedForForEver) {
  start([](ServerOptions& options) { options.answer_timeout = std::chrono::milliseconds(50); });
  control.with([](FakeControl& c) { c.silent_ = true; });
  Peer peer(server->port());
  EXPECT_EQ(peer.get("/v1/node").status, 504);
  // Its answer comes after all, while the next request is being answered: it belongs to nobody.
  const auto late = control.with([](FakeControl& c) { return std::exchange(c.late_, nullptr); });
  control.with([](FakeControl& c) { c.silent_ = false; });
  late({.version = "late"});
  EXPECT_EQ(peer.get("/v1/node").json().value("version", ""), "1.2.3");
}

TEST_F(AdminServer, AnswerThatComesAfterTheServerIsGoneDoesNothing) {
  start();
  control.with([](FakeControl& c) { c.silent_ = true; });
  Peer peer(server->port());
  peer.send("GET /v1/node HTTP/1.1\r\nAuthorization: Bearer " + std::string(kToken) + "\r\n\r\n");
  ASSERT_TRUE(control.wait([](FakeControl& c) { return c.late_ != nullptr; }));
  server = nullptr;
  EXPECT_TRUE(peer.hung_up_on());
  control.with([](FakeControl& c) { return std::exchange(c.late_, nullptr); })({});
}

TEST_F(AdminServer, PeerThatDoesNotReadItsAnswerIsLetGo) {
  start([](ServerOptions& options) { options.write_timeout = std::chrono::milliseconds(100); });
  for (int i = 0; i < 5'000; ++i)
    control.add_client("", "client-" + std::string(500, 'x') + std::to_string(i), true);
  Peer peer(server->port());
  std::string burst;
  for (int i = 0; i < 20; ++i) {
    burst +=
        "GET /v1/clients?limit=5000 HTTP/1.1\r\nAuthorization: Bearer " + std::string(kToken) + "\r\n\r\n";
  }
  peer.send(burst);
  EXPECT_TRUE(soon([&] { return closed_for("write_timeout") == 1; }));
  EXPECT_EQ(get("/livez").status, 200);
}

TEST_F(AdminServer, EveryAnswerIsCounted) {
  start();
  get("/livez");
  get("/v1/node", "");
  const auto by_status = [&](const char* status) {
    return registry.value("courier_admin_requests_total", {{"status", status}});
  };
  EXPECT_EQ(by_status("2xx"), 1);
  EXPECT_EQ(by_status("4xx"), 1);
}

}  // namespace
}  // namespace courier::admin
