// Port: the wire end of one connection. gateway/ implements it over sockets, test/sim over a simulated
// network.
//
// Owned by the gateway; called on the thread of the shard that has the connection.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace courier::broker {

class Connection;

class Link {
 public:
  virtual ~Link() = default;

  // Encoded packets are appended here; the gateway writes them at the end of the Turn.
  virtual std::string& output() = 0;
  // Bytes that the peer's socket did not take yet, output() included.
  virtual size_t unsent_bytes() const = 0;
  // While paused nothing is read or decoded. Pauses nest by reason: it reads again when no bit is left.
  enum Pause : uint8_t {
    connecting = 1,
    uncommitted = 2,
    log_stalled = 4,
    memory = 8,
    subscribing = 16,
    deciding = 32,
    limited = 64,
  };
  virtual void pause(Pause reason) = 0;
  virtual void resume(Pause reason) = 0;
  // The connection ends with keep_alive_timeout after 1.5 times this without a packet; 0 = never.
  virtual void set_keep_alive(uint32_t seconds) = 0;
  // Its session lives on another shard: hands the connection over; there Shard::adopt() is called. The caller
  // must not touch either afterwards.
  virtual void move_to(uint32_t shard, std::unique_ptr<Connection> connection) = 0;
  // Writes what is left in output(), then closes. The connection object is gone when this returns.
  virtual void close() = 0;
};

}  // namespace courier::broker
