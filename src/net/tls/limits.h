// Every bound of this folder that is not a setting. Each has a test that reaches it.
#pragma once

#include <chrono>
#include <cstddef>

namespace courier::net::tls {

// A ClientHello. Browsers with post-quantum key shares send 1.8 KB, a ticket with a client's certificate in
// it adds 2. OpenSSL by itself makes room for 128 KB as soon as somebody announces them.
inline constexpr size_t kHelloBytesMax = 8 * 1024;
// The certificates that a client shows: its own and two above it, with the largest keys in use. They are held
// up to three times until they are verified.
inline constexpr size_t kClientChainBytesMax = 6 * 1024;
// The certificates that a server shows to us.
inline constexpr size_t kServerChainBytesMax = 64 * 1024;
// A record of a client's before the handshake is done: either of these in one.
inline constexpr size_t kOpeningRecordBytesMax = 8 * 1024 + 512;
// All that a peer may send until the handshake is done.
inline constexpr size_t kHandshakeBytesMax = 64 * 1024;
// Changes of its keys that a peer may ask for in what came at once. Each costs us as much as some records,
// and those who mean it change them once in hours or millions of records.
inline constexpr unsigned kKeyUpdatesMax = 8;
// Records that we write. A phone can use a record only once all of it has come, and while we write one its
// buffer is of this size.
inline constexpr long kRecordBytesMax = 4 * 1024;
// Tickets: RFC 8446, section 4.6.1.
inline constexpr std::chrono::seconds kTicketLifetimeMax = std::chrono::hours(7 * 24);
// A file of certificates, keys, revocations.
inline constexpr size_t kFileBytesMax = 16 * 1024 * 1024;
// What of a peer's certificate is repeated in an error, and a name that is kept of it.
inline constexpr size_t kQuotedBytesMax = 120;
inline constexpr size_t kNameBytesMax = 1024;
// Names of one kind that are taken from a peer's certificate.
inline constexpr size_t kNamesMax = 64;

}  // namespace courier::net::tls
