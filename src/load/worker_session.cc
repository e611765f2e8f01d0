#include "load/worker_session.h"

#include <sys/random.h>

#include <array>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "jose/base64url.h"
#include "jose/digest.h"
#include "load/errc.h"
#include "load/frames.h"
#include "load/limits.h"
#include "load/wire.h"
#include "net/open_files.h"

namespace courier::load {

namespace {

// Does not tell by the time it takes how much of a guess was right.
bool same(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

std::string fresh_nonce() {
  std::array<char, 24> bytes{};
  size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t n = ::getrandom(bytes.data() + filled, bytes.size() - filled, 0);
    if (n > 0) filled += static_cast<size_t>(n);
  }
  return jose::base64url({bytes.data(), bytes.size()});
}

class Session {
 public:
  Session(net::Fd socket, const SessionOptions& options, client::ClientLoop& loop)
      : options_(options),
        loop_(loop),
        nonce_(fresh_nonce()),
        stream_(std::move(socket), loop.events()),
        timer_([this] { tick(); }) {
    stream_.on_frame = [this](FrameKind kind, std::string_view body) { on_frame(kind, body); };
    stream_.on_closed = [this](const std::string& why) {
      if (!trouble_ && worker_ && !told_gone_) {
        trouble_ = Error(make_error_code(errc::unreachable), "the process that led the run is gone: " + why);
      }
      over_ = true;
    };
  }
  ~Session() { loop_.cancel(timer_); }

  Result<void> run() {
    if (auto started = stream_.start(); !started) return started;
    stream_.send(FrameKind::hello, to_bytes(Hello{options_.version, nonce_}));
    while (!over_) loop_.run_once();
    if (trouble_) return fail(std::move(*trouble_));
    return {};
  }

 private:
  void refuse(errc code, std::string why) {
    stream_.send(FrameKind::refused, to_bytes(Refusal{code == errc::invalid_scenario, why}));
    trouble_ = Error(make_error_code(code), std::move(why));
    over_ = true;
  }

  void on_frame(FrameKind kind, std::string_view body) {
    if (!proven_ && kind != FrameKind::prove) {
      return refuse(errc::bad_frame, "the leader did not prove that it knows the token");
    }
    switch (kind) {
      case FrameKind::prove:
        return on_proof(body);
      case FrameKind::ping:
        return stream_.send(FrameKind::pong,
                            to_bytes(static_cast<uint64_t>(system_clock().mono_ns() / 1000)));
      case FrameKind::prepare:
        return prepare(body);
      case FrameKind::begin_stage:
      case FrameKind::end_stage:
      case FrameKind::share_members:
      case FrameKind::hang_up:
      case FrameKind::letters:
        if (worker_) return lead(kind, body);
        break;
      case FrameKind::hello:
      case FrameKind::pong:
      case FrameKind::ready:
      case FrameKind::refused:
      case FrameKind::report:
      case FrameKind::gone:
        break;
    }
    refuse(errc::bad_frame, "the leader said something that does not belong here");
  }

  void on_proof(std::string_view body) {
    const auto proof = read_hello(body);
    if (!proof || !same(proof->nonce, proof_of(nonce_, options_.token))) {
      return refuse(
          errc::bad_frame,
          "the leader's token is another than the agent's: set COURIER_LOAD_TOKEN to the same on both "
          "machines");
    }
    if (proof->version != options_.version) {
      return refuse(errc::bad_frame,
                    fmt::format("this is courier {}, and the leader is courier {}: both must be the same",
                                options_.version, proof->version));
    }
    proven_ = true;
  }

  void prepare(std::string_view body) {
    const auto preparation = read_preparation(body);
    if (!preparation || worker_) return refuse(errc::bad_frame, "the leader's preparation cannot be read");
    Findings findings(preparation->file, preparation->text);
    scenario_ = read_scenario(preparation->text, preparation->set, findings);
    if (!scenario_) return refuse(errc::invalid_scenario, findings.describe());
    auto worker = Worker::make(*scenario_, preparation->part, loop_, options_.transports);
    if (!worker) {
      const bool invalid = worker.error().code == make_error_code(errc::invalid_scenario);
      return refuse(invalid ? errc::invalid_scenario : errc::unreachable, std::move(worker.error().message));
    }
    worker_ = std::move(*worker);
    stream_.send(FrameKind::ready);
    loop_.arm(timer_, kReportEveryMs);
  }

  void lead(FrameKind kind, std::string_view body) {
    const auto wrong = [&] { refuse(errc::bad_frame, "the leader's order cannot be read"); };
    switch (kind) {
      case FrameKind::begin_stage: {
        const auto begin = read_stage_begin(body);
        if (!begin || begin->stage >= scenario_->stages.size()) return wrong();
        return worker_->begin_stage(begin->stage, begin->began_us);
      }
      case FrameKind::end_stage:
        return worker_->end_stage();
      case FrameKind::share_members: {
        const auto news = read_share_news(body);
        if (!news) return wrong();
        return worker_->set_share_members(news->share, news->elsewhere);
      }
      case FrameKind::hang_up:
        missing_ = worker_->describe_missing(kMissingShown);
        hanging_up_ = true;
        return worker_->hang_up();
      case FrameKind::letters: {
        const auto mail = read_mail(body);
        if (!mail) return wrong();
        return worker_->deliver(mail->letters);
      }
      default:
        return wrong();
    }
  }

  void tick() {
    const auto letters = worker_->take_letters();
    for (uint32_t to = 0; to < letters.size(); ++to) {
      if (!letters[to].empty()) stream_.send(FrameKind::letters, to_bytes(to, letters[to]));
    }
    const bool gone = hanging_up_ && worker_->gone();
    stream_.send(FrameKind::report, to_bytes(worker_->report()));
    if (gone) {
      told_gone_ = true;
      return stream_.send(FrameKind::gone, to_bytes(missing_));
    }
    if (!over_) loop_.arm(timer_, kReportEveryMs);
  }

  const SessionOptions& options_;
  client::ClientLoop& loop_;
  const std::string nonce_;
  bool proven_ = false, hanging_up_ = false, told_gone_ = false, over_ = false;
  std::optional<Error> trouble_;
  std::optional<Scenario> scenario_;
  std::unique_ptr<Worker> worker_;
  std::vector<std::string> missing_;
  FrameStream stream_;
  client::Timer timer_;
};

}  // namespace

std::string proof_of(std::string_view nonce, std::string_view token) {
  // The key is never empty, which HMAC would take but OpenSSL would not.
  return jose::base64url(jose::hmac_sha256(fmt::format("courier load {}", token), nonce));
}

Result<void> serve_leader(net::Fd socket, const SessionOptions& options) {
  net::raise_open_files();
  auto loop = client::ClientLoop::open();
  if (!loop) return fail(std::move(loop.error()));
  return Session(std::move(socket), options, **loop).run();
}

}  // namespace courier::load
