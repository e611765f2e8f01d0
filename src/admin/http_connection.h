// One HTTP connection: reads a request, has it answered, writes the answer, again.
//
//   reading --request--> answering --Response--> writing --keep-alive--> reading
//                            |                      '------------------> closed
//                            '--stream()--> streaming --peer gone------> closed
//
// Owned by HttpFloor until it is closed, and by the handlers that wait for it; server's thread only.
//
// Invariant: an answer that comes when its request is no longer being answered (timed out, connection closed)
// does nothing.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include "admin/exchange.h"
#include "admin/line_stream.h"
#include "admin/routes.h"
#include "admin/server.h"
#include "admin/tokens.h"

namespace courier::admin {

class HttpConnection;

// What the connections of one server share.
class HttpFloor : public std::enable_shared_from_this<HttpFloor> {
 public:
  HttpFloor(ServerOptions options, Tokens tokens, const Surroundings& around, Registry& registry);

  // A new connection; may cost another its place.
  void admit(boost::asio::ip::tcp::socket socket);
  void forget(HttpConnection& connection);

  // The end of the server, whose thread has ended. Must come before the destructor.
  void close_all();

  const ServerOptions options;
  Tokens tokens;
  const Surroundings around;
  size_t traces = 0;
  void count_answer(unsigned status);
  Counter &crowded_out, &slow_requests, &slow_readers;  // connections closed for it
  Counter& refused_tokens;

 private:
  // Owns them until they are closed.
  std::unordered_map<HttpConnection*, std::shared_ptr<HttpConnection>> connections_;
  std::vector<Counter*> answers_;  // by hundreds of the status

 public:
  // Destroyed first: with it go the handlers.
  boost::asio::io_context io{1};
};

class HttpConnection final : public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(HttpFloor& floor, boost::asio::ip::tcp::socket socket);
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  void run() { await_request(true); }
  void close();
  // Since when it has been waiting for the peer's request; nothing while there is one.
  std::optional<std::chrono::steady_clock::time_point> reading_since() const;

 private:
  using Clock = std::chrono::steady_clock;
  enum class State : uint8_t { reading, answering, writing, streaming, closed };

  void await_request(bool first);
  void read_header();
  void read_body();
  void on_request();
  std::optional<Response> refusal(std::string_view authorization);
  void broken(const boost::system::error_code& error);
  // Answers what is no good request, and logs it: somebody may be feeling for a way in.
  void refuse(unsigned status, std::string_view why, std::string_view hint = {},
              std::string_view allowed = {});
  std::string peer() const;
  Reply reply_to_this();
  void answer(uint64_t exchange, const Response& response);
  void write(const Response& response);
  bool stream(uint64_t exchange, std::shared_ptr<LineStream> lines);
  void write_failed(const boost::system::error_code& error);
  void drain();
  void watch_for_end();
  void write_lines();
  void write_piece();

  HttpFloor& floor_;
  boost::beast::tcp_stream stream_;
  boost::beast::flat_buffer buffer_;
  std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
  boost::asio::steady_timer timer_;  // while answering: answer_timeout; while streaming: heartbeat
  State state_ = State::reading;
  Clock::time_point reading_since_;
  uint64_t exchange_ = 0;  // number of the request
  bool keep_alive_ = false, head_ = false;
  unsigned version_ = 11;
  std::shared_ptr<void> outgoing_;  // message and serializer, until they are written

  std::shared_ptr<LineStream> lines_;  // while streaming
  std::string piece_;                  // being written
  bool writing_piece_ = false;
  size_t drained_ = 0;
  char ignored_[256];
};

}  // namespace courier::admin
