#include "mesh/link.h"

#include <netinet/tcp.h>

#include <utility>

#include <fmt/format.h>

#include "mesh/errc.h"
#include "net/errc.h"
#include "net/socket.h"

namespace courier::mesh {

namespace {

// What a TLS handshake may take on top of the bytes of a stranger: net/tls bounds it, and this what stands
// behind it.
constexpr size_t kHandshakeBytesMax = 64 * 1024;

Error gone(std::string_view what) {
  return {make_error_code(errc::link_lost), std::string(what)};
}

}  // namespace

Link::Link(uint64_t number, bool is_dialled, net::Fd fd, net::SocketAddress address,
           std::unique_ptr<net::Transport> transport, Shared& shared, Owner& owner)
    : serial(number),
      dialled(is_dialled),
      shared_(shared),
      owner_(owner),
      state_(is_dialled ? State::connecting : State::opening),
      fd_(std::move(fd)),
      address_(std::move(address)),
      transport_(std::move(transport)) {}

Link::~Link() {
  if (state_ != State::closed) shut();
}

Result<void> Link::begin() {
  interest_ = dialled ? net::kWritable : net::kReadable;
  if (auto added = shared_.loop.add(fd_.get(), *this, interest_); !added) {
    fd_.reset();
    state_ = State::closed;
    return added;
  }
  net::set_no_delay(fd_.get());
  net::set_option(fd_.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, kUnsentBytesInKernel);
  if (!dialled) connected();
  return {};
}

void Link::connected() {
  if (transport_) {
    state_ = State::opening;
    std::string wire;
    transport_->start(wire);
    out_.append_piece(std::move(wire));
    write();
    return;
  }
  state_ = State::greeting;
  owner_.on_open(*this);
}

void Link::set_up() {
  state_ = State::up;
  reader_.raise(kFrameBytesMax);
}

void Link::on_events(uint32_t ready) {
  if (state_ == State::connecting) {
    if (auto outcome = net::connect_outcome(fd_.get(), address_); !outcome) return lost(outcome.error());
    want(net::kReadable);
    return connected();
  }
  if (ready & (net::kReadable | net::kHangup)) read();
  if (state_ != State::closed && (ready & net::kWritable)) write();
}

// --- In ---

void Link::read() {
  // What a stranger may send does not need more room, and comes no faster.
  const size_t room = state_ == State::up ? kReadBytes : kStrangerBytesMax;
  const net::IoResult got = net::read_some(fd_.get(), {shared_.read_room.data(), room});
  switch (got.status) {
    case net::IoStatus::would_block:
      return;
    case net::IoStatus::closed:
      return lost(gone("the other side has closed the connection"));
    case net::IoStatus::failed:
      return lost(gone("the connection broke: " + net::system_words(got.error)));
    case net::IoStatus::done:
      break;
  }
  shared_.counters.bytes_in.add(got.bytes);
  heard_at = system_clock().mono_ns();
  if (state_ != State::up) {
    bytes_in_ += got.bytes;
    if (bytes_in_ > kStrangerBytesMax + (transport_ ? kHandshakeBytesMax : 0)) {
      return lost({make_error_code(errc::bad_frame), "too many bytes without a hello"});
    }
  }
  if (auto taken = take(std::string_view(shared_.read_room).substr(0, got.bytes)); !taken) {
    // What it is told says why, as far as TLS has words for it.
    if (state_ != State::closed && !out_.empty()) out_.flush(fd_.get());
    lost(taken.error());
  }
}

Result<void> Link::take(std::string_view bytes) {
  if (!transport_) return take_plain(bytes);
  std::string reply;
  shared_.plain.clear();
  const auto state = transport_->receive(bytes, shared_.plain, reply);
  const bool replies = !reply.empty();
  out_.append_piece(std::move(reply));
  if (!state) return fail(state.error());
  if (state_ == State::opening && *state == net::TransportState::open) {
    state_ = State::greeting;
    owner_.on_open(*this);
  }
  if (state_ != State::closed && replies) write();
  if (state_ == State::closed) return {};
  std::string plain = std::exchange(shared_.plain, {});
  auto taken = take_plain(plain);
  plain.clear();
  shared_.plain = std::move(plain);  // its room is kept
  if (!taken) return taken;
  if (state_ != State::closed && *state == net::TransportState::ended) {
    return fail(gone("the other side has closed the connection"));
  }
  return {};
}

Result<void> Link::take_plain(std::string_view bytes) {
  return reader_.feed(bytes, [this](FrameType type, std::string_view body) -> Result<void> {
    // Whoever owns it may have closed it over the frame before.
    if (state_ == State::closed) return fail(gone("closed"));
    return owner_.on_frame(*this, type, body);
  });
}

// --- Out ---

void Link::write_queued() {
  if (urgent_.bytes > kUrgentBytesMax || stream_.bytes > kStreamBytesMax) {
    return lost({make_error_code(errc::busy), "it asks for more than it takes"});
  }
  // Otherwise the kernel says when.
  if ((interest_ & net::kWritable) == 0) write();
}

void Link::write() {
  if (state_ == State::connecting || state_ == State::closed) return;
  for (;;) {
    while (state_ != State::opening && out_.bytes() < kCommittedBytesMax && commit_next()) {
    }
    if (state_ == State::closed) return;
    if (out_.empty()) return want(net::kReadable);
    shared_.counters.writes.add();  // before somebody can have noticed it
    const net::IoResult sent = out_.flush(fd_.get());
    shared_.counters.bytes_out.add(sent.bytes);
    if (sent.status == net::IoStatus::failed) {
      return lost(gone("the connection broke: " + net::system_words(sent.error)));
    }
    if (sent.status == net::IoStatus::would_block) return want(net::kReadable | net::kWritable);
  }
}

bool Link::commit_next() {
  Result<void> done;
  if (!urgent_.list.empty()) {
    done = commit(urgent_.pop());
  } else if (!messages_.empty() && (messages_next_ || stream_.list.empty())) {
    Outgoing next = std::move(messages_.front());
    messages_.pop_front();
    messages_next_ = false;
    next.peer->queued.fetch_sub(next.bytes.size(), std::memory_order_relaxed);
    shared_.counters.messages_out.add(next.messages);
    done = commit(std::move(next.bytes));
  } else if (!stream_.list.empty()) {
    messages_next_ = true;
    done = commit(stream_.pop());
  } else {
    return false;
  }
  if (!done) lost(done.error());
  return state_ != State::closed;
}

Result<void> Link::commit(std::string bytes) {
  if (!transport_) {
    out_.append_piece(std::move(bytes));
    return {};
  }
  std::string wire;
  if (auto sent = transport_->send(bytes, wire); !sent) return sent;
  out_.append_piece(std::move(wire));
  return {};
}

void Link::want(uint32_t interest) {
  if (interest_ == interest) return;
  interest_ = interest;
  shared_.loop.modify(fd_.get(), *this, interest);
}

// --- The end ---

void Link::close(std::string_view last) {
  if (state_ == State::closed) return;
  if (state_ != State::connecting && state_ != State::opening) {
    // One try: who does not take it now learns less about the reason.
    if ((last.empty() || commit(std::string(last))) && transport_) {
      std::string wire;
      transport_->close(net::CloseReason::normal, wire);
      out_.append_piece(std::move(wire));
    }
    if (!out_.empty()) out_.flush(fd_.get());
  }
  shut();
}

void Link::lost(const Error& why) {
  if (state_ == State::closed) return;
  shut();
  owner_.on_lost(*this, why);
}

void Link::shut() {
  state_ = State::closed;
  shared_.timers.cancel(timer);
  if (fd_) {
    shared_.loop.forget(*this);
    fd_.reset();
  }
  for (const Outgoing& one : messages_) {
    one.peer->queued.fetch_sub(one.bytes.size(), std::memory_order_relaxed);
    shared_.counters.drops.link_lost.add(one.messages);
  }
  messages_.clear();
  urgent_ = {};
  stream_ = {};
  out_.clear();
}

}  // namespace courier::mesh
