#include "mesh/frame.h"

#include <gtest/gtest.h>

#include "mesh/errc.h"

namespace courier::mesh {
namespace {

const Hello kHello{.cluster = "shop",
                   .log_id = "4711",
                   .node_id = "node-a",
                   .epoch = NodeEpoch(77),
                   .instance = 0xFFFFFFFFFFFFFFFF,
                   .to = NodeEpoch(12)};

std::string_view body_of(std::string_view frame) {
  return frame.substr(kFrameHeadBytes);
}

Deliver message_of(std::string_view topic, std::string_view payload) {
  auto* const made = mqtt::Message::make(topic, payload, std::string("\x01\x01", 2));
  made->qos = mqtt::Qos::at_most_once;
  made->publisher = SessionId(~uint64_t{0});
  made->received_at = INT64_MAX;
  made->expires_at = INT64_MIN;
  return {.to = {{SessionId(~uint64_t{0}), true, {1, 268'435'455}}, {SessionId(1), false, {}}},
          .message = mqtt::MessagePtr(made),
          .after = Position(~uint64_t{0})};
}

// What a reader makes of bytes: the bodies, or why it stops.
struct Read {
  std::vector<std::pair<FrameType, std::string>> frames;
  std::string failed;
};
Read read(FrameReader& reader, std::string_view bytes) {
  Read got;
  const auto done = reader.feed(bytes, [&](FrameType type, std::string_view body) -> Result<void> {
    got.frames.emplace_back(type, body);
    return {};
  });
  if (!done) got.failed = done.error().message;
  return got;
}

TEST(Frame, AHelloHasTheseBytes) {
  const std::string expected(
      "\x24\0\0\0\x01"
      "CMSH\x01\x01\x04shop\x04"
      "4711\x06node-a\x4D"
      "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x0C",
      40);
  EXPECT_EQ(encode_hello(kHello), expected);
  const auto decoded = decode_hello(body_of(expected));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(*decoded, kHello);
}

TEST(Frame, AHelloCutAnywhereIsNone) {
  const std::string frame = encode_hello(kHello);
  const std::string_view body = body_of(frame);
  for (size_t cut = 0; cut < body.size(); ++cut) EXPECT_FALSE(decode_hello(body.substr(0, cut))) << cut;
}

TEST(Frame, ALaterHelloIsUnderstoodAsFarAsNeeded) {
  Hello later = kHello;
  later.version = 9;
  const std::string more = encode_hello(later) + "what version 9 adds";
  const auto decoded = decode_hello(body_of(more));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, later);
  // One that understands us no more may look otherwise behind its numbers.
  const auto foreign = decode_hello("CMSH\x09\x08\xFF\xFF\xFF\xFF");
  ASSERT_TRUE(foreign);
  EXPECT_EQ(foreign->oldest, 8);
  EXPECT_FALSE(decode_hello("CMSH\x01\x02")) << "its oldest cannot be newer than itself";
  EXPECT_FALSE(decode_hello(std::string_view("CMSH\0\0", 6)));
}

TEST(Frame, NamesOfAHelloAreBounded) {
  Hello hello = kHello;
  hello.cluster = hello.log_id = hello.node_id = std::string(kNameBytesMax, 'n');
  const std::string most = encode_hello(hello);
  EXPECT_TRUE(decode_hello(body_of(most)));
  EXPECT_LE(most.size(), kHelloBytesMax);
  hello.node_id += 'n';
  EXPECT_FALSE(decode_hello(body_of(encode_hello(hello))));
}

TEST(Frame, MessagesComeBackAsTheyWere) {
  std::string out;
  const size_t at = open_frame(out, FrameType::deliver);
  const std::vector<Deliver> sent{message_of("a/b", "payload"), message_of("", ""),
                                  message_of(std::string(300, 't'), std::string(70'000, 'p'))};
  for (const Deliver& one : sent) {
    const size_t before = out.size();
    encode_deliver(out, one);
    EXPECT_LE(out.size() - before, deliver_bytes_at_most(one));
  }
  close_frame(out, at);
  std::string_view body = body_of(out);
  std::vector<Deliver> got;
  ASSERT_TRUE(decode_delivers(body, NodeEpoch(3), 2, got));
  EXPECT_EQ(got.size(), 2u);
  ASSERT_TRUE(decode_delivers(body, NodeEpoch(3), 2, got));
  EXPECT_TRUE(body.empty());
  ASSERT_EQ(got.size(), sent.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].from, NodeEpoch(3));
    EXPECT_EQ(got[i].after, sent[i].after);
    EXPECT_EQ(got[i].to, sent[i].to);
    EXPECT_EQ(got[i].message->topic, sent[i].message->topic);
    EXPECT_TRUE(got[i].message->payload == sent[i].message->payload);
    EXPECT_EQ(got[i].message->properties, sent[i].message->properties);
    EXPECT_EQ(got[i].message->publisher, sent[i].message->publisher);
    EXPECT_EQ(got[i].message->received_at, sent[i].message->received_at);
    EXPECT_EQ(got[i].message->expires_at, sent[i].message->expires_at);
  }
}

TEST(Frame, MessagesCutInTheirMiddleAreRefused) {
  std::string bytes;
  encode_deliver(bytes, message_of("topic", "payload"));
  for (size_t cut = 1; cut < bytes.size(); ++cut) {
    std::string_view body(bytes.data(), cut);
    std::vector<Deliver> got;
    EXPECT_FALSE(decode_delivers(body, NodeEpoch(1), 10, got)) << cut;
  }
}

TEST(Frame, SmallBodiesComeBackAndNothingMayStandBehindThem) {
  const std::string pong = encode_number(FrameType::pong, 300);
  EXPECT_EQ(*decode_number(body_of(pong)), 300u);
  EXPECT_FALSE(decode_number(body_of(pong + "x")));
  EXPECT_FALSE(decode_number(""));
  const std::string credit = encode_numbers(FrameType::credit, 7, 1 << 20);
  EXPECT_EQ(decode_numbers(body_of(credit))->id, 7u);
  EXPECT_EQ(decode_numbers(body_of(credit))->second, 1u << 20);
  EXPECT_FALSE(decode_numbers(body_of(pong)));
  const std::string request = encode_request(5, 0xABCD, "body");
  EXPECT_EQ(decode_request(body_of(request))->id, 5u);
  EXPECT_EQ(decode_request(body_of(request))->kind, 0xABCD);
  EXPECT_EQ(decode_request(body_of(request))->body, "body");
  EXPECT_FALSE(decode_request(body_of(encode_request(5, 1, std::string(kRequestBytesMax + 1, 'b')))));
  const std::string piece = encode_text(FrameType::piece, 6, "");
  EXPECT_EQ(decode_text(body_of(piece))->text, "");
  EXPECT_FALSE(decode_text(body_of(encode_text(FrameType::piece, 6, std::string(kPieceBytesMax + 1, 'b')))));
  const std::string refuse = encode_refuse(Refusal::log, std::string(500, 's'));
  EXPECT_EQ(decode_refuse(body_of(refuse))->why, static_cast<uint8_t>(Refusal::log));
  EXPECT_EQ(decode_refuse(body_of(refuse))->sentence.size(), kSentenceBytesMax);
}

TEST(FrameReader, CutAnywhereTheFramesAreTheSame) {
  const std::string bytes = encode_hello(kHello) + encode_number(FrameType::ping, 1) +
                            encode_request(1, 2, std::string(300, 'b')) +
                            encode_text(FrameType::piece, 9, "");
  FrameReader whole(kHelloBytesMax);
  const Read expected = read(whole, bytes);
  ASSERT_EQ(expected.frames.size(), 4u);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    FrameReader reader(kHelloBytesMax);
    Read got = read(reader, std::string_view(bytes).substr(0, cut));
    const Read rest = read(reader, std::string_view(bytes).substr(cut));
    got.frames.insert(got.frames.end(), rest.frames.begin(), rest.frames.end());
    EXPECT_EQ(got.frames, expected.frames) << cut;
    EXPECT_EQ(reader.held_bytes(), 0u);
  }
  FrameReader reader(kHelloBytesMax);
  Read got;
  for (const char& byte : bytes) {
    const Read one = read(reader, {&byte, 1});
    got.frames.insert(got.frames.end(), one.frames.begin(), one.frames.end());
  }
  EXPECT_EQ(got.frames, expected.frames);
}

TEST(FrameReader, ALengthThatIsTooMuchIsRefusedBeforeItsBytesCome) {
  FrameReader reader(kHelloBytesMax);
  EXPECT_EQ(read(reader, std::string_view("\x01\x04\0", 3)).failed, "");
  EXPECT_NE(read(reader, std::string_view("\0", 1)).failed, "");
  for (const std::string_view stranger :
       {std::string_view("GET / HTTP/1.1\r\n"), std::string_view("\x16\x03\x01\x02\0", 5),
        std::string_view("\0\0\0\0", 4)}) {
    FrameReader other(kHelloBytesMax);
    EXPECT_NE(read(other, stranger).failed, "") << stranger;
  }
  reader.raise(kFrameBytesMax);
}

// Sixteen megabytes are announced by five bytes.
TEST(FrameReader, WhatIsAnnouncedTakesNoRoomUntilItComes) {
  FrameReader reader(kFrameBytesMax);
  const std::string announced("\0\0\0\x01", 4);
  EXPECT_EQ(read(reader, announced).failed, "");
  EXPECT_LT(reader.held_room(), 64u);
  size_t come = 4;
  for (; come < 5'000'000; come += 10'000) {
    EXPECT_EQ(read(reader, std::string(10'000, 'x')).failed, "");
    ASSERT_LE(reader.held_room(), 2 * (come + 10'000));
  }
}

TEST(FrameReader, StopsWhereItsOwnerFails) {
  FrameReader reader(kFrameBytesMax);
  const std::string bytes = encode_number(FrameType::ping, 1) + encode_number(FrameType::ping, 2);
  int seen = 0;
  const auto done = reader.feed(bytes, [&](FrameType, std::string_view) -> Result<void> {
    ++seen;
    return fail(errc::bad_frame, "no");
  });
  EXPECT_FALSE(done);
  EXPECT_EQ(seen, 1);
}

}  // namespace
}  // namespace courier::mesh
