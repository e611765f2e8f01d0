// The life of a socket that was accepted, as one table.
//
//    accepted
//       |            bad header, too many, too late
//       v     +------------------------------------------------+
//   proxy_header <--> delayed ---------------------------------+
//       |               |                                      v
//       v   <-----------+  too late, peer gone              closed
//   handshake ---------------------------------------------->  ^ ^ ^
//       |  \  no TLS, no WebSocket: closing                    | | |
//       v            too late, peer gone                       | | |
//   connect ---------------------------------------------------+ | |
//       |  \                                                   | | |
//       |   \ no CONNECT of ours                               | | |
//       v    \                         peer gone               | | |
//   serving --\------------------------------------------------+ | |
//       |      \                                                 | |
//       |       v    peer gone, too late, nothing to say         | |
//       +-> closing ---------------------------------------------+ |
//              |  output is out                                    |
//              v                       peer hung up, too late      |
//          lingering ----------------------------------------------+
//
// proxy_header  a PROXY header must or may come
// delayed       more come than are let in at a time: not read until its turn
// handshake     TLS and WebSocket are being agreed on; passed over by a listener without
// connect       its bytes are the client's own; CONNECT has not come
// serving       the shard has it (or it is on its way from one shard to another)
// closing       what was decided for it is still being written
// lingering     all is written and sending is shut; what the peer still sends is thrown away until it hangs
// up,
//               because closing at once would reset the connection and take the last packets with it
// closed        its memory goes at the end of the Turn
#pragma once

#include <cstdint>
#include <string_view>

namespace courier::gateway {

enum class ConnectionState : uint8_t {
  proxy_header,
  delayed,
  handshake,
  connect,
  serving,
  closing,
  lingering,
  closed
};
inline constexpr size_t kConnectionStateCount = 8;

std::string_view name(ConnectionState state);
// Whether the table has this arrow; any other move is a bug of ours.
bool may_move(ConnectionState from, ConnectionState to);

}  // namespace courier::gateway
