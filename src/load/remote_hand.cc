#include "load/remote_hand.h"

#include <fmt/format.h>

#include "load/limits.h"
#include "load/worker_session.h"

namespace courier::load {

RemoteHand::RemoteHand(net::Fd socket, Peer peer, Preparation preparation, client::ClientLoop& loop)
    : peer_(std::move(peer)),
      preparation_(std::move(preparation)),
      letters_(preparation_.part.count),
      stream_(std::move(socket), loop.events()) {
  stream_.on_frame = [this](FrameKind kind, std::string_view body) { on_frame(kind, body); };
  stream_.on_closed = [this](const std::string& why) {
    if (!gone_) fail_with(why);
  };
}

void RemoteHand::fail_with(std::string why) {
  if (trouble_.empty()) trouble_ = fmt::format("{}: {}", peer_.name, why);
}

void RemoteHand::on_frame(FrameKind kind, std::string_view body) {
  switch (kind) {
    case FrameKind::hello: {
      const auto hello = read_hello(body);
      if (!hello || greeted_) return fail_with("it does not speak the language of courier load");
      greeted_ = true;
      stream_.send(FrameKind::prove, to_bytes(Hello{peer_.version, proof_of(hello->nonce, peer_.token)}));
      if (peer_.same_clock) return stream_.send(FrameKind::prepare, to_bytes(preparation_));
      return ping();
    }
    case FrameKind::pong:
      if (const auto theirs = read_number(body); theirs && pings_ > 0) return on_pong(*theirs);
      return fail_with("it does not speak the language of courier load");
    case FrameKind::ready:
      ready_ = true;
      return;
    case FrameKind::refused: {
      const auto refusal = read_refusal(body);
      if (!refusal) return fail_with("it does not speak the language of courier load");
      scenario_refused_ = refusal->invalid_scenario;
      return fail_with(refusal->why);
    }
    case FrameKind::report: {
      auto report = read_report(body);
      if (!report) return fail_with("its report cannot be read");
      if (report_) {
        auto& tallies = report->tallies;
        tallies.insert(tallies.end(), report_->tallies.begin(), report_->tallies.end());
        report->cpu_us += report_->cpu_us;
      }
      report_ = std::move(report);
      return;
    }
    case FrameKind::letters: {
      auto mail = read_mail(body);
      if (!mail || mail->to >= letters_.size()) return fail_with("its letters cannot be read");
      Letters& box = letters_[mail->to];
      const auto append = [](auto& to, auto& from) { to.insert(to.end(), from.begin(), from.end()); };
      append(box.promises, mail->letters.promises);
      append(box.arrivals, mail->letters.arrivals);
      append(box.replies, mail->letters.replies);
      return;
    }
    case FrameKind::gone:
      gone_ = true;
      if (auto missing = read_texts(body)) missing_ = std::move(*missing);
      return;
    case FrameKind::prove:
    case FrameKind::ping:
    case FrameKind::prepare:
    case FrameKind::begin_stage:
    case FrameKind::end_stage:
    case FrameKind::share_members:
    case FrameKind::hang_up:
      return fail_with("it does not speak the language of courier load");
  }
}

void RemoteHand::ping() {
  ++pings_;
  pinged_us_ = now_us();
  stream_.send(FrameKind::ping);
}

// The quickest answer tells most about the other clock: it was read somewhere within that time.
void RemoteHand::on_pong(uint64_t theirs_us) {
  const int64_t now = now_us(), took = now - pinged_us_;
  if (took < quickest_us_) {
    quickest_us_ = took;
    clock_error_us_ = took / 2;
    preparation_.part.clock_offset_us = pinged_us_ + took / 2 - static_cast<int64_t>(theirs_us);
  }
  if (pings_ < kClockPings) return ping();
  stream_.send(FrameKind::prepare, to_bytes(preparation_));
}

void RemoteHand::begin_stage(size_t stage, int64_t began_us) {
  stream_.send(FrameKind::begin_stage, to_bytes(StageBegin{static_cast<uint32_t>(stage), began_us}));
}

std::optional<WorkerReport> RemoteHand::report() {
  return std::exchange(report_, std::nullopt);
}

std::vector<Letters> RemoteHand::take_letters() {
  std::vector<Letters> out(letters_.size());
  out.swap(letters_);
  return out;
}

void RemoteHand::deliver(const Letters& letters) {
  stream_.send(FrameKind::letters, to_bytes(preparation_.part.index, letters));
}

void RemoteHand::set_share_members(uint32_t share, const ShareMembers& elsewhere) {
  stream_.send(FrameKind::share_members, to_bytes(ShareNews{share, elsewhere}));
}

}  // namespace courier::load
