#include "admin/http_connection.h"

#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include "admin/limits.h"
#include "base/log.h"

namespace courier::admin {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

namespace {

Counter& closed_for(Registry& registry, const char* reason) {
  return registry.counter("courier_admin_connections_closed_total",
                          "HTTP connections that the server gave up.", {{"reason", reason}});
}

}  // namespace

// --- HttpFloor ---

HttpFloor::HttpFloor(ServerOptions given, Tokens accepted, const Surroundings& surroundings,
                     Registry& registry)
    : options(std::move(given)),
      tokens(std::move(accepted)),
      around(surroundings),
      crowded_out(closed_for(registry, "connections_max")),
      slow_requests(closed_for(registry, "request_timeout")),
      slow_readers(closed_for(registry, "write_timeout")),
      refused_tokens(registry.counter("courier_admin_refused_tokens_total",
                                      "REST requests without a token that is accepted.")) {
  for (const char* status : {"1xx", "2xx", "3xx", "4xx", "5xx"}) {
    answers_.push_back(&registry.counter("courier_admin_requests_total",
                                         "Answers of the HTTP side, by status.", {{"status", status}}));
  }
}

void HttpFloor::admit(asio::ip::tcp::socket socket) {
  if (connections_.size() >= kConnectionsMax) {
    crowded_out.add();
    std::shared_ptr<HttpConnection> idlest;
    for (const auto& [raw, connection] : connections_) {
      if (!connection->reading_since()) continue;
      if (!idlest || *connection->reading_since() < *idlest->reading_since()) idlest = connection;
    }
    static log::Limit limit{{.per_second = 1}};
    log::warn(limit, "too many HTTP connections; one is closed", {{"connections_max", kConnectionsMax}});
    if (!idlest) return;  // and with it the new one
    idlest->close();
  }
  auto connection = std::make_shared<HttpConnection>(*this, std::move(socket));
  connections_.emplace(connection.get(), connection);
  connection->run();
}

void HttpFloor::forget(HttpConnection& connection) {
  connections_.erase(&connection);
}

void HttpFloor::close_all() {
  const auto closing = connections_;
  for (const auto& [raw, connection] : closing) connection->close();
}

void HttpFloor::count_answer(unsigned status) {
  answers_[std::min<size_t>(status / 100, answers_.size()) - 1]->add();
}

// --- HttpConnection: reading ---

HttpConnection::HttpConnection(HttpFloor& floor, asio::ip::tcp::socket socket)
    : floor_(floor), stream_(std::move(socket)), buffer_(kHeaderBytesMax + kBodyBytesMax), timer_(floor.io) {
  error_code ignored;
  stream_.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
  stream_.socket().set_option(asio::socket_base::keep_alive(true), ignored);
}

void HttpConnection::close() {
  if (state_ == State::closed) return;
  const auto self = shared_from_this();  // the floor may have been the last owner
  state_ = State::closed;
  floor_.forget(*this);
  if (lines_) {
    --floor_.traces;
    std::exchange(lines_, nullptr)->close();
  }
  timer_.cancel();
  stream_.close();
}

std::optional<std::chrono::steady_clock::time_point> HttpConnection::reading_since() const {
  if (state_ != State::reading) return std::nullopt;
  return reading_since_;
}

void HttpConnection::await_request(bool first) {
  state_ = State::reading;
  reading_since_ = Clock::now();
  parser_.emplace();
  parser_->header_limit(kHeaderBytesMax);
  parser_->body_limit(kBodyBytesMax);
  if (first || buffer_.size() > 0) {
    stream_.expires_after(floor_.options.request_timeout);
    return read_header();
  }
  stream_.expires_after(floor_.options.idle_timeout);
  stream_.async_read_some(buffer_.prepare(4096), [self = shared_from_this()](error_code error, size_t bytes) {
    if (self->state_ == State::closed) return;
    if (error) return self->close();
    self->buffer_.commit(bytes);
    self->stream_.expires_after(self->floor_.options.request_timeout);
    self->read_header();
  });
}

void HttpConnection::read_header() {
  http::async_read_header(stream_, buffer_, *parser_, [self = shared_from_this()](error_code error, size_t) {
    if (self->state_ == State::closed) return;
    if (error) return self->broken(error);
    const bool expects = beast::iequals(self->parser_->get()[http::field::expect], "100-continue");
    if (!expects || self->parser_->is_done()) return self->read_body();
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(self->stream_, asio::buffer(kContinue), [self](error_code failed, size_t) {
      if (self->state_ == State::closed) return;
      if (failed) return self->close();
      self->read_body();
    });
  });
}

void HttpConnection::read_body() {
  http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](error_code error, size_t) {
    if (self->state_ == State::closed) return;
    if (error) return self->broken(error);
    self->on_request();
  });
}

// The request cannot be read: says why if the peer can still hear it, and hangs up.
void HttpConnection::broken(const error_code& error) {
  keep_alive_ = false;
  version_ = 11;
  head_ = false;
  state_ = State::answering;
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    refuse(431, "the header of the request is too large",
           "at most " + std::to_string(kHeaderBytesMax) + " bytes");
  } else if (error == http::error::body_limit) {
    refuse(413, "the body of the request is too large",
           "at most " + std::to_string(kBodyBytesMax) + " bytes");
  } else if (error.category() == make_error_code(http::error::bad_method).category() &&
             error != http::error::end_of_stream && error != http::error::partial_message) {
    refuse(400, "this is not an HTTP request: " + error.message());
  } else {
    if (error == beast::error::timeout) floor_.slow_requests.add();
    close();  // it went away, or was too slow
  }
}

// --- answering ---

void HttpConnection::on_request() {
  auto request = parser_->release();
  state_ = State::answering;
  ++exchange_;
  version_ = request.version();
  keep_alive_ = request.keep_alive();
  head_ = request.method() == http::verb::head;
  const std::string_view written = request.target();
  auto target = parse_target(written);
  if (!target) return refuse(error_response(target.error()).status, target.error().message);
  const auto authorization = request[http::field::authorization];
  if (needs_token(target->segments)) {
    if (const auto refused = refusal({authorization.data(), authorization.size()})) return write(*refused);
  }
  const auto method = request.method_string();
  const Found found = find_route({method.data(), method.size()}, target->segments);
  if (!found.route) {
    if (found.allowed.empty()) {
      return refuse(404, "there is nothing at this path",
                    "known: /metrics, /livez, /readyz, /v1/clients, /v1/node, /v1/backup");
    }
    return refuse(405, "this path does not have that method", "use " + found.allowed, found.allowed);
  }
  if (!found.route->slow) {
    timer_.expires_after(floor_.options.answer_timeout);
    timer_.async_wait([self = shared_from_this(), exchange = exchange_](error_code error) {
      if (error) return;
      self->answer(exchange, error_response(504, "the node did not answer in time",
                                            "it is overloaded or stopping; try again"));
    });
  }
  found.route->handler(
      floor_.around,
      Request{std::string(method), found.id, std::move(target->query), std::move(request.body())},
      reply_to_this());
}

std::string HttpConnection::peer() const {
  error_code ignored;
  return stream_.socket().remote_endpoint(ignored).address().to_string();
}

void HttpConnection::refuse(unsigned status, std::string_view why, std::string_view hint,
                            std::string_view allowed) {
  static log::Limit limit{{.per_second = 5}};
  log::info(limit, "an HTTP request was refused", {{"peer", peer()}, {"status", status}, {"why", why}});
  Response response = error_response(status, why, hint);
  if (!allowed.empty()) response.headers.emplace_back("Allow", std::string(allowed));
  write(response);
}

// What is said to somebody without a token.
std::optional<Response> HttpConnection::refusal(std::string_view authorization) {
  if (!floor_.around.control) {
    return error_response(404, "there is nothing at this path", "known: /metrics, /livez, /readyz");
  }
  if (floor_.tokens.empty()) {
    return error_response(
        403, "the REST API is off: no token is configured",
        "put a random string of at least 16 characters into tokens or token_file of [admin] "
        "and start courierd anew");
  }
  if (floor_.tokens.accept(authorization)) return std::nullopt;
  floor_.refused_tokens.add();
  static log::Limit limit{{.per_second = 1}};
  log::warn(limit, "a REST request without a valid token was refused", {{"peer", peer()}});
  Response response =
      authorization.empty()
          ? error_response(401, "this needs a token",
                           "send the header Authorization: Bearer TOKEN, with a token of [admin]")
          : error_response(401, "the token is not accepted",
                           "it must be one of tokens or token_file of [admin], after \"Bearer \"");
  response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"courier\"");
  return response;
}

Reply HttpConnection::reply_to_this() {
  const std::weak_ptr<HttpFloor> floor = floor_.weak_from_this();
  const std::weak_ptr<HttpConnection> connection = weak_from_this();
  const uint64_t exchange = exchange_;
  return Reply({
      .send =
          [floor, connection, exchange](std::function<Response()> make) {
            const auto there = floor.lock();
            if (!there) return;
            // Only in there may the connection be touched, or its last owner let go.
            asio::post(there->io, [connection, exchange, make = std::move(make)] {
              const auto self = connection.lock();
              if (self && self->state_ == State::answering && self->exchange_ == exchange)
                self->answer(exchange, make());
            });
          },
      .stream =
          [connection, exchange](std::shared_ptr<LineStream> lines) {
            const auto self = connection.lock();
            return self && self->stream(exchange, std::move(lines));
          },
  });
}

void HttpConnection::answer(uint64_t exchange, const Response& response) {
  if (state_ != State::answering || exchange_ != exchange) return;
  timer_.cancel();
  write(response);
}

void HttpConnection::write(const Response& response) {
  state_ = State::writing;
  floor_.count_answer(response.status);
  const auto send = [this](auto message, const Response& from, bool keep) {
    message->version(version_);
    message->result(from.status);
    message->set(http::field::content_type, from.content_type);
    message->set(http::field::cache_control, "no-store");
    message->set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : from.headers) message->set(name, value);
    message->keep_alive(keep);
    message->content_length(from.body.size());
    outgoing_ = message;
    stream_.expires_after(floor_.options.write_timeout);
    http::async_write(stream_, *message, [self = shared_from_this()](error_code error, size_t) {
      self->outgoing_ = nullptr;
      if (self->state_ == State::closed) return;
      if (error) return self->write_failed(error);
      if (self->keep_alive_) return self->await_request(false);
      // Reads what the peer may still be sending: closing with unread bytes would reset the connection and
      // take the answer with it.
      error_code ignored;
      self->stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
      self->drain();
    });
  };
  if (head_) {
    send(std::make_shared<http::response<http::empty_body>>(), response, keep_alive_);
  } else {
    auto message = std::make_shared<http::response<http::string_body>>();
    message->body() = response.body;
    send(std::move(message), response, keep_alive_);
  }
}

void HttpConnection::write_failed(const error_code& error) {
  if (error == beast::error::timeout) floor_.slow_readers.add();
  close();
}

void HttpConnection::drain() {
  state_ = State::reading;  // may be closed when somebody needs the place
  stream_.async_read_some(asio::buffer(ignored_),
                          [self = shared_from_this()](error_code error, size_t bytes) {
                            if (self->state_ == State::closed) return;
                            self->drained_ += bytes;
                            if (error || self->drained_ > kDrainBytesMax) return self->close();
                            self->drain();
                          });
}

// --- streaming ---

bool HttpConnection::stream(uint64_t exchange, std::shared_ptr<LineStream> lines) {
  if (state_ != State::answering || exchange_ != exchange) return false;
  timer_.cancel();
  if (version_ < 11 || head_) {
    write(error_response(505, "a trace needs a GET of HTTP/1.1"));
    return false;
  }
  if (floor_.traces >= kTracesMax) {
    write(error_response(429, "there are as many traces as there may be",
                         "end one of the " + std::to_string(kTracesMax)));
    return false;
  }
  ++floor_.traces;
  floor_.count_answer(200);
  state_ = State::streaming;
  lines_ = std::move(lines);

  struct Head {
    http::response<http::empty_body> message{http::status::ok, 11};
    http::response_serializer<http::empty_body> serializer{message};
  };
  auto head = std::make_shared<Head>();
  head->message.set(http::field::content_type, "application/x-ndjson");
  head->message.set(http::field::cache_control, "no-store");
  head->message.keep_alive(false);
  head->message.chunked(true);
  outgoing_ = head;
  writing_piece_ = true;
  stream_.expires_after(floor_.options.write_timeout);
  http::async_write_header(stream_, head->serializer, [self = shared_from_this()](error_code error, size_t) {
    self->outgoing_ = nullptr;
    if (self->state_ == State::closed) return;
    if (error) return self->write_failed(error);
    self->writing_piece_ = false;
    self->watch_for_end();
    const std::weak_ptr<HttpFloor> floor = self->floor_.weak_from_this();
    const std::weak_ptr<HttpConnection> connection = self;
    self->lines_->open([floor, connection] {
      const auto there = floor.lock();
      if (!there) return;
      asio::post(there->io, [connection] {
        if (const auto awake = connection.lock()) awake->write_lines();
      });
    });
    self->write_lines();
  });
  return true;
}

// The peer has nothing more to say; that its end of the socket closes is what we wait for.
void HttpConnection::watch_for_end() {
  stream_.socket().async_read_some(asio::buffer(ignored_),
                                   [self = shared_from_this()](error_code error, size_t) {
                                     if (self->state_ == State::closed) return;
                                     if (error) return self->close();
                                     self->watch_for_end();
                                   });
}

void HttpConnection::write_lines() {
  if (state_ != State::streaming || writing_piece_) return;
  piece_ = lines_->take();
  if (piece_.empty()) {
    timer_.expires_after(floor_.options.heartbeat);
    timer_.async_wait([self = shared_from_this()](error_code error) {
      if (error || self->state_ != State::streaming || self->writing_piece_) return;
      self->piece_ = "\n";
      self->write_piece();
    });
    return;
  }
  write_piece();
}

void HttpConnection::write_piece() {
  writing_piece_ = true;
  timer_.cancel();
  stream_.expires_after(floor_.options.write_timeout);
  asio::async_write(stream_, http::make_chunk(asio::buffer(piece_)),
                    [self = shared_from_this()](error_code error, size_t) {
                      self->writing_piece_ = false;
                      if (self->state_ == State::closed) return;
                      if (error) return self->write_failed(error);
                      self->write_lines();
                    });
}

}  // namespace courier::admin
