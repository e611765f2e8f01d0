// The cases of the Autobahn test suite that concern a server without extensions and text frames stand here in
// its order: framing, pings, reserved bits, opcodes, fragmentation, closing, limits.
#include "net/websocket/websocket_transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <string>

#include "net/stacked_transport.h"
#include "net/tls/tls_test_bed.h"
#include "net/transport_test_pair.h"
#include "net/websocket/errc.h"

namespace courier::net::websocket {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr Mask kMask = 0xA5C30F69;

// One frame as a client sends it.
std::string frame(Opcode opcode, std::string payload, bool final = true, bool masked = true) {
  std::string wire;
  append_frame_header(opcode, payload.size(), masked ? std::optional(kMask) : std::nullopt, wire);
  if (!final) wire[0] = static_cast<char>(wire[0] & 0x7F);
  if (masked) apply_mask(payload, kMask);
  return wire + payload;
}

std::string status(uint16_t number, std::string_view reason = "") {
  std::string payload{static_cast<char>(number >> 8), static_cast<char>(number)};
  return payload.append(reason);
}

// The status of the close frame at the end of what the server said; 0 without one, 1 without a status.
unsigned closed_with(std::string_view wire) {
  while (!wire.empty()) {
    const auto header = std::get<FrameHeader>(decode_frame_header(wire));
    const std::string_view payload = wire.substr(header.size, header.payload_bytes);
    wire.remove_prefix(header.size + payload.size());
    if (header.opcode != Opcode::close) continue;
    EXPECT_EQ(wire, "") << "something after the close frame";
    if (payload.empty()) return 1;
    return static_cast<unsigned>(static_cast<uint8_t>(payload[0]) << 8 | static_cast<uint8_t>(payload[1]));
  }
  return 0;
}

constexpr std::string_view kRequest =
    "GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
    "13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

TestEnd open_server(ServerOptions options = {}) {
  TestEnd end;
  end.transport = WebSocketServer(std::move(options)).accept(0);
  end.take(kRequest);
  EXPECT_EQ(end.state, TransportState::open) << end.sentence;
  EXPECT_THAT(end.out, StartsWith("HTTP/1.1 101 "));
  end.out.clear();
  return end;
}

// What comes of these frames in one piece, and, which must be the same, cut at any byte and byte by byte.
struct Outcome {
  std::string plain, out, failed;
  TransportState state;
  bool operator==(const Outcome&) const = default;
};

Outcome outcome(const std::string& frames, const ServerOptions& options = {}) {
  const auto fed = [&](auto feed) {
    TestEnd end = open_server(options);
    feed(end);
    return Outcome{end.plain, end.out, end.failed, end.state};
  };
  const std::string_view all = frames;
  const Outcome whole = fed([&](TestEnd& end) { end.take(all); });
  EXPECT_EQ(fed([&](TestEnd& end) {
              for (const char byte : all) end.take({&byte, 1});
            }),
            whole);
  for (size_t cut = 1; cut < std::min<size_t>(all.size(), 400); ++cut) {
    EXPECT_EQ(fed([&](TestEnd& end) {
                end.take(all.substr(0, cut));
                end.take(all.substr(cut));
              }),
              whole)
        << "cut at " << cut;
  }
  return whole;
}

// --- 1: framing ---

TEST(WebSocketCases, 1_2_BinaryOfAllTheSizesThatMatter) {
  for (const size_t size : {0, 1, 125, 126, 127, 128, 65'535, 65'536, 200'000}) {
    const std::string payload(size, '\xFE');
    TestEnd end = open_server();
    end.take(frame(Opcode::binary, payload));
    EXPECT_EQ(end.plain, payload) << size;
    EXPECT_EQ(end.failed, "");
  }
}

TEST(WebSocketCases, 1_1_TextIsRefusedWith1003) {
  const Outcome got =
      outcome(frame(Opcode::binary, "before") + frame(Opcode::text, "Hello") + frame(Opcode::binary, "x"));
  EXPECT_EQ(got.failed, "text_frame");
  EXPECT_EQ(got.plain, "before");
  EXPECT_EQ(closed_with(got.out), 1003u);
}

// --- 2: ping and pong ---

TEST(WebSocketCases, 2_1_to_2_4_PingsAreAnsweredWithWhatTheyCarry) {
  for (const std::string& payload :
       {std::string(), std::string("Hello"), std::string("\x00\xFF\xFE", 3), std::string(125, '\xFE')}) {
    const Outcome got = outcome(frame(Opcode::ping, payload));
    EXPECT_EQ(got.out, frame(Opcode::pong, payload, true, false));
    EXPECT_EQ(got.plain, "");
  }
}

TEST(WebSocketCases, 2_5_APingOf126BytesIsRefused) {
  TestEnd end = open_server();
  end.take(frame(Opcode::ping, std::string(126, 'x')));
  EXPECT_EQ(end.failed, "bad_frame");
  EXPECT_EQ(closed_with(end.out), 1002u);
}

TEST(WebSocketCases, 2_7_to_2_9_PongsThatNobodyAskedForAreIgnored) {
  const Outcome got =
      outcome(frame(Opcode::pong, "") + frame(Opcode::pong, "unsolicited") + frame(Opcode::ping, "x"));
  EXPECT_EQ(got.out, frame(Opcode::pong, "x", true, false));
}

TEST(WebSocketCases, 2_10_TenPingsAreTenPongs) {
  std::string pings, pongs;
  for (int i = 0; i < 10; ++i) {
    pings += frame(Opcode::ping, "ping " + std::to_string(i));
    pongs += frame(Opcode::pong, "ping " + std::to_string(i), true, false);
  }
  EXPECT_EQ(outcome(pings).out, pongs);
}

// --- 3 and 4: reserved bits, reserved opcodes ---

TEST(WebSocketCases, 3_ReservedBitsAreRefused) {
  for (const int bits : {0x10, 0x20, 0x40, 0x70}) {
    for (const Opcode opcode : {Opcode::binary, Opcode::ping, Opcode::close}) {
      std::string bad = frame(opcode, "");
      bad[0] = static_cast<char>(bad[0] | bits);
      const Outcome got = outcome(frame(Opcode::binary, "before") + bad + frame(Opcode::ping, ""));
      EXPECT_EQ(got.failed, "bad_frame");
      EXPECT_EQ(got.plain, "before");
      EXPECT_EQ(closed_with(got.out), 1002u);
    }
  }
}

TEST(WebSocketCases, 4_ReservedOpcodesAreRefused) {
  for (const int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    std::string bad = frame(Opcode::binary, "x");
    bad[0] = static_cast<char>(0x80 | opcode);
    const Outcome got = outcome(bad);
    EXPECT_EQ(got.failed, "bad_frame");
    EXPECT_EQ(closed_with(got.out), 1002u);
  }
}

// --- 5: fragmentation ---

TEST(WebSocketCases, 5_1_ControlFramesInFragmentsAreRefused) {
  for (const Opcode opcode : {Opcode::ping, Opcode::pong, Opcode::close}) {
    EXPECT_EQ(outcome(frame(opcode, "frag", false) + frame(Opcode::continuation, "ment")).failed,
              "bad_frame");
  }
}

TEST(WebSocketCases, 5_3_to_5_8_FragmentsAreOneStreamAndPingsMayStandBetween) {
  const Outcome got = outcome(frame(Opcode::binary, "frag", false) + frame(Opcode::ping, "1") +
                              frame(Opcode::continuation, "", false) + frame(Opcode::ping, "2") +
                              frame(Opcode::continuation, "ment") + frame(Opcode::binary, "next"));
  EXPECT_EQ(got.plain, "fragmentnext");
  EXPECT_EQ(got.out, frame(Opcode::pong, "1", true, false) + frame(Opcode::pong, "2", true, false));
  EXPECT_EQ(got.failed, "");
}

TEST(WebSocketCases, 5_9_to_5_14_AContinuationOfNothingIsRefused) {
  for (const bool final : {true, false}) {
    EXPECT_EQ(outcome(frame(Opcode::continuation, "x", final)).failed, "bad_frame");
    EXPECT_EQ(outcome(frame(Opcode::binary, "whole") + frame(Opcode::continuation, "x", final)).failed,
              "bad_frame");
  }
}

TEST(WebSocketCases, 5_18_AMessageInsideAnotherIsRefused) {
  const Outcome got = outcome(frame(Opcode::binary, "frag", false) + frame(Opcode::binary, "other"));
  EXPECT_EQ(got.failed, "bad_frame");
  EXPECT_EQ(closed_with(got.out), 1002u);
}

// --- 7: closing ---

TEST(WebSocketCases, 7_1_AfterTheClosingFrameNothingCounts) {
  const Outcome got = outcome(frame(Opcode::binary, "last") + frame(Opcode::close, status(1000)) +
                              frame(Opcode::binary, "too late") + frame(Opcode::ping, ""));
  EXPECT_EQ(got.plain, "last");
  EXPECT_EQ(got.state, TransportState::ended);
  EXPECT_EQ(got.out, frame(Opcode::close, status(1000), true, false));
}

TEST(WebSocketCases, 7_3_ClosingFramesOfAllSizes) {
  EXPECT_EQ(outcome(frame(Opcode::close, "")).out, frame(Opcode::close, "", true, false));
  EXPECT_EQ(outcome(frame(Opcode::close, "x")).failed, "bad_close");
  EXPECT_EQ(outcome(frame(Opcode::close, status(1000, std::string(123, 'x')))).state, TransportState::ended);
  EXPECT_EQ(outcome(frame(Opcode::close, status(1000, std::string(124, 'x')))).failed, "bad_frame");
}

TEST(WebSocketCases, 7_5_AReasonThatIsNoTextIsRefusedWith1007) {
  const Outcome got = outcome(frame(Opcode::close, status(1000, "\xCE\xBA\xE1\xBD\xB9\xED\xA0\x80")));
  EXPECT_EQ(got.failed, "bad_utf8");
  EXPECT_EQ(closed_with(got.out), 1007u);
}

TEST(WebSocketCases, 7_7_StatusesThatMayBeSentAreEchoed) {
  for (const uint16_t number :
       {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999}) {
    const Outcome got = outcome(frame(Opcode::close, status(number, "bye")));
    EXPECT_EQ(got.state, TransportState::ended);
    EXPECT_EQ(closed_with(got.out), number);
  }
}

TEST(WebSocketCases, 7_9_StatusesThatMayNotBeSentAreRefused) {
  for (const uint16_t number : {0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65'535}) {
    const Outcome got = outcome(frame(Opcode::close, status(number)));
    EXPECT_EQ(got.failed, "bad_close") << number;
    EXPECT_EQ(closed_with(got.out), 1002u);
  }
}

// --- 9 and 10: sizes ---

TEST(WebSocketCases, 9_ALargeFrameGoesOnAsItComesAndIsNotKept) {
  TestEnd end = open_server();
  const std::string wire = frame(Opcode::binary, std::string(4'000'000, 'x'));
  size_t came = 0;
  for (size_t at = 0; at < wire.size(); at += 5000) {
    end.take(std::string_view(wire).substr(at, 5000));
    came += end.plain.size();
    EXPECT_GE(end.plain.size(), at + 5000 < wire.size() ? 4986u : 1u);
    end.plain.clear();
  }
  EXPECT_EQ(came, 4'000'000u);
}

TEST(WebSocketLimits, AFrameThatIsTooBigIsRefusedAtItsHeader) {
  ServerOptions options;
  options.frames = {.frame_bytes_max = 1000, .message_bytes_max = 1500};
  EXPECT_EQ(outcome(frame(Opcode::binary, std::string(1000, 'x')), options).failed, "");
  std::string header;
  append_frame_header(Opcode::binary, 1001, kMask, header);
  const Outcome got = outcome(header, options);
  EXPECT_EQ(got.failed, "too_big");
  EXPECT_EQ(closed_with(got.out), 1009u);
}

TEST(WebSocketLimits, AMessageThatIsTooBigIsRefusedAtTheFrameThatMakesItSo) {
  ServerOptions options;
  options.frames = {.frame_bytes_max = 1000, .message_bytes_max = 1500};
  const std::string part(750, 'x');
  const std::string most = frame(Opcode::binary, part, false) + frame(Opcode::continuation, part, false);
  EXPECT_EQ(outcome(most + frame(Opcode::continuation, "") + frame(Opcode::binary, part), options).failed,
            "");
  const Outcome got = outcome(most + frame(Opcode::continuation, "x"), options);
  EXPECT_EQ(got.failed, "too_big");
  EXPECT_EQ(got.plain.size(), 1500u);
}

// --- masks ---

TEST(WebSocketTransport, RefusesFramesOfAClientThatAreNotMasked) {
  const Outcome got = outcome(frame(Opcode::binary, "x", true, false));
  EXPECT_EQ(got.failed, "bad_frame");
  EXPECT_EQ(closed_with(got.out), 1002u);
}

TEST(WebSocketTransport, RefusesFramesOfAServerThatAreMasked) {
  TestPair pair(WebSocketTransport::client(std::make_shared<ClientOptions>(ClientOptions{.host = "a"})),
                WebSocketServer({}).accept(0));
  pair.run();
  ASSERT_TRUE(pair.open());
  pair.client.take(frame(Opcode::binary, "x"));
  EXPECT_EQ(pair.client.failed, "bad_frame");
}

// --- both ends ---

TestPair pair_of_ends() {
  return TestPair(WebSocketTransport::client(std::make_shared<ClientOptions>(ClientOptions{.host = "a"})),
                  WebSocketServer({}).accept(0));
}

TEST(WebSocketTransport, CarriesBytesBothWaysInAnyPieces) {
  for (const size_t piece : {size_t{1}, size_t{3}, size_t{1000}, std::string::npos}) {
    TestPair pair = pair_of_ends();
    pair.run(piece);
    ASSERT_TRUE(pair.open()) << pair.client.sentence << pair.server.sentence;
    const std::string much(70'000, 'm');
    const std::string_view pieces[] = {"from ", "", "the broker", much};
    ASSERT_TRUE(pair.server.transport->send(pieces, pair.server.out));
    EXPECT_EQ(pair.server.out.size(), 2 + 5 + 2 + 10 + 10 + much.size()) << "a frame for each piece";
    pair.client.say("from the phone");
    EXPECT_EQ(pair.client.out.find("from the phone"), std::string::npos) << "masked";
    pair.run(piece);
    EXPECT_EQ(pair.client.plain, "from the broker" + much);
    EXPECT_EQ(pair.server.plain, "from the phone");
    pair.client.transport->close(CloseReason::normal, pair.client.out);
    pair.run(piece);
    EXPECT_EQ(pair.server.state, TransportState::ended);
    EXPECT_EQ(pair.client.state, TransportState::ended);
  }
}

TEST(WebSocketTransport, ACutAtAnyByteOfTheUpgradeChangesNothing) {
  const std::string all = std::string(kRequest) + frame(Opcode::binary, "CONNECT");
  for (size_t cut = 1; cut < all.size(); ++cut) {
    TestEnd end;
    end.transport = WebSocketServer({}).accept(0);
    end.take(std::string_view(all).substr(0, cut));
    EXPECT_EQ(end.state, cut < kRequest.size() ? TransportState::opening : TransportState::open);
    end.take(std::string_view(all).substr(cut));
    EXPECT_EQ(end.plain, "CONNECT") << cut;
  }
}

TEST(WebSocketTransport, TellsThePeerWhyItHangsUp) {
  const std::pair<CloseReason, unsigned> statuses[] = {
      {CloseReason::normal, 1000}, {CloseReason::going_away, 1001}, {CloseReason::protocol, 1002},
      {CloseReason::policy, 1008}, {CloseReason::too_big, 1009},    {CloseReason::failure, 1011}};
  for (const auto& [reason, number] : statuses) {
    TestEnd end = open_server();
    end.transport->close(reason, end.out);
    end.transport->close(CloseReason::normal, end.out);
    EXPECT_EQ(closed_with(end.out), number);
  }
}

TEST(WebSocketTransport, AfterItHungUpItOnlyWaitsForThePeersGoodbye) {
  TestEnd end = open_server();
  end.transport->close(CloseReason::policy, end.out);
  end.say("too late");
  end.take(frame(Opcode::binary, "meanwhile") + frame(Opcode::ping, "x"));
  EXPECT_EQ(end.plain, "");
  EXPECT_EQ(end.state, TransportState::open);
  end.take(frame(Opcode::close, status(1008)));
  EXPECT_EQ(end.state, TransportState::ended);
  EXPECT_EQ(closed_with(end.out), 1008u) << "one close frame and nothing else";
}

TEST(WebSocketTransport, ARequestWithoutAnEndIsRefusedAt8Kilobytes) {
  TestEnd end;
  end.transport = WebSocketServer({}).accept(0);
  const std::string line = "GET /mqtt HTTP/1.1\r\nX: ";
  end.take(line + std::string(kHeadBytesMax - line.size() - 1, 'x'));
  EXPECT_EQ(end.state, TransportState::opening);
  EXPECT_EQ(end.failed, "");
  end.take("x");
  EXPECT_EQ(end.failed, "head_too_large");
  EXPECT_THAT(end.out, StartsWith("HTTP/1.1 431 "));
}

TEST(WebSocketTransport, HoldsNoMoreThanTheLargestHeadWhileItOpens) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "malloc is the sanitizer's";
#endif
  const WebSocketServer factory({});
  std::string plain, reply;
  const std::string line = "GET /mqtt HTTP/1.1\r\nX: ";
  const std::string endless = line + std::string(kHeadBytesMax - line.size() - 1, 'x');
  const size_t before = mallinfo2().uordblks;
  const auto transport = factory.accept(0);
  size_t most = 0;
  for (const char byte : endless) {
    ASSERT_TRUE(transport->receive({&byte, 1}, plain, reply));
    most = std::max(most, mallinfo2().uordblks - before);
  }
  EXPECT_LE(most, kHeadBytesMax + 256);
  EXPECT_GT(most, kHeadBytesMax);
}

TEST(WebSocketTransport, HoldsNextToNothingWhileIdle) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "malloc is the sanitizer's";
#endif
  const WebSocketServer factory({});
  std::string plain, reply;
  plain.reserve(1000);
  reply.reserve(1000);
  const size_t before = mallinfo2().uordblks;
  const auto transport = factory.accept(0);
  ASSERT_TRUE(transport->receive(kRequest, plain, reply));
  ASSERT_TRUE(transport->receive(frame(Opcode::binary, "x") + frame(Opcode::ping, "y"), plain, reply));
  EXPECT_LE(mallinfo2().uordblks - before, 64u);
}

TEST(WebSocketTransport, KnowsAtTheFirstByteThatItIsNotHttp) {
  const auto refused = [](std::string_view bytes) {
    TestEnd end;
    end.transport = WebSocketServer({}).accept(0);
    end.take(bytes.substr(0, 1));
    EXPECT_EQ(end.failed, "not_http");
    return std::pair(end.sentence, end.out);
  };
  EXPECT_THAT(refused("\x16\x03\x01").first, HasSubstr("speaks TLS"));
  EXPECT_EQ(refused("\x16\x03\x01").second, "");
  EXPECT_THAT(refused("\x10\x0C").first, HasSubstr("MQTT without WebSocket"));
  EXPECT_THAT(refused("\x80").second, StartsWith("HTTP/1.1 400 "));
}

TEST(WebSocketTransport, NamesEveryReasonOnce) {
  std::set<std::string> words;
  const int last = static_cast<int>(errc::bad_setting);
  for (int code = 1; code <= last; ++code) words.insert(category().message(code));
  EXPECT_EQ(words.size(), static_cast<size_t>(last));
  EXPECT_EQ(words.count("unknown"), 0u);
}

// --- over TLS ---

TEST(WebSocketOverTls, CarriesBytesBothWaysInAnyPieces) {
  tls::TlsTestBed bed;
  bed.server.alpn = {"http/1.1"};
  bed.client.alpn = {"http/1.1"};
  const StackedFactory factory(bed.load_server(), std::make_shared<WebSocketServer>(ServerOptions()));
  const auto options = std::make_shared<ClientOptions>(ClientOptions{.host = "broker.example"});
  for (const size_t piece : {size_t{1}, size_t{100}, std::string::npos}) {
    TestPair pair(std::make_unique<StackedTransport>(bed.load_client()->connect("broker.example"),
                                                     WebSocketTransport::client(options)),
                  factory.accept(bed.now()));
    pair.run(piece);
    ASSERT_TRUE(pair.open()) << pair.server.sentence << pair.client.sentence;
    EXPECT_EQ(pair.server.transport->tls()->alpn, "http/1.1");
    const std::string much(30'000, 'm');
    pair.client.say("from the phone");
    pair.server.say(much);
    pair.run(piece);
    EXPECT_EQ(pair.server.plain, "from the phone");
    EXPECT_EQ(pair.client.plain, much);
    pair.server.transport->close(CloseReason::going_away, pair.server.out);
    pair.run(piece);
    EXPECT_EQ(pair.client.state, TransportState::ended);
    EXPECT_EQ(pair.server.state, TransportState::ended);
  }
}

TEST(WebSocketOverTls, TellsWhatIsWrongThroughTls) {
  tls::TlsTestBed bed;
  bed.server.alpn = {};
  const StackedFactory factory(bed.load_server(), std::make_shared<WebSocketServer>(ServerOptions()));
  TestPair pair(bed.load_client()->connect("broker.example"), factory.accept(bed.now()));
  pair.run();
  pair.client.say("GET / HTTP/1.1\r\n\r\n");
  pair.run();
  EXPECT_EQ(pair.server.failed, "not_found");
  EXPECT_THAT(pair.client.plain, StartsWith("HTTP/1.1 404 "));
  EXPECT_EQ(pair.client.state, TransportState::ended);
}

TEST(WebSocketOverTls, KnowsPlainHttpOnItsPort) {
  tls::TlsTestBed bed;
  TestEnd end;
  end.transport =
      StackedFactory(bed.load_server(), std::make_shared<WebSocketServer>(ServerOptions())).accept(bed.now());
  end.take(kRequest);
  EXPECT_EQ(end.failed, "not_tls");
  EXPECT_THAT(end.out, StartsWith("HTTP/1.1 400 "));
}

TEST(WebSocketTransport, AClientIsToldWhatTheServerAnswered) {
  ServerOptions options;
  options.path = "/other";
  TestPair pair(WebSocketTransport::client(std::make_shared<ClientOptions>(ClientOptions{.host = "a"})),
                WebSocketServer(options).accept(0));
  pair.run();
  EXPECT_EQ(pair.client.failed, "upgrade_refused");
  EXPECT_THAT(pair.client.sentence, HasSubstr("404 \"Not Found\": \"there is nothing at '/mqtt'. This port"));
}

TEST(WebSocketTransport, AClientWaitsForNoAnswerWithoutAnEnd) {
  TestEnd end;
  end.transport = WebSocketTransport::client(std::make_shared<ClientOptions>(ClientOptions{.host = "a"}));
  end.transport->start(end.out);
  end.take(std::string(kHeadBytesMax, 'x'));
  EXPECT_EQ(end.failed, "bad_answer");
}

}  // namespace
}  // namespace courier::net::websocket
