#include "net/proxy_header.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "net/limits.h"

namespace courier::net {

namespace {

using namespace std::string_view_literals;

constexpr std::string_view kSignatureV1 = "PROXY "sv;
constexpr std::string_view kSignatureV2 = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr size_t kFixedV2 = 16;  // signature, version and command, family, length

constexpr uint8_t kCommandLocal = 0x0, kCommandProxy = 0x1;
constexpr uint8_t kFamilyUnspec = 0x00, kStream = 0x1, kFamilyInet = 0x10, kFamilyInet6 = 0x20,
                  kFamilyUnix = 0x30;
constexpr size_t kUnixAddressSize = 108;

constexpr uint8_t kTlvAlpn = 0x01, kTlvAuthority = 0x02, kTlvCrc32c = 0x03, kTlvUniqueId = 0x05,
                  kTlvSsl = 0x20;
constexpr uint8_t kTlvSslVersion = 0x21, kTlvSslCommonName = 0x22, kTlvSslCipher = 0x23;
constexpr size_t kTlvHead = 3;  // type, length
constexpr size_t kUniqueIdMax = 128;
constexpr uint8_t kClientSsl = 0x01, kClientCertConn = 0x02, kClientCertSess = 0x04;

uint8_t byte_at(std::string_view bytes, size_t at) {
  return static_cast<uint8_t>(bytes[at]);
}
uint16_t u16_at(std::string_view bytes, size_t at) {
  return static_cast<uint16_t>(byte_at(bytes, at) << 8 | byte_at(bytes, at + 1));
}
uint32_t u32_at(std::string_view bytes, size_t at) {
  return static_cast<uint32_t>(u16_at(bytes, at)) << 16 | u16_at(bytes, at + 2);
}
void put_u16(std::string& out, size_t value) {
  out.push_back(static_cast<char>(value >> 8));
  out.push_back(static_cast<char>(value));
}
void put_u32(std::string& out, uint32_t value) {
  put_u16(out, value >> 16);
  put_u16(out, value & 0xFFFF);
}

// A common name may become an MQTT user name, which knows neither NUL nor ill-formed UTF-8. [MQTT-1.5.4-1]
bool is_utf8_without_nul(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const uint8_t lead = byte_at(text, i);
    if (lead == 0) return false;
    const size_t length = lead < 0x80   ? 1
                          : lead < 0xC2 ? 0
                          : lead < 0xE0 ? 2
                          : lead < 0xF0 ? 3
                          : lead < 0xF5 ? 4
                                        : 0;
    if (length == 0 || length > text.size() - i) return false;
    for (size_t k = 1; k < length; ++k) {
      if ((byte_at(text, i + k) & 0xC0) != 0x80) return false;
    }
    if (length >= 3) {
      // Overlong forms, surrogates, and what lies beyond U+10FFFF.
      const uint8_t second = byte_at(text, i + 1);
      if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F)) return false;
      if ((lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) return false;
    }
    i += length;
  }
  return true;
}

// ---- version 1 ----

// Cuts the text up to the next space, or to the end.
std::string_view next_field(std::string_view& rest) {
  const size_t space = rest.find(' ');
  const std::string_view field = rest.substr(0, space);
  rest.remove_prefix(space == rest.npos ? rest.size() : space + 1);
  return field;
}

bool parse_v1_port(std::string_view text, uint16_t& port) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size();
}

// The spelling must be the announced family's; what it means may still turn out to be IPv4
// (::ffff:192.0.2.1).
bool spelt_as(std::string_view address, bool six) {
  return (address.find(':') != address.npos) == six;
}

ProxyDecoded decode_v1(std::string_view bytes) {
  const std::string_view window = bytes.substr(0, kProxyV1SizeMax);
  const size_t end = window.find('\r');
  const std::string_view line = window.substr(0, end);
  // Refused as soon as it is seen: a peer cannot make us wait for the rest of something that is no line.
  for (const char c : line) {
    if (c < 0x20 || c > 0x7E) return ProxyViolation{"v1: a byte that is not printable ASCII"};
  }
  if (end == window.npos || end + 1 == window.size()) {
    if (window.size() == kProxyV1SizeMax) return ProxyViolation{"v1: no end of line within 107 bytes"};
    return ProxyNeedMore{};
  }
  if (window[end + 1] != '\n') return ProxyViolation{"v1: CR without LF"};

  ProxyHeader header;
  header.version = 1;
  header.size = end + 2;
  std::string_view rest = line.substr(kSignatureV1.size());
  const std::string_view family = next_field(rest);
  // Whatever else stands in an UNKNOWN line is to be ignored.
  if (family == "UNKNOWN") return header;
  const bool six = family == "TCP6";
  if (!six && family != "TCP4") return ProxyViolation{"v1: the family is not TCP4, TCP6 or UNKNOWN"};

  const std::string_view source_ip = next_field(rest), destination_ip = next_field(rest);
  const std::string_view source_port = next_field(rest);
  const std::string_view destination_port = rest;  // up to the end: a space in it is no digit
  uint16_t from = 0, to = 0;
  if (!parse_v1_port(source_port, from) || !parse_v1_port(destination_port, to)) {
    return ProxyViolation{"v1: a port is not a number from 0 to 65535"};
  }
  auto source = SocketAddress::from_ip(source_ip, from);
  auto destination = SocketAddress::from_ip(destination_ip, to);
  if (!source || !destination || !spelt_as(source_ip, six) || !spelt_as(destination_ip, six)) {
    return ProxyViolation{"v1: an address is not one of the announced family"};
  }
  header.source = *std::move(source);
  header.destination = *std::move(destination);
  return header;
}

// ---- version 2 ----

template <size_t N>
std::array<uint8_t, N> bytes_at(std::string_view bytes, size_t at) {
  std::array<uint8_t, N> array;
  std::memcpy(array.data(), bytes.data() + at, N);
  return array;
}

std::optional<SocketAddress> unix_at(std::string_view bytes, size_t at) {
  const std::string_view field = bytes.substr(at, kUnixAddressSize);
  auto address = SocketAddress::unix_path(field.substr(0, field.find('\0')));
  return address ? std::optional(*std::move(address)) : std::nullopt;
}

// Reads the address block behind the fixed part. Returns its size, or nullopt when it is cut short or the
// family is none of the assigned ones.
std::optional<size_t> decode_addresses(std::string_view whole, ProxyHeader& header) {
  const uint8_t byte = byte_at(whole, 13);
  const size_t room = whole.size() - kFixedV2, at = kFixedV2;
  if (byte == kFamilyUnspec) return 0;
  // Stream and datagram alike: the address is what matters, however the client spoke to the balancer.
  const uint8_t transport = byte & 0x0F;
  if (transport != kStream && transport != kStream + 1) return std::nullopt;
  switch (byte & 0xF0) {
    case kFamilyInet:
      if (room < 12) return std::nullopt;
      header.source = SocketAddress::ipv4(bytes_at<4>(whole, at), u16_at(whole, at + 8));
      header.destination = SocketAddress::ipv4(bytes_at<4>(whole, at + 4), u16_at(whole, at + 10));
      return 12;
    case kFamilyInet6:
      if (room < 36) return std::nullopt;
      header.source = SocketAddress::ipv6(bytes_at<16>(whole, at), u16_at(whole, at + 32));
      header.destination = SocketAddress::ipv6(bytes_at<16>(whole, at + 16), u16_at(whole, at + 34));
      return 36;
    case kFamilyUnix:
      if (room < 2 * kUnixAddressSize) return std::nullopt;
      header.source = unix_at(whole, at);
      header.destination = unix_at(whole, at + kUnixAddressSize);
      if (!header.source || !header.destination) return std::nullopt;
      return 2 * kUnixAddressSize;
    default:
      return std::nullopt;
  }
}

struct Tlv {
  uint8_t type = 0;
  std::string_view value;
};

// Cuts one TLV from the front; false when it is cut short.
bool next_tlv(std::string_view& rest, Tlv& tlv) {
  if (rest.size() < kTlvHead) return false;
  const size_t size = u16_at(rest, 1);
  if (rest.size() - kTlvHead < size) return false;
  tlv = {byte_at(rest, 0), rest.substr(kTlvHead, size)};
  rest.remove_prefix(kTlvHead + size);
  return true;
}

// Sets `field` once: a second value would leave open which of the two was checked.
bool set_once(std::string& field, std::string_view value) {
  if (!field.empty()) return false;
  field = value;
  return true;
}

constexpr std::string_view kCutShort = "v2: a TLV is cut short";
constexpr std::string_view kTwice = "v2: a TLV occurs twice";

// "" when all is well.
std::string_view decode_tls(std::string_view value, ProxyTls& tls) {
  if (value.size() < 5) return kCutShort;
  const uint8_t client = byte_at(value, 0);
  tls.over_tls = client & kClientSsl;
  tls.certificate_this_connection = client & kClientCertConn;
  tls.certificate_this_session = client & kClientCertSess;
  tls.verified = u32_at(value, 1) == 0;
  value.remove_prefix(5);
  while (!value.empty()) {
    Tlv tlv;
    if (!next_tlv(value, tlv)) return kCutShort;
    if (tlv.type == kTlvSslVersion && !set_once(tls.version, tlv.value)) return kTwice;
    if (tlv.type == kTlvSslCipher && !set_once(tls.cipher, tlv.value)) return kTwice;
    if (tlv.type == kTlvSslCommonName) {
      if (!set_once(tls.common_name, tlv.value)) return kTwice;
      if (!is_utf8_without_nul(tlv.value)) return "v2: the common name is not UTF-8 text";
    }
  }
  return {};
}

// The checksum is of the whole header with the checksum's own four bytes taken as zero.
bool checksum_fits(std::string_view whole, std::string_view value) {
  const auto at = static_cast<size_t>(value.data() - whole.data());
  uint32_t sum = crc32c(whole.substr(0, at));
  sum = crc32c("\0\0\0\0"sv, sum);
  sum = crc32c(whole.substr(at + 4), sum);
  return sum == u32_at(value, 0);
}

std::string_view decode_tlvs(std::string_view whole, size_t at, ProxyHeader& header) {
  bool checked = false;
  std::string_view rest = whole.substr(at);
  while (!rest.empty()) {
    Tlv tlv;
    if (!next_tlv(rest, tlv)) return kCutShort;
    switch (tlv.type) {
      case kTlvAlpn:
        if (!set_once(header.alpn, tlv.value)) return kTwice;
        break;
      case kTlvAuthority:
        if (!set_once(header.authority, tlv.value)) return kTwice;
        break;
      case kTlvUniqueId:
        if (tlv.value.size() > kUniqueIdMax) return "v2: the unique id is longer than 128 bytes";
        if (!set_once(header.unique_id, tlv.value)) return kTwice;
        break;
      case kTlvCrc32c:
        if (tlv.value.size() != 4) return "v2: the checksum is not four bytes";
        if (checked) return kTwice;
        if (!checksum_fits(whole, tlv.value)) return "v2: the checksum is wrong";
        checked = true;
        break;
      case kTlvSsl: {
        if (header.tls) return kTwice;
        const std::string_view what = decode_tls(tlv.value, header.tls.emplace());
        if (!what.empty()) return what;
        break;
      }
      default:
        break;  // NOOP padding, network namespaces, and what private parties agree on
    }
  }
  return {};
}

ProxyDecoded decode_v2(std::string_view bytes) {
  // Each byte is judged when it is there, so that nonsense is not waited for.
  if (bytes.size() > 12) {
    const uint8_t byte = byte_at(bytes, 12);
    if (byte >> 4 != 2) return ProxyViolation{"v2: the version is not 2"};
    if ((byte & 0x0F) > kCommandProxy) return ProxyViolation{"v2: the command is neither LOCAL nor PROXY"};
  }
  if (bytes.size() < kFixedV2) return ProxyNeedMore{};
  const size_t total = kFixedV2 + u16_at(bytes, 14);
  if (total > kProxyV2SizeMax) return ProxyViolation{"v2: the header is too long"};
  if (bytes.size() < total) return ProxyNeedMore{total};

  const std::string_view whole = bytes.substr(0, total);
  ProxyHeader header;
  header.version = 2;
  header.size = total;
  if ((byte_at(whole, 12) & 0x0F) == kCommandLocal) {
    // The block of a LOCAL header is to be discarded whatever it holds, including the family.
    header.local = true;
    return header;
  }
  const auto addresses = decode_addresses(whole, header);
  if (!addresses) return ProxyViolation{"v2: the addresses are not those of an assigned family"};
  const std::string_view what = decode_tlvs(whole, kFixedV2 + *addresses, header);
  if (!what.empty()) return ProxyViolation{what};
  return header;
}

void put_tlv(std::string& out, uint8_t type, std::string_view value) {
  CHECK(value.size() <= 0xFFFF);
  out.push_back(static_cast<char>(type));
  put_u16(out, value.size());
  out.append(value);
}

void put_tlv_unless_empty(std::string& out, uint8_t type, std::string_view value) {
  if (!value.empty()) put_tlv(out, type, value);
}

std::string encode_tls(const ProxyTls& tls) {
  std::string value;
  value.push_back(static_cast<char>((tls.over_tls ? kClientSsl : 0) |
                                    (tls.certificate_this_connection ? kClientCertConn : 0) |
                                    (tls.certificate_this_session ? kClientCertSess : 0)));
  put_u32(value, tls.verified ? 0 : 1);
  put_tlv_unless_empty(value, kTlvSslVersion, tls.version);
  put_tlv_unless_empty(value, kTlvSslCommonName, tls.common_name);
  put_tlv_unless_empty(value, kTlvSslCipher, tls.cipher);
  return value;
}

void put_bytes(std::string& out, std::span<const uint8_t> bytes) {
  out.append(bytes.begin(), bytes.end());
}

void put_unix(std::string& out, const SocketAddress& address) {
  out.append(address.path());
  out.append(kUnixAddressSize - address.path().size(), '\0');
}

// The family byte; the address block goes to `out`.
uint8_t encode_addresses(std::string& out, const SocketAddress& source, const SocketAddress& destination) {
  if (source.is_ip() && destination.is_ip()) {
    const bool four = source.family() == Family::ipv4 && destination.family() == Family::ipv4;
    for (const SocketAddress* address : {&source, &destination}) {
      if (four) {
        put_bytes(out, address->ip_bytes());
      } else {
        put_bytes(out, address->ip_mapped());
      }
    }
    put_u16(out, source.port());
    put_u16(out, destination.port());
    return (four ? kFamilyInet : kFamilyInet6) | kStream;
  }
  if (source.family() == Family::unix_path && destination.family() == Family::unix_path) {
    put_unix(out, source);
    put_unix(out, destination);
    return kFamilyUnix | kStream;
  }
  return kFamilyUnspec;
}

// As inet_pton reads it in a TCP6 line.
std::string ipv6_text(const SocketAddress& address) {
  if (address.family() == Family::ipv4) return "::ffff:" + address.host();
  return SocketAddress::ipv6(address.ip_mapped(), 0).host();  // without a scope
}

}  // namespace

ProxyDecoded decode_proxy_header(std::string_view bytes) {
  const auto begins = [bytes](std::string_view signature) {
    const size_t shared = std::min(bytes.size(), signature.size());
    return bytes.substr(0, shared) == signature.substr(0, shared);
  };
  if (begins(kSignatureV1)) return bytes.size() < kSignatureV1.size() ? ProxyNeedMore{} : decode_v1(bytes);
  if (begins(kSignatureV2)) return bytes.size() < kSignatureV2.size() ? ProxyNeedMore{} : decode_v2(bytes);
  return NotProxy{};
}

std::string encode_proxy_v1(const ProxyHeader& header) {
  if (header.local || !header.source || !header.destination || !header.source->is_ip() ||
      !header.destination->is_ip()) {
    return "PROXY UNKNOWN\r\n";
  }
  const SocketAddress &from = *header.source, &to = *header.destination;
  if (from.family() == Family::ipv4 && to.family() == Family::ipv4) {
    return fmt::format("PROXY TCP4 {} {} {} {}\r\n", from.host(), to.host(), from.port(), to.port());
  }
  return fmt::format("PROXY TCP6 {} {} {} {}\r\n", ipv6_text(from), ipv6_text(to), from.port(), to.port());
}

std::string encode_proxy_v2(const ProxyHeader& header, bool checksum) {
  std::string out(kSignatureV2);
  out.push_back(static_cast<char>(0x20 | (header.local ? kCommandLocal : kCommandProxy)));
  out.append(3, '\0');  // family and length, known at the end
  if (!header.local) {
    if (header.source && header.destination) {
      out[13] = static_cast<char>(encode_addresses(out, *header.source, *header.destination));
    }
    put_tlv_unless_empty(out, kTlvAlpn, header.alpn);
    put_tlv_unless_empty(out, kTlvAuthority, header.authority);
    put_tlv_unless_empty(out, kTlvUniqueId, header.unique_id);
    if (header.tls) put_tlv(out, kTlvSsl, encode_tls(*header.tls));
  }
  const size_t sum_at = out.size() + kTlvHead;
  if (checksum) put_tlv(out, kTlvCrc32c, "\0\0\0\0"sv);
  CHECK(out.size() <= kProxyV2SizeMax);
  const size_t length = out.size() - kFixedV2;
  out[14] = static_cast<char>(length >> 8);
  out[15] = static_cast<char>(length);
  if (checksum) {
    std::string sum;
    put_u32(sum, crc32c(out));
    out.replace(sum_at, sum.size(), sum);
  }
  return out;
}

}  // namespace courier::net
