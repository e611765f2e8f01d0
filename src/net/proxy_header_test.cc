#include "net/proxy_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "base/crc32c.h"
#include "net/limits.h"

namespace courier::net {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

constexpr auto kSignature = "\r\n\r\n\0\r\nQUIT\n"sv;

SocketAddress at(std::string_view text) {
  return *SocketAddress::parse(text);
}

// "header", "more", "not", or the violation's words.
std::string verdict(std::string_view bytes) {
  const ProxyDecoded decoded = decode_proxy_header(bytes);
  if (std::holds_alternative<ProxyHeader>(decoded)) return "header";
  if (std::holds_alternative<ProxyNeedMore>(decoded)) return "more";
  if (std::holds_alternative<NotProxy>(decoded)) return "not";
  return std::string(std::get<ProxyViolation>(decoded).what);
}

ProxyHeader decoded(std::string_view bytes) {
  const ProxyDecoded result = decode_proxy_header(bytes);
  EXPECT_TRUE(std::holds_alternative<ProxyHeader>(result)) << verdict(bytes);
  return std::holds_alternative<ProxyHeader>(result) ? std::get<ProxyHeader>(result) : ProxyHeader();
}

// Every way to cut the header into a first part asks for more, and the bytes behind it change nothing.
void expect_incremental(const std::string& header) {
  for (size_t size = 0; size < header.size(); ++size) {
    EXPECT_EQ(verdict(std::string_view(header).substr(0, size)), "more") << size;
  }
  EXPECT_EQ(decoded(header).size, header.size());
  EXPECT_EQ(decoded(header + "\x10\x0c\0\x04MQTT"s), decoded(header));
  EXPECT_EQ(decoded(header + std::string(5000, '\xff')), decoded(header));
}

std::string sample(const char* name) {
  std::ifstream in(std::string(SAMPLES_DIR "/") + name, std::ios::binary);
  EXPECT_TRUE(in) << name;
  return {std::istreambuf_iterator<char>(in), {}};
}

// A v2 header from its parts, with whatever length they have.
std::string v2(uint8_t version_command, uint8_t family, std::string_view block) {
  std::string out(kSignature);
  out += static_cast<char>(version_command);
  out += static_cast<char>(family);
  out += static_cast<char>(block.size() >> 8);
  out += static_cast<char>(block.size());
  return out.append(block);
}
std::string tlv(uint8_t type, std::string_view value) {
  std::string out(1, static_cast<char>(type));
  out += static_cast<char>(value.size() >> 8);
  out += static_cast<char>(value.size());
  return out.append(value);
}
const std::string kFour =
    "\xC0\x00\x02\x01\x0A\x00\x00\x01\xDB\xB2\x07\x5B"s;  // 192.0.2.1:56242 to 10.0.0.1:1883

TEST(ProxyV1, TakesALineAsTheBalancerSendsIt) {
  const std::string line = sample("proxy_v1_tcp4.bin");
  EXPECT_EQ(line, "PROXY TCP4 203.0.113.7 10.0.0.1 56324 1883\r\n");
  const ProxyHeader header = decoded(line);
  EXPECT_EQ(header.version, 1);
  EXPECT_FALSE(header.local);
  EXPECT_EQ(header.source, at("203.0.113.7:56324"));
  EXPECT_EQ(header.destination, at("10.0.0.1:1883"));
  expect_incremental(line);
}

TEST(ProxyV1, TakesIpv6) {
  const std::string line = sample("proxy_v1_tcp6.bin");
  const ProxyHeader header = decoded(line);
  EXPECT_EQ(header.source, at("[2001:db8::7]:56324"));
  EXPECT_EQ(header.destination, at("[2001:db8::1]:1883"));
  expect_incremental(line);
}

TEST(ProxyV1, UnknownLeavesTheConnectionsOwnAddresses) {
  for (const auto& line :
       {"PROXY UNKNOWN\r\n"s, "PROXY UNKNOWN \r\n"s, "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n"s,
        "PROXY UNKNOWN whatever it says\r\n"s}) {
    const ProxyHeader header = decoded(line);
    EXPECT_EQ(header.source, std::nullopt);
    EXPECT_EQ(header.destination, std::nullopt);
    EXPECT_FALSE(header.local);
    expect_incremental(line);
  }
}

TEST(ProxyV1, TheLongestLineIs107Bytes) {
  std::string line = "PROXY UNKNOWN " + std::string(kProxyV1SizeMax - 16, 'x') + "\r\n";
  ASSERT_EQ(line.size(), kProxyV1SizeMax);
  expect_incremental(line);
  line.insert(14, "x");
  EXPECT_EQ(verdict(line), "v1: no end of line within 107 bytes");
  EXPECT_EQ(verdict(line.substr(0, kProxyV1SizeMax - 1)), "more");
  EXPECT_EQ(verdict(line.substr(0, kProxyV1SizeMax)), "v1: no end of line within 107 bytes");
}

TEST(ProxyV1, RefusesEveryOtherSpelling) {
  constexpr auto kFamily = "v1: the family is not TCP4, TCP6 or UNKNOWN";
  constexpr auto kPort = "v1: a port is not a number from 0 to 65535";
  constexpr auto kAddress = "v1: an address is not one of the announced family";
  constexpr auto kByte = "v1: a byte that is not printable ASCII";
  const std::pair<std::string, std::string> rows[] = {
      {"PROXY \r\n", kFamily},
      {"PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n", kFamily},
      {"PROXY tcp4 1.2.3.4 1.2.3.4 1 1\r\n", kFamily},
      {"PROXY TCP5 1.2.3.4 1.2.3.4 1 1\r\n", kFamily},
      {"PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n", kFamily},
      {"PROXY UNKNOWNX\r\n", kFamily},
      {"PROXY TCP4\r\n", kPort},
      {"PROXY TCP4 1.2.3.4\r\n", kPort},
      {"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", kPort},
      {"PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n", kPort},
      {"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n", kPort},
      {"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n", kPort},
      {"PROXY TCP4 1.2.3.4 1.2.3.4  1 1\r\n", kPort},
      {"PROXY TCP4 1.2.3.4  1.2.3.4 1 1\r\n", kPort},
      {"PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n", kPort},
      {"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", kPort},
      {"PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n", kPort},
      {"PROXY TCP4 1.2.3.4 1.2.3.4 00 1\r\n", kPort},
      {"PROXY TCP4 1.2.3.4 1.2.3.4 -1 1\r\n", kPort},
      {"PROXY TCP4 1.2.3.4 1.2.3.4 +1 1\r\n", kPort},
      {"PROXY TCP4 1.2.3.4 1.2.3.4 0x1 1\r\n", kPort},
      {"PROXY TCP4 1.2.3.4 1.2.3.4 1 99999999999\r\n", kPort},
      {"PROXY TCP4 1.2.3 1.2.3.4 1 1\r\n", kAddress},
      {"PROXY TCP4 1.2.3.256 1.2.3.4 1 1\r\n", kAddress},
      {"PROXY TCP4 01.2.3.4 1.2.3.4 1 1\r\n", kAddress},
      {"PROXY TCP4 ::1 ::1 1 1\r\n", kAddress},
      {"PROXY TCP4 1.2.3.4 ::1 1 1\r\n", kAddress},
      {"PROXY TCP4 ::ffff:1.2.3.4 ::ffff:1.2.3.4 1 1\r\n", kAddress},
      {"PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n", kAddress},
      {"PROXY TCP6 ::1%1 ::1 1 1\r\n", kAddress},
      {"PROXY TCP6 [::1] ::1 1 1\r\n", kAddress},
      {"PROXY TCP6 ::1::2 ::1 1 1\r\n", kAddress},
      {"PROXY TCP6 gggg::1 ::1 1 1\r\n", kAddress},
      {"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n", kByte},
      {"PROXY TCP4\t1.2.3.4 1.2.3.4 1 1\r\n", kByte},
      {"PROXY TCP4 1.2.3.4 1.2.3.4\0 1 1\r\n"s, kByte},
      {"PROXY UNKNOWN \xff\r\n", kByte},
      {"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r ", "v1: CR without LF"},
      {"PROXY UNKNOWN\r\r\n", "v1: CR without LF"},
  };
  for (const auto& [line, what] : rows) EXPECT_EQ(verdict(line), what) << line;
}

TEST(ProxyV1, ABadByteIsNotWaitedOut) {
  EXPECT_EQ(verdict("PROXY T\n"), "v1: a byte that is not printable ASCII");
}

TEST(ProxyV1, PortZeroAndTheHighestPortAreNumbers) {
  const ProxyHeader header = decoded("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n");
  EXPECT_EQ(header.source, at("0.0.0.0:0"));
  EXPECT_EQ(header.destination, at("255.255.255.255:65535"));
}

TEST(ProxyV1, AMappedAddressIsTheIpv4Address) {
  EXPECT_EQ(decoded("PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 1 2\r\n").source, at("192.0.2.1:1"));
}

TEST(ProxyV2, TakesTheSampleOfABalancerWithTls) {
  const std::string bytes = sample("proxy_v2_tls.bin");
  const ProxyHeader header = decoded(bytes);
  EXPECT_EQ(header.version, 2);
  EXPECT_EQ(header.source, at("192.0.2.1:56242"));
  EXPECT_EQ(header.destination, at("10.0.0.1:8883"));
  EXPECT_EQ(header.alpn, "mqtt");
  EXPECT_EQ(header.authority, "broker.example");
  EXPECT_EQ(header.unique_id, "conn-42");
  ASSERT_TRUE(header.tls);
  EXPECT_TRUE(header.tls->over_tls && header.tls->certificate_this_connection);
  EXPECT_EQ(header.tls->version, "TLSv1.3");
  EXPECT_EQ(header.tls->common_name, "phone-7");
  EXPECT_EQ(header.tls->cipher, "TLS_AES_128_GCM_SHA256");
  EXPECT_TRUE(header.tls->identifies_client());
  expect_incremental(bytes);
  EXPECT_EQ(encode_proxy_v2(header, true), bytes) << "our encoder writes the very same bytes";
}

TEST(ProxyV2, AnyChangedBitBreaksTheChecksumOrTheHeader) {
  const std::string bytes = sample("proxy_v2_tls.bin");
  const size_t checksum_type = bytes.size() - 7;  // changed, there is no checksum any more
  for (size_t i = 0; i < bytes.size() * 8; ++i) {
    if (i / 8 == checksum_type) continue;
    std::string changed = bytes;
    changed[i / 8] = static_cast<char>(changed[i / 8] ^ (1 << i % 8));
    if (i / 8 == 12 && verdict(changed) == "header") {
      EXPECT_TRUE(decoded(changed).local) << "PROXY became LOCAL, whose block is discarded";
      continue;
    }
    const std::string what = verdict(changed + std::string(5000, 'x'));
    EXPECT_NE(what, "header") << "bit " << i;
  }
}

TEST(ProxyV2, TakesEachFamily) {
  EXPECT_EQ(decoded(v2(0x21, 0x11, kFour)).source, at("192.0.2.1:56242"));
  EXPECT_EQ(decoded(v2(0x21, 0x12, kFour)).source, at("192.0.2.1:56242"));
  const std::string six = sample("proxy_v2_tcp6.bin");
  EXPECT_EQ(decoded(six).source, at("[2001:db8::7]:56242"));
  EXPECT_EQ(decoded(six).destination, at("[2001:db8::1]:1883"));
  expect_incremental(six);
  const std::string unix_block =
      "/run/client"s + std::string(97, '\0') + "/run/courier.sock"s + std::string(91, '\0');
  ASSERT_EQ(unix_block.size(), 216u);
  EXPECT_EQ(decoded(v2(0x21, 0x31, unix_block)).source, at("unix:/run/client"));
  EXPECT_EQ(decoded(v2(0x21, 0x31, unix_block)).destination, at("unix:/run/courier.sock"));
  expect_incremental(v2(0x21, 0x31, unix_block));
  EXPECT_EQ(decoded(v2(0x21, 0x31, std::string(216, '\0'))).source, *SocketAddress::unix_path(""));
  const ProxyHeader unspec = decoded(v2(0x21, 0x00, tlv(0x01, "mqtt")));
  EXPECT_EQ(unspec.source, std::nullopt);
  EXPECT_EQ(unspec.alpn, "mqtt");
}

TEST(ProxyV2, LocalIsTheBalancersOwnWhateverItsBlockHolds) {
  const std::string bytes = sample("proxy_v2_local.bin");
  const ProxyHeader header = decoded(bytes);
  EXPECT_TRUE(header.local);
  EXPECT_EQ(header.source, std::nullopt);
  expect_incremental(bytes);
  EXPECT_TRUE(decoded(v2(0x20, 0x11, kFour)).local);
  EXPECT_EQ(decoded(v2(0x20, 0x11, kFour)).source, std::nullopt);
  EXPECT_TRUE(decoded(v2(0x20, 0xFF, "nonsense")).local);
}

TEST(ProxyV2, RefusesWhatIsNotAssignedOrCutShort) {
  constexpr auto kAddresses = "v2: the addresses are not those of an assigned family";
  const std::string path_without_end = std::string(108, 'p') + std::string(108, '\0');
  const std::pair<std::string, std::string> rows[] = {
      {v2(0x11, 0x11, kFour), "v2: the version is not 2"},
      {v2(0x31, 0x11, kFour), "v2: the version is not 2"},
      {v2(0x22, 0x11, kFour), "v2: the command is neither LOCAL nor PROXY"},
      {v2(0x21, 0x10, kFour), kAddresses},
      {v2(0x21, 0x13, kFour), kAddresses},
      {v2(0x21, 0x01, kFour), kAddresses},
      {v2(0x21, 0x41, kFour), kAddresses},
      {v2(0x21, 0x11, kFour.substr(1)), kAddresses},
      {v2(0x21, 0x11, ""), kAddresses},
      {v2(0x21, 0x21, std::string(35, 'x')), kAddresses},
      {v2(0x21, 0x31, std::string(215, 'x')), kAddresses},
      {v2(0x21, 0x31, path_without_end), kAddresses},
      {v2(0x21, 0x11, kFour + "x"), "v2: a TLV is cut short"},
      {v2(0x21, 0x11, kFour + "\x01\x00"s), "v2: a TLV is cut short"},
      {v2(0x21, 0x11, kFour + "\x01\x00\x02x"s), "v2: a TLV is cut short"},
      {v2(0x21, 0x00, "xx"), "v2: a TLV is cut short"},
      {v2(0x21, 0x11, kFour + tlv(0x20, "\x01\0\0\0"sv)), "v2: a TLV is cut short"},
      {v2(0x21, 0x11, kFour + tlv(0x20, "\x01\0\0\0\0\x22\0\x05phon"sv)), "v2: a TLV is cut short"},
      {v2(0x21, 0x11, kFour + tlv(0x03, "123")), "v2: the checksum is not four bytes"},
      {v2(0x21, 0x11, kFour + tlv(0x03, "1234")), "v2: the checksum is wrong"},
      {v2(0x21, 0x11, kFour + tlv(0x05, std::string(129, 'u'))),
       "v2: the unique id is longer than 128 bytes"},
      {v2(0x21, 0x11, kFour + tlv(0x01, "a") + tlv(0x01, "b")), "v2: a TLV occurs twice"},
      {v2(0x21, 0x11, kFour + tlv(0x02, "a") + tlv(0x02, "b")), "v2: a TLV occurs twice"},
  };
  for (const auto& [bytes, what] : rows) EXPECT_EQ(verdict(bytes), what);
}

TEST(ProxyV2, ACommonNameThatCouldBeNoUserNameIsRefused) {
  const auto with_name = [](std::string_view name) {
    return verdict(v2(0x21, 0x11, kFour + tlv(0x20, "\x03\0\0\0\0"s + tlv(0x22, name))));
  };
  for (const auto name :
       {"phone-7"sv, ""sv, "Jos\xC3\xA9"sv, "\xE4\xBD\xA0"sv, "\xF0\x9F\x93\xB1"sv, "\xEF\xBF\xBF"sv}) {
    EXPECT_EQ(with_name(name), "header") << name;
  }
  for (const auto name : {"a\0b"sv, "\xFF"sv, "\xC3"sv, "\xC0\xAF"sv, "\xE0\x80\xAF"sv, "\xED\xA0\x80"sv,
                          "\xF4\x90\x80\x80"sv, "\xF0\x80\x80\xAF"sv, "\x80"sv, "\xE4\xBD"sv}) {
    EXPECT_EQ(with_name(name), "v2: the common name is not UTF-8 text");
  }
  EXPECT_EQ(verdict(v2(0x21, 0x11, kFour + tlv(0x20, "\x03\0\0\0\0"s + tlv(0x22, "a") + tlv(0x22, "b")))),
            "v2: a TLV occurs twice");
}

TEST(ProxyV2, OnlyAVerifiedCertificateIdentifiesAClient) {
  const auto tls = [](std::string_view head) {
    return *decoded(v2(0x21, 0x11, kFour + tlv(0x20, std::string(head) + tlv(0x22, "phone-7")))).tls;
  };
  EXPECT_TRUE(tls("\x03\0\0\0\0"sv).identifies_client());
  EXPECT_TRUE(tls("\x05\0\0\0\0"sv).identifies_client()) << "shown when the TLS session began";
  EXPECT_FALSE(tls("\x03\0\0\0\x01"sv).identifies_client()) << "not verified";
  EXPECT_FALSE(tls("\x01\0\0\0\0"sv).identifies_client()) << "no certificate";
}

TEST(ProxyV2, IgnoresWhatItDoesNotKnow) {
  const std::string block =
      kFour + tlv(0x04, "padding") + tlv(0x30, "netns") + tlv(0xEA, "private") + tlv(0x01, "mqtt");
  EXPECT_EQ(decoded(v2(0x21, 0x11, block)).alpn, "mqtt");
}

TEST(ProxyV2, ALengthBeyondTheLimitIsRefusedBeforeItsBodyArrives) {
  const std::string most = v2(0x21, 0x11, kFour + tlv(0x04, std::string(kProxyV2SizeMax - 16 - 12 - 3, 'x')));
  ASSERT_EQ(most.size(), kProxyV2SizeMax);
  EXPECT_EQ(verdict(most), "header");
  const std::string more = v2(0x21, 0x11, kFour + tlv(0x04, std::string(kProxyV2SizeMax - 16 - 12 - 2, 'x')));
  EXPECT_EQ(verdict(more.substr(0, 15)), "more");
  EXPECT_EQ(verdict(more.substr(0, 16)), "v2: the header is too long");
}

TEST(ProxyV2, SaysHowMuchItNeedsOnceItKnows) {
  const std::string bytes = v2(0x21, 0x11, kFour);
  EXPECT_EQ(std::get<ProxyNeedMore>(decode_proxy_header(bytes.substr(0, 15))).total, 0u);
  EXPECT_EQ(std::get<ProxyNeedMore>(decode_proxy_header(bytes.substr(0, 16))).total, 28u);
}

TEST(Proxy, ItsFirstBytesTellWhatCannotBeAHeader) {
  for (const auto bytes :
       {"\x10\x0c\0\x04MQTT"sv, "\x16\x03\x01"sv, "GET / HTTP/1.1\r\n"sv, "PUT /"sv, "PROXx"sv, "PROXY\t"sv,
        "\r\n\r\n\0\r\nQUIX"sv, "\r\n\r\nQ"sv, "\n"sv, "proxy tcp4"sv}) {
    EXPECT_EQ(verdict(bytes), "not");
  }
  EXPECT_EQ(verdict(""), "more");
}

TEST(ProxyEncoder, WritesWhatTheDecoderReads) {
  ProxyHeader header;
  header.source = at("203.0.113.7:56324");
  header.destination = at("10.0.0.1:1883");
  EXPECT_EQ(encode_proxy_v1(header), "PROXY TCP4 203.0.113.7 10.0.0.1 56324 1883\r\n");
  EXPECT_EQ(encode_proxy_v2(header).substr(0, 16), std::string(kSignature) + "\x21\x11\0\x0c"s);
  for (const bool checksum : {false, true}) {
    const std::string bytes = encode_proxy_v2(header, checksum);
    EXPECT_EQ(decoded(bytes).source, header.source);
    EXPECT_EQ(decoded(bytes).size, bytes.size());
  }
}

TEST(ProxyEncoder, TwoFamiliesTogetherAreWrittenAsIpv6) {
  ProxyHeader header;
  header.source = at("203.0.113.7:1");
  header.destination = at("[2001:db8::1]:2");
  EXPECT_EQ(encode_proxy_v1(header), "PROXY TCP6 ::ffff:203.0.113.7 2001:db8::1 1 2\r\n");
  for (const auto& bytes : {encode_proxy_v1(header), encode_proxy_v2(header)}) {
    EXPECT_EQ(decoded(bytes).source, header.source);
    EXPECT_EQ(decoded(bytes).destination, header.destination);
  }
}

TEST(ProxyEncoder, WhatHasNoWordsIsUnknown) {
  ProxyHeader header;
  EXPECT_EQ(encode_proxy_v1(header), "PROXY UNKNOWN\r\n");
  EXPECT_EQ(decoded(encode_proxy_v2(header)).source, std::nullopt);
  header.source = at("unix:/a");
  header.destination = at("unix:/b");
  EXPECT_EQ(encode_proxy_v1(header), "PROXY UNKNOWN\r\n");
  EXPECT_EQ(decoded(encode_proxy_v2(header)).destination, at("unix:/b"));
  header.destination = at("10.0.0.1:1");
  EXPECT_EQ(decoded(encode_proxy_v2(header)).source, std::nullopt) << "a mixture no family stands for";
  header.local = true;
  EXPECT_EQ(encode_proxy_v2(header), std::string(kSignature) + "\x20\0\0\0"s);
}

TEST(Crc32c, GivesTheValuesOfItsRfc) {
  // RFC 3720, appendix B.4.
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43u);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c("6789", crc32c("12345")), 0xE3069283u);
}

}  // namespace
}  // namespace courier::net
