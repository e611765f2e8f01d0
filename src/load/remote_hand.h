// A worker in another process, here or on another machine, as the conductor sees it (frames.h).
//
// Owned by the conductor's loop thread. What it says arrives while the loop runs; the conductor takes it when
// it asks.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/client_loop.h"
#include "load/conductor.h"
#include "load/frames.h"
#include "load/wire.h"

namespace courier::load {

class RemoteHand final : public Hand {
 public:
  struct Peer {
    std::string name;  // for people: "worker 2", "agent 10.0.0.7:7070"
    std::string token;
    std::string version;
    bool same_clock = false;  // it runs on this machine
  };
  // `socket` is connected, or connecting. Speaks first when the worker has.
  RemoteHand(net::Fd socket, Peer peer, Preparation preparation, client::ClientLoop& loop);

  Result<void> start() { return stream_.start(); }
  // It has its part and waits for the first stage.
  bool ready() const { return ready_; }
  // How far its clock may be off, at most: half of the quickest answer.
  int64_t clock_error_us() const { return clock_error_us_; }

  void begin_stage(size_t stage, int64_t began_us) override;
  void end_stage() override { stream_.send(FrameKind::end_stage); }
  void hang_up() override { stream_.send(FrameKind::hang_up); }
  bool gone() override { return gone_ || !trouble_.empty(); }
  std::optional<WorkerReport> report() override;
  std::vector<Letters> take_letters() override;
  void deliver(const Letters& letters) override;
  void set_share_members(uint32_t share, const ShareMembers& elsewhere) override;
  std::vector<std::string> missing() override { return std::move(missing_); }
  std::string trouble() const override { return trouble_; }
  // Of the trouble: the scenario is wrong as that machine sees it.
  bool scenario_refused() const { return scenario_refused_; }

 private:
  void on_frame(FrameKind kind, std::string_view body);
  void on_pong(uint64_t theirs_us);
  void ping();
  void fail_with(std::string why);
  static int64_t now_us() { return system_clock().mono_ns() / 1000; }

  Peer peer_;
  Preparation preparation_;
  bool greeted_ = false, ready_ = false, gone_ = false, scenario_refused_ = false;
  std::string trouble_;
  int64_t pinged_us_ = 0, quickest_us_ = INT64_MAX, clock_error_us_ = 0;
  uint32_t pings_ = 0;
  std::optional<WorkerReport> report_;
  std::vector<Letters> letters_;
  std::vector<std::string> missing_;
  FrameStream stream_;
};

}  // namespace courier::load
