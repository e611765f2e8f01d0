// One connection to another node: a socket, TLS if it is asked for, frames both ways, and what waits to go
// out.
//
//   connecting --TCP--> opening --TLS--> greeting --owner--> up --anything wrong--> closed
//   (who accepted begins with opening; without TLS that is over at once)
//
// Owned by the Hub, used by the mesh's thread. It knows how bytes go, not what they mean: each frame goes to
// the owner, who says what comes of it. It destroys nothing of itself: after lost() the owner does, later.
//
// What goes out is in three queues. Urgent frames go first; messages and streams take turns. What the socket
// was given keeps its place, so that is little: kCommittedBytesMax here, kUnsentBytesInKernel there.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "mesh/core.h"
#include "mesh/counters.h"
#include "mesh/frame.h"
#include "net/event_loop.h"
#include "net/fd.h"
#include "net/output_queue.h"
#include "net/socket_address.h"
#include "net/timer_wheel.h"
#include "net/transport.h"

namespace courier::mesh {

struct Timer : net::TimerNode {
  std::function<void()> fire;
};
using Timers = net::TimerWheel<Timer>;

class Link final : public net::Handler {
 public:
  enum class State : uint8_t { connecting, opening, greeting, up, closed };

  class Owner {
   public:
    // Bytes may be sent now: who dialled says hello.
    virtual void on_open(Link& link) = 0;
    // An error closes the link.
    virtual Result<void> on_frame(Link& link, FrameType type, std::string_view body) = 0;
    // It is closed. Called once, unless the owner itself closed it.
    virtual void on_lost(Link& link, const Error& why) = 0;

   protected:
    ~Owner() = default;
  };

  // What all links of a thread share.
  struct Shared {
    net::EventLoop& loop;
    Timers& timers;
    Counters& counters;
    std::string& read_room;  // kReadBytes
    std::string& plain;      // what TLS makes of it; empty between calls
  };

  // `transport` is null without TLS. begin() does the first step.
  Link(uint64_t serial, bool dialled, net::Fd fd, net::SocketAddress address,
       std::unique_ptr<net::Transport> transport, Shared& shared, Owner& owner);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  Result<void> begin();

  // Queue what is to go out; write_queued() sends it, once a turn.
  void urgent(std::string frames) { urgent_.push(std::move(frames)); }
  void stream(std::string frames) { stream_.push(std::move(frames)); }
  void messages(Outgoing outgoing) { messages_.push_back(std::move(outgoing)); }
  void write_queued();

  // Frames of any size and kind from now on.
  void set_up();
  // Sends `last` if the kernel takes it at once, and closes. on_lost() is not called.
  void close(std::string_view last = {});

  void on_events(uint32_t ready) override;

  State state() const { return state_; }
  const net::SocketAddress& address() const { return address_; }
  const net::Transport* transport() const { return transport_.get(); }

  const uint64_t serial;
  const bool dialled;
  // The owner's: greeting, then pings.
  Timer timer;
  // What it knows of the other side, once that has introduced itself.
  bool introduced = false;
  Hello hello;
  // When something of it came last, whole or not.
  MonoNs heard_at = 0;

 private:
  struct Frames {
    void push(std::string frames) {
      bytes += frames.size();
      list.push_back(std::move(frames));
    }
    std::string pop() {
      std::string first = std::move(list.front());
      list.pop_front();
      bytes -= first.size();
      return first;
    }
    std::deque<std::string> list;
    size_t bytes = 0;
  };

  void lost(const Error& why);
  void shut();
  void connected();
  void read();
  void write();
  Result<void> take(std::string_view bytes);
  Result<void> take_plain(std::string_view bytes);
  bool commit_next();
  Result<void> commit(std::string bytes);
  void want(uint32_t interest);

  Shared& shared_;
  Owner& owner_;
  State state_;
  net::Fd fd_;
  const net::SocketAddress address_;
  std::unique_ptr<net::Transport> transport_;
  FrameReader reader_{kHelloBytesMax};
  size_t bytes_in_ = 0;  // until it is up
  uint32_t interest_ = 0;

  Frames urgent_, stream_;
  std::deque<Outgoing> messages_;
  bool messages_next_ = true;  // of messages and streams
  net::OutputQueue out_;
};

}  // namespace courier::mesh
