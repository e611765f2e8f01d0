#include "courier/interrupt.h"

#include <signal.h>
#include <sys/signalfd.h>

namespace courier::cli {
namespace {

sigset_t signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

Interrupt::Interrupt(client::ClientLoop& loop, std::function<void()> interrupted)
    : loop_(loop), interrupted_(std::move(interrupted)) {
  const sigset_t set = signals();
  fd_ = net::Fd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd_) return;  // then a signal simply ends the process
  if (!loop_.events().add(fd_.get(), *this, net::kReadable)) {
    fd_.reset();
    return;
  }
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
}

Interrupt::~Interrupt() {
  if (fd_) loop_.events().remove(fd_.get(), *this);
}

void Interrupt::on_events(uint32_t) {
  signalfd_siginfo information;
  if (::read(fd_.get(), &information, sizeof information) != sizeof information) return;
  const sigset_t set = signals();
  ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
  interrupted_();
}

}  // namespace courier::cli
