// What the process that leads a load test and its workers say to one another, as frames on a stream socket.
//
//   4 bytes: length of what follows, big-endian      1 byte: kind      body
//
//   worker                                leader
//   hello {version, nonce}          ──►
//                                   ◄──   prove {version, token}     HS256 over the nonce, by the shared key
//                                   ◄──   ping {}                    a few times, for the clocks
//   pong {monotonic µs}             ──►
//                                   ◄──   prepare {scenario, part…}
//   ready {} | refused {why}        ──►
//                                   ◄──   begin_stage, end_stage, share_members, hang_up
//   report, letters                 ──►
//                                   ◄──   letters                    from other workers
//   gone {missing}                  ──►
//
// FrameStream is owned by its loop's thread. Frames beyond kFrameBytesMax, and bytes that are none, end it.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "net/event_loop.h"
#include "net/fd.h"
#include "net/output_queue.h"

namespace courier::load {

enum class FrameKind : uint8_t {
  hello = 1,
  prove,
  ping,
  pong,
  prepare,
  ready,
  refused,
  begin_stage,
  end_stage,
  share_members,
  hang_up,
  report,
  letters,
  gone,
};
inline constexpr auto kLastFrameKind = FrameKind::gone;

class FrameStream final : private net::Handler {
 public:
  // `fd` is connected, or connecting. Handlers may destroy the stream.
  FrameStream(net::Fd fd, net::EventLoop& loop);
  ~FrameStream();
  FrameStream(const FrameStream&) = delete;

  // errc::out_of_resources. Frames come from now on.
  Result<void> start();
  // Sent at once, as far as the other side reads.
  void send(FrameKind kind, std::string_view body = {});
  size_t unsent_bytes() const { return output_.bytes(); }
  bool closed() const { return !fd_; }

  std::function<void(FrameKind kind, std::string_view body)> on_frame;
  // Once; `why` is for people. Nothing comes after it.
  std::function<void(const std::string& why)> on_closed;

 private:
  void on_events(uint32_t ready) override;
  void read();
  void end(const std::string& why);

  net::Fd fd_;
  net::EventLoop& loop_;
  bool registered_ = false;
  bool wants_write_ = false;
  std::string input_;
  net::OutputQueue output_;
  bool* alive_ = nullptr;  // set while handlers run, to learn that one destroyed us
};

}  // namespace courier::load
